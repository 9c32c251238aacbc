"""`lumbargrade dataset add` as users run it: the command, DVC, git and the audit log, all real."""

import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
from pydicom import dcmread

from flows.version_dataset import version_dataset_flow
from lumbargrade.audit.log import AuditLog
from lumbargrade.config.loading import save_params
from lumbargrade.config.params import Params
from lumbargrade.config.task import load_task, save_task
from lumbargrade.data.intake.add_studies import add_studies
from lumbargrade.data.versioning.dvc import read_version, reproduce, version_dataset
from lumbargrade.errors import InputError
from lumbargrade.pipeline.add_studies import add_and_version
from tests.exports import Export, secrets_in

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project with DVC's and git's files as the real one has them."""
    folder = tmp_path / "project"
    for name in (".dvc/config", ".dvc/.gitignore", ".dvcignore", "data/.gitignore", "data/datasets.yaml", "dvc.yaml"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, folder / name)
    shutil.copy(PROJECT / ".gitignore", folder / ".gitignore")
    monkeypatch.chdir(folder)
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "A")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "a@b")
    for command in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "start"]):
        subprocess.run(["git", *command], check=True)
    return folder


@pytest.fixture
def clinic(phantom: Path, tmp_path: Path) -> Path:
    """A loose export of a phantom study whose patient has a name."""
    folder = tmp_path / "export"
    folder.mkdir()
    study = sorted((phantom / "train_images").iterdir())[0]
    for number, path in enumerate(sorted(study.rglob("*.dcm"))):
        image = dcmread(path)
        image.PatientName, image.PatientID = "Quillfeather^Zacharias", "47110815"
        image.save_as(folder / f"Quillfeather-{number}")
    (folder / "Quillfeather.txt").write_text("a letter")
    return folder


def lumbargrade(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from lumbargrade.cli import main; main()", "dataset", "add", *arguments],
        env={**os.environ, "PREFECT_HOME": str(Path.cwd().parent / "prefect")},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


def test_an_addition_is_a_new_version_and_the_old_one_stays_reachable(
    project: Path, phantom: Path, clinic: Path
) -> None:
    shutil.copytree(phantom, "data/clinic")
    subprocess.run(["chmod", "-R", "u+w", "data/clinic"], check=True)
    old = {path.relative_to("data/clinic"): path.read_bytes() for path in Path("data/clinic").rglob("*.*")}
    done = lumbargrade(str(clinic), "--to", "data/clinic", "--commit", "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["addition"]["added"] == 1
    assert summary["addition"]["files_left_out"] == {"it is not a DICOM file": 1}
    assert summary["version"]["md5"] == read_version(Path("data/clinic")).md5 != summary["before"]
    entries = AuditLog().entries("dataset version")
    assert [entry.details["md5"] for entry in entries] == [summary["before"], summary["version"]["md5"]]
    assert AuditLog().problems() == []

    assert "quillfeather" not in (done.stdout + done.stderr + Path("audit/log.jsonl").read_text()).lower()
    table = pd.read_csv(summary["table"])
    assert table["source"].tolist() == ["Quillfeather.txt", "."]
    for secret in (Path(summary["table"]), Path("audit/keys/pseudonym.key")):
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    tracked = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True).stdout
    assert "data/clinic.dvc" in tracked
    assert "audit" not in tracked

    again = lumbargrade(str(clinic), "--to", "data/clinic")
    assert again.returncode == 0, again.stderr
    assert "already there  1 studies" in again.stdout
    assert f"{summary['version']['md5']}, as before" in again.stdout

    pointer = Path("data/clinic.dvc")
    pointer.write_text(pointer.read_text().replace(summary["version"]["md5"], summary["before"]))
    subprocess.run([str(Path(sys.executable).parent / "dvc"), "checkout", "-q", str(pointer)], check=True)
    assert {path.relative_to("data/clinic"): path.read_bytes() for path in Path("data/clinic").rglob("*.*")} == old


def test_no_secret_gets_anywhere_but_into_the_table_beside_the_key(
    project: Path, make_export: Callable[..., Export], tmp_path: Path
) -> None:
    Path("audit/keys").mkdir(parents=True)
    Path("audit/keys/pseudonym.key").write_text("5a" * 32)  # no digits of a pseudonym are a secret by chance
    export = make_export()
    labels = export.labels.rename(tmp_path / "Quillfeather 47110815.csv")
    done = lumbargrade(str(export.folder), "--to", "data/clinic", "--labels", str(labels), "--commit")
    assert done.returncode == 0, done.stderr
    assert "added          3 studies, 3 of them with grades" in done.stdout
    assert "next           lumbargrade run --data data/clinic --task rsna2024" in done.stdout
    labels.write_text("MRN\n47110815\n")
    wrong = lumbargrade(str(export.folder), "--to", "data/clinic", "--labels", str(labels))
    assert wrong.returncode == 2
    missing = lumbargrade(str(export.folder / "Quillfeather"), "--to", "data/clinic")
    assert missing.returncode == 2

    tables = Path("audit/added").rename(tmp_path / "tables")
    assert "quillfeather" in secrets_in(tables)
    told = tmp_path / "told"
    told.mkdir()
    (told / "terminal").write_text(done.stdout + done.stderr)
    history = subprocess.run(["git", "log", "--all", "-p"], capture_output=True, check=True).stdout
    (told / "git").write_bytes(history)
    assert b"Version dataset clinic" in history
    with closing(sqlite3.connect(tmp_path / "prefect/prefect.db")) as store:
        (told / "prefect").write_text("\n".join(store.iterdump()))
    assert "data/clinic" in (told / "prefect").read_text()
    for place in (Path(), tmp_path / "prefect", told):
        assert secrets_in(place) == set()


def test_it_says_where_a_dataset_must_lie(project: Path, clinic: Path) -> None:
    done = lumbargrade(str(clinic), "--to", "elsewhere/clinic")
    assert done.returncode == 2
    assert done.stderr.strip() == (
        "error: elsewhere/clinic is no dataset of this project; give --to data/clinic, in the project's folder"
    )


@pytest.mark.parametrize("name", ["x;touch pwned", "$(touch pwned)", "MRT 2024", "Münster", "-rf", "a\nb"])
def test_a_name_that_a_shell_reads_is_refused_before_anything_is_made(project: Path, clinic: Path, name: str) -> None:
    before = sorted(project.rglob("*"))
    with pytest.raises(InputError, match="cannot be a dataset's name in a project: a name has up to 64 letters"):
        add_and_version(clinic, Path("data") / name, version_dataset_flow)
    assert sorted(project.rglob("*")) == before


def test_a_dataset_from_elsewhere_becomes_the_projects_own(project: Path, tmp_path: Path) -> None:
    source = tmp_path / "elsewhere/clinic"
    source.mkdir(parents=True)
    (source / "train.csv").write_text("one\n")
    version_dataset(source)
    version_dataset(Path("data/clinic"))
    assert "deps" in Path("data/clinic.dvc").read_text()  # it is still what was brought
    folder = Path("data/clinic")
    (folder / "train.csv").unlink()
    (folder / "train.csv").write_text("one\ntwo\n")
    version = version_dataset(folder)
    assert read_version(folder, "local") == version
    with pytest.raises(InputError, match="data/clinic already holds a dataset from elsewhere"):
        version_dataset(source)
    assert (folder / "train.csv").read_text() == "one\ntwo\n"


def test_the_split_keeps_a_patients_studies_on_one_side(project: Path, phantom: Path, tmp_path: Path) -> None:
    source, folder = tmp_path / "source", Path("prepared/clinic")
    shutil.copytree(phantom, source)
    studies = sorted((source / "train_images").iterdir())
    for place, study in enumerate(studies):
        for path in study.rglob("*.dcm"):
            image = dcmread(path)
            image.PatientID = f"00{place % 3}7"  # two studies each
            image.save_as(path)
    task = load_task("rsna2024")
    add_studies(source, Path("data/clinic"), task, b"k" * 32, workers=1)
    version_dataset(Path("data/clinic"))
    params = Params.model_validate({"split": {"holdout": 0.0, "folds": 3}, "workers": 1})
    save_params(params, folder / "params.yaml")
    save_task(task, folder / "task.yaml")
    shutil.copytree(PROJECT / "src", "src", ignore=shutil.ignore_patterns("__pycache__"))
    reproduce("clinic", "prepare", "views", "duplicates", "split")
    patients = pd.read_csv("data/clinic/train_patients.csv").set_index("study_id")["patient_id"]
    split = pd.read_csv(folder / "split.csv")
    sides = split.groupby(split["study_id"].map(patients))["fold"].agg(["nunique", "size"])
    assert sides["nunique"].tolist() == [1, 1, 1]
    assert sides["size"].tolist() == [2, 2, 2]
    assert set(split["fold"]) == {0, 1, 2}
