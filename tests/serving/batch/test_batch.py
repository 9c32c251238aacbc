"""Many studies into one table: the command as users run it, with processes that are really killed."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import mlflow
import pandas as pd
import psutil
import pydicom
import pytest
from typer.testing import CliRunner

from lumbargrade.cli.app import app
from lumbargrade.config.task import GradingTask
from lumbargrade.data.study_zip import zip_study
from lumbargrade.errors import CannotVerifyError, InputError
from lumbargrade.inference.grade import grade_study
from lumbargrade.inference.study import open_study
from lumbargrade.models.trained_on import NOT_RECORDED, TrainedOnStatement
from lumbargrade.registry.resolve import load_model
from lumbargrade.scratch import ScratchError
from lumbargrade.serving.batch.grade import _describe_death, _fingerprint, find_studies
from lumbargrade.serving.batch.run import BatchSummary, run_batch

pytestmark = pytest.mark.slow


@pytest.fixture
def studies(phantom: Path, tmp_path: Path) -> Path:
    """Three zips, and two that are no study."""
    folder = tmp_path / "studies"
    folder.mkdir()
    for study_id in _ids(phantom)[:3]:
        (folder / f"{study_id}.zip").write_bytes(zip_study(phantom, study_id))
    (folder / "broken.zip").write_bytes(b"PK\x03\x04 and nothing")
    (folder / "letters").mkdir()
    (folder / "letters" / "a.txt").write_text("Dear colleague")
    (folder / ".DS_Store").write_text("")
    return folder


def _ids(phantom: Path) -> list[int]:
    return sorted(int(name) for name in pd.read_csv(phantom / "train.csv")["study_id"])


def run(folder: Path, out: Path, model: Path, processes: int = 1) -> BatchSummary:
    return run_batch(folder, out, str(model), processes, lambda done, total: None)


def test_a_batch_says_what_the_served_model_says(
    studies: Path, phantom: Path, model_folder: Path, rsna: GradingTask, tmp_path: Path
) -> None:
    summary = run(studies, tmp_path / "out.parquet", model_folder, processes=2)
    assert (summary.studies, summary.now, summary.faults) == (5, 5, 2)
    table = pd.read_parquet(tmp_path / "out.parquet")
    model = load_model(str(model_folder))
    for study_id in _ids(phantom)[:3]:
        with open_study(studies / f"{study_id}.zip", rsna) as study:
            alone = grade_study(model, study)
        batch = table[table["study"] == f"{study_id}.zip"].reset_index(drop=True)
        assert batch["grade"].tolist() == alone["grade"].where(alone["grade"].notna(), pd.NA).tolist()
        for column in (*rsna.grade_columns, "x_mm"):
            assert batch[column].tolist() == pytest.approx(alone[column].astype(float).tolist(), nan_ok=True, abs=1e-5)
    assert set(table["model"]) == {model_folder.name}
    assert summary.trained_on == NOT_RECORDED
    (statement,) = {TrainedOnStatement.model_validate_json(told) for told in table["trained_on"]}
    beside = json.loads((tmp_path / "out.parquet.model.json").read_text())
    assert (beside["model"], beside["trained_on"]) == (model_folder.name, statement.model_dump())
    assert beside["caution"] == "Not for clinical use"
    faults = pd.read_csv(tmp_path / "out.faults.csv").set_index("study")["fault"]
    assert faults["letters"] == "the study holds no DICOM image that can be read"
    assert faults["broken.zip"].startswith("the study is not a zip file that can be unpacked")


def test_only_what_is_new_changed_or_faulty_is_graded_again(
    studies: Path, phantom: Path, model_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.parquet"
    run(studies, out, model_folder)
    before = pd.read_parquet(out)
    (studies / "broken.zip").write_bytes(zip_study(phantom, _ids(phantom)[3]))
    shutil.rmtree(studies / "letters")
    summary = run(studies, out, model_folder)
    assert (summary.studies, summary.now, summary.faults, summary.faults_file) == (4, 1, 0, None)
    assert not (tmp_path / "out.faults.csv").exists()
    after = pd.read_parquet(out)
    pd.testing.assert_frame_equal(after[after["study"] != "broken.zip"].reset_index(drop=True), before)
    assert run(studies, out, model_folder).now == 0


def test_two_models_are_never_mixed(studies: Path, model_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    run(studies, out, model_folder)
    other = tmp_path / "other"
    shutil.copytree(model_folder, other)
    calibration = next((other / "artifacts").glob("**/calibration.json"))
    calibration.write_text(calibration.read_text() + "\n")
    told = (
        rf"^{out}.journal was begun with model, and other is another model: go on with --model of the first, or give "
        "another --out, as an output never mixes two models$"
    )
    with pytest.raises(InputError, match=told):
        run(studies, out, other)


@pytest.mark.parametrize("victim", ["the command", pytest.param("a process that grades", marks=pytest.mark.long)])
def test_a_killed_batch_goes_on(
    victim: str, phantom: Path, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed process costs no study anything, and what it had unpacked is removed."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    folder = tmp_path / "studies"
    folder.mkdir()
    for study_id in _ids(phantom):
        (folder / f"{study_id}.zip").write_bytes(zip_study(phantom, study_id))
    out = tmp_path / "out.parquet"
    command = ["grade", str(folder), "--model", str(model_folder), "--out", str(out), "--processes", "1", "--json"]
    start = [sys.executable, "-c", "from lumbargrade.cli import main; main()", *command]
    process = subprocess.Popen(start, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    journal = tmp_path / "out.parquet.journal"
    end = time.monotonic() + 300
    while not journal.is_file() or len(journal.read_bytes().splitlines()) < 2:
        assert time.monotonic() < end
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    if victim == "the command":
        left = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.communicate()
        assert psutil.wait_procs(left, timeout=120)[1] == []
        assert not out.exists()
        known = len(journal.read_bytes().splitlines()) - 1
    else:
        os.kill(_grading_process(process.pid), signal.SIGKILL)
        told, said = process.communicate(timeout=300)
        assert process.returncode == 0, said
        assert json.loads(told)["faults"] == 0, "it was tried again by itself"
        assert not list(temporary.rglob("*.dcm"))
        known = len(_ids(phantom))
    summary = run(folder, out, model_folder)
    assert (summary.studies, summary.faults) == (len(_ids(phantom)), 0)
    assert summary.now == summary.studies - known
    assert not list(temporary.rglob("*.dcm"))
    table = pd.read_parquet(out)
    assert table.groupby("study").size().tolist() == [25] * summary.studies


@pytest.mark.long
def test_a_killed_command_leaves_nothing_behind_its_next_start(
    phantom: Path, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    study = tmp_path / "study.zip"
    study.write_bytes(zip_study(phantom, _ids(phantom)[0]))
    command = ["grade", str(study), "--model", str(model_folder), "--json"]
    start = [sys.executable, "-c", "from lumbargrade.cli import main; main()", *command]
    with subprocess.Popen(start, stdout=subprocess.DEVNULL, cwd=tmp_path) as process:
        while not list(temporary.rglob("*.dcm")):
            assert process.poll() is None
        process.kill()
    assert list(temporary.rglob("*.dcm"))
    subprocess.run(start, stdout=subprocess.DEVNULL, cwd=tmp_path, check=True)
    assert not list(temporary.rglob("*.dcm"))


def test_a_death_is_told_as_far_as_it_is_known() -> None:
    assert _describe_death(-signal.SIGKILL).startswith("the process that graded it was killed twice (SIGKILL)")
    assert "nothing is known against its files" in _describe_death(-signal.SIGKILL)
    assert "crashed twice (SIGSEGV); its files may be damaged" in _describe_death(-signal.SIGSEGV)
    assert _describe_death(3) == "the process that graded it ended twice, with exit code 3"


def test_a_full_disk_ends_a_batch_and_blames_no_study(
    studies: Path, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    (tmp_path / f"lumbargrade-{os.getuid()}").touch()
    with pytest.raises(ScratchError, match="is not a folder of this user"):
        run(studies, tmp_path / "out.parquet", model_folder)
    assert not (tmp_path / "out.faults.csv").exists()


def _grading_process(command: int) -> int:
    return next(child.pid for child in psutil.Process(command).children() if "spawn_main" in " ".join(child.cmdline()))


def test_a_journal_that_was_cut_off_loses_its_last_study_alone(
    studies: Path, model_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.parquet"
    run(studies, out, model_folder)
    before = pd.read_parquet(out)
    journal = tmp_path / "out.parquet.journal"
    lines = journal.read_bytes().splitlines(keepends=True)
    good = [line for line in lines[1:] if b'"fault":null' in line]
    journal.write_bytes(lines[0] + good[0] + good[1] + good[2][:-100])
    assert run(studies, out, model_folder).now == 3
    pd.testing.assert_frame_equal(pd.read_parquet(out), before)
    assert run(studies, out, model_folder).now == 2  # the two that are no study


def test_a_submission_has_rsnas_rows(phantom: Path, model_folder: Path, rsna: GradingTask, tmp_path: Path) -> None:
    folder = tmp_path / "studies"
    shutil.copytree(phantom, folder)
    ids = _ids(phantom)
    for study_id in ids[2:]:
        shutil.rmtree(folder / "train_images" / str(study_id))
    run(folder, tmp_path / "submission.csv", model_folder)
    table = pd.read_csv(tmp_path / "submission.csv")
    assert table["row_id"].tolist() == sorted(
        f"{study_id}_{cell.column}" for study_id in ids[:2] for cell in rsna.cells
    )
    assert table.columns.tolist() == ["row_id", *rsna.grade_columns]
    assert table[list(rsna.grade_columns)].sum(axis=1).tolist() == pytest.approx([1] * len(table))


def test_mistakes_are_told_before_anything_is_graded(studies: Path, model_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"out.xlsx must end in .parquet \(a row a cell\) or .csv \(RSNA's submission\)"
    ):
        run(studies, tmp_path / "out.xlsx", model_folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty holds no studies; put each study's files into a folder or a zip"):
        run(tmp_path / "empty", tmp_path / "out.csv", model_folder)
    told = CliRunner().invoke(app, ["grade", str(studies), "--model", "x", "--out", "a.csv", "--explain", "b"])
    assert str(told.exception) == "--explain is for one study; leave out --out"


def test_each_study_of_an_export_is_graded_by_itself(
    studies: Path, phantom: Path, model_folder: Path, tmp_path: Path
) -> None:
    """Two exams in one folder, one of a slice and of another patient's in one more; what failed alone is tried again."""
    first, second = _ids(phantom)[:2]
    export = studies / "CD \udcff"
    for study_id in (first, second):
        shutil.copytree(phantom / "train_images" / str(study_id), export / str(study_id))
        (studies / f"{study_id}.zip").unlink()
    path = next((phantom / "train_images" / str(first)).rglob("*.dcm"))
    for number, patient in enumerate(("A", "B")):
        stray = pydicom.dcmread(path)
        stray.StudyInstanceUID, stray.PatientID, stray.SOPInstanceUID = "1.2.3", patient, f"1.2.3.{number}"
        stray.save_as(export / f"stray{number}")
    out = tmp_path / "out.parquet"
    summary = run(studies, out, model_folder)
    assert (summary.studies, summary.now, summary.faults) == (6, 6, 3)
    table = pd.read_parquet(out)
    parts = table[table["study"].str.startswith("CD \\xff/")]
    assert parts.groupby("study")["study_id"].nunique().tolist() == [1, 1]
    assert parts.groupby("study").size().tolist() == [25, 25]
    assert set(parts["study"].str.partition("/")[2]) == set(parts["study_id"])
    faults = pd.read_csv(tmp_path / "out.faults.csv").set_index("study")["fault"]
    assert "2 patients" in faults["CD \\xff/1.2.3"]
    assert run(studies, out, model_folder).now == 3
    pd.testing.assert_frame_equal(pd.read_parquet(out), table)
    run(studies, tmp_path / "submission.csv", model_folder)
    assert pd.read_csv(tmp_path / "submission.csv")["row_id"].is_unique


