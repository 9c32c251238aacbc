"""Makes one grader of the best trial's folds, as a process of its own, and tells MLflow how well it agrees with them."""

from collections.abc import Callable
from dataclasses import replace

from lumbargrade.search.plan import SearchOutcome, SearchPlan
from lumbargrade.tracking.mlflow_tracker import Tracker
from lumbargrade.tracking.run_lock import owned_runs
from lumbargrade.training.jobs.executor import FoldPool
from lumbargrade.training.jobs.spec import AnySpec, Epoch
from lumbargrade.training.jobs.student import Student


def make_student(
    plan: SearchPlan,
    outcome: SearchOutcome,
    tracker: Tracker,
    pool: FoldPool,
    tell: Callable[[str], None] = print,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> SearchOutcome:
    """Distils or averages the folds of a search's best trial, unless it is done, and returns the outcome with the student.

    Args:
        pool: Makes it.
        tell: Told a line at the end.
        on_progress: Told the epochs that are done, and those that there are, after each.

    Raises:
        InputError: There is nothing to train on, or the average does not answer as the folds do.
        LumbargradeError: Another process runs this search, or the training failed.
    """
    spec = plan.student_spec(outcome.training, outcome.folds)
    key = spec.folder.relative_to(spec.folder.parents[2]).as_posix()
    tags = {"lumbargrade.kind": "student"}
    with (
        owned_runs(plan.folder / plan.name, tracker, "search"),
        tracker.run("student", key, outcome.run_id, tags) as run_id,
    ):
        tracker.log_params(run_id, spec.training.model_dump(mode="json"))
        metrics, total = (_metrics, spec.training.epochs) if spec.how == "distilled" else (_agreement, 1)
        logged = tracker.last_step(run_id, "teachers.divergence")

        def log(spec: AnySpec, epoch: Epoch) -> None:
            if epoch.epoch > logged:
                tracker.log_metrics(run_id, metrics(epoch), step=epoch.epoch)
            on_progress(epoch.epoch, total)

        (result,) = pool.train([spec], log)
        tracker.set_tags(run_id, result.where)
    student = Student(spec.how, result, tuple(teacher.sha256 for teacher in spec.teachers), run_id)
    tell(
        f"{spec.name}: the same likeliest grade as the {len(spec.teachers)} folds together in {student.same_grade:.1%} of a "
        f"sample of cells outside the holdout, divergence {student.divergence:.4f}"
    )
    return replace(outcome, student=student)


def _metrics(epoch: Epoch) -> dict[str, float]:
    """An epoch under names that do not look like those of a fold, which was validated with labels."""
    return {
        "train_divergence": epoch.train_loss,
        **_agreement(epoch),
        "learning_rate": epoch.learning_rate,
        "seconds": epoch.seconds,
    }


def _agreement(epoch: Epoch) -> dict[str, float]:
    return {"teachers.divergence": epoch.validation_loss, "teachers.same_grade": epoch.validation_accuracy}
