"""DVC for real: a git and DVC repository in a temporary folder."""

import errno
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lumbargrade.data.versioning.configuration import cache_folder, default_remote
from lumbargrade.data.versioning.dvc import (
    commit_pointers,
    dataset_folder,
    fetch_dataset,
    read_version,
    reproduce,
    uncommitted_pointers,
    version_dataset,
)
from lumbargrade.data.versioning.integrity import object_problems
from lumbargrade.errors import InputError

ODD_NAMES = [
    "x;touch pwned", "$(touch pwned)", "`touch pwned`", "a'b", 'a"b', "MRT 2024", "Münster", "a\nb", "-rf", "&touch pwned",
    "a|b", "100%", "#1", "*", "{}", "${item}", "${datasets}", "a:b", "a@b", "..a", "[a]", "?", "!a", "\\", "~", "x.dvc",
    "any.yaml", "\udcff", "\U0001f9b4", "a" * 80,
]  # fmt: skip
"""What a shell, git, DVC, YAML or a pattern reads something into, or a file beside the datasets is called."""

PROJECT = Path(__file__).parents[3]


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


def commit(message: str) -> list[str]:
    """Commits the pointers and returns what the commit holds."""
    assert commit_pointers(message)
    shown = subprocess.run(
        ["git", "-c", "core.quotePath=false", "show", "-z", "--name-only", "--format="], capture_output=True, check=True
    )
    return [name for name in shown.stdout.decode(errors="surrogateescape").strip("\n").split("\0") if name]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_dataset_in_data_with_an_odd_name_is_refused_at_once(project: Path, name: str) -> None:
    folder = make_dataset(project / "data" / name)
    before = sorted(project.rglob("*"))
    with pytest.raises(InputError, match="a name has up to 64 letters a to z"):
        version_dataset(folder)
    with pytest.raises(InputError, match="a name has"):
        reproduce(name, "prepare")
    assert sorted(project.rglob("*")) == before
    assert "datasets:\n- phantom\n" in Path("data/datasets.yaml").read_text()


@pytest.mark.slow
def test_a_dataset_from_elsewhere_may_have_any_name_and_gets_one_of_safe_letters(project: Path, tmp_path: Path) -> None:
    named = [name for name in ODD_NAMES if name not in ("x.dvc", "\udcff")]
    pointers = set()
    for name in named:
        source = make_dataset(tmp_path / "elsewhere" / name, f"study_id\n{name!a}\n")
        version = version_dataset(source)
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*-[0-9a-f]{8}", version.name)
        assert version.folder == dataset_folder(source)
        assert (version.folder / "train.csv").read_bytes() == (source / "train.csv").read_bytes()
        pointers.add(f"data/{version.name}.dvc")
    (source / "train.csv").write_text("study_id\n1\n2\n")
    assert version_dataset(source).md5 != version.md5
    assert len(pointers) == len(named)
    assert set(commit("all")) == {"data/datasets.yaml", *pointers}
    assert not list(project.rglob("pwned"))


@pytest.mark.parametrize("name", ["x.dvc", "\udcff", "\udcff/hospital"])
def test_a_place_that_dvc_cannot_record_is_refused(project: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="DVC cannot record a dataset's place"):
        version_dataset(make_dataset(tmp_path / "elsewhere" / name))
    assert uncommitted_pointers() == []


def test_a_name_that_git_quotes_keeps_nobody_from_committing(project: Path) -> None:
    odd = ["Münster.dvc", "MRT 2024.dvc", 'a"b.dvc', "a\nb.dvc", "*.dvc", "[a].dvc", ":(top)x.dvc", "\udcff.dvc"]
    for number, name in enumerate(odd):  # as an earlier version of this software, or DVC by hand, made them
        Path("data", name).write_text(f"outs:\n- md5: 0.dir\n  size: 0\n  nfiles: 0\n  path: x{number}\n")
    assert set(uncommitted_pointers()) == {f"data/{name}" for name in odd}
    version_dataset(make_dataset(project / "data/hospital"))
    assert set(commit("first")) == {"data/datasets.yaml", "data/hospital.dvc", *(f"data/{name}" for name in odd)}
    Path("data", odd[0]).unlink()
    Path("data/moved.dvc").write_text(Path("data", odd[1]).read_text())
    Path("data", odd[1]).unlink()
    version_dataset(make_dataset(project / "data/second"))
    assert "data/second.dvc" in commit("second")
    assert uncommitted_pointers() == []


def test_a_pattern_in_a_name_commits_no_other_file(project: Path) -> None:
    Path("data/*.dvc").write_text("outs: []\n")
    Path("notes.dvc.txt").write_text("mine")
    assert commit("only this") == ["data/*.dvc"]


def test_files_behind_linked_folders_are_part_of_the_version(project: Path, tmp_path: Path) -> None:
    folder = make_dataset(project / "data/hospital")
    nas = make_dataset(tmp_path / "nas")
    (folder / "train_images/7").symlink_to(nas / "train_images/1")
    version = version_dataset(folder)
    assert version.files == 3
    shutil.rmtree(folder)
    assert fetch_dataset(folder)
    assert (folder / "train_images/7/2/1.dcm").read_bytes() == b"image"
    assert (nas / "train_images/1/2/1.dcm").stat().st_nlink == 1
    assert (nas / "train_images/1/2/1.dcm").stat().st_mode & 0o200


def test_a_dataset_that_is_a_link_is_versioned_under_its_own_name(project: Path, tmp_path: Path) -> None:
    nas = make_dataset(tmp_path / "nas/other")
    Path("data/hospital").symlink_to(nas)
    version = version_dataset(Path("data/hospital"))
    assert (version.name, version.files) == ("hospital", 2)
    assert (nas / "train_images/1/2/1.dcm").read_bytes() == b"image"


