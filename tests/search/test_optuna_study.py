"""A study in a database: who may open it, what is tried again, and what a wrong address is told."""

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from optuna.trial import TrialState

from lumbargrade.config.params import Params
from lumbargrade.errors import InputError, LumbargradeError
from lumbargrade.search.optuna_study import STORAGE, next_trial, open_study, signs_of_life
from lumbargrade.search.trials import place
from tests.simulated_search import make_plan


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    address = f"sqlite:///{tmp_path / 'study.db'}"
    monkeypatch.setenv(STORAGE, address)
    return address


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lumbargrade.search.optuna_study._SIGN_SECONDS", 0.2)
    monkeypatch.setattr("lumbargrade.search.optuna_study._DEAD_SECONDS", 2.0)


_OTHER = """
import sys, time
from pathlib import Path
import lumbargrade.search.optuna_study as study
from tests.simulated_search import make_plan
study._SIGN_SECONDS = 0.2
plan = make_plan(Path(sys.argv[1]), 4, 2, "none", 0)
opened = study.open_study(plan)
with study.signs_of_life(opened):
    for _ in range(2):
        study.next_trial(opened, plan.params)
    print("running", flush=True)
    time.sleep(600)
"""


@pytest.mark.slow
def test_a_search_of_another_machine_is_left_alone_while_it_lives_and_goes_on_when_it_is_dead(
    tmp_path: Path, database: str, quick: None
) -> None:
    plan = make_plan(tmp_path / "here", 4, 2, "none", 0)
    there = [sys.executable, "-c", _OTHER, str(tmp_path / "there")]
    with subprocess.Popen(there, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "running\n"
        with pytest.raises(LumbargradeError) as caught:
            open_study(plan)
        assert str(caught.value) == (
            f"search {plan.name} is already running on another machine; wait for it or stop it"
        )
        other.send_signal(signal.SIGKILL)
    study = open_study(plan)
    cut_off = study.get_trials(states=[TrialState.FAIL])
    assert len(cut_off) == 2
    for each in cut_off:
        trial, _ = next_trial(study, plan.params)
        assert (place(trial), trial.params) == (place(each), each.params)
    trial, _ = next_trial(study, plan.params)
    assert place(trial) == 2


def test_a_search_that_has_left_is_not_waited_for(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = make_plan(tmp_path / "here", 4, 2, "none", 0)
    study = open_study(plan)
    with signs_of_life(study):
        next_trial(study, plan.params)
    monkeypatch.setattr("lumbargrade.search.optuna_study._wait_for_death", lambda study: pytest.fail("it waits"))
    assert [trial.state for trial in open_study(plan).trials] == [TrialState.FAIL, TrialState.WAITING]


def test_what_is_tried_again_is_tried_once_however_often_the_search_is_killed(tmp_path: Path) -> None:
    plan = make_plan(tmp_path / "here", 4, 2, "none", 0)
    study = open_study(plan)
    drawn = [next_trial(study, plan.params)[0].params for _ in range(3)]
    for _ in range(4):
        study = open_study(plan)
        waiting = [trial.params for trial in study.get_trials(states=[TrialState.WAITING])]
        assert sorted(map(json.dumps, waiting)) == sorted(map(json.dumps, drawn))
        next_trial(study, plan.params)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        (
            "somewhere",
            "LUMBARGRADE_SEARCH_STORAGE is no address of a database; give one like "
            "postgresql+psycopg://user:password@host/name",
        ),
        (
            "mysql+mysqldb://me:secret@db/optuna",
            "the driver of mysql+mysqldb://me:***@db/optuna (LUMBARGRADE_SEARCH_STORAGE) is not installed; pip install "
            "'lumbargrade[cluster]' has PostgreSQL's",
        ),
        (
            "sqlite:////nowhere/study.db",
            "the database sqlite:////nowhere/study.db cannot be used (unable to open database file); start it, correct "
            "LUMBARGRADE_SEARCH_STORAGE, or unset it to keep the study in a file",
        ),
    ],
)
def test_a_wrong_address_is_told_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, told: str
) -> None:
    monkeypatch.setenv(STORAGE, address)
    with pytest.raises(InputError) as caught:
        open_study(make_plan(tmp_path / "here", 4, 2, "none", 0))
    assert str(caught.value) == told


def test_a_choice_of_whole_numbers_is_the_training_sections(tmp_path: Path) -> None:
    plan = make_plan(tmp_path, 4, 2, "none", 0)
    told = plan.params.model_dump()
    told["training"]["grade_weights"] = [1, 1, 1]
    told["search"]["space"] = {"grade_weights": {"choices": [None, [1, 1, 1]]}}
    params = Params.model_validate(told)
    study = open_study(replace(plan, params=params))
    _, training = next_trial(study, params)
    assert training.grade_weights == (1.0, 1.0, 1.0)
