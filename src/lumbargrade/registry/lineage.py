"""What a model came from: code, data, parameters, runs. Computed here, not taken from what others recorded."""

import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

import lumbargrade
from lumbargrade.dataset.versions import POINTERS
from lumbargrade.errors import LumbargradeError
from lumbargrade.files import folder_sha256

PACKAGE = Path(lumbargrade.__file__).parent


@dataclass(frozen=True)
class CodeState:
    """The project's code at a moment.

    Attributes:
        commit: What git has checked out.
        dirty: Whether files differ from the commit or are not in it. The data's pointers do not count: each dataset's
            hash is recorded beside this.
        diff_sha256: Hash of those differences, untracked files included; of nothing, if there are none.
        package_sha256: Hash of the package's own files, wherever they were installed.
    """

    commit: str
    dirty: bool
    diff_sha256: str
    package_sha256: str


def read_code_state(project: Path = Path()) -> CodeState:
    """Returns the state of the project's code.

    Raises:
        LumbargradeError: The project is no git repository with a commit.
    """
    others = ["--", ".", *(f":(exclude,glob)**/{pattern}" for pattern in POINTERS)]
    difference = _git(project, "diff", "--binary", "HEAD", *others)
    for name in _git(project, "ls-files", "--others", "--exclude-standard", *others).decode().splitlines():
        difference += f"\n{name}\n".encode() + (project / name).read_bytes()
    return CodeState(
        commit=_git(project, "rev-parse", "HEAD").decode().strip(),
        dirty=bool(difference),
        diff_sha256=hashlib.sha256(difference).hexdigest(),
        package_sha256=folder_sha256(PACKAGE),
    )


def _git(project: Path, *arguments: str) -> bytes:
    done = subprocess.run(["git", "-C", str(project), *arguments], capture_output=True, check=False)
    if done.returncode != 0:
        reason = done.stderr.decode().strip().splitlines()[-1]
        raise LumbargradeError(f"git cannot say what code this is ({reason}); run in a git repository with a commit")
    return done.stdout
