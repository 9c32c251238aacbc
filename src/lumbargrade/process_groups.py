"""Programs in sessions of their own, which are ended with all that they have started."""

import atexit
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Self

from lumbargrade.proxies import exempt_loopback

if TYPE_CHECKING:  # a served model has no psutil, and ends no groups
    import psutil

_GUARD = """
read -r _
kill -s TERM -- "$1"
for _ in 1 2 3 4 5 6 7 8 9 10; do sleep 1; kill -s 0 -- "$1" || exit 0; done
kill -s KILL -- "$1"
"""
"""Waits for the end of a pipe that only the guarding process holds: the kernel closes it, however that process ends."""


class ProcessGroup:
    """A command in a session of its own, which is ended together with all that it has started.

    As a context it is killed at the end, and what it has started with it.

    Args:
        command: The program and its arguments.
        log: Takes what the group writes, as a file or its number.
        environment: Variables beside those of this process.
    """

    def __init__(self, command: Sequence[str], log: IO[bytes], environment: Mapping[str, str]) -> None:
        exempt_loopback(os.environ)  # whoever starts a server asks it
        self._process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """Number of the process that leads the group, and of the group."""
        return self._process.pid

    def poll(self) -> int | None:
        """The leader's exit code, or the signal that killed it as a negative number; None while it runs."""
        return self._process.poll()

    def wait(self, seconds: float) -> None:
        """Waits until the leader has ended, or for so long."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    def is_listening(self, port: int) -> bool:
        """Whether the leader, or one that it has started, listens at a TCP port: another one's answer is not taken for its."""
        import psutil

        try:
            leader = psutil.Process(self.pid)
            family = [leader, *leader.children(recursive=True)]
        except psutil.NoSuchProcess:
            return False
        return any(port in _ports(process) for process in family)

    def end(self, seconds: float) -> None:
        """Ends all of it: asked to first, by force if not all have ended in time; 0 kills at once."""
        end_group(self.pid, seconds, self._process)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end(0)


@contextmanager
def guarded_group(leader: int) -> Iterator[None]:
    """Ends a process group if this process dies within the context, for programs that cannot watch their parent.

    A process of its own waits for that: it is asked to end first, and killed after 10 s.

    Args:
        leader: Number of the process that leads the group.
    """
    guard = _start_guard(f"-{leader}")
    try:
        yield
    finally:
        _end_guard(guard)


def guard_process(pid: int) -> None:
    """Ends another process when this one ends, however it does."""
    atexit.register(_end_guard, _start_guard(str(pid)))


def end_group(leader: int, seconds: float, process: subprocess.Popen[bytes] | None = None) -> None:
    """Ends a process group: asked to first, by force if not all of it have ended in time.

    A leader that has died leaves the others behind, so they are waited for too.

    Args:
        leader: Number of the process that leads the group.
        seconds: To wait; 0 kills at once.
        process: The leader, if it is a child of this process.
    """
    if seconds:
        _signal_group(leader, signal.SIGTERM)
        give_up = time.monotonic() + seconds
        while time.monotonic() < give_up and group_lives(leader, process):
            time.sleep(0.1)
    _signal_group(leader, signal.SIGKILL)
    if process is not None:
        process.wait()


def group_lives(leader: int, process: subprocess.Popen[bytes] | None = None) -> bool:
    """Whether a process of a group lives; a dead one that nobody has asked for does not count.

    Args:
        leader: Number of the process that leads the group; it may have died before the others.
        process: The leader, if it is a child of this process.
    """
    if process is not None and process.poll() is None:
        return True
    import psutil

    for pid in psutil.pids():
        try:
            if os.getpgid(pid) == leader and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                return True
        except (OSError, psutil.Error):
            continue
    return False


def ended_words(code: int) -> str:
    """How a process ended, by the code that Python has for it."""
    if code >= 0:
        return f"ended with exit code {code}"
    return f"was killed by signal {-code}"


def _ports(process: "psutil.Process") -> set[int]:
    import psutil

    try:
        return {each.laddr.port for each in process.net_connections("tcp") if each.status == psutil.CONN_LISTEN}
    except psutil.Error:
        return set()


def _start_guard(target: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["sh", "-c", _GUARD, "guard", target],
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _end_guard(guard: subprocess.Popen[bytes]) -> None:
    guard.kill()  # before its pipe is closed, which would set it to work
    guard.wait()
    if guard.stdin is not None:
        guard.stdin.close()


def _signal_group(leader: int, number: int) -> None:
    try:
        os.killpg(leader, number)
    except (ProcessLookupError, PermissionError):
        return
