"""What cannot be read is not called altered: a full disk, a moved or unmounted folder, a store that does not answer."""

import errno
import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import mlflow
import pytest
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from typer.testing import CliRunner

from lumbargrade.audit.log import AuditLog
from lumbargrade.cli.app import app
from lumbargrade.data.versioning import integrity
from lumbargrade.errors import CannotVerifyError, StoreError
from lumbargrade.registry.lineage.bundle import RECORD, read_evidence
from lumbargrade.registry.lineage.verify import verify, version_problems
from lumbargrade.registry.versions import get_version
from lumbargrade.serving.verified_server import served_version
from lumbargrade.tracking.mlflow_tracker import Tracker
from tests.alterations import a_byte_of_the_weights, a_tag, artifacts_that_are_not_mounted, flip
from tests.projects import NAME, Project

pytestmark = pytest.mark.slow

HARMFUL = ("altered", "not what was signed", "rollback", "roll back", "gone from")
"""Words that an operator would act on."""


@contextmanager
def a_full_temporary_folder(project: Project) -> Iterator[str]:
    folder = Path(tempfile.mkdtemp(prefix="tiny-"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("no file system can be mounted here")
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        (folder / "filler").write_bytes(bytes(32 << 10))
        yield "is full (No space left on device)"
    finally:
        tempfile.tempdir = before
        subprocess.run(["umount", folder], check=True)
        folder.rmdir()


@contextmanager
def no_temporary_folder(project: Project) -> Iterator[str]:
    before, tempfile.tempdir = tempfile.tempdir, "/nowhere/tmp"
    try:
        yield "a folder for temporary files could not be read: /nowhere/tmp"
    finally:
        tempfile.tempdir = before


@contextmanager
def an_empty_mount_point(project: Project) -> Iterator[str]:
    artifacts = project.folder / "mlruns/artifacts"
    with artifacts_that_are_not_mounted(project) as said:
        artifacts.mkdir()
        try:
            yield said
        finally:
            artifacts.rmdir()


def refusing(error: Exception, said: str) -> Callable[[Project], AbstractContextManager[str]]:
    """The store gives nothing but an error."""

    @contextmanager
    def refuse(project: Project) -> Iterator[str]:
        def fail(*args: object, **options: object) -> str:
            raise error

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(mlflow.artifacts, "download_artifacts", fail)
            patch.setattr(LocalArtifactRepository, "download_artifacts", fail)
            yield said

    refuse.__name__ = type(error).__name__
    return refuse


TROUBLES = [
    a_full_temporary_folder,
    no_temporary_folder,
    artifacts_that_are_not_mounted,
    an_empty_mount_point,
    refusing(PermissionError(errno.EACCES, "Permission denied", "mlruns/x"), "mlruns/x may not be used"),
    refusing(OSError(errno.EIO, "Input/output error", "mlruns/x"), "mlruns/x does not answer (Input/output error)"),
    refusing(OSError(errno.ESTALE, "Stale file handle"), "does not answer (Stale file handle)"),
    refusing(OSError(errno.EMFILE, "Too many open files"), "short of memory or open files"),
    refusing(
        MlflowException("failures while downloading: x: OSError(28): [Errno 28] No space left on device: '/tmp/x'"),
        "/tmp/x is full",
    ),
    refusing(MlflowException("(sqlite3.OperationalError) database is locked"), "holds the database locked"),
    refusing(ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), "does not answer (Connection refused)"),
]


@pytest.mark.parametrize("trouble", TROUBLES)
def test_what_is_in_the_way_is_named_and_nothing_is_called_altered(
    project: Project, trouble: Callable[[Project], AbstractContextManager[str]]
) -> None:
    with trouble(project) as said:
        found = project.verify()
        with pytest.raises(CannotVerifyError) as caught, served_version(project.task, "1", as_champion=True):
            pass
    assert found.problems == ()
    (unchecked,) = found.unchecked
    assert unchecked.part == "version 1"
    told = str(caught.value)
    assert told.startswith(f"version 1 of {NAME} could not be checked, and grades nothing until it is: ")
    for words in (unchecked.problem, told):
        assert said in words
        assert "; " in words
        assert not [word for word in HARMFUL if word in words]
    assert project.verify().unchecked == ()


def test_the_command_says_that_it_could_not_check_and_exits_with_1(project: Project) -> None:
    with artifacts_that_are_not_mounted(project):
        done = CliRunner().invoke(app, ["audit", "verify"])
    assert done.exit_code == 1
    assert "version 1" in done.stdout
    assert "could not be checked: " in done.stdout
    assert "nothing was found altered" in done.stdout
    assert not [word for word in HARMFUL[1:] if word in done.stdout]


def test_what_was_altered_is_named_beside_what_could_not_be_checked(project: Project) -> None:
    a_tag(project)
    with artifacts_that_are_not_mounted(project):
        found = project.verify()
        problems = version_problems(project.tracker, project.task, project.log, "1")
    assert [problem.problem.split(";")[0] for problem in found.problems] == ["its tag holdout.score is 0.1"]
    assert [problem.part for problem in found.unchecked] == ["version 1"]
    assert list(found.problems) == problems


@pytest.mark.parametrize("above", [0, 1])
def test_a_model_that_a_readable_store_lacks_is_named(project: Project, above: int) -> None:
    shutil.rmtree([project.model, project.model.parent][above])
    problems = [problem.problem for problem in project.verify().problems]
    assert "the model's file MLmodel is gone" in problems


def test_a_store_that_does_not_answer_is_told_as_that(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(StoreError, match="cannot be used"), served_version(project.task, "1"):
        pass
    done = CliRunner().invoke(app, ["audit", "verify"])
    assert isinstance(done.exception, CannotVerifyError)
    assert str(done.exception).startswith(
        "nothing could be checked: the MLflow store http://127.0.0.1:9 cannot be used"
    )


@pytest.mark.slow
def test_a_locked_database_is_told_as_that(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    with sqlite3.connect("mlruns/mlflow.db", timeout=1) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        monkeypatch.setenv("MLFLOW_SQLALCHEMYSTORE_POOLCLASS", "NullPool")
        with pytest.raises((CannotVerifyError, StoreError), match="holds the database locked"):
            verify(project.tracker, project.task, project.log)
        holder.rollback()
    holder.close()
    assert project.verify().problems == ()


def test_a_folder_without_the_log_is_told_as_that(project: Project, tmp_path: Path) -> None:
    Path("audit").rename(tmp_path / "audit")
    try:
        with pytest.raises(CannotVerifyError, match="there is no audit log") as caught:
            project.verify()
    finally:
        (tmp_path / "audit").rename("audit")
    assert not [word for word in HARMFUL if word in str(caught.value)]


def test_a_head_that_cannot_be_read_is_no_edited_one(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, *args: object, original=Path.read_text, **options: object) -> str:
        if path.name == "log.head.json":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return original(path, *args, **options)

    monkeypatch.setattr(Path, "read_text", refuse)
    found = project.verify()
    assert found.problems == ()
    assert [(problem.part, "Permission denied" in problem.problem) for problem in found.unchecked] == [("log", True)]


def test_a_cache_that_is_not_mounted_is_not_altered_data(project: Project) -> None:
    Path(".dvc/cache").rename("cache-aside")
    try:
        found = project.verify()
    finally:
        Path("cache-aside").rename(".dvc/cache")
    assert found.problems == ()
    assert {problem.part for problem in found.unchecked} == {"data"}
    assert "DVC's cache" in found.unchecked[0].problem


def test_a_file_of_the_data_that_cannot_be_read_is_not_altered(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> str:
        raise OSError(errno.EIO, "Input/output error", str(path))

    monkeypatch.setattr(integrity, "file_md5", refuse)
    found = project.verify()
    assert found.problems == ()
    assert all("Input/output error" in problem.problem for problem in found.unchecked)


def test_a_run_that_the_store_cannot_give_is_not_gone(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(run_id: str) -> None:
        raise MlflowException("(sqlite3.OperationalError) database is locked")

    monkeypatch.setattr(project.tracker.client, "get_run", fail)
    found = project.verify()
    assert found.problems == ()
    assert "holds the database locked" in found.unchecked[0].problem


def test_evidence_that_cannot_be_read_is_not_missing(project: Project) -> None:
    found = get_version(project.tracker, project.task, "1")
    assert read_evidence(found, RECORD)
    assert read_evidence(found, "never.txt") is None
    with artifacts_that_are_not_mounted(project), pytest.raises(CannotVerifyError):
        read_evidence(found, RECORD)


@pytest.mark.parametrize("name", ["moved", "Münster 2024 #1 100%"])
def test_a_copy_of_the_project_verifies_by_its_own_files(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    copy = tmp_path / name
    shutil.copytree(project.folder, copy)
    monkeypatch.chdir(copy)
    flip(next((copy / "mlruns/artifacts").rglob("grader-00.safetensors")))
    found = verify(Tracker(NAME), project.task, AuditLog())
    assert [problem.problem for problem in found.problems] == [
        "the model's file artifacts/grader-00.safetensors was altered"
    ]
    monkeypatch.chdir(project.folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")  # MLflow keeps the store of the process there
    assert project.verify().problems == ()
    a_byte_of_the_weights(project)
    assert project.verify().problems != ()


def test_a_project_that_was_moved_is_served_and_trained_on(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "restored"
    shutil.copytree(project.folder, copy)
    monkeypatch.chdir(copy)
    tracker = Tracker(NAME)
    assert verify(tracker, project.task, AuditLog()).problems == ()
    run = tracker.start_run("new", "new")
    tracker.log_text(run, "text", "note.txt")
    assert list((copy / "mlruns/artifacts").rglob("note.txt"))
    assert not list((project.folder / "mlruns/artifacts").rglob("note.txt"))


def test_a_moved_project_whose_database_cannot_be_changed_says_so(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "readonly"
    shutil.copytree(project.folder, copy)
    monkeypatch.chdir(copy)
    monkeypatch.setattr("lumbargrade.tracking.relocate._WAIT_SECONDS", 0.1)
    with sqlite3.connect(copy / "mlruns/mlflow.db") as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError) as caught:
            Tracker(NAME)
        holder.rollback()
    holder.close()
    told = str(caught.value)
    assert f"the project was moved from {project.folder} to {copy}" in told
    assert "locked" in told
    assert os.path.isdir(copy / "mlruns/artifacts")  # noqa: PTH112
    assert verify(Tracker(NAME), project.task, AuditLog()).problems == ()
