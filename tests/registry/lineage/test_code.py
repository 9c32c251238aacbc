import hashlib
import subprocess
from pathlib import Path

import pytest

from lumbargrade.errors import InputError, LumbargradeError
from lumbargrade.files import folder_sha256
from lumbargrade.registry.lineage.code import read_code_state, refuse_changes, source_sha256


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    (tmp_path / "code.py").write_text("print(1)\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/datasets.yaml").write_text("datasets: []\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "-c", "user.name=A", "-c", "user.email=a@b", "commit", "-qm", "start")
    return tmp_path


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_a_clean_tree_is_its_commit(repository: Path) -> None:
    state = read_code_state(repository)
    assert state.commit == git(repository, "rev-parse", "HEAD")
    assert not state.dirty
    assert state.diff_sha256 == hashlib.sha256(b"").hexdigest()


@pytest.mark.parametrize("name", ["code.py", "new.py"])
def test_changed_and_untracked_files_make_it_dirty(repository: Path, name: str) -> None:
    (repository / name).write_text("print(2)\n")
    one = read_code_state(repository)
    (repository / name).write_text("print(3)\n")
    assert one.dirty
    assert read_code_state(repository).diff_sha256 != one.diff_sha256


@pytest.mark.parametrize("name", ["data/phantom.dvc", "dvc.lock", "data/datasets.yaml"])
def test_the_datas_pointers_do_not_make_it_dirty(repository: Path, name: str) -> None:
    (repository / name).write_text("md5: 0\n")
    assert not read_code_state(repository).dirty


def test_the_patch_makes_a_clone_the_same_and_leaves_the_index_alone(repository: Path, tmp_path: Path) -> None:
    (repository / "code.py").write_text("print(2)\n")
    (repository / "new").mkdir()
    (repository / "new/weights.bin").write_bytes(bytes(range(256)))
    staged = git(repository, "status", "--porcelain")
    state = read_code_state(repository)
    assert git(repository, "status", "--porcelain") == staged
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(repository), str(clone))
    subprocess.run(["git", "-C", str(clone), "apply", "-"], input=state.diff, check=True)
    for name in ("code.py", "new/weights.bin"):
        assert (clone / name).read_bytes() == (repository / name).read_bytes()


def test_changes_are_refused_by_name(repository: Path) -> None:
    refuse_changes(repository)
    for name in ("code.py", "a", "b", "c"):
        (repository / name).write_text("changed")
    with pytest.raises(InputError) as told:
        refuse_changes(repository)
    assert str(told.value) == (
        "git does not have code.py, a, b and 1 more as here, so that no commit would tell what a version was made of; commit "
        "the changes, or use --allow-dirty, which keeps them beside the version"
    )


def test_without_git_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(LumbargradeError, match="run in a git repository with a commit"):
        read_code_state(tmp_path)


def test_a_folders_hash_follows_names_and_bytes_but_not_compiled_python(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1")
    first = folder_sha256(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__/a.pyc").write_text("compiled")
    assert folder_sha256(tmp_path) == first
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    assert folder_sha256(tmp_path) != first


@pytest.mark.parametrize("room", ["viewer", "web"])
def test_the_page_that_is_built_into_the_package_does_not_count(tmp_path: Path, room: str) -> None:
    (tmp_path / room).mkdir()
    (tmp_path / room / "app.py").write_text("1")
    first = source_sha256(tmp_path)
    (tmp_path / room / "page").mkdir()
    (tmp_path / room / "page/index.html").write_text("built")
    assert source_sha256(tmp_path) == first
