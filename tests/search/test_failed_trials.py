"""Trials that the machine cannot train are given up with their reasons, and the search goes on. Training is left out."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest
from optuna.trial import TrialState

from lumbargrade.errors import DivergedError, LumbargradeError, OutOfMemoryError, TooSlowError, TrialError
from lumbargrade.search.optuna_study import leave_trial, next_trial, open_study
from lumbargrade.search.plan import SearchPlan
from lumbargrade.search.run import run_search
from lumbargrade.search.trials import ended_trials, read_trial
from lumbargrade.tracking.mlflow_tracker import Tracker
from lumbargrade.training.jobs.executor import FoldFuture
from lumbargrade.training.jobs.process import OnEpoch
from lumbargrade.training.jobs.spec import LOG, AnySpec, Epoch, FoldResult
from tests.simulated_search import SimulatedPool, make_plan

NO_MEMORY = OutOfMemoryError(
    "fold 0 does not fit into the memory of device cuda:0", "lower it", "training-out-of-memory"
)
KILLED = OutOfMemoryError("fold 0: its process was killed by signal 9", "lower it", "training-process-killed")
SLOW = TooSlowError("fold 0 was stopped after 3 minutes", "raise it", "training-too-slow")
DIVERGED = DivergedError("fold 0: the loss is no longer a number", "lower it", "loss-diverged")


class FailingPool(SimulatedPool):
    """A fold fails where the test wants it.

    Attributes:
        begun: Folders of the trials whose folds were begun, in their order.
    """

    def __init__(self, fails: Callable[[int], TrialError | None], places: int = 1) -> None:
        super().__init__(places, 0)
        self.begun: list[str] = []
        self.stopped = 0
        self._fails = fails

    def start(self, spec: AnySpec, on_epoch: OnEpoch) -> None:
        self.begun.append(spec.folder.parent.name)
        super().start(spec, on_epoch)

    def stop(self, spec: AnySpec) -> None:
        self.stopped += self.trains(spec)
        super().stop(spec)

    def next(self) -> tuple[AnySpec, FoldFuture | None]:
        spec, future = super().next()
        trial = list(dict.fromkeys(self.begun)).index(spec.folder.parent.name)
        if future is not None and (error := self._fails(trial)) is not None:
            future = Future[FoldResult]()
            future.set_exception(error)
        return spec, future


@pytest.fixture
def plan(empty_project: Path) -> SearchPlan:
    return make_plan(empty_project / "search", 4, 2, "none", 0)


def with_trials(plan: SearchPlan, trials: int, **search: object) -> SearchPlan:
    changed = plan.params.search.model_copy(update={"trials": trials, **search})
    return replace(plan, params=plan.params.model_copy(update={"search": changed}))


@pytest.mark.slow
def test_a_trial_that_the_machine_cannot_train_fails_alone_and_is_not_tried_again(plan: SearchPlan) -> None:
    errors = {0: NO_MEMORY, 1: KILLED, 2: SLOW}
    told: list[str] = []
    tracker = Tracker("search")
    with FailingPool(errors.get, 2) as pool:
        outcome = run_search(plan, tracker, pool, told.append)
    states = ["out-of-memory", "out-of-memory", "too-slow", "complete"]
    assert [(trial.state, trial.reason) for trial in outcome.tried] == [
        *zip(states, [error.what for error in errors.values()], strict=False),
        ("complete", ""),
    ]
    assert (outcome.trial, outcome.trials) == (3, 4)
    assert told[0] == f"trial 0: given up, {NO_MEMORY.what}"
    for trial in outcome.tried[:3]:
        run = tracker.client.get_run(trial.run_id)
        assert (run.info.status, run.data.tags["lumbargrade.state"]) == ("FAILED", trial.state)
        assert run.data.tags["lumbargrade.reason"] == trial.reason
    with FailingPool(lambda _: None) as again:
        assert run_search(plan, tracker, again, told.append).tried == outcome.tried
    assert again.begun == []


@pytest.mark.slow
@pytest.mark.parametrize("trials", [1, 3])
def test_the_same_parameters_are_not_trained_a_second_time(plan: SearchPlan, trials: int) -> None:
    """Also when they are drawn again, by this process or the next."""
    same = with_trials(plan, trials, space={})
    with FailingPool(lambda _: NO_MEMORY, 2) as pool, pytest.raises(LumbargradeError) as caught:
        run_search(same, Tracker("search"), pool, lambda _: None)
    assert caught.value.code == "no-trial-trained"
    assert NO_MEMORY.what in caught.value.what and "training.batch_size" in caught.value.remedy
    assert len(set(pool.begun)) == 1 and len(pool.begun) - pool.stopped == 1
    more = with_trials(same, trials + 1)
    with FailingPool(lambda _: None) as pool, pytest.raises(LumbargradeError):
        run_search(more, Tracker("search"), pool, lambda _: None)
    assert pool.begun == []
    last = read_trial(ended_trials(open_study(more))[-1])
    assert (last.state, last.reason) == ("out-of-memory", f"as trial 0 of the same parameters: {NO_MEMORY.what}")


@pytest.mark.slow
def test_a_search_ends_if_trial_after_trial_fails_alike(plan: SearchPlan) -> None:
    with FailingPool(lambda _: SLOW) as pool, pytest.raises(LumbargradeError) as caught:
        run_search(with_trials(plan, 6), Tracker("search"), pool, lambda _: None)
    assert caught.value.code == "trials-fail-in-a-row"
    assert str(caught.value).startswith(
        f"5 trials, one after another, could not be trained; of the last: {SLOW.what}; "
    )
    assert len(set(pool.begun)) == 5
    with FailingPool(lambda _: None) as pool:  # what was in the way may be gone: the others are tried
        outcome = run_search(with_trials(plan, 6), Tracker("search"), pool, lambda _: None)
    assert [trial.state == "complete" for trial in outcome.tried] == [False] * 5 + [True]


@pytest.mark.slow
def test_failures_with_trials_between_them_or_of_several_kinds_end_nothing(plan: SearchPlan) -> None:
    errors = [NO_MEMORY] * 4 + [None] + [DIVERGED] * 3 + [SLOW] * 2
    with FailingPool(lambda trial: errors[trial]) as pool:
        outcome = run_search(with_trials(plan, 10), Tracker("search"), pool, lambda _: None)
    assert outcome.trial == 4 and outcome.trials == 10


def die(plan: SearchPlan, epochs: int, left: bool = False) -> None:
    """Ends as a search that is killed while the first fold of its trial trains."""
    trial, training = next_trial(open_study(plan), plan.params)
    trial.set_user_attr("training", training.model_dump(mode="json"))
    trial.set_user_attr("run_id", "a run")
    folder = plan.fold_specs(training)[0].folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / LOG).touch()
    numbers = dict.fromkeys(("train_loss", "validation_loss", "validation_accuracy", "learning_rate", "seconds"), 1.0)
    lines = [Epoch(epoch=number + 1, **numbers).model_dump_json() + "\n" for number in range(epochs)]
    (folder / "history.jsonl").write_text("".join(lines))
    if left:
        leave_trial(trial)


def states(plan: SearchPlan) -> list[str]:
    return [read_trial(trial).state for trial in open_study(plan).trials]


def test_a_trial_that_kills_the_search_again_and_again_is_given_up(plan: SearchPlan) -> None:
    """Where the system kills all of a container for one fold's memory, nobody is left to give the trial up."""
    for _ in range(3):
        die(plan, 0)
    assert states(plan) == ["fail", "fail", "fail", "out-of-memory"]
    last = read_trial(ended_trials(open_study(plan))[-1])
    assert (last.number, last.run_id) == (0, "a run") and "killed 3 times" in last.reason
    trial, training = next_trial(open_study(plan), plan.params)
    assert trial.params != {} and training.model_dump(mode="json") != last.training


def test_a_trial_that_gets_on_or_is_left_in_order_is_tried_again(plan: SearchPlan) -> None:
    for epochs in (0, 0, 1, 1, 2):
        die(plan, epochs)
    for _ in range(4):
        die(plan, 2, left=True)
    assert set(states(plan)) == {"fail", "waiting"}
    assert open_study(plan).get_trials(states=[TrialState.PRUNED]) == []
