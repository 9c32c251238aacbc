"""What lies in a folder as its users see it: links are followed, and what cannot be read is named, never skipped."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from lumbargrade.errors import InputError, LumbargradeError


@dataclass(frozen=True)
class TreeEntry:
    """A folder or a file below a folder.

    Attributes:
        path: Its name below the folder, links and all.
        is_folder: Whether it is a folder, or a link to one.
        behind_link: Whether a folder above it is a link, so that its bytes lie elsewhere.
        problem: Why it cannot be read, without its name, which may name a patient; None if it can.
    """

    path: Path
    is_folder: bool
    behind_link: bool
    problem: str | None = None


def shown_name(path: PurePath) -> str:
    """A name for tables and people: bytes that are no text in UTF-8, as other systems leave them, become escapes."""
    return os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace")


def walk_tree(folder: Path) -> Iterator[TreeEntry]:
    """Walks everything below a folder, in the order of names, hidden files and linked folders too.

    A link that leads to one of the folders above it is a problem and is not followed.
    """
    yield from _walk(folder, (), folder.is_symlink())


def files_below(folder: Path) -> list[Path]:
    """Returns the files below a folder, sorted; what cannot be read is left out."""
    return sorted(entry.path for entry in walk_tree(folder) if entry.problem is None and not entry.is_folder)


def read_tree(folder: Path) -> list[TreeEntry]:
    """Returns everything below a folder.

    Raises:
        InputError: Something cannot be read: a link leads nowhere or in a circle, a folder is not readable.
    """
    entries = list(walk_tree(folder))
    problems = [f"{entry.path} {entry.problem}" for entry in entries if entry.problem is not None]
    if problems:
        more = f" (and {len(problems) - 1} more like it)" if len(problems) > 1 else ""
        raise InputError(
            f"{problems[0]}{more}", "mend or remove it and run again, nothing was changed", "tree-not-copyable"
        )
    return entries


def has_linked_folders(folder: Path) -> bool:
    """Whether a folder, or one below it, is a link: tools that do not follow links see no file there.

    Raises:
        InputError: Something below it cannot be read.
    """
    links = (entry.behind_link or (entry.is_folder and entry.path.is_symlink()) for entry in read_tree(folder))
    return folder.is_symlink() or any(links)


def file_sizes(folder: Path) -> dict[Path, int]:
    """Sizes of the files below a folder (bytes), by their path in it.

    Raises:
        InputError: Something below it cannot be read.
    """
    return {
        entry.path.relative_to(folder): entry.path.stat().st_size for entry in read_tree(folder) if not entry.is_folder
    }


def link_tree(source: Path, target: Path) -> None:
    """Puts a folder's files into another folder, which has no linked folders then.

    Files are hard-linked, so that they take neither time nor room; they are copied where the file system has no hard links.
    Links to files stay links, and files behind a linked folder become links: no byte that belongs to somebody else is shared,
    so whoever changes the new folder leaves the other place as it is.

    Raises:
        InputError: Something in the source cannot be read.
    """
    entries = read_tree(source)
    target.mkdir(parents=True, exist_ok=True)
    for entry in entries:
        place = target / entry.path.relative_to(source)
        if entry.is_folder:
            place.mkdir(parents=True, exist_ok=True)
        else:
            _link_file(entry, place)


def check_whole(folder: Path, wanted: dict[Path, int], but: frozenset[Path] = frozenset()) -> None:
    """Checks that a folder has all files that it should have, with all of their bytes.

    Args:
        wanted: Sizes by path in the folder, as :func:`file_sizes` gives them.
        but: Files that may have another size.

    Raises:
        LumbargradeError: One is missing, or has another size.
    """
    found = file_sizes(folder)
    for path, size in wanted.items():
        if path not in found:
            raise LumbargradeError(
                f"{path} did not come along into {folder}", "nothing was changed, run again", "copy-incomplete"
            )
        if found[path] != size and path not in but:
            raise LumbargradeError(
                f"{path} has {found[path]} bytes in {folder} where {size} are right",
                "nothing was changed, run again",
                "copy-incomplete",
            )


def remove_tree(path: Path) -> None:
    """Removes a folder, or a link to one; what the link leads to stays."""
    if path.is_symlink():
        path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)


def _walk(folder: Path, above: tuple[tuple[int, int], ...], behind_link: bool) -> Iterator[TreeEntry]:
    try:
        status = folder.stat()
        children = sorted(folder.iterdir())
    except OSError as error:
        yield TreeEntry(folder, True, behind_link, _unreadable(error))
        return
    above = (*above, (status.st_dev, status.st_ino))
    for path in children:
        yield from _entries(path, above, behind_link)


def _entries(path: Path, above: tuple[tuple[int, int], ...], behind_link: bool) -> Iterator[TreeEntry]:
    try:
        status = path.stat()
    except OSError as error:
        leads_nowhere = path.is_symlink() and isinstance(error, FileNotFoundError)
        yield TreeEntry(
            path, False, behind_link, "is a link that leads nowhere" if leads_nowhere else _unreadable(error)
        )
        return
    if not path.is_dir():
        problem = None if path.is_file() else "is neither a file nor a folder"
        yield TreeEntry(path, False, behind_link, problem)
    elif (status.st_dev, status.st_ino) in above:
        yield TreeEntry(path, True, behind_link, "is a link to a folder that it lies in")
    else:
        yield TreeEntry(path, True, behind_link)
        yield from _walk(path, above, behind_link or path.is_symlink())


def _unreadable(error: OSError) -> str:
    return f"cannot be read ({error.strerror or type(error).__name__})"


def _link_file(entry: TreeEntry, target: Path) -> None:
    try:
        if entry.behind_link:
            target.symlink_to(entry.path.resolve())
        elif entry.path.is_symlink():
            target.symlink_to(entry.path.readlink())
        else:
            target.hardlink_to(entry.path)
    except FileExistsError as error:  # a copy would write into the bytes of the file that is there
        raise LumbargradeError(
            f"two files want to be {target}", "nothing was changed, rename one of them", "names-collide"
        ) from error
    except OSError:
        shutil.copy2(entry.path, target)
