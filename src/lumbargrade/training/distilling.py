"""Distils the best trial's folds into one grader, as a process of its own, and tells MLflow how well it agrees with them."""

from collections.abc import Callable
from dataclasses import replace

from lumbargrade.training.owner import owned_runs
from lumbargrade.training.plan import SearchOutcome, SearchPlan, Student
from lumbargrade.training.pool import FoldPool
from lumbargrade.training.spec import AnySpec, Epoch
from lumbargrade.training.tracking import Tracker


def distil(
    plan: SearchPlan,
    outcome: SearchOutcome,
    tracker: Tracker,
    pool: FoldPool,
    tell: Callable[[str], None] = print,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> SearchOutcome:
    """Trains the student of a search's best trial, unless it is trained, and returns the outcome with it.

    Args:
        pool: Trains it.
        tell: Told a line at the end.
        on_progress: Told the epochs that are done, and those that there are, after each.

    Raises:
        InputError: There is nothing to train on.
        LumbargradeError: Another process runs this search, or the training failed.
    """
    spec = plan.student_spec(outcome.training, outcome.folds)
    key = spec.folder.relative_to(spec.folder.parents[2]).as_posix()
    with owned_runs(plan.folder / plan.name, tracker, "search"):
        run_id = tracker.start_run("student", key, outcome.run_id, {"lumbargrade.kind": "student"})
        tracker.log_params(run_id, spec.training.model_dump(mode="json"))
        logged = tracker.last_step(run_id, "train_divergence")

        def log(spec: AnySpec, epoch: Epoch) -> None:
            if epoch.epoch > logged:
                tracker.log_metrics(run_id, _metrics(epoch), step=epoch.epoch)
            on_progress(epoch.epoch, spec.training.epochs)

        try:
            (result,) = pool.train([spec], log)
        except BaseException as error:
            tracker.end_run(run_id, "FAILED" if isinstance(error, Exception) else "KILLED")
            raise
        tracker.set_tags(run_id, result.where)
        tracker.end_run(run_id)
    student = Student(result, tuple(teacher.sha256 for teacher in spec.teachers), run_id)
    tell(
        f"student: the same likeliest grade as its {len(spec.teachers)} teachers in {student.same_grade:.1%} of a sample of "
        f"the cells that it was trained on, divergence {student.divergence:.4f}"
    )
    return replace(outcome, student=student)


def _metrics(epoch: Epoch) -> dict[str, float]:
    """An epoch under names that do not look like those of a fold, which was validated with labels."""
    return {
        "train_divergence": epoch.train_loss,
        "teachers.divergence": epoch.validation_loss,
        "teachers.same_grade": epoch.validation_accuracy,
        "learning_rate": epoch.learning_rate,
        "seconds": epoch.seconds,
    }
