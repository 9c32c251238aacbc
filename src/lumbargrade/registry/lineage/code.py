"""The project's code at a moment. Computed here, not taken from what others recorded."""

import hashlib
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from lumbargrade.config.code_digest import PACKAGE
from lumbargrade.data.versioning.dvc import POINTERS
from lumbargrade.errors import InputError, LumbargradeError
from lumbargrade.files import folder_sha256
from lumbargrade.git import GitError, run_git

_PAGE_ROOMS = ("viewer", "web")
"""Where the page is built into the package, now and in older commits."""


@dataclass(frozen=True)
class CodeState:
    """The project's code at a moment.

    Attributes:
        commit: What git has checked out.
        package_sha256: Hash of the package's own files, wherever they were installed.
        diff: What differs from the commit or is not in it, as a patch; empty if nothing does. The data's pointers do not
            count: each dataset's hash is recorded beside this.
    """

    commit: str
    package_sha256: str
    diff: bytes = field(default=b"", repr=False)

    @property
    def dirty(self) -> bool:
        """Whether anything differs from the commit."""
        return bool(self.diff)

    @property
    def diff_sha256(self) -> str:
        """Hash of the patch."""
        return hashlib.sha256(self.diff).hexdigest()


def read_code_state(project: Path) -> CodeState:
    """Returns the state of the project's code.

    Raises:
        LumbargradeError: The project is no git repository with a commit.
    """
    return CodeState(
        commit=_git(project, "rev-parse", "HEAD").decode().strip(),
        package_sha256=source_sha256(PACKAGE),
        diff=_difference(project) if changed_files(project) else b"",
    )


def source_sha256(package: Path) -> str:
    """Hash of a package's files, without the page, which is built into it and is not in git."""
    page = next((package / room / "page" for room in _PAGE_ROOMS if (package / room / "page").is_dir()), None)
    return folder_sha256(package, without=page)


def changed_files(project: Path) -> list[str]:
    """Returns the files that differ from the commit or are not in it; the data's pointers do not count."""
    status = ("status", "--porcelain", "-z", "--no-renames", "--untracked-files=all")
    entries = os.fsdecode(_git(project, *status, *_WITHOUT_POINTERS)).split("\0")
    return [entry[3:] for entry in entries if entry]


def refuse_changes(project: Path) -> None:
    """Refuses a tree that no commit names: a version of it could not be made again.

    Raises:
        InputError: Files differ from the commit.
    """
    changed = changed_files(project)
    if changed:
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        raise InputError(
            f"git does not have {', '.join(changed[:3])}{more} as here, so that no commit would tell what a version "
            "was made of",
            "commit the changes, or use --allow-dirty, which keeps them beside the version",
            "code-not-committed",
        )


_WITHOUT_POINTERS = ("--", ".", *(f":(exclude,glob)**/{pattern}" for pattern in POINTERS))


_PLAIN = ("--binary", "--no-ext-diff", "--no-textconv", "--no-relative", "--src-prefix=a/", "--dst-prefix=b/")
"""A patch that `git apply` reads, whatever the user's own configuration makes of patches for people."""


def _difference(project: Path) -> bytes:
    """A patch with new files too. Made through an index and an object store of its own: the user's stay as they are."""
    with tempfile.TemporaryDirectory(prefix="lumbargrade-") as folder:
        objects = Path(_git(project, "rev-parse", "--git-path", "objects").decode().strip())
        environment = {
            "GIT_INDEX_FILE": f"{folder}/index",
            "GIT_OBJECT_DIRECTORY": folder,
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": str((project / objects).resolve()),
        }
        _git(project, "read-tree", "HEAD", environment=environment)
        _git(project, "add", "--all", *_WITHOUT_POINTERS, environment=environment)
        return _git(project, "diff", *_PLAIN, "--cached", "HEAD", environment=environment)


def _git(project: Path, *arguments: str, environment: dict[str, str] | None = None) -> bytes:
    try:
        return run_git(project, *arguments, environment=environment)
    except GitError as error:
        if error.code != "git-failed":
            raise
        raise LumbargradeError(
            f"git cannot say what code this is ({error.what})",
            "run in a git repository with a commit",
            "code-not-in-git",
        ) from error
