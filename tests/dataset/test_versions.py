"""DVC for real: a git and DVC repository in a temporary folder."""

import shutil
import subprocess
from pathlib import Path

import pytest

from lumbargrade.dataset.versions import (
    commit_pointers,
    fetch_dataset,
    read_version,
    uncommitted_pointers,
    version_dataset,
)
from lumbargrade.errors import InputError

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project with DVC's and git's files as the real one has them."""
    folder = tmp_path / "project"
    for name in (".dvc/config", ".dvc/.gitignore", ".dvcignore", "data/.gitignore", "data/datasets.yaml", "dvc.yaml"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, folder / name)
    monkeypatch.chdir(folder)
    for key, value in {
        "AUTHOR_NAME": "A",
        "AUTHOR_EMAIL": "a@b",
        "COMMITTER_NAME": "A",
        "COMMITTER_EMAIL": "a@b",
    }.items():
        monkeypatch.setenv(f"GIT_{key}", value)
    for command in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "start"]):
        subprocess.run(["git", *command], check=True)
    return folder


def make_dataset(folder: Path, text: str = "study_id\n1\n") -> Path:
    (folder / "train_images/1/2").mkdir(parents=True)
    (folder / "train_images/1/2/1.dcm").write_bytes(b"image")
    (folder / "train.csv").write_text(text)
    return folder


def test_a_dataset_in_data_is_tracked_where_it_is(project: Path) -> None:
    version = version_dataset(make_dataset(project / "data/hospital"))
    assert (version.name, version.files, version.size) == ("hospital", 2, len("study_id\n1\n") + len("image"))
    assert version.md5.endswith(".dir")
    assert read_version(Path("data/hospital")).md5 == version.md5
    assert version.remote == "local"
    assert list(Path(".dvc-store").rglob("*.dir"))


def test_a_dataset_from_elsewhere_is_brought_and_brought_again_when_it_changes(project: Path, tmp_path: Path) -> None:
    source = make_dataset(tmp_path / "elsewhere/hospital")
    first = version_dataset(source)
    assert (project / "data/hospital/train.csv").read_text() == "study_id\n1\n"
    assert version_dataset(source) == first
    (source / "train.csv").write_text("study_id\n1\n2\n")
    second = version_dataset(source)
    assert second.md5 != first.md5
    assert (project / "data/hospital/train.csv").read_text() == "study_id\n1\n2\n"


def test_two_datasets_of_one_name_do_not_take_each_others_place(project: Path, tmp_path: Path) -> None:
    version_dataset(make_dataset(tmp_path / "a/hospital"))
    with pytest.raises(InputError) as caught:
        version_dataset(make_dataset(tmp_path / "b/hospital", "study_id\n9\n"))
    assert str(caught.value) == ("data/hospital already holds a dataset from elsewhere; rename hospital and run again")


def test_the_dataset_is_listed_for_the_pipeline(project: Path) -> None:
    version_dataset(make_dataset(project / "data/hospital"))
    assert "- hospital\n" in Path("data/datasets.yaml").read_text()
    assert "- phantom\n" in Path("data/datasets.yaml").read_text()


def test_git_is_told_nothing_unless_asked(project: Path) -> None:
    version = version_dataset(make_dataset(project / "data/hospital"))
    assert uncommitted_pointers() == ["data/datasets.yaml", "data/hospital.dvc"]
    Path("code.py").write_text("unfinished")
    commit = commit_pointers(f"Version {version.name}")
    assert commit is not None
    shown = subprocess.run(
        ["git", "show", "--name-only", "--format=", "HEAD"], capture_output=True, text=True, check=True
    )
    assert shown.stdout.split() == ["data/datasets.yaml", "data/hospital.dvc"]
    assert uncommitted_pointers() == []
    assert commit_pointers("again") is None


def test_a_dataset_that_left_the_workspace_comes_back_from_dvc(project: Path) -> None:
    version_dataset(make_dataset(project / "data/hospital"))
    shutil.rmtree("data/hospital")
    shutil.rmtree(".dvc/cache")
    assert fetch_dataset(Path("data/hospital"))
    assert Path("data/hospital/train_images/1/2/1.dcm").read_bytes() == b"image"
    assert not fetch_dataset(Path("data/never"))


def test_outside_a_project_it_says_where_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"there is no dvc.yaml here; run the command in the project's folder"):
        version_dataset(make_dataset(tmp_path / "hospital"))
