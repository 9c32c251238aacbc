"""Hours of training, from a pace that is given."""

import pytest

from lumbargrade.config.params import Params
from lumbargrade.pipeline.estimate.resources import TrainingHours, too_slow, training_hours
from lumbargrade.pipeline.estimate.throughput import TrainingCost


def cost(network: str, pace: float | None) -> TrainingCost:
    return TrainingCost(
        network=network, weights=1, batch_size=32, image_pixels=64, memory_bytes=1, images_per_second=pace, device="cpu"
    )


def hours(graders: str, pace: float | None = 10.0, minutes: float = 0, **package: int) -> list[TrainingHours]:
    told = {"package": {"graders": graders, **package}, "training": {"time_limit_minutes": minutes}}
    params = Params.model_validate(told)
    made = training_hours(params, [cost("locator", 10.0), cost("grader", pace)], 10_000)
    limited = [problem for problem in too_slow(params, made) if "student" in problem]
    assert bool(limited) == bool(minutes)
    return made


def test_a_students_images_go_through_its_teachers_too() -> None:
    (_, fold, student) = hours("distilled")
    assert (student.network, student.folds, student.hours) == ("student", 1, student.fold_hours)
    training = Params().training
    images = training.epochs * (8000 // training.batch_size) * training.batch_size
    assert student.hours == pytest.approx(images * (1 + 3 / 3) / 10 / 3600)
    assert student.hours > fold.fold_hours
    assert hours("distilled", student_epochs=2 * training.epochs)[-1].hours == pytest.approx(2 * student.hours)


def test_there_is_none_without_a_student_or_a_pace() -> None:
    assert [row.network for row in hours("ensemble")] == ["locator", "grader"]
    assert [row.network for row in hours("distilled", None)] == ["locator"]


def test_a_student_that_would_be_stopped_for_its_time_is_told() -> None:
    hours("distilled", minutes=1.0)
