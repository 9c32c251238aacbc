"""Trials side by side: what is begun when, what is stopped, what is tried again. Training alone is left out."""

from concurrent.futures import Future
from pathlib import Path
from threading import Event

import pandas as pd
import pytest

from lumbargrade.errors import DivergedError, LumbargradeError
from lumbargrade.search.out_of_fold import OutOfFold
from lumbargrade.search.plan import SearchProgress
from lumbargrade.search.run import run_search
from lumbargrade.tracking.mlflow_tracker import Tracker
from lumbargrade.training.jobs.executor import FoldFuture
from lumbargrade.training.jobs.process import OnEpoch
from lumbargrade.training.jobs.spec import AnySpec, Epoch, FoldResult
from tests.simulated_search import SimulatedPool, make_plan, simulate

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def here(empty_project: Path) -> None: ...


class WatchedPool(SimulatedPool):
    """Writes down what is begun; the power fails, or a loss is no number, where the test wants it.

    Attributes:
        begun: Trial folder and fold, in their order.
        stopped: The same of what was stopped.
    """

    def __init__(self, places: int, fail_after: int = 10**6, diverge: int = 10**6) -> None:
        super().__init__(places, 0)
        self.begun: list[tuple[str, int]] = []
        self.stopped: list[tuple[str, int]] = []
        self.fail_after = fail_after
        self.diverge = diverge

    def start(self, spec: AnySpec, on_epoch: OnEpoch) -> None:
        self.begun.append((spec.folder.parent.name, spec.fold))
        super().start(spec, on_epoch)

    def stop(self, spec: AnySpec) -> None:
        if self.trains(spec):
            self.stopped.append((spec.folder.parent.name, spec.fold))
        super().stop(spec)

    def next(self) -> tuple[AnySpec, FoldFuture | None]:
        spec, future = super().next()
        self.fail_after -= 1
        self.diverge -= 1
        if self.fail_after == 0:
            raise KeyboardInterrupt
        if self.diverge == 0:
            failed: Future[FoldResult] = Future()
            failed.set_exception(DivergedError("the loss is no longer a number", "", "loss-diverged"))
            return spec, failed
        return spec, future


def tracked_runs(tracker: Tracker, kind: str):
    return tracker.client.search_runs([tracker.experiment_id], f"tags.`lumbargrade.kind` = '{kind}'")


@pytest.mark.parametrize("pruning", ["none", "wilcoxon"])
def test_four_devices_are_kept_busy(tmp_path: Path, pruning: str) -> None:
    told = simulate(tmp_path / "search", 4, 20, 5, pruning, 0)
    assert told["busy"] >= 0.95
    assert told["folds"] == 100 if pruning == "none" else told["folds"] < 90


def test_one_device_trains_one_trial_after_another_if_none_may_be_stopped(tmp_path: Path) -> None:
    plan = make_plan(tmp_path / "search", 6, 5, "none", 0)
    with WatchedPool(1) as pool:
        run_search(plan, Tracker("search"), pool, lambda _: None)
    trials = list(dict.fromkeys(trial for trial, _ in pool.begun))
    assert pool.begun == [(trial, fold) for trial in trials for fold in range(5)]


def test_first_folds_of_random_trials_come_first_then_the_most_promising(tmp_path: Path) -> None:
    """So that the others lose against the best of all."""
    plan = make_plan(tmp_path / "search", 14, 5, "wilcoxon", 0)
    tracker = Tracker("search")
    with WatchedPool(1) as pool:
        outcome = run_search(plan, tracker, pool, lambda _: None)
    trials = list(dict.fromkeys(trial for trial, _ in pool.begun))
    assert pool.begun[:10] == [(trial, 0) for trial in trials[:10]]
    after = [trial for trial, _ in pool.begun[10:]]
    later = [trial for trial in after if trial in trials[10:]]
    assert later == after[len(after) - len(later) :], "a trial that was drawn later came before an open one"
    assert later == sorted(later, key=trials.index)
    one_fold = [trial for trial in outcome.tried if trial.reason.startswith("after 1 of 5 folds")]
    assert len(one_fold) >= 3
    assert {trial.state for trial in one_fold} == {"pruned"}
    assert pool.stopped == []
    assert len(pool.begun) == len(set(pool.begun)) < 55


