"""The Optuna study of a search: opened again after a kill, and asked for what to try next."""

import json
from typing import Any

import numpy as np
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from lumbargrade.params import Choices, FloatRange, Params, TrainingParams, override_training
from lumbargrade.training.plan import SearchPlan
from lumbargrade.training.pruning import make_pruner
from lumbargrade.training.trials import PLACE, ended_trials

_AGAIN = "tries_again"
"""Attribute of a trial: the Optuna number of the one that was cut off."""


def open_study(plan: SearchPlan) -> optuna.Study:
    """Opens or creates the plan's study; trials that were cut off count as failed, and are tried again.

    One whose parameters were all drawn is tried again with these; of one that was cut off earlier the sampler draws the
    same once more, and the first trial is queued until it has begun.
    """
    path = plan.folder / plan.name / "optuna.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    params = plan.params
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name=plan.name,
        storage=JournalStorage(JournalFileBackend(str(path))),
        direction="minimize",
        pruner=make_pruner(params.search),
        load_if_exists=True,
    )
    again = {trial.user_attrs.get(_AGAIN) for trial in study.get_trials(deepcopy=False)}
    for trial in study.get_trials(states=[TrialState.RUNNING]):
        if PLACE in trial.user_attrs and set(trial.params) == set(params.search.space) and trial.number not in again:
            study.add_trial(_same_again(trial))
        study.tell(trial.number, state=TrialState.FAIL)
    if not ended_trials(study) and not study.get_trials(states=[TrialState.WAITING]):
        study.enqueue_trial(_first_trial(params))
    return study


def next_trial(study: optuna.Study, params: Params) -> tuple[Trial, TrainingParams]:
    """Begins a trial: one that waits to be tried again, or a new one, drawn in view of those that have not ended yet."""
    begun = len(study.get_trials(deepcopy=False, states=[TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING]))
    study.sampler = _sampler(params.search.seed, begun)
    trial = study.ask()
    values: dict[str, Any] = {}
    for name, space in params.search.space.items():
        values[name] = _suggest(trial, name, space)
    if PLACE not in trial.user_attrs:
        trial.set_user_attr(PLACE, begun)
    return trial, override_training(params.training, values)


def _same_again(trial: FrozenTrial) -> FrozenTrial:
    kept = {name: value for name, value in trial.user_attrs.items() if name == PLACE}
    return create_trial(
        state=TrialState.WAITING,
        params=trial.params,
        distributions=trial.distributions,
        user_attrs={**kept, _AGAIN: trial.number},
    )


def _sampler(seed: int, begun: int) -> optuna.samplers.TPESampler:
    """Seeded for each trial anew, so that a search that goes on draws what it would have drawn, and nothing twice."""
    return optuna.samplers.TPESampler(
        multivariate=True, seed=int(np.random.SeedSequence([seed, begun]).generate_state(1)[0])
    )


def _suggest(trial: Trial, name: str, values: FloatRange | Choices) -> Any:
    if isinstance(values, Choices):
        return json.loads(trial.suggest_categorical(name, [json.dumps(choice) for choice in values.choices]))
    if TrainingParams.model_fields[name].annotation is int:
        return trial.suggest_int(name, int(values.low), int(values.high), log=values.log)
    return trial.suggest_float(name, values.low, values.high, log=values.log)


def _first_trial(params: Params) -> dict[str, Any]:
    """The training section as it stands, spelled as Optuna keeps it: choices as JSON, since they may be lists."""
    values = params.training.model_dump(mode="json")
    space = params.search.space
    return {name: json.dumps(values[name]) if isinstance(space[name], Choices) else values[name] for name in space}
