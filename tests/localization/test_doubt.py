"""Places that a spine cannot have, or that were hardly found, are no places."""

import numpy as np

from lumbargrade.config.task import GradingTask
from lumbargrade.localization.doubt import LEAST_CONFIDENCE, implausible_reasons, unsure_reasons
from lumbargrade.localization.heatmaps import Place

CANAL, LEFT, RIGHT = "spinal_canal_stenosis", "left_neural_foraminal_narrowing", "right_neural_foraminal_narrowing"
STEP = 35.0


def place(height: float, confidence: float = 0.5, x: float = 0.0) -> Place:
    return Place("1", 1, 0.0, 0.0, np.array([x, 0.0, height]), confidence)


def spine(name: str, task: GradingTask, **confidence: float) -> dict[tuple[str, str], Place]:
    return {(name, level): place(-STEP * number) for number, level in enumerate(task.levels)}


def test_a_place_below_the_least_confidence_is_none_whatever_it_is_of(rsna: GradingTask) -> None:
    for condition in rsna.conditions:
        places = {
            (condition.name, "L1/L2"): place(0, LEAST_CONFIDENCE - 0.001),
            (condition.name, "L2/L3"): place(-35, LEAST_CONFIDENCE),
        }
        reasons = unsure_reasons(places, rsna)
        assert list(reasons) == [(condition.name, "L1/L2")]
        assert f"with a confidence below {LEAST_CONFIDENCE:.0%}" in reasons[condition.name, "L1/L2"].text


def test_a_spine_as_spines_are_is_not_doubted(rsna: GradingTask) -> None:
    places = spine(CANAL, rsna) | spine(LEFT, rsna) | spine(RIGHT, rsna)
    assert not implausible_reasons(places, rsna, STEP)


def test_of_neighbours_that_are_too_near_or_too_far_the_less_confident_one_is_refused(rsna: GradingTask) -> None:
    near = spine(LEFT, rsna)
    near[LEFT, "L4/L5"] = place(-STEP * 2 - 6, 0.2)
    assert list(implausible_reasons(near, rsna, STEP)) == [(LEFT, "L4/L5")]
    far = spine(CANAL, rsna)
    far[CANAL, "L5/S1"] = place(-STEP * 3 - 70, 0.1)
    reasons = implausible_reasons(far, rsna, STEP)
    assert {key: why.text for key, why in reasons.items()} == {
        (CANAL, "L5/S1"): "place uncertain: Spinal Canal Stenosis L4/L5 and L5/S1 would lie 70 mm apart"
    }


def test_left_and_right_of_a_level_are_not_a_level_apart(rsna: GradingTask) -> None:
    places = spine(LEFT, rsna) | {(RIGHT, "L4/L5"): place(-STEP * 4 - 5, 0.3)}
    reasons = implausible_reasons(places, rsna, STEP)
    assert list(reasons) == [(RIGHT, "L4/L5")]
    assert "left and right of L4/L5 would lie 40 mm apart in height" in reasons[RIGHT, "L4/L5"].text


def test_a_spine_that_seems_large_is_doubted_by_its_own_measure(rsna: GradingTask) -> None:
    places = {key: place(2 * found.position[2]) for key, found in spine(CANAL, rsna).items()}
    assert implausible_reasons(places, rsna, STEP)
    assert not implausible_reasons(places, rsna, STEP, size=2.0)
