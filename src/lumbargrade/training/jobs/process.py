"""One fold of a cross-validation: a process of its own, on a leased device."""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from lumbargrade.config.code_digest import TRAINING
from lumbargrade.errors import (
    DivergedError,
    InputError,
    LumbargradeError,
    OutOfMemoryError,
    StoppedError,
    TooSlowError,
)
from lumbargrade.files import write_text
from lumbargrade.machine import limit_threads
from lumbargrade.process_groups import ProcessGroup
from lumbargrade.training.jobs.devices import Device, lease
from lumbargrade.training.jobs.memory import killed_error
from lumbargrade.training.jobs.spec import (
    DEVICE,
    ERROR,
    HISTORY,
    LOG,
    PARENT,
    RESULT,
    SPEC,
    AnySpec,
    Epoch,
    FoldResult,
    LocatorSpec,
    placeless,
    read_history,
    read_result,
    read_spec,
)

_POLL_SECONDS = 0.2

OnEpoch = Callable[[AnySpec, Epoch], None]


def run_fold(
    spec: AnySpec,
    devices: Sequence[Device],
    on_epoch: OnEpoch | None = None,
    stop: threading.Event | None = None,
    variables: Mapping[str, str] | None = None,
    worker: str = TRAINING,
) -> FoldResult:
    """Trains a fold in a process of its own; one that was finished is not trained again, one that was killed goes on.

    Args:
        devices: One of them is leased for the process.
        on_epoch: Called for each epoch soon after it ends.
        stop: Ends the process when it is set.
        variables: Of the process's environment, beside those of this process.
        worker: The module that trains, where these variables name other code than this.

    Raises:
        InputError: The process found the user's input wrong.
        StoppedError: It was stopped.
        TrialError: Its parameters do not work here: the loss, the memory or the time.
        LumbargradeError: It failed, or died.
    """
    finished = begin_fold(spec)
    if finished is not None:
        report_epochs(spec, 0, on_epoch)
        return finished
    (spec.folder / ERROR).unlink(missing_ok=True)
    with lease(devices, stop=stop, work=str(spec.folder)) as device:
        environment = {**(variables or {}), **_environment(device)}
        _run_process(spec, worker, environment, on_epoch, stop or threading.Event())
    result = read_result(spec.folder)
    if result is None:
        raise LumbargradeError(
            f"{spec.name} ended without a result", f"see {spec.folder / LOG}", "training-without-result"
        )
    return result


def begin_fold(spec: AnySpec) -> FoldResult | None:
    """Writes what a fold's process is to be told; returns the result if the same has been trained before."""
    text = spec.model_dump_json(indent=2)
    path = spec.folder / SPEC
    if _is_written(spec):
        write_text(path, text)  # the process reads where the project lies now
        return read_result(spec.folder)
    (spec.folder / HISTORY).unlink(missing_ok=True)
    (spec.folder / RESULT).unlink(missing_ok=True)
    write_text(path, text)
    return None


def _is_written(spec: AnySpec) -> bool:
    """Whether a fold's folder is of the same work, perhaps from where the project lay before."""
    try:
        return placeless(read_spec(spec.folder)) == placeless(spec)
    except (OSError, ValueError):  # none there, or that of another version of the code
        return False


def report_epochs(spec: AnySpec, reported: int, on_epoch: OnEpoch | None) -> int:
    """Passes new epochs on and returns how many have been passed on so far."""
    epochs = read_history(spec.folder)
    if on_epoch is not None:
        for epoch in epochs[reported:]:
            on_epoch(spec, epoch)
    return len(epochs)


def error_of(exit_code: int, parts: Mapping[str, str]) -> LumbargradeError:
    """The error that a training process has ended with, by its exit code and what it wrote of it."""
    kinds = (InputError, DivergedError, OutOfMemoryError, TooSlowError)
    kind: type[LumbargradeError] = {kind.exit_code: kind for kind in kinds}.get(exit_code, LumbargradeError)
    return kind(**parts)


def _run_process(
    spec: AnySpec, worker: str, variables: Mapping[str, str], on_epoch: OnEpoch | None, stop: threading.Event
) -> None:
    minutes = spec.training.time_limit_minutes
    stop_at = time.monotonic() + minutes * 60 if minutes else float("inf")
    reported = 0
    command = [sys.executable, "-m", worker, str(spec.folder)]
    with (spec.folder / LOG).open("wb") as log, ProcessGroup(command, log, variables) as group:
        while (code := group.poll()) is None:
            reported = report_epochs(spec, reported, on_epoch)
            if time.monotonic() > stop_at:
                section = "locator" if isinstance(spec, LocatorSpec) else "training"
                raise TooSlowError(
                    f"{spec.name} was stopped after {minutes:g} minutes",
                    f"raise {section}.time_limit_minutes",
                    "training-too-slow",
                )
            if stop.wait(_POLL_SECONDS):
                raise StoppedError(f"{spec.name} was stopped", "run again: it goes on", "stopped")
    report_epochs(spec, reported, on_epoch)
    if code != 0:
        raise _failure(spec, code)


def _environment(device: Device) -> dict[str, str]:
    """What a fold's process has beside this one's variables; no more, as it goes before what the caller gives."""
    threads = str(device.threads)
    limited = dict(os.environ)
    limit_threads(limited)
    return {
        **{name: value for name, value in limited.items() if name not in os.environ},
        "CUDA_VISIBLE_DEVICES": device.visible,
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        PARENT: str(os.getpid()),
        DEVICE: device.name,
    }


def _failure(spec: AnySpec, code: int) -> LumbargradeError:
    told = spec.folder / ERROR
    if told.is_file():
        return error_of(code, json.loads(told.read_text(encoding="utf-8")))
    if code == -signal.SIGKILL:
        return killed_error(spec)
    how = f"was killed by signal {-code}" if code < 0 else f"failed with exit code {code}"
    lines = (spec.folder / LOG).read_text(encoding="utf-8").strip().splitlines()
    last = f" ({lines[-1][:200]})" if lines else ""
    return LumbargradeError(
        f"{spec.name}: its process {how}{last}",
        f"see {spec.folder / LOG}, then run again: it goes on",
        "training-process-failed",
    )
