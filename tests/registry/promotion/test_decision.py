"""What the gate decides about made-up candidates whose strengths and faults are known."""

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from lumbargrade.config.params import GateParams
from lumbargrade.config.task import GradingTask, load_task
from lumbargrade.registry.promotion.checks import Check
from lumbargrade.registry.promotion.decision import GateDecision, decide
from lumbargrade.registry.promotion.holdout import HoldoutGrades
from lumbargrade.registry.promotion.report import gate_figure, gate_table, gate_text
from tests.predictions import both, cells, right, says

RULES = GateParams()
TASK = load_task("rsna2024")
TRUTH = cells(TASK, 60)
SPINAL = (TRUTH["condition"] == "spinal_canal_stenosis").to_numpy()
SEVERE = (TRUTH["grade"] == 2).to_numpy()


def judged(
    ours: NDArray[np.float64],
    theirs: NDArray[np.float64],
    rules: GateParams = RULES,
    truth: pd.DataFrame = TRUTH,
    subgroups: dict[str, dict[int, str]] | None = None,
    look: int = 1,
) -> GateDecision:
    return decide(TASK, both(TASK, truth, ours, theirs, subgroups), True, rules, look)


def rail(decision: GateDecision, name: str) -> Check:
    return next(check for check in decision.rails if check.name == name)


def noisy(seed: int, truth: pd.DataFrame = TRUTH) -> NDArray[np.float64]:
    """A model that is as good as any other of another seed; studies are easy or hard for it as a whole."""
    rng = np.random.default_rng(seed)
    hard = rng.normal(0, 0.08, truth["study_id"].nunique())[truth["study_id"]]
    return right(truth, np.clip(0.65 + hard + rng.normal(0, 0.1, len(truth)), 0.02, 0.98))


def test_the_first_model_is_promoted() -> None:
    found = decide(TASK, both(TASK, TRUTH, right(TRUTH, 0.5), None), False, RULES, 1)
    assert (found.decision, found.reason) == ("promote", "there was no champion")
    assert (found.candidate is None, found.champion, found.checks, found.look) == (False, None, (), 1)


def test_the_first_model_is_promoted_without_a_holdout_and_a_champion_stays() -> None:
    assert decide(TASK, None, False, RULES, 0).decision == "promote"
    found = decide(TASK, None, True, RULES, 0)
    assert found.decision == "keep"
    assert found.reason == "without a holdout (split.holdout 0) a champion cannot be beaten"


def test_a_model_that_is_better_beyond_chance_is_promoted() -> None:
    found = judged(right(TRUTH, 0.75), noisy(0))
    assert found.decision == "promote"
    assert found.score is not None
    assert found.score.interval is not None
    low, high = found.score.interval
    assert low <= found.score.difference <= high < 0
    assert found.reason == (
        f"score {found.candidate.score:.4f} on the holdout beats the champion's {found.champion.score:.4f} "
        f"(difference {found.score.difference:+.4f}, 90% interval {low:+.4f} to {high:+.4f})"
    )
    assert all(check.passed for check in found.checks)


def test_a_worse_model_and_an_equal_one_do_not_take_the_champions_place() -> None:
    worse = judged(noisy(0), right(TRUTH, 0.75))
    assert worse.decision == "keep"
    assert "does not beat the champion's" in worse.reason
    same = judged(noisy(0), noisy(0))
    assert (same.decision, same.score.difference) == ("keep", 0.0)


def test_a_better_score_that_may_be_chance_asks_a_person() -> None:
    pair = next(
        (noisy(one), noisy(one + 100))
        for one in range(50)
        if says(TASK, TRUTH, noisy(one)).evaluation.score < says(TASK, TRUTH, noisy(one + 100)).evaluation.score
        and not judged(noisy(one), noisy(one + 100)).score.certain
    )
    found = judged(*pair)
    assert found.decision == "needs approval"
    assert found.reason.endswith("), which may be chance")


def test_one_study_tells_nothing_of_chance() -> None:
    truth = cells(TASK, 1)
    found = judged(right(truth, 0.9), right(truth, 0.5), truth=truth)
    assert found.decision == "needs approval"
    assert "(one study tells nothing of chance), which may be chance" in found.reason


