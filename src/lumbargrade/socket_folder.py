"""Where multiprocessing puts its sockets: in the temporary folder, unless their paths would be too long for the system."""

import multiprocessing
import os
import shutil
import tempfile
from multiprocessing import util

from lumbargrade.errors import LumbargradeError

LONGEST = 70
"""Bytes of the temporary folder's path: a socket's has at most 104 (macOS; Linux 108), and multiprocessing adds 32."""
_SHORT = ("/tmp", "/var/tmp", "/dev/shm")


def shorten_socket_paths() -> None:
    """Has this process and those that it starts put their sockets elsewhere if TMPDIR is long, as a batch queue's is.

    To be called before the first process of a kind that uses sockets (``forkserver``, managers) is started.

    Raises:
        LumbargradeError: No other folder can be written.
    """
    process = multiprocessing.current_process()
    settings = process._config  # type: ignore[attr-defined]  # which a child takes over; there is no other way
    long = tempfile.gettempdir()
    if "tempdir" in settings or len(os.fsencode(long)) <= LONGEST:
        return
    for parent in _SHORT:
        try:
            folder = tempfile.mkdtemp(prefix="lumbargrade-", dir=parent)
        except OSError:
            continue
        settings["tempdir"] = folder
        util.Finalize(None, shutil.rmtree, args=(folder, True), exitpriority=-100)  # as for a folder of its own
        return
    raise LumbargradeError(
        f"the path of the temporary folder {long} is too long for sockets, and none of {', '.join(_SHORT)} can be written",
        f"set TMPDIR to a folder whose path has at most {LONGEST} letters",
        "temporary-folder-too-long",
    )
