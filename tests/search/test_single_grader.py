"""One grader in place of a real small trial's folds: made once, in its own process, beside them, with an account in MLflow."""

from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from lumbargrade.config.params import Params
from lumbargrade.config.task import GradingTask
from lumbargrade.errors import LumbargradeError
from lumbargrade.files import file_sha256
from lumbargrade.models.grader import Grader, GraderConfig, save_grader
from lumbargrade.search.plan import SearchOutcome, SearchPlan
from lumbargrade.search.single_grader import make_student
from lumbargrade.tracking.mlflow_tracker import Tracker
from lumbargrade.training.grader.fit import train_fold
from lumbargrade.training.jobs.devices import Device
from lumbargrade.training.jobs.executor import FoldPool
from lumbargrade.training.jobs.process import OnEpoch
from lumbargrade.training.jobs.spec import AnySpec, FoldResult, FoldSpec
from lumbargrade.training.jobs.student import Student
from tests.crops import PREPARE
from tests.local_pool import local_pool

pytestmark = pytest.mark.slow

CPU = (Device("cpu", "", 1),)


@pytest.fixture
def tracker(empty_project: Path, monkeypatch: pytest.MonkeyPatch) -> Tracker:
    monkeypatch.setattr("tempfile.tempdir", str(empty_project))
    return Tracker("search")


@pytest.fixture
def plan(packed: Path, spec: FoldSpec, disc: GradingTask) -> SearchPlan:
    """Distils; its folds begin with the same weights and go no way from there."""
    weights = packed / "weights.safetensors"
    save_grader(Grader(GraderConfig.of(disc, PREPARE, spec.training)), weights)
    training = spec.training.model_dump() | {"epochs": 1, "weights": str(weights), "learning_rate": 1e-5}
    told = {
        "task": "disc_degeneration",
        "split": {"folds": 2},
        "training": training,
        "package": {"graders": "distilled"},
    }
    params = Params.model_validate(told | {"prepare": PREPARE.model_dump()})
    return SearchPlan(params, disc, {"md5": "abc"}, packed / "crops", packed / "split.csv", packed / "runs")


@pytest.fixture
def outcome(plan: SearchPlan, tracker: Tracker) -> SearchOutcome:
    """Of a search with one trial; what is not distilled is left out."""
    folds = []
    for spec in plan.fold_specs(plan.params.training):
        spec.folder.mkdir(parents=True)
        folds.append(train_fold(spec))
    return SearchOutcome(
        name=plan.name,
        tried=[],
        new_trials=1,
        trial=0,
        training=plan.params.training,
        folds=folds,
        calibration=Path("calibration.json"),
        evaluation=None,  # type: ignore[arg-type]
        on_labelled=None,
        report="",
        run_id=tracker.start_run("search", plan.name),
        trial_run_id="trial",
        fold_run_ids=[],
    )


def made(plan: SearchPlan, outcome: SearchOutcome, tracker: Tracker, told: list[str] | None = None) -> Student:
    with local_pool(CPU) as pool:
        student = make_student(plan, outcome, tracker, pool, [].append if told is None else told.append).student
    assert student is not None
    return student


def test_a_student_lies_beside_its_teachers_and_mlflow_has_how_well_it_agrees(
    plan: SearchPlan, outcome: SearchOutcome, tracker: Tracker
) -> None:
    told: list[str] = []
    student = made(plan, outcome, tracker, told)
    assert student.result.folder.parent == outcome.folds[0].folder.parent
    assert student.teachers == tuple(file_sha256(fold.model) for fold in outcome.folds)
    run = tracker.client.get_run(student.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags["mlflow.parentRunId"] == outcome.run_id
    assert (run.data.tags["lumbargrade.kind"], run.data.tags["lumbargrade.device"]) == ("student", "cpu")
    assert run.data.params["epochs"] == "1"
    assert run.data.metrics["teachers.same_grade"] == student.same_grade
    assert run.data.metrics["teachers.divergence"] == student.divergence > 0
    assert f"the same likeliest grade as the 2 folds together in {student.same_grade:.1%} of a sample" in told[-1]
    assert student.how == "distilled"

    written = student.result.model.stat().st_mtime_ns
    assert made(plan, outcome, tracker) == student
    assert student.result.model.stat().st_mtime_ns == written


def test_an_average_lies_beside_the_folds_and_beside_a_student_of_theirs(
    plan: SearchPlan, outcome: SearchOutcome, tracker: Tracker
) -> None:
    package = plan.params.package.model_copy(update={"graders": "averaged"})
    averaging = replace(plan, params=plan.params.model_copy(update={"package": package}))
    told: list[str] = []
    shown: list[tuple[int, int]] = []
    with local_pool(CPU) as pool:
        average = make_student(averaging, outcome, tracker, pool, told.append, lambda *now: shown.append(now)).student
    assert average is not None and shown == [(1, 1)]
    student = made(plan, outcome, tracker)
    assert average.result.folder.parent == student.result.folder.parent == outcome.folds[0].folder.parent
    assert (average.result.folder.name[:8], student.result.folder.name[:8]) == ("average-", "student-")
    assert averaging.name == plan.name
    metrics = tracker.client.get_run(average.run_id).data.metrics
    assert metrics == {"teachers.same_grade": average.same_grade, "teachers.divergence": average.divergence}
    assert told[-1].startswith("the averaged grader: the same likeliest grade as the 2 folds together in ")
    assert average.how == "averaged"


def test_another_teacher_or_other_epochs_are_another_student(plan: SearchPlan, outcome: SearchOutcome) -> None:
    def folder(plan: SearchPlan) -> Path:
        return plan.student_spec(outcome.training, outcome.folds).folder

    params = plan.params
    longer = replace(
        plan, params=params.model_copy(update={"package": params.package.model_copy(update={"student_epochs": 3})})
    )
    other_seed = replace(plan, params=params.model_copy(update={"seed": 1}))
    assert longer.name == plan.name != other_seed.name
    assert longer.student_spec(outcome.training, outcome.folds).training.epochs == 3
    before = folder(plan)
    outcome.folds[1].model.write_bytes(outcome.folds[0].model.read_bytes())
    assert len({before, folder(plan), folder(longer)}) == 3


def test_a_student_that_fails_is_told_and_its_run_is_closed(
    plan: SearchPlan, outcome: SearchOutcome, tracker: Tracker
) -> None:
    def submit(spec: AnySpec, on_epoch: OnEpoch, stop: Event) -> "Future[FoldResult]":
        future: Future[FoldResult] = Future()
        future.set_exception(
            LumbargradeError(f"{spec.name}: its process was killed by signal 9", "", "training-process-failed")
        )
        return future

    with pytest.raises(LumbargradeError, match="the student: its process was killed by signal 9"):
        make_student(plan, outcome, tracker, FoldPool(submit, 1))
    (run,) = tracker.client.search_runs([tracker.experiment_id], "tags.`lumbargrade.kind` = 'student'")
    assert run.info.status == "FAILED"
    assert made(plan, outcome, tracker).run_id == run.info.run_id
