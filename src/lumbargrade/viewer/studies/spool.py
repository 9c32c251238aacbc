"""The folder of uploads: one folder a study, under a random name, gone when its time is over or it is deleted."""

import logging
import secrets
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout

from lumbargrade.errors import InputError

_PREFIX = "study-"
_LOCK = ".lock"


class Spool:
    """Folders for studies. What an earlier process left is removed; two processes do not share one.

    Args:
        folder: For this alone: whatever in it is named as a study's folder is removed.

    Raises:
        InputError: Another reading room uses it.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self._lock = FileLock(folder / _LOCK)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise InputError(
                f"spool {folder} is used by another reading room", "give another --spool", "spool-in-use"
            ) from None
        self._clear()

    def new(self) -> tuple[str, Path]:
        """Makes a folder for a study; returns the study's id, 128 random bits, and the folder."""
        study_id = secrets.token_urlsafe(16)
        folder = self._folder / f"{_PREFIX}{secrets.token_hex(16)}"  # the id is a key and stays off the disk
        folder.mkdir(mode=0o700)
        return study_id, folder

    def free_bytes(self) -> int:
        """Of the disk that it is on."""
        return shutil.disk_usage(self._folder).free

    def close(self) -> None:
        """Removes all studies."""
        self._clear()
        self._lock.release()

    def _clear(self) -> None:
        for folder in self._folder.glob(f"{_PREFIX}*"):
            remove(folder)


class Sweeper:
    """Calls a function every so often on a thread of its own."""

    def __init__(self, sweep: Callable[[], None], seconds: float) -> None:
        self._sweep = sweep
        self._seconds = seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            try:
                self._sweep()
            except OSError as error:
                logging.getLogger(__name__).warning("the spool could not be swept: %s", error.strerror)


def remove(folder: Path) -> None:
    """Removes a study's folder; a process that still writes there is waited for."""
    for _ in range(20):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.1)
