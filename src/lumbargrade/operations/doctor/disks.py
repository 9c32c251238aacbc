"""Room on the disks that the project and its temporary files are on."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from lumbargrade.config.project import current_project
from lumbargrade.data.versioning.configuration import cache_folder
from lumbargrade.errors import LumbargradeError
from lumbargrade.operations.doctor.findings import Finding
from lumbargrade.scratch import scratch_root
from lumbargrade.socket_folder import LONGEST

_GIB = 1 << 30
_FULL_GIB, _LOW_GIB = 1, 10
_TRIAL = b"lumbargrade" * 1000


def check_disks() -> Iterator[Finding]:
    """Free room for the project and for DVC's cache, and whether the project can be written."""
    root = current_project().root.resolve()
    yield _room("the project", root)
    cache = cache_folder()
    if cache.exists() and cache.stat().st_dev != root.stat().st_dev:
        yield _room("DVC's cache", cache)
    try:
        with tempfile.TemporaryFile(dir=root) as file:
            file.write(_TRIAL)
    except OSError as error:
        yield Finding.problem(
            "project-not-writable",
            f"the project's folder {root} cannot be written ({error.strerror})",
            "give this user the permission, mount it for writing, or free room",
        )


def check_temporary_folder() -> Iterator[Finding]:
    """The folder for patients' files at work: there, private, with room, and not too deep for sockets."""
    try:
        folder = scratch_root().parent
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(_TRIAL)
    except LumbargradeError as error:
        yield Finding.of(error)
        return
    except OSError as error:
        yield Finding.problem(
            "temporary-folder-unusable",
            f"the temporary folder {tempfile.gettempdir()} cannot be written ({error.strerror})",
            "free room there, or set TMPDIR to another folder",
        )
        return
    yield _room("temporary files", folder, "-temporary")
    if len(os.fsencode(folder)) > LONGEST:
        yield Finding.note(
            "temporary-folder-deep",
            f"the path of the temporary folder {folder} has more than {LONGEST} letters, so that sockets are put elsewhere",
        )


def _room(what: str, folder: Path, kind: str = "") -> Finding:
    free = shutil.disk_usage(folder).free / _GIB
    room = f"{free:,.1f} GiB are free for {what} ({folder})"
    remedy = (
        "set TMPDIR to a folder with more" if kind else "free room there, `lumbargrade run --dry-run` says how much"
    )
    if free < _FULL_GIB:
        return Finding.problem(f"disk{kind}-full", room, remedy)
    if free < _LOW_GIB:
        return Finding.note(f"disk{kind}-low", room, remedy)
    return Finding.ok(f"disk{kind}", room)