def test_missed_severe_cells_ask_a_person_however_much_better_the_score_is() -> None:
    theirs, ours = right(TRUTH, 0.5), right(TRUTH, 0.9)
    theirs[SEVERE] = (0.3, 0.3, 0.4)
    ours[SEVERE] = (0.1, 0.46, 0.44)
    found = judged(ours, theirs)
    assert found.score.passed
    assert found.score.certain
    assert found.decision == "needs approval"
    assert found.reasons[1] == "severe recall falls from 1.0000 to 0.0000, more than the 0.05 allowed"
    assert rail(found, "severe recall").cells == SEVERE.sum()


def test_severe_recall_is_no_place_for_chance() -> None:
    """A few missed cells, so few that they may be chance, in one study."""
    missed = SEVERE & (TRUTH["study_id"] == TRUTH["study_id"][SEVERE].mode()[0]).to_numpy()
    ours, theirs = right(TRUTH, 0.9), right(TRUTH, 0.5)
    ours[missed] = (0.1, 0.46, 0.44)
    found = judged(ours, theirs, GateParams(severe_recall_drop=0.02))
    check = rail(found, "severe recall")
    assert (check.passed, check.certain) == (False, False)
    assert found.decision == "needs approval"
    assert found.reasons[1].endswith("more than the 0.02 allowed, which may be chance")


def test_without_severe_cells_a_person_decides() -> None:
    truth = cells(TASK, 30, (0.7, 0.3, 0.0))
    found = judged(right(truth, 0.9), right(truth, 0.5), truth=truth)
    assert found.decision == "needs approval"
    assert found.reasons[1] == "severe recall cannot be judged: no labelled cell"


def test_a_condition_that_becomes_worse_asks_a_person() -> None:
    found = judged(right(TRUTH, np.where(SPINAL, 0.5, 0.95)), right(TRUTH, 0.6))
    assert found.score.certain
    check = rail(found, "loss of Spinal Canal Stenosis")
    assert (check.passed, check.certain, check.cells) == (False, True, SPINAL.sum())
    assert found.decision == "needs approval"
    assert found.reasons[1].startswith("loss of Spinal Canal Stenosis rises from ")
    assert rail(found, "loss of Left Subarticular Stenosis").passed


def test_a_condition_that_is_worse_by_chance_is_told_and_stops_nothing() -> None:
    once = SPINAL & (TRUTH["study_id"] == 3).to_numpy()
    ours = right(TRUTH, np.where(once, 0.0005, np.where(SPINAL, 0.8, 0.97)))
    found = judged(ours, right(TRUTH, 0.8), GateParams(severe_recall_drop=0.9))
    check = rail(found, "loss of Spinal Canal Stenosis")
    assert (check.passed, check.certain) == (False, False)
    assert found.reasons[-1].endswith(", which may be chance")
    assert found.score.certain
    assert found.decision == "promote"


def test_probabilities_that_are_less_to_be_believed_ask_a_person() -> None:
    wrong = np.random.default_rng(1).random(len(TRUTH)) < 0.1
    theirs = right(TRUTH, np.where(wrong, 0.02, 0.9))
    ours = right(TRUTH, 0.7)
    found = judged(ours, theirs)
    check = rail(found, "calibration error")
    assert found.score.certain
    assert (check.passed, check.certain) == (False, True)
    assert found.decision == "needs approval"


def test_subgroups_are_looked_at_if_they_are_large_enough() -> None:
    names = {study: "Alpha" if study < 30 else "Beta" if study < 58 else "Gamma" for study in range(60)}
    beta = TRUTH["study_id"].map(names).to_numpy() == "Beta"
    found = judged(right(TRUTH, np.where(beta, 0.5, 0.95)), right(TRUTH, 0.6), subgroups={"field_strength": names})
    assert found.decision == "needs approval"
    assert [check.passed for check in found.rails[-3:]] == [True, False, None]
    assert [check.name for check in found.rails[-3:]] == [
        f"loss, field strength {name}" for name in ("Alpha", "Beta", "Gamma")
    ]
    assert found.rails[-1].note == "too few labelled cells: 50 of 100"
    assert (
        judged(right(TRUTH, np.where(beta, 0.5, 0.95)), right(TRUTH, 0.6), GateParams(subgroup_loss_rise=5.0))
        .rails[-1]
        .passed
    )


