"""Files that are whole or not there: written beside their place, then moved into it."""

import ctypes
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lumbargrade.tree import files_below


@contextmanager
def replaced_file(path: Path) -> Iterator[Path]:
    """Yields a temporary path in the folder of ``path``; what is written there takes its place at the end.

    If the block raises, ``path`` stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        if error.errno and error.filename is None:  # a full disk refuses bytes, and does not say of what
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replaced_folder(path: Path) -> Iterator[Path]:
    """Yields a temporary folder beside ``path``; it takes the place of ``path`` at the end.

    If the block raises, ``path`` stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}-"))
    temporary.chmod(0o755)
    try:
        yield temporary
        if path.exists():
            shutil.rmtree(path)
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file atomically."""
    with replaced_file(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Writes a text file atomically."""
    write_bytes(path, text.encode())


def remove_cut_off(path: Path) -> None:
    """Removes what :func:`replaced_file` has left of a file whose writer was killed; nobody may be writing it now."""
    for temporary in path.parent.glob(f".{path.stem}-*"):
        temporary.unlink(missing_ok=True)


def write_secret(path: Path, content: bytes) -> None:
    """Writes a file that nobody else may read, whole or not at all."""
    temporary = path.with_name(f".{path.name}-{os.getpid()}")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())  # it cannot be made again
    temporary.replace(path)


def new_folder(folder: Path) -> Path:
    """Where the next state of a folder is put together; what lies there is of no use to anybody else."""
    return folder.with_name(f".{folder.name}-new")


def exchange_folder(new: Path, path: Path) -> None:
    """Puts a folder in the place of another one in the same parent folder; afterwards ``new`` is the old one, or gone.

    Where the system can exchange two names at once (Linux), there is no moment without ``path``. Elsewhere the old one is
    ``<new>.old`` for that moment; :func:`recover_folder` puts it back.
    """
    if not path.exists():
        new.replace(path)
        return
    if _exchanged(new, path):
        return
    aside = new.with_name(f"{new.name}.old")
    path.replace(aside)
    new.replace(path)
    aside.replace(new)


def recover_folder(new: Path, path: Path) -> None:
    """Puts back what an :func:`exchange_folder` that was killed has left aside."""
    aside = new.with_name(f"{new.name}.old")
    if aside.exists() and not path.exists():
        aside.replace(path)
    shutil.rmtree(aside, ignore_errors=True)


def _exchanged(one: Path, other: Path) -> bool:
    rename = getattr(ctypes.CDLL(None), "renameat2", None) if sys.platform == "linux" else None
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return rename is not None and rename(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0


def folder_sha256(folder: Path, without: Path | None = None) -> str:
    """Hash of the names and bytes of a folder's files, in the order of their names; compiled Python does not count.

    Args:
        without: A folder in it that does not count.
    """
    digest = hashlib.sha256()
    for path in files_below(folder):
        counts = "__pycache__" not in path.parts and (without is None or without not in path.parents)
        if counts:
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_sha256(paths: Iterable[Path]) -> str:
    """Hash of the bytes of some files, in their order."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
