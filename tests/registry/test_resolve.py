"""Models of other versions of Lumbargrade are refused in a sentence that says what to do."""

from pathlib import Path

import pytest

from lumbargrade.config.params import GateParams
from lumbargrade.config.task import GradingTask
from lumbargrade.models.bundle import UnreadableModelError, read_model
from lumbargrade.registry.promotion.decision import decide
from tests.predictions import both, cells, right


def test_a_model_without_calibration_is_of_another_version(tmp_path: Path) -> None:
    with pytest.raises(UnreadableModelError) as told:
        read_model([tmp_path / "grader-00.safetensors"], "models:/lumbargrade-rsna2024/1")
    assert str(told.value) == (
        "models:/lumbargrade-rsna2024/1 was made by another version of Lumbargrade (it holds no graders or no calibration); "
        "use it with that version (tag git.commit), or train a new one with `lumbargrade run`"
    )


def test_a_model_whose_files_have_another_form_is_of_another_version(tmp_path: Path) -> None:
    for name in ("grader-00.safetensors", "calibration.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(
        UnreadableModelError, match=r"^the model was made by another version .+ \(a file of it has another form\)"
    ):
        read_model(tmp_path.iterdir())


def test_a_champion_that_cannot_be_read_leaves_the_decision_to_a_person(rsna: GradingTask) -> None:
    truth = cells(rsna, 8)
    decided = decide(rsna, both(rsna, truth, right(truth, 0.8), None), True, GateParams(), 1, unreadable="it is of old")
    assert (decided.decision, decided.reason) == (
        "needs approval",
        "the champion cannot be compared with: it is of old",
    )
