"""Which notices were sent: Prefect may raise an event twice, and starts a process for each time."""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from lumbargrade.config.project import current_project
from lumbargrade.files import write_text

_WAIT_SECONDS = 300.0
"""Longer than a notice takes to be sent, with all its tries."""
_KEEP_SECONDS = 90 * 24 * 3600.0


@contextmanager
def sent_once(notice: str | None) -> Iterator[bool]:
    """Yields whether a notice is still to be sent; it counts as sent when the block ends without an error.

    Another process with the same notice waits. One that is killed in the block leaves the notice to be sent: rather twice
    than never, which is why it is sent, too, if the folder cannot be written.

    Args:
        notice: Names the notice and its way; `None` for one that may be sent any number of times.
    """
    mark = current_project().sent_notices / hashlib.sha256(notice.encode()).hexdigest() if notice is not None else None
    lock, is_new = _lock(mark) if mark is not None else None, True
    try:
        with suppress(OSError):
            if mark is not None and mark.exists():
                is_new = False
        yield is_new
        if mark is not None and is_new:
            with suppress(OSError):
                write_text(mark, "")
    finally:
        if lock is not None:
            lock.release()


def _lock(mark: Path) -> FileLock | None:
    lock = FileLock(mark.with_suffix(".lock"), is_singleton=False)
    try:
        mark.parent.mkdir(parents=True, exist_ok=True)
        _forget_old(mark.parent)
        lock.acquire(timeout=_WAIT_SECONDS)
    except (OSError, Timeout):
        return None
    return lock


def _forget_old(folder: Path) -> None:
    for path in folder.iterdir():
        with suppress(FileNotFoundError):  # another process forgets it too
            if path.stat().st_mtime < time.time() - _KEEP_SECONDS:
                path.unlink()
