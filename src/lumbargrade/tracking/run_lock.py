"""Whose a search is: one process works on it at a time, and what a killed one has left open in MLflow is closed.

A search's folder has a lock, which the system frees when its holder ends, however it ends, and an id of its own, which is
a tag of all of its MLflow runs. So a run that is said to be running is known to be dead: nobody holds its folder's lock.
Runs of folders that are not here, such as another machine's on the same MLflow server, are left alone.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from lumbargrade.errors import LumbargradeError
from lumbargrade.files import write_text
from lumbargrade.tracking.mlflow_tracker import Tracker

OWNER = "owner"
LOCK = "search.lock"
_WAIT_SECONDS = 1.0
"""How long another process may look whether a search is alive."""


@contextmanager
def owned_runs(folder: Path, tracker: Tracker, what: str) -> Iterator[None]:
    """Makes this process the only one that works in a folder, and tags the runs that it starts with the folder's id.

    First it closes, as killed, the running runs of this and of the folders beside it that no process works in.

    Args:
        what: How messages call the work.

    Raises:
        LumbargradeError: Another process works in the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / OWNER
    with _alone_in(folder, what):
        if not path.is_file():
            write_text(path, uuid.uuid4().hex)
    close_abandoned(folder.parent, tracker)
    with _alone_in(folder, what), tracker.owned_by(path.read_text(encoding="utf-8")):
        yield


@contextmanager
def _alone_in(folder: Path, what: str) -> Iterator[None]:
    lock = FileLock(folder / LOCK, is_singleton=False)
    try:
        lock.acquire(timeout=_WAIT_SECONDS)
    except Timeout as error:
        raise LumbargradeError(
            f"{what} {folder.name} is already running on this machine", "wait for it or stop it", "already-running"
        ) from error
    try:
        yield
    finally:
        lock.release()


def close_abandoned(root: Path, tracker: Tracker) -> int:
    """Closes the running runs of the folders in ``root`` that no process works in; returns how many there were."""
    running = tracker.running_runs()
    closed = 0
    for path in sorted(root.glob(f"*/{OWNER}")) if running else []:
        abandoned = running.get(path.read_text(encoding="utf-8"), [])
        if not abandoned:
            continue
        lock = FileLock(path.parent / LOCK, is_singleton=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        try:
            for run_id in abandoned:
                tracker.end_run(run_id, "KILLED")
            closed += len(abandoned)
        finally:
            lock.release()
    return closed
