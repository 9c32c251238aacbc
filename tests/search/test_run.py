"""The search with training left out: what is tried, remembered, resumed. MLflow and Optuna are real."""

import shutil
import signal
import subprocess
import sys
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
from matplotlib import pyplot

from lumbargrade.config.code_digest import PACKAGE
from lumbargrade.config.params import Params
from lumbargrade.config.task import GradingTask
from lumbargrade.errors import DivergedError, InputError, LumbargradeError
from lumbargrade.search.plan import SearchPlan
from lumbargrade.search.run import run_search
from lumbargrade.tracking.mlflow_tracker import Tracker
from lumbargrade.training.jobs.executor import FoldPool
from lumbargrade.training.jobs.process import OnEpoch
from lumbargrade.training.jobs.spec import Epoch, FoldResult, FoldSpec

pytestmark = pytest.mark.slow


class Trainer:
    """Stands in for training: the score of a trial follows from its learning rate, best at 0.001.

    Attributes:
        trained: Learning rate and fold of each training, in their order.
    """

    def __init__(self) -> None:
        self.trained: list[tuple[float, int]] = []
        self.interrupt_at: int | None = None
        self.diverge_at: set[int] = set()

    @property
    def rates(self) -> list[float]:
        return [rate for rate, fold in self.trained if fold == 0]

    def pool(self, places: int = 1) -> FoldPool:
        return FoldPool(self.submit, places)

    def submit(self, spec: FoldSpec, on_epoch: OnEpoch, stop: Event) -> "Future[FoldResult]":
        new = not (spec.folder / "predictions.parquet").is_file()
        if new:
            self.trained.append((spec.training.learning_rate, spec.fold))
        for number in (1, 2):
            epoch = Epoch(
                epoch=number,
                train_loss=1.0,
                validation_loss=1.0,
                validation_accuracy=0.5,
                learning_rate=0.1,
                seconds=1.0,
            )
            on_epoch(spec, epoch)
        if new and self.interrupt_at == len(self.rates):
            raise KeyboardInterrupt
        future: Future[FoldResult] = Future()
        if new and len(self.rates) in self.diverge_at:
            future.set_exception(DivergedError("fold 0: the loss is no longer a number", "", "loss-diverged"))
        else:
            future.set_result(self._result(spec))
        return future

    def _result(self, spec: FoldSpec) -> FoldResult:
        spec.folder.mkdir(parents=True, exist_ok=True)
        split = pd.read_csv(spec.split)
        index = pd.read_parquet(spec.crops / "index.parquet")
        mine = index[index["study_id"].isin(split.loc[split["fold"] == spec.fold, "study_id"])]
        sure = 0.9 - min(abs(np.log10(spec.training.learning_rate / 1e-3)), 0.5)
        table = mine[["study_id", "condition", "level"]].assign(points="labelled")
        for grade, column in enumerate(spec.task.grade_columns):
            table[column] = np.where(mine["grade"] == grade, sure, (1 - sure) / 2)
        table.to_parquet(spec.folder / "predictions.parquet")
        return FoldResult(
            fold=spec.fold,
            folder=spec.folder,
            epoch=2,
            epochs=2,
            validation_loss=1.0,
            host="here",
            device="cpu",
            began=datetime(2026, 1, 1, tzinfo=UTC),
            ended=datetime(2026, 1, 1, 0, 1, tzinfo=UTC),
            precision="fp32",
            threads=1,
            images_per_second=10.0,
            seconds=1.0,
        )


@pytest.fixture
def trainer() -> Trainer:
    return Trainer()


@pytest.fixture
def tracker(empty_project: Path) -> Tracker:
    return Tracker("search")


