"""The sentences that stand beside every grade, made from data in one place."""

from typing import Any

import pytest

from lumbargrade.config.task import GradingTask
from lumbargrade.evaluation.performance import summarize_performance
from lumbargrade.models.trained_on import (
    NOT_RECORDED,
    Performance,
    TrainedOn,
    facts_of_story,
    state,
    statement_of,
)
from lumbargrade.registry.tags import facts_of_tags
from tests.predictions import FACTS, cells, right, says


def trained(**changes: Any) -> TrainedOn:
    told: dict[str, Any] = {"datasets": ("spider",), "task": "rsna2024", "studies": 64, "synthetic_studies": 0}
    return TrainedOn(**told | changes)


def performed(**changes: Any) -> Performance:
    return FACTS.cross_validation.model_copy(update=changes)


@pytest.mark.parametrize(
    ("trained_on", "synthetic", "sentence"),
    [
        (
            trained(studies=48, synthetic_studies=48), True,
            "This model was trained on synthetic spines only (48 studies). Its grades of real images have not been shown "
            "to mean anything.",
        ),
        (trained(), False, "This model was trained on 64 real studies (dataset spider)."),
        (trained(patients=60), False, "This model was trained on 64 real studies of 60 patients (dataset spider)."),
        (trained(studies=1, patients=1), False, "This model was trained on 1 real study of 1 patient (dataset spider)."),
        (
            trained(pretraining="synthetic"), False,
            "This model was trained on 64 real studies (dataset spider), after pretraining on synthetic spines.",
        ),
        (trained(pretraining="imagenet"), False, "This model was trained on 64 real studies (dataset spider)."),
        (
            trained(synthetic_studies=60), False,
            "This model was trained on 4 real and 60 synthetic studies (dataset spider).",
        ),
        (
            trained(studies=48, synthetic_studies=48, pretraining="unknown"), None,
            "This model was trained on 48 synthetic studies (dataset spider), after pretraining on images that are not "
            "recorded.",
        ),
        (
            trained(studies=3, unknown_studies=3), None,
            "This model was trained on 3 studies of which it is not recorded whether they are real (dataset spider).",
        ),
        (
            trained(studies=3, synthetic_studies=2, unknown_studies=1), None,
            "This model was trained on 2 synthetic and 1 unidentified studies (dataset spider).",
        ),
    ],
)  # fmt: skip
def test_what_it_was_trained_on_in_words(trained_on: TrainedOn, synthetic: bool | None, sentence: str) -> None:
    assert (trained_on.synthetic, trained_on.sentence()) == (synthetic, sentence)


@pytest.mark.parametrize(
    ("performance", "words"),
    [
        (
            performed(),
            "it found 3 of 24 Severe cells (recall 12 %); accuracy 77.8 %, no better than always answering Normal/Mild "
            "(77.8 %).",
        ),
        (performed(accuracy=0.7), "accuracy 70.0 %, no better than always answering Normal/Mild (77.8 %)."),
        (performed(accuracy=0.843), "accuracy 84.3 %, always answering Normal/Mild 77.8 %."),
        (
            performed(worst_found=0, worst_cells=0),
            "recall of Severe could not be measured, as no cell was Severe; accuracy 77.8 %",
        ),
    ],
)
def test_an_accuracy_stands_beside_recall_and_baseline(performance: Performance, words: str) -> None:
    assert words in performance.sentence("In cross-validation")


def test_the_figures_are_those_of_the_evaluation(rsna: GradingTask) -> None:
    truth = cells(rsna, 4)
    told = right(truth, 0.8)
    severe = truth.index[truth["grade"] == 2]
    told[severe[:5]] = [0.8, 0.1, 0.1]
    performance = summarize_performance(says(rsna, truth, told).evaluation, rsna)
    assert (performance.studies, performance.cells) == (4, 100)
    assert (performance.worst, performance.worst_cells) == ("Severe", len(severe))
    assert performance.worst_found == len(severe) - 5
    assert performance.accuracy == pytest.approx(0.95)
    assert performance.majority == "Normal/Mild"
    assert performance.accuracy_majority == pytest.approx((truth["grade"] == 0).mean())


def test_the_holdout_is_named_once_it_is_known() -> None:
    assert "holdout" not in (state(FACTS).performance or "")
    holdout = performed(worst_found=0).model_dump_json()
    facts = facts_of_tags({"facts": FACTS.model_dump_json(), "holdout.performance": holdout})
    assert "On the holdout (48 studies, 1,200 cells) it found 0 of 24 Severe cells" in (state(facts).performance or "")


def test_the_sets_of_grades_are_promised_for_studies_like_those_of_training_only() -> None:
    words = state(FACTS).possible_grades
    assert "90 % of cells of synthetic studies like those" in words
    assert "of such studies only" in words
    real = FACTS.model_copy(update={"trained_on": trained()})
    assert "synthetic" not in state(real).possible_grades


@pytest.mark.parametrize("record", [{}, {"trained_on": None}, {"trained_on": "[]"}, {"trained_on": '{"sentence": 1}'}])
def test_what_was_registered_before_is_not_recorded(record: dict[str, Any]) -> None:
    assert statement_of(record) == state(None)
    assert (state(None).sentence, state(None).performance, state(None).synthetic) == (NOT_RECORDED, None, None)
    assert facts_of_tags({"dataset.name": "phantom"}) is None
    assert facts_of_story({"model": "m"}) is None


def test_a_statement_comes_through_a_record_as_it_was() -> None:
    statement = state(FACTS)
    assert statement_of({"trained_on": statement.model_dump_json()}) == statement
    assert (statement.synthetic, statement.dataset, statement.studies) == (True, "phantom", 48)
