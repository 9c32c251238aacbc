"""What Optuna keeps of the trials of a search, read back."""

import json

from optuna import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from lumbargrade.config.params import TrainingParams
from lumbargrade.training.trial_record import TrialRecord

PLACE = "place"
"""Attribute of a trial: its number in the search. One that was cut off shares it with the one that tries it again."""


def place(trial: FrozenTrial | Trial) -> int:
    """The number that a trial goes by, from 0; it stays what it is however often the search is killed."""
    return int(trial.user_attrs.get(PLACE, trial.number))


def training_of(trial: FrozenTrial) -> TrainingParams:
    """The parameters that a trial was trained with."""
    return TrainingParams.model_validate_json(json.dumps(trial.user_attrs["training"]))


def complete_trials(study: Study) -> list[FrozenTrial]:
    """Trials with a score."""
    return study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])


def ended_trials(study: Study) -> list[FrozenTrial]:
    """Trials that need not be run again: complete ones, and those that were pruned or given up."""
    return study.get_trials(deepcopy=False, states=[TrialState.COMPLETE, TrialState.PRUNED])


def best_trial(study: Study) -> FrozenTrial | None:
    """The best trial that was trained to its end."""
    return min(complete_trials(study), key=lambda trial: trial.value or 0.0, default=None)


def read_trial(trial: FrozenTrial) -> TrialRecord:
    """Reads how a trial went.

    A trial that was cut off has no score, run or reason of its own: the one that tried it again has them.
    """
    told = {} if trial.state is TrialState.FAIL else trial.user_attrs
    return TrialRecord(
        number=place(trial),
        state=told.get("state", trial.state.name.lower()),
        score=trial.value if trial.state is TrialState.COMPLETE else None,  # a pruned one's is the loss of some study
        training=trial.user_attrs.get("training", trial.params),
        run_id=told.get("run_id", ""),
        reason=told.get("reason", ""),
    )
