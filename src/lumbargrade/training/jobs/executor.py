"""Folds that train side by side: as many as there are places for, handed back in the order in which they end."""

from collections.abc import Callable, Sequence
from pathlib import Path
from queue import SimpleQueue
from threading import Event
from types import TracebackType
from typing import Any, Protocol, Self

from lumbargrade.training.jobs.process import OnEpoch
from lumbargrade.training.jobs.spec import AnySpec, FoldResult


class FoldFuture(Protocol):
    """A fold that is being trained; a future of the standard library, or Prefect's."""

    def result(self) -> FoldResult:
        """Returns what came of it, or raises."""

    def add_done_callback(self, fn: Callable[[Any], None], /) -> None:
        """Calls a function when it has ended."""


Submit = Callable[[AnySpec, OnEpoch, Event], FoldFuture]
"""Begins to train a fold, tells its epochs, and stops it when the event is set."""


class FoldPool:
    """Folds that are being trained.

    Leaving it as a context stops what still runs, and waits until that has ended.

    Attributes:
        places: How many folds may run at a time.
    """

    def __init__(self, submit: Submit, places: int) -> None:
        self.places = places
        self._submit = submit
        self._running: dict[Path, Event] = {}
        self._ended: SimpleQueue[tuple[AnySpec, FoldFuture]] = SimpleQueue()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for stop in self._running.values():
            stop.set()
        while self._running:
            self.next()

    @property
    def running(self) -> int:
        """Folds that have not ended; one that was stopped keeps its place until it has."""
        return len(self._running)

    def trains(self, spec: AnySpec) -> bool:
        """Whether a fold of the same folder has not ended."""
        return spec.folder in self._running

    def start(self, spec: AnySpec, on_epoch: OnEpoch) -> None:
        """Begins a fold."""
        stop = Event()
        self._running[spec.folder] = stop  # before it begins: its first epoch may be told, and stop it, at once
        try:
            future = self._submit(spec, on_epoch, stop)
        except BaseException:
            del self._running[spec.folder]
            raise
        future.add_done_callback(lambda ended: self._ended.put((spec, ended)))

    def stop(self, spec: AnySpec) -> None:
        """Stops a fold if it has not ended."""
        if spec.folder in self._running:
            self._running[spec.folder].set()

    def next(self) -> tuple[AnySpec, FoldFuture | None]:
        """Waits for the next fold that ends; there is no result of one that was stopped."""
        spec, future = self._ended.get()
        stopped = self._running.pop(spec.folder).is_set()
        return spec, None if stopped else future

    def train(self, specs: Sequence[AnySpec], on_epoch: OnEpoch) -> list[FoldResult]:
        """Trains folds and returns their results in the same order.

        Raises:
            LumbargradeError: Whatever :func:`run_fold` raises; the other folds are stopped when the pool is left.
        """
        results: dict[Path, FoldResult] = {}
        waiting = list(specs)
        while len(results) < len(specs):
            while waiting and self.running < self.places:
                self.start(waiting.pop(0), on_epoch)
            spec, future = self.next()
            if future is not None:
                results[spec.folder] = future.result()
        return [results[spec.folder] for spec in specs]
