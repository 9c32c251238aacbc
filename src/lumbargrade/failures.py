"""What kept the machine from reading or writing, in words: which place, what is wrong with it, and what to do."""

import errno
import os
import re
import tempfile
from collections.abc import Iterator
from typing import NamedTuple

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
_BUSY = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN)
_SILENT = (
    errno.ECONNREFUSED, errno.ECONNRESET, errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN,
    errno.ESTALE, errno.EIO, errno.EPIPE,
)  # fmt: skip
_IN_TEXT = re.compile(r"\[Errno (\d+)\] [^:\n'\"]*(?:: (['\"])(?P<of>[^\n]+?)\2(?: -> (['\"])(?P<to>[^\n]+?)\4)?)?")
"""How Python writes what the system refused; libraries that copy files in threads hand on this text alone."""


class Failure(NamedTuple):
    """What was in the way, and what to do about it."""

    what: str
    remedy: str


def explain_failure(error: BaseException) -> Failure:
    """Says what was in the way, and what to do."""
    for one in _chain(error):
        number, path = _system_error(one)
        if number is not None:
            return _words(number, path)
        if "database is locked" in str(one):
            return Failure(
                "another process holds the database locked", "wait until it is done, or end it, and run again"
            )
        if "No usable temporary directory" in str(one):
            return Failure(
                "there is no folder for temporary files", "set TMPDIR to one that can be written, and run again"
            )
    if any(isinstance(one, OSError) or "onnection" in type(one).__name__ for one in _chain(error)):
        return Failure("the store does not answer", "start its server, or check the network, and run again")
    lines = str(error).splitlines() or [type(error).__name__]
    return Failure(lines[0][:200], "mend this and run again")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and what it was raised of, the error itself first."""
    seen: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in seen:
        seen.append(following)
        yield following
        following = following.__cause__ or following.__context__


def _system_error(error: BaseException) -> tuple[int | None, str | None]:
    if isinstance(error, OSError) and error.errno is not None:
        number, paths = error.errno, (error.filename, error.filename2)
    else:
        found = _IN_TEXT.search(str(error))
        if found is None:
            return None, None
        number, paths = int(found[1]), (found["of"], found["to"])
    read, written = (None if path is None else os.fsdecode(path) for path in paths)
    return number, (written or read) if number in _FULL else read  # of a copy, what it ran out of room for


def _words(number: int, path: str | None) -> Failure:
    reason = os.strerror(number)
    if number in _FULL:
        where = f"the disk of {path}" if path else f"the folder for temporary files, {_temporary_folder()},"
        return Failure(
            f"{where} is full ({reason})",
            "free some room there, or set TMPDIR to a folder that has more, and run again",
        )
    if number in _FORBIDDEN:
        return Failure(f"{path or 'a file'} may not be used ({reason})", "give this user the permission, and run again")
    if number == errno.ENOENT:
        return Failure(f"{path or 'a file'} is not there ({reason})", "mount or restore it, and run again")
    if number in _BUSY:
        return Failure(f"the machine is short of memory or open files ({reason})", "end other work, and run again")
    if number in _SILENT:
        return Failure(
            f"{path or 'the store'} does not answer ({reason})", "check its server, disk or network, and run again"
        )
    return Failure(f"{path or 'a file'} cannot be used ({reason})", "mend this and run again")


def _temporary_folder() -> str:
    try:
        return tempfile.gettempdir()
    except OSError:
        return "(none)"
