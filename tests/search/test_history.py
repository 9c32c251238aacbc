"""A search that begins anew says why it does not go on with the one before."""

from dataclasses import replace
from pathlib import Path

import pytest

from lumbargrade.config.params import Params
from lumbargrade.config.task import GradingTask
from lumbargrade.search import plan as planning
from lumbargrade.search.history import explain_new_search
from lumbargrade.search.plan import SearchPlan


@pytest.fixture
def plan(tmp_path: Path, disc: GradingTask) -> SearchPlan:
    return SearchPlan(Params(), disc, {"md5": "abc"}, tmp_path / "crops", tmp_path / "split.csv", tmp_path / "runs")


def test_the_first_search_and_one_that_goes_on_say_nothing(plan: SearchPlan) -> None:
    assert explain_new_search(plan) is None
    assert explain_new_search(replace(plan)) is None


def test_what_changed_is_named(plan: SearchPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    explain_new_search(plan)
    slower = plan.params.training.model_copy(update={"learning_rate": 1e-5})
    other = replace(plan, params=plan.params.model_copy(update={"training": slower}), data={"md5": "abd"})
    assert explain_new_search(other) == (
        f"{other.name} is a new search, as training.learning_rate, the data changed since {plan.name}"
    )
    monkeypatch.setattr(planning, "code_digest", lambda module: "other code")
    again = replace(other)
    assert (
        explain_new_search(again) == f"{again.name} is a new search, as the code that trains changed since {other.name}"
    )


def test_a_search_of_an_older_release_is_named(plan: SearchPlan, disc: GradingTask) -> None:
    older = plan.folder / f"{disc.name}-0123456789ab"
    older.mkdir(parents=True)
    (older / "optuna.log").touch()
    assert explain_new_search(plan) == (
        f"{plan.name} is a new search: {older.name} was trained by an older release, whose code is not this one's; its folds "
        "stay where they are and are not used"
    )
