"""Processes that are kept running: started in order, started again when they end, stopped together.

Who is killed leaves its children behind; what they were is written down, so that the next supervisor ends them first.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import psutil
from pydantic import BaseModel, TypeAdapter, ValidationError

from lumbargrade.files import write_text
from lumbargrade.last_error import ERROR_FILE, read_error
from lumbargrade.process_groups import ProcessGroup, end_group, ended_words, group_lives
from lumbargrade.serving.mlflow_server import answers

_SHORTEST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
_HEALTHY_SECONDS = 60.0
"""A part that has been ready for so long is started again at once when it ends; how long it took to start does not count."""
_STOP_SECONDS = 30.0
_LOG_BYTES = 20_000_000


@dataclass(frozen=True)
class Part:
    """A process to keep running.

    Attributes:
        ready: Address that answers once it is ready; it is ready when it runs, if not given.
        after: Names of the parts that must be ready first.
        environment: Variables beside those of this process.
        once: It does its work and ends; ready when it has ended well.
        adopts: What it has started may outlive it, and is not ended with it.
    """

    name: str
    command: Sequence[str]
    ready: str | None = None
    after: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    once: bool = False
    adopts: bool = False


class Left(BaseModel):
    """A process as it is written down; its number, and when it was started, tell it from all others.

    Attributes:
        since_boot: When it was started, seconds after the machine; no clock that is set changes it.
        boot: The machine's own name for that time, where it has one.
        folder: Device and number of the folder that it was written down in: in a copy of it, it is somebody else's.
        adopts: What it has started is left alone when it is dead.
    """

    pid: int
    since_boot: float
    boot: str
    folder: tuple[int, int]
    adopts: bool = False

    @classmethod
    def of(cls, pid: int, folder: Path, adopts: bool) -> Self:
        """Describes a process that runs.

        Raises:
            psutil.NoSuchProcess: There is none.
        """
        return cls(pid=pid, since_boot=_since_boot(pid), boot=_boot(), folder=_identity(folder), adopts=adopts)


_LEFT = TypeAdapter(dict[str, Left])


class Children:
    """The parts and their processes.

    Args:
        folder: Where the processes are written down and their logs lie, in ``logs``.
        tell: Gets a line when a part is ready, or has ended.
    """

    def __init__(self, parts: Sequence[Part], folder: Path, tell: Callable[[str], None]) -> None:
        self._children = [_Child(part, folder / "logs" / f"{part.name}.log") for part in parts]
        self._file = folder / "processes.json"
        self._tell = tell

    @property
    def ready(self) -> bool:
        """Whether all parts are."""
        return all(child.ready for child in self._children)

    def look(self) -> None:
        """Starts what may start, and tells what has changed."""
        for child in self._children:
            line = child.look({other.part.name for other in self._children if other.ready})
            if child.has_changed:
                self._write()
            if line:
                self._tell(line)

    def stop(self) -> None:
        """Ends all, the last one first."""
        for child in reversed(self._children):
            child.stop()
        self._file.unlink(missing_ok=True)

    def _write(self) -> None:
        running = {child.part.name: child.left for child in self._children if child.left is not None}
        write_text(self._file, _LEFT.dump_json(running).decode())


def end_leftovers(folder: Path) -> list[str]:
    """Ends what a killed supervisor has left running; returns the names of the parts."""
    path = folder / "processes.json"
    try:
        written = _LEFT.validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return []
    ended = []
    for name, left in written.items():
        if left.folder != _identity(folder) or left.boot != _boot():
            continue
        try:
            alive = abs(_since_boot(left.pid) - left.since_boot) < 1
        except psutil.NoSuchProcess:  # its number is not given to another process while one of its group lives
            alive = not left.adopts and group_lives(left.pid)
        if alive:
            end_group(left.pid, _STOP_SECONDS)
            ended.append(name)
    path.unlink(missing_ok=True)
    return ended


def _since_boot(pid: int) -> float:
    return psutil.Process(pid).create_time() - psutil.boot_time()  # both move with the clock


def _identity(folder: Path) -> tuple[int, int]:
    place = folder.stat()
    return place.st_dev, place.st_ino


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:  # not on macOS
        return ""


class _Child:
    def __init__(self, part: Part, log: Path) -> None:
        self.part = part
        self.ready = False
        self.has_changed = False
        self._log, self._error = log, log.with_suffix(".error.json")
        self._process: ProcessGroup | None = None
        self._pause = _SHORTEST_PAUSE
        self._start_at = 0.0
        self._ready_since = 0.0

    @property
    def left(self) -> Left | None:
        if self._process is None:
            return None
        try:
            return Left.of(self._process.pid, self._log.parent.parent, self.part.adopts)
        except psutil.NoSuchProcess:
            return None

    def look(self, ready: set[str]) -> str:
        """Returns a line if there is something to tell."""
        self.has_changed = False
        if self._process is None:
            done = self.part.once and self.ready
            if not done and ready.issuperset(self.part.after) and time.monotonic() >= self._start_at:
                self._start()
            return ""
        code = self._process.poll()
        if code is not None:
            return self._ended(code)
        if not self.ready and not self.part.once and self._answers(self._process):
            self.ready, self._ready_since = True, time.monotonic()
            return f"{self.part.name}: ready{f' at {self.part.ready}' if self.part.ready else ''}"
        return ""

    def stop(self) -> None:
        if self._process is not None:
            self._process.end(_STOP_SECONDS)
            self._process = None

    def _start(self) -> None:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._error.unlink(missing_ok=True)
        if self._log.exists() and self._log.stat().st_size > _LOG_BYTES:
            self._log.replace(self._log.with_suffix(".log.1"))
        with self._log.open("ab") as log:
            environment = {**self.part.environment, ERROR_FILE: str(self._error.resolve())}
            self._process = ProcessGroup(self.part.command, log, environment)
        self.has_changed = True

    def _answers(self, process: ProcessGroup) -> bool:
        """Whether the part is ready; what somebody else answers at its address does not count."""
        address = self.part.ready
        return address is None or (answers(address) and process.is_listening(urlsplit(address).port or 0))

    def _ended(self, code: int) -> str:
        process, self._process, self.has_changed = self._process, None, True
        if self.part.once and code == 0:
            self.ready = True
            return f"{self.part.name}: done"
        was_ready, self.ready = self.ready, False
        if process is not None and not self.part.adopts:
            process.end(0)
        if was_ready and time.monotonic() - self._ready_since > _HEALTHY_SECONDS:
            self._pause = _SHORTEST_PAUSE
        error = read_error(self._error)
        pause, self._pause = self._pause, min(2 * self._pause, _LONGEST_PAUSE)
        self._start_at = time.monotonic() + pause
        words = f"{ended_words(code)} ({error})" if error else ended_words(code)
        return f"{self.part.name}: {words}; it is started again in {pause:g} s (log: {self._log})"