def test_elsewhere_linked_folders_are_refused_as_dvc_would_leave_them_out(project: Path, tmp_path: Path) -> None:
    source = make_dataset(tmp_path / "elsewhere/hospital")
    version_dataset(source)
    (source / "train_images/7").symlink_to(source / "train_images/1")
    with pytest.raises(InputError, match=r"which DVC does not follow.*\(cp -rL\)"):
        version_dataset(source)


@pytest.mark.parametrize("kind", ["symlink", "hardlink", "copy", "reflink,copy"])
def test_whichever_links_dvc_uses_a_dataset_is_versioned_again_whole(project: Path, kind: str) -> None:
    with Path(".dvc/config.local").open("w") as config:
        config.write(f"[cache]\n    type = {kind}\n")
    folder = make_dataset(project / "data/hospital")
    first = version_dataset(folder)
    shutil.rmtree(folder)
    assert fetch_dataset(folder)
    assert version_dataset(folder) == first


@pytest.mark.parametrize(
    "config",
    [
        "[core]\n excludesFile = LIST\n",
        "[commit]\n gpgSign = true\n[gpg]\n program = /bin/false\n",
        "[core]\n safecrlf = true\n",
    ],
)
def test_a_users_own_git_configuration_stops_no_version(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: str
) -> None:
    (tmp_path / "list").write_text("*.dvc\n*.yaml\n*.lock\n")
    (tmp_path / "gitconfig").write_text(config.replace("LIST", str(tmp_path / "list")))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    version_dataset(make_dataset(project / "data/hospital"))
    assert uncommitted_pointers() == ["data/datasets.yaml", "data/hospital.dvc"]
    assert commit_pointers("Version hospital") is not None
    assert uncommitted_pointers() == []


def test_a_project_in_a_folder_of_a_larger_repository(tmp_path: Path, project: Path) -> None:
    shutil.rmtree(project / ".git")
    for command in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "start"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    (project / "data/datasets.yaml").write_text("datasets: [hospital]\n")
    assert uncommitted_pointers() == ["project/data/datasets.yaml"]
    assert commit_pointers("list") is not None
    assert uncommitted_pointers() == []


@pytest.fixture
def users_dvc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """DVC's configuration of the user, for all projects."""
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "dvc"))
    (tmp_path / "dvc").mkdir()
    return tmp_path / "dvc/config"


def test_a_users_own_dvc_configuration_is_heeded_as_dvc_does(project: Path, tmp_path: Path, users_dvc: Path) -> None:
    users_dvc.write_text(
        f"[cache]\n dir = {tmp_path}/cache\n[core]\n autostage = true\n remote = nas\n['remote \"nas\"']\n url = {tmp_path}/nas\n"
    )
    assert (cache_folder(), default_remote()) == (tmp_path / "cache", str(project / ".dvc-store"))
    version = version_dataset(make_dataset(project / "data/hospital"))
    assert list(object_problems(version.md5, "hospital")) == []
    assert not (project / ".dvc/cache").exists() and version.remote == "local"
    assert uncommitted_pointers() == ["data/datasets.yaml", "data/hospital.dvc"]
    (project / ".dvc/config").write_text("[core]\n")
    assert default_remote() == f"{tmp_path}/nas"


@pytest.mark.parametrize(
    ("text", "code"), [("[core]\n remote = gone\n", "dvc-remote-missing"), ("[core\n", "dvc-config-invalid")]
)
def test_a_configuration_that_cannot_be_followed_is_said_before_anything_is_done(
    project: Path, users_dvc: Path, text: str, code: str
) -> None:
    (project / ".dvc/config").write_text("")
    users_dvc.write_text(text)
    with pytest.raises(InputError) as caught:
        version_dataset(make_dataset(project / "data/hospital"))
    assert caught.value.code == code
    assert not (project / "data/hospital.dvc").exists()


def test_a_dataset_whose_place_is_mounted_elsewhere_is_the_same(project: Path, tmp_path: Path) -> None:
    source = make_dataset(tmp_path / "mnt/a/hospital")
    first = version_dataset(source)
    now = tmp_path / "mnt/b/hospital"
    (tmp_path / "mnt/a").rename(tmp_path / "mnt/b")
    assert version_dataset(now) == first
    (now / "train_images/1/2/2.dcm").write_bytes(b"another")
    assert version_dataset(now).files == first.files + 1
    assert (project / "data/hospital/train_images/1/2/2.dcm").is_file()


@pytest.mark.parametrize("brought_out", [True, False])
def test_another_dataset_does_not_take_the_place_of_one_that_is_not_mounted(
    project: Path, tmp_path: Path, brought_out: bool
) -> None:
    version_dataset(make_dataset(tmp_path / "mnt/a/hospital"))
    shutil.rmtree(tmp_path / "mnt/a")
    if not brought_out:
        shutil.rmtree(project / "data/hospital")
    before = (project / "data/hospital.dvc").read_text()
    with pytest.raises(InputError) as caught:
        version_dataset(make_dataset(tmp_path / "mnt/b/hospital", "study_id\n123456\n"))
    assert caught.value.code == "dataset-source-missing"
    assert (project / "data/hospital.dvc").read_text() == before


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP])
def test_a_disk_without_links_has_versions_too(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*paths: object, **options: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(os, "symlink", refuse)
    version = version_dataset(make_dataset(tmp_path / "elsewhere/hospital"))
    assert list(object_problems(version.md5, "hospital")) == []
    (project / "data/hospital/train.csv").write_text("study_id\n1\n2\n")
    assert version_dataset(project / "data/hospital").md5 != version.md5
    assert (tmp_path / "elsewhere/hospital/train.csv").read_text() == "study_id\n1\n"
