"""Temporary folders for patients' files: private, and removed even when the process that made them was killed.

All of a user's lie in one folder, ``$TMPDIR/lumbargrade-<uid>`` (``/tmp`` without ``TMPDIR``). Whoever uses one holds a
lock in it (flock), which the system releases when the process ends, however it ends. A sweep removes what nobody holds;
it needs neither process ids, which are used again, nor ages.
"""

import errno
import fcntl
import logging
import os
import secrets
import shutil
import stat
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import IO

from lumbargrade.errors import LumbargradeError

SWEEP_SECONDS = 60.0
"""Between two sweeps of a process that runs for long."""

_LOCK, _FILES, _REMOVED = ".lock", "files", "removed-"
_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORMER_STUDY, _FORMER_SPOOL = "lumbargrade-study-", "lumbargrade-spool-"
_FORMER_SECONDS = 24 * 3600.0

_timer = threading.Lock()
"""Held for good by the first :func:`keep_sweeping` of the process."""


class ScratchError(LumbargradeError):
    """The place for temporary files is full, missing, or not the user's own."""


@contextmanager
def scratch_folder(kind: str) -> Iterator[Path]:
    """Yields a folder of its own for patients' files, which is removed at the end; sweeps first.

    Args:
        kind: Begins the folder's name, for whoever looks.

    Raises:
        ScratchError: It cannot be made.
    """
    sweep()
    root = scratch_root()
    try:
        with _locked(root):
            folder = root / f"{kind}-{secrets.token_hex(8)}"
            folder.mkdir(mode=0o700)
            (folder / _FILES).mkdir(mode=0o700)
            lock = (folder / _LOCK).open("wb")
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise scratch_error(error, root) from error
    with closing(lock):
        try:
            yield folder / _FILES
        finally:
            shutil.rmtree(_set_aside(folder), ignore_errors=True)


def scratch_root() -> Path:
    """The user's folder of temporary folders; made if it is not there.

    Raises:
        ScratchError: It cannot be made, or somebody else has put something in its place.
    """
    parent = Path(os.environ.get("TMPDIR") or tempfile.gettempdir())
    root = parent / _root_name()
    if not parent.is_dir():
        raise ScratchError(
            f"the temporary folder {parent} (TMPDIR) does not exist",
            "make it, or set TMPDIR to another",
            "temporary-folder-missing",
        )
    try:
        root.mkdir(mode=0o700, exist_ok=True)
        found = root.lstat()
    except FileExistsError:
        found = root.lstat()
    except OSError as error:
        raise scratch_error(error, parent) from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise ScratchError(
            f"{root} is not a folder of this user, and patients' files are not put there",
            "remove it, or set TMPDIR to a folder of your own",
            "temporary-folder-of-another-user",
        )
    if found.st_mode & 0o077:
        root.chmod(0o700)
    return root


def scratch_error(error: OSError, folder: Path) -> ScratchError:
    """The error for what the system refused in a temporary folder; names the one of the environment, not ours in it."""
    folder = next((each.parent for each in (folder, *folder.parents) if each.name == _root_name()), folder)
    if error.errno in _FULL:
        return ScratchError(
            f"the disk of the temporary folder {folder} is full",
            "free space there, or set TMPDIR to a folder with more",
            "temporary-folder-full",
        )
    return ScratchError(
        f"the temporary folder {folder} cannot be used ({error.strerror or error})",
        "set TMPDIR to a folder that can be written",
        "temporary-folder-unusable",
    )


def _root_name() -> str:
    return f"lumbargrade-{os.getuid()}"


def is_full(error: OSError) -> bool:
    """Whether the system had no space left."""
    return error.errno in _FULL


def sweep() -> int:
    """Removes the folders that no living process holds, those of earlier versions too; returns how many.

    Raises:
        ScratchError: The user's folder cannot be used.
    """
    root = scratch_root()
    try:
        with _locked(root):
            left = [folder for folder in root.iterdir() if folder.is_dir() and not _is_held(folder)]
            aside = [_set_aside(folder) for folder in left]
        aside += [_set_aside(folder) for folder in _former(root.parent)]
    except OSError as error:
        raise scratch_error(error, root) from error
    for folder in aside:
        shutil.rmtree(folder, ignore_errors=True)
    return len(aside)


def keep_sweeping(seconds: float = SWEEP_SECONDS) -> None:
    """Sweeps now, and every so often as long as this process lives; once a process."""
    if _timer.acquire(blocking=False):
        _sweep_quietly()
        threading.Thread(target=_sweep_forever, args=(seconds,), name="scratch-sweep", daemon=True).start()


def _sweep_forever(seconds: float) -> None:
    while True:
        time.sleep(seconds)
        _sweep_quietly()


def _sweep_quietly() -> None:
    try:
        sweep()
    except LumbargradeError as error:
        logging.getLogger(__name__).warning("%s", error)


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """One process at a time makes folders or looks for those to remove: no folder is seen before its lock is held."""
    with (root / _LOCK).open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _is_held(folder: Path) -> bool:
    try:
        with (folder / _LOCK).open("rb") as lock:
            return not _can_lock(lock)
    except FileNotFoundError:  # its removal was cut off
        return False


def _can_lock(lock: IO[bytes]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _set_aside(folder: Path) -> Path:
    """Renames a folder, so that a process which outlives its owner by a moment writes nothing more into it."""
    aside = folder.with_name(f"{_REMOVED}{secrets.token_hex(8)}")
    if folder.name.startswith(_REMOVED):
        return folder
    with suppress(FileNotFoundError):
        folder.rename(aside)
    return aside


def _former(parent: Path) -> Iterator[Path]:
    """What earlier versions have left in the temporary folder itself, if nobody can be using it.

    Their page held a lock in its folder. Their other folders had none: one that nothing was unpacked into for a day is of
    no living process, as no study takes nearly as long.
    """
    for prefix in (_FORMER_STUDY, _FORMER_SPOOL):
        for folder in parent.glob(f"{prefix}*"):
            with suppress(OSError):
                found = folder.lstat()
                if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
                    continue
                has_lock = (folder / _LOCK).is_file()
                is_old = time.time() - found.st_mtime > _FORMER_SECONDS
                if not _is_held(folder) if has_lock else is_old:
                    yield folder
