"""How long a run will train, from its parameters, the cells there are, and the pace of a few steps."""

from collections.abc import Iterator

from lumbargrade.config.params import Params
from lumbargrade.frozen import Frozen
from lumbargrade.pipeline.estimate.throughput import TrainingCost
from lumbargrade.training.jobs.devices import find_devices
from lumbargrade.training.loop.schedule import steps_per_epoch

_FORWARD_SHARE = 1 / 3
"""Cost of a validation image against a training image, which goes forward and, at about twice the cost, backward."""


class TrainingHours(Frozen):
    """How long a network trains at the pace that was measured; early stopping may end it sooner.

    Attributes:
        folds: Folds to train in all; of the student, it alone.
        fold_hours: One of them.
        hours: All of them, on the devices that there are.
    """

    network: str
    folds: int
    fold_hours: float
    hours: float


def training_hours(params: Params, costs: list[TrainingCost], cells: int) -> list[TrainingHours]:
    """Hours of each network's training, and of the student if one is distilled; empty where the pace is not known."""
    if not cells:
        return []
    hours = [_hours(params, cost, cost.images_per_second, cells) for cost in costs if cost.images_per_second]
    paces = [cost.images_per_second for cost in costs if cost.network == "grader" and cost.images_per_second]
    if params.package.graders == "distilled" and paces:
        hours.append(_student_hours(params, paces[0], cells))
    return hours


def _hours(params: Params, cost: TrainingCost, pace: float, cells: int) -> TrainingHours:
    folds = params.split.folds
    if cost.network == "locator":
        images = float(params.locator.epochs * params.locator.epoch_slices)
        trainings = folds
    else:
        kept = _kept(params, cells)
        trained = steps_per_epoch(kept - kept // folds, params.training) * params.training.batch_size
        images = params.training.epochs * (trained + _FORWARD_SHARE * kept / folds)
        trainings = folds * params.search.trials
    fold = images / pace / 3600
    rounds = -(-trainings // len(find_devices()))
    return TrainingHours(network=cost.network, folds=trainings, fold_hours=fold, hours=fold * rounds)


def _student_hours(params: Params, pace: float, cells: int) -> TrainingHours:
    """Each of its images goes forward through all of its teachers too."""
    trained = steps_per_epoch(_kept(params, cells), params.training) * params.training.batch_size
    epochs = params.package.student_epochs or params.training.epochs
    hours = epochs * trained * (1 + _FORWARD_SHARE * params.split.folds) / pace / 3600
    return TrainingHours(network="student", folds=1, fold_hours=hours, hours=hours)


def _kept(params: Params, cells: int) -> int:
    return round(cells * (1 - params.split.holdout))


def too_slow(params: Params, hours: list[TrainingHours]) -> Iterator[str]:
    """What would be stopped for its time, a sentence each."""
    for row in hours:
        section = "locator" if row.network == "locator" else "training"
        minutes = getattr(params, section).time_limit_minutes
        what = "the student" if row.network == "student" else f"a fold of the {row.network}"
        if minutes and row.fold_hours * 60 > minutes:
            yield (
                f"{what} takes about {time_words(row.fold_hours)} here, more than {section}."
                f"time_limit_minutes ({minutes:g}); raise it, set it to 0, or train on a faster device"
            )


def time_words(hours: float) -> str:
    """A time as people say it."""
    if hours >= 1:
        return f"{hours:,.1f} h"
    return f"{hours * 60:.0f} min" if hours >= 1 / 60 else f"{hours * 3600:.0f} s"