def test_the_most_promising_trial_is_the_one_whose_folds_were_best_so_far(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a bad fold another one comes first; if that does worse in the same fold, the first goes on."""
    plan = make_plan(tmp_path / "search", 4, 5, "wilcoxon", 0)
    with WatchedPool(1) as pool:

        def losses(scorer: OutOfFold, result: FoldResult) -> pd.Series:
            trial = [folder for folder, _ in pool.begun[:4]].index(result.folder.parent.name)
            harder = 0.6 if result.fold == 1 else 0.0
            return pd.Series((0.3, 0.5, 0.9, 0.9)[trial] + harder, index=range(result.fold, len(scorer.folds), 5))

        monkeypatch.setattr(OutOfFold, "losses", losses)
        run_search(plan, Tracker("search"), pool, lambda _: None)
    best, second = (trial for trial, _ in pool.begun[:2])
    assert [fold for _, fold in pool.begun[:4]] == [0, 0, 0, 0]
    assert pool.begun[4:8] == [(best, 1), (second, 1), (best, 2), (best, 3)]


def test_what_may_lose_is_trained_a_fold_at_a_time(tmp_path: Path) -> None:
    """A device goes to another trial before it goes to a second fold of the same one."""
    plan = make_plan(tmp_path / "search", 16, 5, "wilcoxon", 0)
    tracker = Tracker("search")
    beside: list[tuple[int, bool]] = []  # trials so far, and whether a fold of the same trial is under way

    class Beside(WatchedPool):
        def start(self, spec: AnySpec, on_epoch: OnEpoch) -> None:
            super().start(spec, on_epoch)
            trials = {trial for trial, _ in self.begun}
            others = [each for each in self._training if each.spec.folder.parent == spec.folder.parent]
            if len(trials) < 16:
                beside.append((len(trials), len(others) > 1))

    with Beside(4) as pool:
        outcome = run_search(plan, tracker, pool, lambda _: None)
    assert len(beside) > 5
    assert not [trials for trials, same in beside if same]
    assert [trial.state for trial in outcome.tried].count("pruned") > 0
    pictures = tracker.client.list_artifacts(outcome.run_id, "plots")
    assert "plots/devices.png" in {file.path for file in pictures}
    assert outcome.trials == 16
    assert len(pool.begun) == len(set(pool.begun))


def test_devices_take_further_folds_until_there_is_a_trial_to_learn_from(tmp_path: Path) -> None:
    plan = make_plan(tmp_path / "search", 14, 3, "wilcoxon", 0)
    with WatchedPool(12) as pool:
        run_search(plan, Tracker("search"), pool, lambda _: None)
    assert [fold for _, fold in pool.begun[:12]] == [0] * 10 + [1, 2]
    assert len({trial for trial, _ in pool.begun}) == 14


@pytest.mark.parametrize("fail_after", [3, 9, 13])
def test_a_search_that_was_cut_off_tries_the_same_again_and_nothing_twice(tmp_path: Path, fail_after: int) -> None:
    plan = make_plan(tmp_path / "search", 8, 3, "wilcoxon", 0)
    tracker = Tracker("search")
    with pytest.raises(KeyboardInterrupt), WatchedPool(3, fail_after) as cut:
        run_search(plan, tracker, cut, lambda _: None)
    assert {run.info.status for run in tracked_runs(tracker, "search")} == {"KILLED"}
    with WatchedPool(3) as pool:
        outcome = run_search(plan, tracker, pool, lambda _: None)
    cut_off = [trial for trial in outcome.tried if trial.state == "fail"]
    ended = [trial for trial in outcome.tried if trial.state != "fail"]
    assert 1 <= len(cut_off) <= 8
    again = {trial.number: trial.training for trial in ended}
    assert [again[trial.number] for trial in cut_off] == [trial.training for trial in cut_off]
    assert sorted(again) == list(range(8))
    names = {run.data.tags["mlflow.runName"] for run in tracked_runs(tracker, "trial")}
    assert names == {f"trial {number}" for number in range(8)}
    assert {run.info.status for run in tracked_runs(tracker, "trial")} == {"FINISHED"}
    folds = tracked_runs(tracker, "fold")
    assert {run.info.status for run in folds} <= {"FINISHED", "KILLED"}
    assert {run.data.tags["lumbargrade.device"] for run in folds if run.info.status == "FINISHED"} == {
        "cuda:0",
        "cuda:1",
        "cuda:2",
    }
    with WatchedPool(3) as pool:
        assert run_search(plan, tracker, pool, lambda _: None).tried == outcome.tried
    assert pool.begun == []


def test_a_trial_that_diverges_stops_its_other_folds_and_no_other_trial(tmp_path: Path) -> None:
    plan = make_plan(tmp_path / "search", 4, 5, "none", 0)
    tracker = Tracker("search")
    with WatchedPool(4, diverge=1) as pool:
        outcome = run_search(plan, tracker, pool, lambda _: None)
    assert [trial.state for trial in outcome.tried] == ["diverged", "complete", "complete", "complete"]
    assert {trial for trial, _ in pool.stopped} == {pool.begun[0][0]}
    assert len(pool.stopped) == 3
    (failed,) = [run for run in tracked_runs(tracker, "trial") if run.info.status == "FAILED"]
    folds = [run for run in tracked_runs(tracker, "fold") if run.data.tags["mlflow.parentRunId"] == failed.info.run_id]
    assert {run.info.status for run in folds} == {"FAILED"}


def test_a_fold_that_fails_ends_the_search_and_what_it_has_begun(tmp_path: Path) -> None:
    plan = make_plan(tmp_path / "search", 4, 5, "none", 0)
    tracker = Tracker("search")

    class Failing(WatchedPool):
        def next(self) -> tuple[AnySpec, FoldFuture | None]:
            spec, future = super().next()
            if len(self.begun) > 6 and future is not None:
                failed: Future[FoldResult] = Future()
                failed.set_exception(
                    LumbargradeError("fold 1: its process was killed by signal 9", "", "training-process-failed")
                )
                return spec, failed
            return spec, future

    with pytest.raises(LumbargradeError, match="killed by signal 9"), Failing(4) as pool:
        run_search(plan, tracker, pool, lambda _: None)
    assert pool.running == 0
    for kind in ("search", "trial", "fold"):
        assert "RUNNING" not in {run.info.status for run in tracked_runs(tracker, kind)}


def test_trials_of_the_same_parameters_do_not_train_in_one_folder_at_once(tmp_path: Path) -> None:
    plan = make_plan(tmp_path / "search", 4, 3, "none", 0)
    params = plan.params.model_copy(update={"search": plan.params.search.model_copy(update={"space": {}})})
    same = type(plan)(params, plan.task, plan.data, plan.crops, plan.split, plan.folder)

    class Exclusive(WatchedPool):
        def start(self, spec: AnySpec, on_epoch: OnEpoch) -> None:
            assert not self.trains(spec)
            super().start(spec, on_epoch)

    with Exclusive(4) as pool:
        outcome = run_search(same, Tracker("search"), pool, lambda _: None)
    assert (outcome.trials, len({trial for trial, _ in pool.begun})) == (4, 1)


def test_a_trial_that_learns_worse_than_the_others_is_stopped_in_its_first_fold(tmp_path: Path) -> None:
    class Learning(WatchedPool):
        """The sixth trial's losses are the worst; its process is told to stop while it trains."""

        def _begin(self, spec: AnySpec, on_epoch: OnEpoch, stop: Event) -> FoldFuture:
            future = super()._begin(spec, on_epoch, stop)
            self.epochs = [(spec, on_epoch, epoch) for epoch in range(1, 7)]
            return future

        def next(self) -> tuple[AnySpec, FoldFuture | None]:
            trials = list(dict.fromkeys(trial for trial, _ in self.begun))
            for spec, on_epoch, number in self.epochs:
                loss = 1.0 - 0.1 * number + (0.3 if trials.index(spec.folder.parent.name) == 5 else 0.0)
                on_epoch(
                    spec,
                    Epoch(
                        epoch=number,
                        train_loss=1,
                        validation_loss=loss,
                        validation_accuracy=1,
                        learning_rate=1,
                        seconds=1,
                    ),
                )
            return super().next()

    plan = make_plan(tmp_path / "search", 7, 2, "none", 0)
    search = plan.params.search.model_copy(update={"epoch_keep": 0.5})
    training = plan.params.training.model_copy(update={"epochs": 6})
    params = plan.params.model_copy(update={"search": search, "training": training})
    plan = type(plan)(params, plan.task, plan.data, plan.crops, plan.split, plan.folder)
    tracker = Tracker("search")
    with Learning(1) as pool:
        outcome = run_search(plan, tracker, pool, lambda _: None)
    reason = "in epoch 2 of fold 0: its validation loss 1.1000 is not among the best 50% of 5 trials by then (0.8000)"
    assert [(trial.state, trial.reason) for trial in outcome.tried] == [
        *[("complete", "")] * 5,
        ("pruned", reason),
        ("complete", ""),
    ]
    (fold,) = [run for run in tracked_runs(tracker, "fold") if run.info.status == "KILLED"]
    steps = tracker.client.get_metric_history(fold.info.run_id, "validation_loss")
    assert [point.step for point in steps] == [1, 2]


def test_who_watches_is_told_of_trials_devices_and_epochs(tmp_path: Path) -> None:
    class Telling(SimulatedPool):
        def _begin(self, spec: AnySpec, on_epoch: OnEpoch, stop: Event) -> FoldFuture:
            epoch = Epoch(epoch=1, train_loss=1, validation_loss=1, validation_accuracy=1, learning_rate=1, seconds=1)
            on_epoch(spec, epoch)
            return super()._begin(spec, on_epoch, stop)

    plan = make_plan(tmp_path / "search", 3, 2, "none", 0)
    training = plan.params.training.model_copy(update={"epochs": 1})
    plan = type(plan)(plan.params.model_copy(update={"training": training}), *list(vars(plan).values())[1:6])
    told: list[SearchProgress] = []
    with Telling(2, 0) as pool:
        run_search(plan, Tracker("search"), pool, lambda _: None, told.append)
    assert (told[0].trials, told[0].of_trials, told[0].places, told[0].best) == (0, 3, 2, None)
    assert [(each.epochs, each.of_epochs) for each in told] == [(number, 6) for number in range(1, 7)]
    assert told[-1].trials == 2
    assert told[-1].best is not None
