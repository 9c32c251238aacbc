"""Git beside a user's own configuration, which is for people's work and not for a program's."""

import os
import subprocess
from pathlib import Path

import pytest

from lumbargrade.git import GitError, author_settings, run_git


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a commit, and a user who has configured nothing."""
    for name in [name for name in os.environ if name.startswith("GIT_") or name == "EMAIL"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    folder = tmp_path / "a b"
    folder.mkdir()
    (folder / "file").write_text("text\n")
    run_git(folder, "init", "-q", "-b", "main")
    run_git(folder, "add", ".")
    run_git(folder, "commit", "-qm", "start", settings={"user.name": "A", "user.email": "a@b"})
    return folder


def configure(repository: Path, text: str) -> None:
    (repository.parent / "gitconfig").write_text(text)


def commit(folder: Path) -> str:
    (folder / "file").write_text("changed\n")
    run_git(folder, "commit", "-qam", "change", settings=author_settings(folder))
    return run_git(folder, "log", "-1", "--format=%an %s").decode().strip()


@pytest.mark.parametrize(
    ("config", "author"),
    [
        ("[user]\n useConfigOnly = true\n", "Lumbargrade"),
        ("[user]\n name = Ada\n email = ada@example.org\n", "Ada"),
        ("[commit]\n gpgSign = true\n[gpg]\n program = /bin/false\n[user]\n name = Ada\n email = a@b\n", "Ada"),
        ("[core]\n hooksPath = HOOKS\n[user]\n name = Ada\n email = a@b\n", "Ada"),
        ("[core]\n autocrlf = true\n safecrlf = true\n[user]\n name = Ada\n email = a@b\n", "Ada"),
        ("[color]\n ui = always\n[user]\n name = Ada\n email = a@b\n", "Ada"),
    ],
)
def test_a_commit_succeeds_whatever_the_user_has_configured(repository: Path, config: str, author: str) -> None:
    hooks = repository.parent / "hooks"
    hooks.mkdir()
    (hooks / "pre-commit").write_text("#!/bin/sh\nexit 1\n")
    (hooks / "pre-commit").chmod(0o755)
    configure(repository, config.replace("HOOKS", str(hooks)))
    assert commit(repository) == f"{author} change"


def test_another_programs_repository_is_not_taken_for_this_one(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hook of git's names its own repository to all that it starts."""
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other.git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "other.index"))
    assert run_git(repository, "ls-files") == b"file\n"


def test_a_folder_of_another_user_is_named_with_what_to_do(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin/git"
    program.parent.mkdir()
    words = (
        f"fatal: detected dubious ownership in repository at '{repository}'\\nTo add an exception:\\n\\n\\tgit config x"
    )
    program.write_text(f'#!/bin/sh\nprintf "{words}" >&2\nexit 128\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    with pytest.raises(GitError) as caught:
        run_git(repository, "status")
    assert caught.value.code == "git-folder-of-another-user"
    assert f"safe.directory '{repository}'" in caught.value.remedy


def test_git_that_is_not_there_is_said(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(GitError) as caught:
        run_git(repository, "status")
    assert caught.value.code == "git-missing"


def test_a_failure_ends_with_gits_own_words(repository: Path) -> None:
    with pytest.raises(GitError, match="git rev-parse failed: fatal: ") as caught:
        run_git(repository, "rev-parse", "--verify", "nothing")
    assert caught.value.code == "git-failed"
    assert subprocess.run(["git", "-C", str(repository), "status"], check=False, capture_output=True).returncode == 0