def test_tars_and_archives_without_an_ending_are_studies(tmp_path: Path) -> None:
    for name in ("a.tar.gz", "b.TGZ", "c.tar", "d.7z"):
        (tmp_path / name).touch()
    (tmp_path / "e").write_bytes(b"PK\x03\x04" + bytes(30))
    for name in ("letter.docx", "viewer.jar"):
        (tmp_path / name).write_bytes(b"PK\x03\x04" + bytes(30))
    assert [path.name for path in find_studies(tmp_path)] == ["a.tar.gz", "b.TGZ", "c.tar", "d.7z", "e"]


def test_a_zip_and_a_folder_are_both_studies(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with zipfile.ZipFile(tmp_path / "B.ZIP", "w"):
        pass
    (tmp_path / "train.csv").write_text("")
    assert [path.name for path in find_studies(tmp_path)] == ["B.ZIP", "a"]


def test_a_change_behind_a_link_is_seen_and_a_link_to_nowhere_is_a_study(tmp_path: Path) -> None:
    (tmp_path / "nas/1").mkdir(parents=True)
    (tmp_path / "nas/1/a.dcm").write_bytes(b"a")
    studies = tmp_path / "studies"
    (studies / "study").mkdir(parents=True)
    (studies / "study/series").symlink_to(tmp_path / "nas/1")
    (studies / "gone").symlink_to(tmp_path / "nas/2")
    assert [path.name for path in find_studies(studies)] == ["gone", "study"]
    before = _fingerprint(studies / "study")
    (tmp_path / "nas/1/a.dcm").write_bytes(b"other")
    assert _fingerprint(studies / "study") != before
    _fingerprint(studies / "gone")


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space left on device"), OSError(errno.EACCES, "Permission denied"), None],
)
def test_a_model_that_cannot_be_read_is_not_called_missing_or_altered(
    studies: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model_folder: Path, error: OSError | None
) -> None:
    def fail(**told: object) -> str:
        assert error is not None
        raise error

    model = str(model_folder)
    if error is None:
        model = str(tmp_path / "never")
    else:
        monkeypatch.setattr(mlflow.artifacts, "download_artifacts", fail)
    with pytest.raises(InputError if error is None else CannotVerifyError) as caught:
        run_batch(studies, tmp_path / "out.csv", model, 1, lambda done, total: None)
    assert ("is not there; give models:/" if error is None else error.strerror) in str(caught.value)
    assert "altered" not in str(caught.value) and "rollback" not in str(caught.value)
