"""What a person reads in a terminal of 80 columns, and what a program reads."""

import csv
import io
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pydicom
import pytest
from typer.testing import CliRunner

from lumbargrade.cli.app import app
from lumbargrade.cli.grade import Form, choose_form, print_answers
from lumbargrade.config.task import GradingTask
from lumbargrade.errors import InputError
from lumbargrade.models.bundle import LoadedModel
from lumbargrade.models.calibration import Calibration
from lumbargrade.models.grader import Grader
from lumbargrade.models.trained_on import NOT_RECORDED, ModelFacts, Performance, TrainedOn, state
from lumbargrade.serving.verified_model import VerifiedModel

FACTS = ModelFacts(
    trained_on=TrainedOn(datasets=("phantom",), task="rsna2024", studies=38, synthetic_studies=38),
    cross_validation=Performance(
        studies=38, cells=950, accuracy=0.778, accuracy_majority=0.778, majority="Normal/Mild", worst="Severe",
        worst_found=3, worst_cells=24,
    ),
    coverage=0.9,
)  # fmt: skip
REASON = "the study's Sagittal T1 series is not used, as no lumbar spine can be recognised in any of its slices"


def records(task: GradingTask) -> list[dict[str, Any]]:
    """Foramina are not graded; the canal's places are uncertain."""
    made = []
    for cell in task.cells:
        record: dict[str, Any] = {"condition": cell.condition.name, "level": cell.level, "notes": "a note"}
        if cell.condition.group == "foraminal":
            nothing = dict.fromkeys((*task.grade_columns, "grade", "possible_grades", "confidence", "place_uncertain"))
            made.append(record | nothing | {"reason": REASON})
            continue
        chances = dict(zip(task.grade_columns, (0.8, 0.15, 0.05), strict=True))
        unsure = cell.condition.group == "spinal"
        place = {"confidence": 0.12 if unsure else 0.8, "place_uncertain": unsure}
        grade = {"grade": "Normal/Mild", "possible_grades": "Normal/Mild;Severe", "reason": None}
        made.append(record | chances | place | grade)
    return made


@pytest.fixture
def model(graders: list[Grader], rsna: GradingTask) -> LoadedModel:
    return LoadedModel(graders, [], "", Calibration.identity(rsna), FACTS, "lumbargrade-rsna2024/7")


@pytest.mark.parametrize("form", ["grid", "long"])
def test_a_study_in_a_terminal(
    form: Form, model: LoadedModel, rsna: GradingTask, capsys: pytest.CaptureFixture[str]
) -> None:
    print_answers([("study.zip", records(rsna))], model, form)
    out = capsys.readouterr().out
    lines, words = out.splitlines(), " ".join(out.split())
    assert max(map(len, lines)) <= 80
    assert lines[0] == "NOT FOR CLINICAL USE."
    for line in state(FACTS).lines:
        assert line in words
    assert "Study study.zip" in words
    assert "Model lumbargrade-rsna2024/7" in words
    assert words.count("no lumbar spine can be recognised") == 1
    assert "(1) 10 sites not graded: the study's Sagittal T1" in words
    assert "? 5 of 15 places are uncertain (found with less than 30% confidence)" in words
    assert "Note: a note." in lines
    assert len(lines) < (32 if form == "grid" else 60)


def test_full_names_and_all_probabilities_are_there(
    model: LoadedModel, rsna: GradingTask, capsys: pytest.CaptureFixture[str]
) -> None:
    print_answers([("", records(rsna))], model, "long")
    lines = capsys.readouterr().out.splitlines()
    for condition in rsna.conditions:
        assert condition.label in lines
    assert sum(line.split()[1:] == ["Normal/Mild", "80.0%*", "15.0%", "5.0%*", "12%?"] for line in lines) == 5
    assert sum(line.split()[1:] == ["not", "graded", "(1)"] for line in lines) == 10


def test_a_study_for_a_program(model: LoadedModel, rsna: GradingTask, capsys: pytest.CaptureFixture[str]) -> None:
    print_answers([("", records(rsna))], model, "json")
    told = json.loads(capsys.readouterr().out)
    assert [
        {**record, "model": model.name, "trained_on": state(FACTS).model_dump_json()} for record in records(rsna)
    ] == told


def test_a_study_for_a_spreadsheet(model: LoadedModel, rsna: GradingTask, capsys: pytest.CaptureFixture[str]) -> None:
    print_answers([("", records(rsna))], model, "csv")
    table = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["condition"], row["level"]) for row in table] == [(c.condition.name, c.level) for c in rsna.cells]
    assert {row["model"] for row in table} == {model.name}
    assert {row["reason"] for row in table} == {"", REASON}


@pytest.mark.parametrize("form", ["grid", "long", "json", "csv"])
def test_several_studies_are_printed_apart(
    form: Form, model: LoadedModel, rsna: GradingTask, capsys: pytest.CaptureFixture[str]
) -> None:
    print_answers([("Study 1", records(rsna)), ("Study 2", records(rsna))], model, form)
    out = capsys.readouterr().out
    if form == "json":
        assert len(json.loads(out)) == 50
    elif form == "csv":
        assert len(list(csv.DictReader(io.StringIO(out)))) == 50
    else:
        assert [line.split(":")[0] for line in out.splitlines() if line.startswith("Study")] == ["Study 1", "Study 2"]
        assert out.count("NOT FOR CLINICAL USE.") == 1
        assert out.count("(1) 10 sites not graded") == 2