def test_by_approval_every_promotion_is_left_to_a_person() -> None:
    rules = GateParams(promotion="approval")
    words = "every promotion is left to a person (gate.promotion: approval)"
    better = judged(right(TRUTH, 0.9), right(TRUTH, 0.5), rules)
    assert (better.decision, better.reasons[-1]) == ("needs approval", words)
    first = decide(TASK, None, False, rules, 0)
    assert (first.decision, first.reason) == ("needs approval", f"there was no champion; {words}")
    assert judged(right(TRUTH, 0.5), right(TRUTH, 0.9), rules).decision == "keep"


def test_a_holdout_that_wears_out_is_told() -> None:
    rules = GateParams(holdout_looks=3)
    assert "look" not in judged(right(TRUTH, 0.9), right(TRUTH, 0.5), rules, look=3).reason
    found = judged(right(TRUTH, 0.9), right(TRUTH, 0.5), rules, look=4)
    assert found.decision == "promote"
    assert found.reasons[-1] == (
        "this was look 4 at this holdout, and after 3 (gate.holdout_looks) it wears out: what is best on it may fit it by "
        "chance, so hold out other studies"
    )


def test_the_hash_of_a_holdout_is_of_its_cells_and_labels() -> None:
    def digest(truth: pd.DataFrame) -> str:
        return both(TASK, truth, right(truth, 0.9), None).sha256

    assert digest(TRUTH) == digest(TRUTH.sample(frac=1, random_state=0).reset_index(drop=True))
    assert digest(TRUTH) != digest(TRUTH.assign(grade=2 - TRUTH["grade"]))
    assert digest(TRUTH) != digest(TRUTH[TRUTH["study_id"] > 0].reset_index(drop=True))


def test_cells_that_one_model_does_not_answer_count_as_unknown_for_it() -> None:
    some = both(TASK, TRUTH, right(TRUTH, 0.9), right(TRUTH, 0.8))
    fewer = some.champion.calibrated.iloc[::2]
    grades = HoldoutGrades(some.candidate, type(some.champion)(some.champion.evaluation, TRUTH, fewer))
    found = decide(TASK, grades, True, RULES, 1)
    assert found.score.champion > judged(right(TRUTH, 0.9), right(TRUTH, 0.8)).score.champion


def test_the_decision_is_kept_as_json_and_shown_as_table_text_and_picture() -> None:
    names = {study: "Alpha" if study < 58 else "Gamma" for study in range(60)}
    found = judged(right(TRUTH, 0.9), right(TRUTH, 0.5), subgroups={"manufacturer": names})
    assert GateDecision.model_validate_json(found.model_dump_json()) == found
    rows = gate_table(found)
    assert [row["check"] for row in rows] == [check.name for check in found.checks]
    assert rows[0]["finding"] == "passed"
    assert rows[-1]["finding"] == "not judged: too few labelled cells: 50 of 100"
    assert rows[-1]["candidate"] == ""
    assert "90% interval" in rows[0]
    assert gate_text("m version 2", found).startswith("**m version 2: promote**\n\n- score ")
    labels = [text.get_text() for text in gate_figure(found).axes[0].get_yticklabels()]
    assert labels == [check.name for check in found.checks if check.difference is not None][::-1]
    assert gate_figure(decide(TASK, None, False, RULES, 0)).axes[0].get_title() == "promote: nothing to compare with"


@pytest.mark.parametrize("name", ["severe_recall_drop", "calibration_error_rise", "condition_loss_rise"])
def test_what_is_allowed_stands_in_the_parameters(name: str, rsna: GradingTask) -> None:
    found = judged(right(TRUTH, 0.9), right(TRUTH, 0.5), GateParams.model_validate({name: 0.5}))
    place = {"severe_recall_drop": 0, "calibration_error_rise": 1, "condition_loss_rise": 2}[name]
    assert found.rails[place].allowed == 0.5
