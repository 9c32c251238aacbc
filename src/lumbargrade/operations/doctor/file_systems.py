"""What the project's file system can do: locks that hold, hard and symbolic links."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock

from lumbargrade.config.project import current_project
from lumbargrade.operations.doctor.findings import Finding

_OTHER = """
import fcntl, sys
with open(sys.argv[1], "a") as file:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(7)
"""
_HELD, _SECONDS = 7, 5


def check_locks() -> Iterator[Finding]:
    """Whether a lock that one process holds keeps another one out; over some network disks it does not."""
    root = current_project().root.resolve()
    with tempfile.TemporaryDirectory(prefix=".doctor-", dir=root) as folder:
        path = Path(folder) / "lock"
        try:
            with FileLock(path, timeout=_SECONDS, is_singleton=False):
                other = subprocess.run(
                    [sys.executable, "-I", "-S", "-c", _OTHER, path],
                    capture_output=True,
                    timeout=_SECONDS,
                    check=False,
                )
        except OSError as error:
            yield _no_locks(root, f"refuses locks ({error.strerror})")
            return
    if other.returncode == _HELD:
        yield Finding.ok("locks", f"locks hold in {root}")
    else:
        yield _no_locks(root, "lets two processes hold one lock")


def check_links() -> Iterator[Finding]:
    """Hard and symbolic links; without them files are copied."""
    root = current_project().root.resolve()
    missing = [name for name, link in _LINKS.items() if not _can_link(root, link)]
    if missing:
        yield Finding.note(
            "links-missing",
            f"the file system of {root} has no {' and no '.join(missing)} links: files are copied, which takes more room",
        )
    else:
        yield Finding.ok("links", f"hard and symbolic links work in {root}")


_LINKS: dict[str, Callable[[Path, Path], None]] = {
    "hard": lambda one, other: os.link(one, other),
    "symbolic": lambda one, other: os.symlink(one, other),  # noqa: PTH211
}


def _can_link(root: Path, link: Callable[[Path, Path], None]) -> bool:
    with tempfile.TemporaryDirectory(prefix=".doctor-", dir=root) as folder:
        (Path(folder) / "file").touch()
        try:
            link(Path(folder) / "file", Path(folder) / "link")
        except (OSError, NotImplementedError):
            return False
    return True


def _no_locks(root: Path, what: str) -> Finding:
    return Finding.problem(
        "locks-missing",
        f"the file system of {root} {what}, so that two commands at once may spoil the project",
        "mount it with locks (NFS: without nolock), or keep the project on another disk",
    )