def test_one_form_at_a_time() -> None:
    assert choose_form(False, False, False) == "grid"
    with pytest.raises(InputError) as caught:
        choose_form(True, True, False)
    assert caught.value.code == "forms-at-odds"


def test_a_model_of_before_says_that_nothing_is_recorded(
    graders: list[Grader], rsna: GradingTask, capsys: pytest.CaptureFixture[str]
) -> None:
    print_answers([("", records(rsna))], LoadedModel(graders, [], "", Calibration.identity(rsna)), "grid")
    assert NOT_RECORDED in capsys.readouterr().out


@pytest.fixture
def two_exams(phantom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: LoadedModel) -> Path:
    """A folder with two exams and a stray file of a third, of two patients."""
    monkeypatch.setattr(
        "lumbargrade.serving.verified_model.open_model", lambda uri: SimpleNamespace(loaded=model, abstain_above=0)
    )
    studies = sorted((phantom / "train_images").iterdir())[:2]
    for study in studies:
        shutil.copytree(study, tmp_path / "export" / study.name)
    for number, patient in enumerate(("A", "B")):
        stray = pydicom.dcmread(next(studies[0].rglob("*.dcm")))
        stray.StudyInstanceUID, stray.PatientID, stray.SOPInstanceUID = "1.2.3", patient, f"1.2.3.{number}"
        stray.save_as(tmp_path / "export" / f"stray{number}")
    return tmp_path / "export"


def test_each_exam_of_an_export_has_an_answer(two_exams: Path) -> None:
    told = CliRunner().invoke(app, ["grade", str(two_exams), "--model", "m"])
    assert told.exit_code == 0, told.output
    heads = [line for line in told.output.splitlines() if line.startswith("Study ")]
    assert [head[:12] for head in heads] == ["Study 1 of 3", "Study 2 of 3", "Study 3 of 3"]
    assert "1.2.3" in told.output.splitlines(), "the UID stands on a line of its own"
    assert told.output.count("Not graded: the files of the study are of 2 patients") == 1
    assert told.output.count("NOT FOR CLINICAL USE.") == 1


def test_the_champion_grades_if_no_model_is_named(
    two_exams: Path, monkeypatch: pytest.MonkeyPatch, model: LoadedModel
) -> None:
    asked: list[str] = []

    def open_model(uri: str) -> SimpleNamespace:
        asked.append(uri)
        return SimpleNamespace(loaded=model, abstain_above=0)

    monkeypatch.setattr("lumbargrade.serving.verified_model.open_model", open_model)
    for task in ([], ["--task", "disc_degeneration"]):
        assert CliRunner().invoke(app, ["grade", str(two_exams), "--json", *task]).exit_code == 0
    assert asked == ["models:/lumbargrade-rsna2024@champion", "models:/lumbargrade-disc-degeneration@champion"]


def test_each_exam_of_an_export_is_named_for_a_program(two_exams: Path) -> None:
    told = CliRunner().invoke(app, ["grade", str(two_exams), "--model", "m", "--json"])
    records = json.loads(told.stdout)
    by_study: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        by_study.setdefault(record["study_id"], []).append(record)
    assert [len(own) for own in by_study.values()] == [25, 25, 25]
    assert {record["reason_code"] for record in by_study["1.2.3"]} == {"several-patients"}
    assert all("." in study for study in by_study)


def test_an_export_of_which_nothing_can_be_graded_is_an_error(two_exams: Path) -> None:
    for folder in two_exams.iterdir():
        if folder.is_dir():
            shutil.rmtree(folder)
    told = CliRunner().invoke(app, ["grade", str(two_exams), "--model", "m"])
    assert isinstance(told.exception, InputError)
    assert told.exception.code == "several-patients"


@pytest.mark.parametrize("options", [(), ("--long",), ("--csv",), ("--json",)], ids=lambda options: "".join(options))
def test_the_command_grades_a_study(
    options: tuple[str, ...],
    model: LoadedModel,
    rsna: GradingTask,
    zipped: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """From files to what is printed; the study brings its points, as the model here has no locator."""
    study = tmp_path / "study.zip"
    study.write_bytes(zipped)
    verified = VerifiedModel(model, (), "", 0)
    monkeypatch.setattr("lumbargrade.serving.verified_model.open_model", lambda _: verified)
    app(["grade", str(study), "--model", "a-model", *options], standalone_mode=False)
    printed = capsys.readouterr()
    assert printed.err == ""
    if options == ("--json",):
        assert {record["grade"] for record in json.loads(printed.out)} <= {*rsna.grades}
    elif options == ("--csv",):
        assert len(list(csv.DictReader(io.StringIO(printed.out)))) == 25
    else:
        lines = printed.out.splitlines()
        assert max(map(len, lines)) <= 80
        assert "Study  study.zip: 3 series" in printed.out
        assert "Read on: spinal series " in " ".join(printed.out.split())