def make_plan(packed: Path, disc: GradingTask, trials: int, rate: float = 3e-3, **search: Any) -> SearchPlan:
    space = {"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}, "drop_rate": {"choices": [0.1, 0.2]}}
    params = Params.model_validate(
        {
            "task": "disc_degeneration",
            "split": {"folds": 2},
            "training": {"learning_rate": rate},
            "search": {"trials": trials, "space": space, "pruning": "none", **search},
        }
    )
    return SearchPlan(params, disc, {"md5": "abc"}, packed / "crops", packed / "split.csv", packed / "runs")


def runs(tracker: Tracker, kind: str):
    return tracker.client.search_runs([tracker.experiment_id], f"tags.`lumbargrade.kind` = '{kind}'")


def test_the_first_trial_is_the_training_section_and_the_best_one_wins(
    packed: Path, disc: GradingTask, tracker: Tracker, trainer: Trainer
) -> None:
    told: list[str] = []
    outcome = run_search(make_plan(packed, disc, 5), tracker, trainer.pool(), told.append)
    assert trainer.rates[0] == 3e-3
    assert outcome.training.learning_rate == min(trainer.rates, key=lambda rate: abs(np.log10(rate / 1e-3)))
    assert outcome.new_trials == outcome.trials == len(told) == 5
    assert [fold.fold for fold in outcome.folds] == [0, 1]
    assert outcome.evaluation.studies == 20
    assert told[0].startswith("trial 0: score ")


def test_runs_have_explicit_parents_and_metrics(
    packed: Path, disc: GradingTask, tracker: Tracker, trainer: Trainer
) -> None:
    outcome = run_search(make_plan(packed, disc, 2), tracker, trainer.pool(), lambda _: None)
    (search,) = runs(tracker, "search")
    assert search.info.run_id == outcome.run_id
    assert {run.data.tags["mlflow.parentRunId"] for run in runs(tracker, "trial")} == {outcome.run_id}
    folds = [run for run in runs(tracker, "fold") if run.data.tags["mlflow.parentRunId"] == outcome.trial_run_id]
    assert {run.info.run_id for run in folds} == set(outcome.fold_run_ids)
    assert {run.info.status for kind in ("search", "trial", "fold") for run in runs(tracker, kind)} == {"FINISHED"}
    assert search.data.metrics["score"] == pytest.approx(outcome.evaluation.score)


def test_running_again_trains_nothing_and_more_trials_only_add(
    packed: Path, disc: GradingTask, tracker: Tracker, trainer: Trainer
) -> None:
    first = run_search(make_plan(packed, disc, 3), tracker, trainer.pool(), lambda _: None)
    again = run_search(make_plan(packed, disc, 3), tracker, trainer.pool(), lambda _: None)
    assert again.new_trials == 0
    assert (again.trial, again.evaluation, again.run_id) == (first.trial, first.evaluation, first.run_id)
    assert len(trainer.rates) == 3
    more = run_search(make_plan(packed, disc, 5), tracker, trainer.pool(), lambda _: None)
    assert more.new_trials == 2
    assert len(trainer.rates) == len(set(trainer.rates)) == 5


def test_a_search_that_goes_on_tries_what_it_would_have_tried(
    packed: Path, disc: GradingTask, tracker: Tracker, trainer: Trainer, tmp_path: Path
) -> None:
    for trials in (1, 2, 4):
        run_search(make_plan(packed, disc, trials), tracker, trainer.pool(), lambda _: None)
    at_once = Trainer()
    plan = make_plan(packed, disc, 4)
    elsewhere = SearchPlan(plan.params, disc, plan.data, plan.crops, plan.split, tmp_path / "elsewhere")
    run_search(elsewhere, Tracker("other"), at_once.pool(), lambda _: None)
    assert at_once.rates == trainer.rates


def test_a_trial_that_was_cut_off_is_tried_again_in_its_own_runs(
    packed: Path, disc: GradingTask, tracker: Tracker, trainer: Trainer
) -> None:
    trainer.interrupt_at = 2
    with pytest.raises(KeyboardInterrupt):
        run_search(make_plan(packed, disc, 3), tracker, trainer.pool(), lambda _: None)
    assert {run.info.status for run in runs(tracker, "search")} == {"KILLED"}
    cut_off = trainer.rates[1]
    trainer.interrupt_at = None
    outcome = run_search(make_plan(packed, disc, 3), tracker, trainer.pool(), lambda _: None)
    assert trainer.rates[2] == cut_off
    assert (outcome.trials, outcome.new_trials) == (3, 2)
    assert len(runs(tracker, "trial")) == 3
    assert {run.info.status for kind in ("search", "trial", "fold") for run in runs(tracker, kind)} == {"FINISHED"}
    for run in runs(tracker, "fold"):
        steps = [point.step for point in tracker.client.get_metric_history(run.info.run_id, "train_loss")]
        assert steps == [1, 2]


@pytest.mark.parametrize("cut_off", ["learning_rate", "drop_rate"])
@pytest.mark.parametrize("trials", [0, 1])
def test_a_trial_that_is_cut_off_while_its_parameters_are_drawn_is_drawn_again(
    packed: Path,
    disc: GradingTask,
    tracker: Tracker,
    trainer: Trainer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    trials: int,
    cut_off: str,
) -> None:
    plan = make_plan(packed, disc, 3)
    undisturbed = Trainer()
    elsewhere = SearchPlan(plan.params, disc, plan.data, plan.crops, plan.split, tmp_path / "elsewhere")
    whole = run_search(elsewhere, Tracker("other"), undisturbed.pool(), lambda _: None)
    if trials:
        run_search(make_plan(packed, disc, trials), tracker, trainer.pool(), lambda _: None)
    with monkeypatch.context() as patched:

        def interrupt(trial: optuna.Trial, name: str, *_: Any, **__: Any) -> None:
            raise KeyboardInterrupt

        patched.setattr(
            optuna.Trial, "suggest_float" if cut_off == "learning_rate" else "suggest_categorical", interrupt
        )
        with pytest.raises(KeyboardInterrupt):
            run_search(plan, tracker, trainer.pool(), lambda _: None)
    outcome = run_search(plan, tracker, trainer.pool(), lambda _: None)
    assert trainer.rates == undisturbed.rates
    assert [trial.state for trial in outcome.tried] == ["complete"] * trials + ["fail"] + ["complete"] * (3 - trials)
    ended = [(trial.score, trial.training) for trial in outcome.tried if trial.state != "fail"]
    assert ended == [(trial.score, trial.training) for trial in whole.tried]


def test_a_trial_that_is_cut_off_as_it_is_pruned_is_not_listed_as_pruned_twice(
    packed: Path, disc: GradingTask, tracker: Tracker, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = {"learning_rate": {"choices": [1e-3, 5e-3, 7e-3, 1e-2]}}  # the first is the best
    plan = make_plan(packed, disc, 2, 1e-3, pruning="wilcoxon", space=space, seed=1)
    end_run = Tracker.end_run

    def interrupt(self: Tracker, run_id: str, status: str = "FINISHED") -> None:
        if self.client.get_run(run_id).data.tags.get("lumbargrade.state") == "pruned":
            raise KeyboardInterrupt
        end_run(self, run_id, status)

    with monkeypatch.context() as patched:
        patched.setattr(Tracker, "end_run", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run_search(plan, tracker, trainer.pool(), lambda _: None)
    outcome = run_search(plan, tracker, trainer.pool(), lambda _: None)
    assert [trial.state for trial in outcome.tried] == ["complete", "fail", "pruned"]
    assert (outcome.tried[1].reason, outcome.tried[1].run_id) == ("", "")


def test_a_trial_that_diverges_is_given_up_and_the_search_goes_on(
    packed: Path, disc: GradingTask, tracker: Tracker, trainer: Trainer
) -> None:
    trainer.diverge_at = {2}
    told: list[str] = []
    outcome = run_search(make_plan(packed, disc, 3), tracker, trainer.pool(), told.append)
    reason = "fold 0: the loss is no longer a number"
    assert [(trial.state, trial.reason) for trial in outcome.tried][:2] == [("complete", ""), ("diverged", reason)]
    (failed,) = [run for run in runs(tracker, "trial") if run.info.status == "FAILED"]
    assert failed.info.run_id == outcome.tried[1].run_id
    assert failed.data.tags["lumbargrade.state"] == "diverged"
    assert failed.data.tags["lumbargrade.reason"] == reason
    assert (outcome.trials, outcome.new_trials) == (3, 3)
    assert told[1] == "trial 1: given up, fold 0: the loss is no longer a number"
    assert sorted(run.info.status for run in runs(tracker, "trial")) == ["FAILED", "FINISHED", "FINISHED"]
    assert run_search(make_plan(packed, disc, 3), tracker, trainer.pool(), told.append).new_trials == 0


def test_a_trial_that_cannot_win_is_not_trained_to_its_end(
    packed: Path, disc: GradingTask, tracker: Tracker, trainer: Trainer
) -> None:
    space = {"learning_rate": {"choices": [1e-3, 5e-3, 7e-3, 1e-2]}}  # the first is the best
    plan = make_plan(packed, disc, 4, 1e-3, pruning="wilcoxon", space=space)
    told: list[str] = []
    outcome = run_search(plan, tracker, trainer.pool(), told.append)
    pruned = [trial for trial in outcome.tried if trial.state == "pruned"]
    assert outcome.trial == 0
    assert pruned
    assert [fold for _, fold in trainer.trained] == [0, 0, 0, 1]
    for trial in pruned:
        assert trial.reason.startswith("after 1 of 2 folds: ")
        assert "on the same 12 studies" in trial.reason
        assert trial.score is None
        assert f"trial {trial.number}: pruned, {trial.reason}" in told
        run = tracker.client.get_run(trial.run_id)
        assert (run.info.status, run.data.tags["lumbargrade.state"]) == ("FINISHED", "pruned")
        assert run.data.tags["lumbargrade.reason"] == trial.reason
        folds = [each for each in runs(tracker, "fold") if each.data.tags["mlflow.parentRunId"] == trial.run_id]
        assert [(each.info.status, each.data.params["fold"]) for each in folds] == [("FINISHED", "0")]
    assert run_search(plan, tracker, trainer.pool(), told.append).tried == outcome.tried


def test_without_pruning_no_trial_begins_before_the_last_one_needs_no_device(
    packed: Path, disc: GradingTask, tracker: Tracker, trainer: Trainer
) -> None:
    outcome = run_search(make_plan(packed, disc, 3, pruning="none"), tracker, trainer.pool(), lambda _: None)
    assert [fold for _, fold in trainer.trained] == [0, 1] * 3
    assert [trial.state for trial in outcome.tried] == ["complete"] * 3


def test_a_search_without_any_trained_trial_says_so(
    packed: Path, disc: GradingTask, tracker: Tracker, trainer: Trainer
) -> None:
    trainer.diverge_at = {1, 2}
    plan = make_plan(packed, disc, 2)
    with pytest.raises(LumbargradeError) as caught:
        run_search(plan, tracker, trainer.pool(), lambda _: None)
    assert str(caught.value) == (
        f"none of the 2 trials of {plan.name} could be trained; lower training.learning_rate and its range in search.space"
    )


def test_other_data_or_parameters_are_another_search(packed: Path, disc: GradingTask) -> None:
    plan = make_plan(packed, disc, 3)
    other_data = SearchPlan(plan.params, disc, {"md5": "abd"}, plan.crops, plan.split)
    other_seed = SearchPlan(plan.params.model_copy(update={"seed": 1}), disc, plan.data, plan.crops, plan.split)
    assert len({plan.name, other_data.name, other_seed.name}) == 3
    assert plan.name == make_plan(packed, disc, 9).name


def test_a_table_of_doubted_labels_is_checked_before_and_trains_anew_when_it_changes(
    packed: Path, disc: GradingTask, tracker: Tracker, trainer: Trainer
) -> None:
    table = packed / "suspects.csv"

    def plan() -> SearchPlan:
        made = make_plan(packed, disc, 1)
        training = made.params.training.model_copy(update={"suspects": str(table)})
        return replace(made, params=made.params.model_copy(update={"training": training}))

    with pytest.raises(InputError, match=r"^training\.suspects .*suspects\.csv is no file; give the suspects\.csv"):
        run_search(plan(), tracker, trainer.pool(), lambda _: None)
    assert not (packed / "runs").exists()
    for studies in ("1", "1", "2"):
        table.write_text(f"study_id,condition,level\n{studies},disc_degeneration,L1/L2\n")
        run_search(plan(), tracker, trainer.pool(), lambda _: None)
    assert [fold for _, fold in trainer.trained] == [0, 1] * 2


def test_other_training_code_is_another_search(
    packed: Path, disc: GradingTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = make_plan(packed, disc, 3).name
    for number, change in enumerate(("# only said\n", "CHANGED = True\n")):
        copy = tmp_path / str(number) / PACKAGE.name
        shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("page", "__pycache__"))
        with (copy / "training/grader/fit.py").open("a") as file:
            file.write(change)
        monkeypatch.setattr("lumbargrade.config.code_digest.PACKAGE", copy)
        assert (make_plan(packed, disc, 3).name == before) == change.startswith("#")


def test_two_processes_do_not_run_one_search(
    packed: Path, disc: GradingTask, tracker: Tracker, trainer: Trainer
) -> None:
    plan = make_plan(packed, disc, 1)
    folder = plan.folder / plan.name
    folder.mkdir(parents=True)
    script = (
        "import sys, time; from filelock import FileLock\n"
        "with FileLock(sys.argv[1]):\n    print('held', flush=True); time.sleep(600)\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(folder / "search.lock")], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    with pytest.raises(LumbargradeError) as caught:
        run_search(plan, tracker, trainer.pool(), lambda _: None)
    holder.kill()
    holder.wait()
    holder.stdout.close()
    assert str(caught.value) == f"search {plan.name} is already running on this machine; wait for it or stop it"


_DIES = """
import os, signal, sys
from pathlib import Path
from lumbargrade.tracking.run_lock import owned_runs
from lumbargrade.tracking.mlflow_tracker import Tracker
tracker = Tracker("search")
with owned_runs(Path(sys.argv[1]), tracker, "search"):
    parent = tracker.start_run("search", "key")
    tracker.start_run("trial", "key/trial", parent)
    print("running", flush=True)
    sys.stdin.readline()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def statuses(tracker: Tracker) -> list[str]:
    found = tracker.client.search_runs([tracker.experiment_id], "tags.`lumbargrade.key` LIKE 'key%'")
    return [run.info.status for run in found]


def test_runs_of_a_killed_search_are_closed_by_the_next_one_and_those_of_a_live_one_are_not(
    packed: Path, disc: GradingTask, tracker: Tracker, trainer: Trainer
) -> None:
    plan = make_plan(packed, disc, 1)
    other = [sys.executable, "-c", _DIES, str(plan.folder / "other")]
    with subprocess.Popen(other, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as search:
        assert search.stdout is not None
        assert search.stdout.readline() == "running\n"
        elsewhere = tracker.start_run("other machine", "elsewhere")
        tracker.set_tags(elsewhere, {"lumbargrade.owner": "a folder that is not here"})
        run_search(plan, tracker, trainer.pool(), lambda _: None)
        assert statuses(tracker) == ["RUNNING", "RUNNING"]
        search.communicate("die\n")
    assert search.returncode == -signal.SIGKILL
    assert statuses(tracker) == ["RUNNING", "RUNNING"]
    run_search(plan, tracker, trainer.pool(), lambda _: None)
    assert statuses(tracker) == ["KILLED", "KILLED"]
    assert tracker.client.get_run(elsewhere).info.status == "RUNNING"
    assert {run.info.status for kind in ("search", "trial", "fold") for run in runs(tracker, kind)} == {"FINISHED"}


def test_the_search_run_has_optunas_pictures(
    packed: Path, disc: GradingTask, tracker: Tracker, trainer: Trainer
) -> None:
    def pictures(run_id: str) -> set[str]:
        return {file.path for file in tracker.client.list_artifacts(run_id, "plots")}

    outcome = run_search(make_plan(packed, disc, 1), tracker, trainer.pool(), lambda _: None)
    assert pictures(outcome.run_id) == {"plots/history.png", "plots/timeline.png"}  # one trial compares with none
    outcome = run_search(make_plan(packed, disc, 3), tracker, trainer.pool(), lambda _: None)
    names = ("history", "importances", "parallel_coordinates", "slice", "timeline")
    assert pictures(outcome.run_id) == {f"plots/{name}.png" for name in names}
    assert pyplot.get_fignums() == []


def test_pictures_of_trials_that_share_a_value_print_nothing(
    packed: Path, disc: GradingTask, tracker: Tracker, trainer: Trainer
) -> None:
    space = {"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}, "drop_rate": {"choices": [0.1]}}
    outcome = run_search(make_plan(packed, disc, 2, space=space), tracker, trainer.pool(), lambda _: None)
    pictures = {file.path for file in tracker.client.list_artifacts(outcome.run_id, "plots")}
    assert "plots/parallel_coordinates.png" in pictures
