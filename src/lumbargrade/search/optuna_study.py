"""The Optuna study of a search: opened again after a kill, and asked for what to try next.

It lies in a file beside the search's folds, or in a database that the environment names, such as PostgreSQL. Only the
process that runs the search works with it. Optuna's heartbeats belong to its own loop; a search that asks and tells gives its
own signs of life.
"""

import json
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from lumbargrade.config.params import Choices, FloatRange, Params, TrainingParams, override_training
from lumbargrade.config.settings import Settings
from lumbargrade.errors import InputError, LumbargradeError
from lumbargrade.search.plan import SearchPlan
from lumbargrade.search.pruning import make_pruner
from lumbargrade.search.trials import PLACE, ended_trials, training_of
from lumbargrade.training.jobs.spec import LOG, RESULT, read_history

STORAGE = "LUMBARGRADE_SEARCH_STORAGE"
"""Environment variable with a database's address, such as ``postgresql+psycopg://user:password@host/name``."""

RANDOM_TRIALS = 10
"""First trials of a search, whose parameters are drawn at random; later ones are drawn in view of those that have ended."""

_ALIVE = "alive"
"""Attribute of a study: changes as long as a process runs the search, and is empty when it has left."""

_SIGN_SECONDS = 5.0
_DEAD_SECONDS = 20.0
_AGAIN = "tries_again"
"""Attribute of a trial: the Optuna number of the one that was cut off."""
_LEFT, _DEATHS, _EPOCHS = "left", "deaths", "epochs"
"""Attributes of a trial: whether its process left it in order; how often that died over it without finishing an epoch; and
the epochs that there were when it was begun."""
_MOST_DEATHS = 3


def open_study(plan: SearchPlan) -> optuna.Study:
    """Opens or creates the plan's study; trials that were cut off count as failed, and are tried again.

    One whose parameters were all drawn is tried again with these; of one that was cut off earlier the sampler draws the
    same once more, and the first trial is queued until it has begun.

    Raises:
        InputError: The database that the environment names cannot be used.
        LumbargradeError: A process on another machine runs the search.
    """
    params = plan.params
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name=plan.name,
        storage=_storage(plan),
        direction="minimize",
        pruner=make_pruner(params.search),
        load_if_exists=True,
    )
    running = study.get_trials(deepcopy=False, states=[TrialState.RUNNING])
    if running and study.user_attrs.get(_ALIVE):
        _wait_for_death(study)
    for trial in running:
        study.tell(trial.number, state=TrialState.FAIL)
    again = {trial.user_attrs.get(_AGAIN) for trial in study.get_trials(deepcopy=False)}
    for trial in study.get_trials(deepcopy=False, states=[TrialState.FAIL]):
        if PLACE in trial.user_attrs and trial.number not in again:
            study.add_trial(_same_again(trial, plan))
    if not ended_trials(study) and not study.get_trials(states=[TrialState.WAITING]):
        study.enqueue_trial(_first_trial(params))
    return study


def leave_trial(trial: Trial) -> None:
    """Notes that the process leaves a trial as it is asked to end, or as another one failed: it did not die over it."""
    with suppress(StorageInternalError, OSError):
        trial.set_user_attr(_LEFT, True)


@contextmanager
def signs_of_life(study: optuna.Study) -> Iterator[None]:
    """Tells other machines that the search is running, if they can see its study."""
    if not Settings().search_storage:
        yield
        return
    left, life = threading.Event(), uuid.uuid4().hex

    def give() -> None:
        for sign in range(sys.maxsize):
            with suppress(Exception):  # a database that is away for a moment; the search itself says if it stays away
                study.set_user_attr(_ALIVE, f"{life} {sign}")
            if left.wait(_SIGN_SECONDS):
                return

    study.set_user_attr(_ALIVE, life)
    thread = threading.Thread(target=give, daemon=True)
    thread.start()
    try:
        yield
    finally:
        left.set()
        thread.join()
        with suppress(StorageInternalError):
            study.set_user_attr(_ALIVE, "")


