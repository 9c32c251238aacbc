"""What the system refused is said by its cause, wherever a library has hidden it."""

import errno
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from lumbargrade.failures import explain_failure


def refused(number: int, *paths: str) -> OSError:
    return OSError(number, os.strerror(number), *(paths[:1] or ()), *((None, paths[1]) if len(paths) > 1 else ()))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (refused(errno.ENOSPC), f"the folder for temporary files, {tempfile.gettempdir()}, is full (No space left on device)"),
        (refused(errno.ENOSPC, "/a/b c"), "the disk of /a/b c is full"),
        (refused(errno.ENOSPC, "/store/x", "/tmp/x"), "the disk of /tmp/x is full"),
        (refused(errno.EACCES, "/store/x", "/tmp/x"), "/store/x may not be used"),
        (refused(errno.EFBIG, "/a"), "the disk of /a is full (File too large)"),
        (refused(errno.EDQUOT, "/a"), "the disk of /a is full (Disk quota exceeded)"),
        (refused(errno.EACCES, "/a"), "/a may not be used (Permission denied)"),
        (refused(errno.EROFS, "/a"), "/a may not be used (Read-only file system)"),
        (refused(errno.EIO, "/a"), "/a does not answer (Input/output error)"),
        (refused(errno.EMFILE), "the machine is short of memory or open files"),
        (refused(errno.ENOENT, "/a"), "/a is not there"),
        (FileNotFoundError("No usable temporary directory found in ['/tmp']"), "there is no folder for temporary files"),
        (ConnectionError("no"), "the store does not answer"),
        (ValueError("something else\nmore"), "something else; mend this"),
        (ValueError(), "ValueError; mend this"),
        (RuntimeError("x: [Errno 28] No space left on device: '/s/x' -> '/tmp/x'\n"), "the disk of /tmp/x is full"),
        (RuntimeError("[Errno 13] Permission denied: \"/it's/x\""), "/it's/x may not be used"),
        (RuntimeError("(sqlite3.OperationalError) database is locked\n[SQL: SELECT 1]"), "holds the database locked"),
    ],
)  # fmt: skip
def test_the_cause_and_what_to_do_are_said(error: Exception, said: str) -> None:
    told = explain_failure(error)
    sentence = f"{told.what}; {told.remedy}"
    assert sentence.startswith(said) or said in told.what
    assert told.remedy
    try:
        raise KeyError("of a library") from error
    except KeyError as hidden:
        if "mend this" not in told.remedy:
            assert explain_failure(hidden) == told


def test_a_copy_onto_a_full_disk_names_the_copy(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    (tmp_path / "a").write_bytes(bytes(1 << 16))
    with pytest.raises(OSError) as caught, (tmp_path / "a").open("rb") as source, Path("/dev/full").open("wb") as full:
        shutil.copyfileobj(source, full)
    assert "is full" in explain_failure(caught.value).what
