"""A version that holds a student: its record names student and teachers, and what is altered of them shows."""

from dataclasses import replace
from pathlib import Path

import pytest

from lumbargrade.files import file_sha256
from lumbargrade.pipeline.reproduce.spot_check import recorded_folds, recorded_student
from lumbargrade.registry.lineage.bundle import read_evidence
from lumbargrade.registry.lineage.show import show_evidence, summarise_record
from lumbargrade.registry.versions import get_version
from lumbargrade.training.jobs.spec import Epoch
from lumbargrade.training.jobs.student import Student
from tests.alterations import flip
from tests.projects import Project, register_again


@pytest.fixture
def student(project: Project, monkeypatch: pytest.MonkeyPatch) -> Student:
    """Version 2: of the same trial, with its folds distilled."""
    (teacher,) = project.candidate.folds
    folder = teacher.folder.parent / "student-abc"
    folder.mkdir(exist_ok=True)
    (folder / "model.safetensors").write_bytes(b"student" * 50)
    epoch = Epoch(
        epoch=1, train_loss=0.5, validation_loss=0.125, validation_accuracy=0.75, learning_rate=0.1, seconds=1.0
    )
    (folder / "history.jsonl").write_text(f"{epoch.model_dump_json()}\n")
    run = project.tracker.start_run("student", "student", tags={"lumbargrade.kind": "student"})
    project.tracker.log_metrics(run, {"teachers.same_grade": 0.75})
    project.tracker.end_run(run)
    result = teacher.model_copy(update={"fold": 1, "folder": folder, "validation_loss": 0.125})
    made = Student("distilled", result, (file_sha256(teacher.model),), run)
    candidate = replace(project.candidate, student=made)
    registered = register_again(candidate, project.tracker, project.log, monkeypatch)
    assert (registered.version, registered.is_new) == ("2", True)
    return made


def problems(project: Project) -> list[str]:
    return [f"{found.part}: {found.problem}" for found in project.verify().problems]


def packaged(project: Project) -> Path:
    """The weights of version 2, as MLflow has them."""
    every = (project.folder / "mlruns/artifacts").rglob("grader-00.safetensors")
    return next(path for path in every if path.read_bytes().startswith(b"student"))


def test_the_record_names_the_student_and_its_teachers(project: Project, student: Student) -> None:
    record, history = show_evidence(project.tracker, project.task, project.log, "2")
    told = recorded_student(record)
    assert told is not None
    assert told["digest"]["sha256"] == file_sha256(student.result.model)
    assert (told["name"], told["annotations"]["how"]) == ("t/student-abc", "distilled")
    teachers = [fold["digest"]["sha256"] for fold in recorded_folds(record)]
    assert (told["annotations"]["teachers"], len(teachers)) == (teachers, 1)
    assert (told["annotations"]["sameGrade"], told["annotations"]["divergence"]) == (0.75, 0.125)
    model = {each["name"]: each["digest"]["sha256"] for each in record["subject"]}
    assert model["artifacts/grader-00.safetensors"] == told["digest"]["sha256"]
    words = dict(summarise_record(record, history))["packaged"]
    assert words.startswith("one grader, distilled from 1 folds; it gives the same likeliest grade")
    card = read_evidence(get_version(project.tracker, project.task, "2"), "card.html")
    assert card is not None and "one grader, distilled from 1 folds" in card and "frozen holdout only" in card
    first, _ = show_evidence(project.tracker, project.task, project.log, "1")
    assert recorded_student(first) is None
    assert dict(summarise_record(first, []))["packaged"] == "1 graders, one a fold, whose probabilities are averaged"


def test_what_is_altered_of_a_student_shows(project: Project, student: Student) -> None:
    assert problems(project) == []
    project.tracker.log_metrics(student.run_id, {"teachers.same_grade": 0.99}, step=1)
    assert problems(project)[0] == (
        f"version 2: MLflow run {student.run_id}: metric teachers.same_grade of step 1 was added: 0.99"
    )
    flip(packaged(project))
    assert problems(project) == ["version 2: the model's file artifacts/grader-00.safetensors was altered"]