def _storage(plan: SearchPlan) -> BaseStorage:
    secret = Settings().search_storage
    if secret is None:
        path = plan.folder / plan.name / "optuna.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        return JournalStorage(JournalFileBackend(str(path)))
    address = secret.get_secret_value()
    try:
        shown = make_url(address).render_as_string(hide_password=True)
    except ArgumentError:
        raise InputError(
            f"{STORAGE} is no address of a database",
            "give one like postgresql+psycopg://user:password@host/name",
            "search-database-invalid",
        ) from None
    try:
        return RDBStorage(address, engine_kwargs={"pool_pre_ping": True})
    except ImportError as error:
        raise InputError(
            f"the driver of {shown} ({STORAGE}) is not installed",
            "pip install 'lumbargrade[cluster]' has PostgreSQL's",
            "search-database-driver-missing",
        ) from error
    except (SQLAlchemyError, StorageInternalError) as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0][:200]
        raise InputError(
            f"the database {shown} cannot be used ({reason})",
            f"start it, correct {STORAGE}, or unset it to keep the study in a file",
            "search-database-not-reached",
        ) from error


def _wait_for_death(study: optuna.Study) -> None:
    """Waits until the process whose trials are open would have given a sign of life; clocks of machines may differ."""
    last, until = study.user_attrs[_ALIVE], time.monotonic() + _DEAD_SECONDS
    while time.monotonic() < until:
        time.sleep(_SIGN_SECONDS / 5)
        if study.user_attrs[_ALIVE] != last:
            raise LumbargradeError(
                f"search {study.study_name} is already running on another machine",
                "wait for it or stop it",
                "search-running-elsewhere",
            )


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


def _same_again(trial: FrozenTrial, plan: SearchPlan) -> FrozenTrial:
    """What comes in the place of a trial that was cut off: the same once more, or its end if it ends all who train it.

    Where the system kills the search with the fold that does not fit into the memory, nobody is left to give it up.
    """
    kept = {name: value for name, value in trial.user_attrs.items() if name == PLACE}
    epochs, begun = _count_epochs(trial, plan)
    has_died = begun and not trial.user_attrs.get(_LEFT) and epochs <= trial.user_attrs.get(_EPOCHS, 0)
    kept |= {_DEATHS: trial.user_attrs.get(_DEATHS, 0) + 1 if has_died else 0, _EPOCHS: epochs}
    if kept[_DEATHS] >= _MOST_DEATHS:
        told = {name: trial.user_attrs[name] for name in ("run_id", "training")}
        reason = (
            f"the search was killed {_MOST_DEATHS} times over it without an epoch, as where memory does not suffice"
        )
        return create_trial(
            state=TrialState.PRUNED,
            params=trial.params,
            distributions=trial.distributions,
            user_attrs={**kept, **told, _AGAIN: trial.number, "state": "out-of-memory", "reason": reason},
        )
    return create_trial(
        state=TrialState.WAITING,
        params=trial.params,
        distributions=trial.distributions,
        user_attrs={**kept, _AGAIN: trial.number},
    )


def _count_epochs(trial: FrozenTrial, plan: SearchPlan) -> tuple[int, bool]:
    """Epochs that a trial's folds have finished so far, and whether one of them was being trained."""
    if "training" not in trial.user_attrs:
        return 0, False
    folders = [spec.folder for spec in plan.fold_specs(training_of(trial))]
    begun = any((folder / LOG).is_file() and not (folder / RESULT).is_file() for folder in folders)
    return sum(len(read_history(folder)) for folder in folders), begun


def _sampler(seed: int, begun: int) -> optuna.samplers.TPESampler:
    """Seeded for each trial anew, so that a search that goes on draws what it would have drawn, and nothing twice."""
    return optuna.samplers.TPESampler(
        multivariate=True,
        n_startup_trials=RANDOM_TRIALS,
        seed=int(np.random.SeedSequence([seed, begun]).generate_state(1)[0]),
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
    return {name: _spelled(values[name], space) for name, space in params.search.space.items()}


def _spelled(value: Any, space: FloatRange | Choices) -> Any:
    """A choice is spelled as in the space: Optuna tells 1 from 1.0, people do not."""
    return json.dumps(space.choices[space.choices.index(value)]) if isinstance(space, Choices) else value
