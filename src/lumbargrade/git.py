"""Git as the project uses it: without what a user's own configuration or a surrounding program would change about it."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from lumbargrade.errors import LumbargradeError

_SETTINGS = {
    "core.hooksPath": os.devnull,
    "core.safecrlf": "false",
    "apply.whitespace": "nowarn",
    "commit.gpgSign": "false",
    "color.ui": "false",
}
"""Hooks and signatures are for people's commits: nobody is there to be asked for a passphrase."""
_PLACES = (
    "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
)  # fmt: skip
"""Variables by which git's hooks and aliases name their own repository."""
_QUIET = {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


class GitError(LumbargradeError):
    """Git is missing, does not trust the folder, or has failed."""


def run_git(
    folder: Path,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    settings: Mapping[str, str] | None = None,
) -> bytes:
    """Runs a command of git in a folder and returns what it wrote.

    Args:
        environment: Variables beside those of this process.
        settings: Of git's configuration, for this command.

    Raises:
        GitError: It failed; the sentence has git's last words.
    """
    options = [part for pair in {**_SETTINGS, **(settings or {})}.items() for part in ("-c", "=".join(pair))]
    ours = {name: value for name, value in os.environ.items() if name not in _PLACES}
    try:
        done = subprocess.run(
            ["git", *options, "-C", str(folder), *arguments],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            check=False,
            env={**ours, **_QUIET, **(environment or {})},
        )
    except FileNotFoundError as error:
        raise GitError("git is not installed, or not in PATH", "install it", "git-missing") from error
    if done.returncode != 0:
        raise _failure(folder, arguments, os.fsdecode(done.stderr))
    return done.stdout


def author_settings(folder: Path) -> dict[str, str]:
    """Settings that name somebody as a commit's author if the user's own configuration names nobody."""
    try:
        for who in ("GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"):
            run_git(folder, "var", who)
    except GitError:
        return {"user.name": "Lumbargrade", "user.email": "lumbargrade@localhost"}
    return {}


def _failure(folder: Path, arguments: tuple[str, ...], words: str) -> GitError:
    if "dubious ownership" in words:
        where = folder.resolve()
        return GitError(
            f"git does not trust {where}, as it belongs to another user",
            f"run as its owner, or git config --global --add safe.directory '{where}'",
            "git-folder-of-another-user",
        )
    verb = next((word for word in arguments if not word.startswith("-")), "")
    lines = [line for line in words.strip().splitlines() if not line.startswith("hint:")] or ["it said nothing"]
    return GitError(f"git {verb} failed: {lines[-1].strip()}", "", "git-failed")
