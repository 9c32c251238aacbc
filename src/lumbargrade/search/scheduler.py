"""Runs the trials of a search: which fold is trained next, what MLflow and Optuna are told, what is stopped."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import optuna
from optuna.trial import Trial, TrialState

from lumbargrade.config.params import TrainingParams
from lumbargrade.errors import TrialError
from lumbargrade.evaluation.plots import confusion_figure
from lumbargrade.search.failed_trials import FailedTrials, Failure
from lumbargrade.search.optuna_study import RANDOM_TRIALS, leave_trial, next_trial
from lumbargrade.search.out_of_fold import OutOfFold
from lumbargrade.search.plan import SearchPlan, SearchProgress
from lumbargrade.search.pruning import reason_to_prune, reason_to_stop_epochs, report_fold
from lumbargrade.search.trials import best_trial, ended_trials, place, training_of
from lumbargrade.tracking.mlflow_tracker import Tracker
from lumbargrade.training.jobs.executor import FoldPool
from lumbargrade.training.jobs.spec import AnySpec, Epoch, FoldResult, FoldSpec, read_history
from lumbargrade.training.loop.checkpoint import remove_checkpoint
from lumbargrade.training.trial_record import FAILED, failure_state


@dataclass
class _UnderWay:
    """A trial whose folds are being trained.

    Attributes:
        key: What its MLflow run is found by.
        fold_runs: MLflow's ids of the folds that were begun.
        losses: Of the studies of its folds that have ended.
    """

    trial: Trial
    training: TrainingParams
    specs: list[FoldSpec]
    key: str
    run_id: str
    fold_runs: dict[int, str] = field(default_factory=dict)
    results: dict[int, FoldResult] = field(default_factory=dict)
    losses: list[float] = field(default_factory=list)

    @property
    def begun(self) -> list[FoldSpec]:
        """The folds that were begun and have not ended."""
        return [spec for spec in self.specs if spec.fold in self.fold_runs and spec.fold not in self.results]

    @property
    def promise(self) -> tuple[bool, float]:
        """Sorts trials: those without a fold come first, then those that were best so far."""
        return bool(self.fold_runs), float(np.mean(self.losses)) if self.losses else math.inf

    @property
    def epochs(self) -> int:
        """Epochs of all its folds; fewer where one has stopped early."""
        ended = sum(result.epochs for result in self.results.values())
        return ended + (len(self.specs) - len(self.results)) * self.training.epochs


class TrialRunner:
    """Runs trials side by side, as many folds at a time as the pool has places.

    Attributes:
        run_id: MLflow's id of the search.
    """

    def __init__(
        self,
        plan: SearchPlan,
        tracker: Tracker,
        pool: FoldPool,
        study: optuna.Study,
        run_id: str,
        on_trial: Callable[[str], None],
        on_progress: Callable[[SearchProgress], None],
    ) -> None:
        self.plan = plan
        self.tracker = tracker
        self.pool = pool
        self.study = study
        self.run_id = run_id
        self.scorer = OutOfFold(plan)
        self._on_trial = on_trial
        self._on_progress = on_progress
        self._missing = 0
        self._under_way: list[_UnderWay] = []
        self._logged: dict[str, int] = {}
        self._epochs: dict[Path, int] = {}
        self._best = best_trial(study)
        self._ended = len(ended_trials(study))
        self._failed = FailedTrials.of(ended_trials(study))
        self._losses = self._first_losses()
        self._hopeless: dict[Path, str] = {}

    def run(self, trials: int) -> None:
        """Runs so many trials to their ends.

        Raises:
            LumbargradeError: A fold failed for another reason than its parameters, or several trials in a row could not be
                trained; nothing is left running.
        """
        self._missing = trials
        try:
            while True:
                while self.pool.running < self.pool.places and (chosen := self._next_fold()) is not None:
                    self._start_fold(*chosen)
                if not self.pool.running:
                    return
                self._take_next()
        except BaseException as error:
            state = "FAILED" if isinstance(error, Exception) else "KILLED"
            for tried in self._under_way:
                leave_trial(tried.trial)
                for run_id in [*(tried.fold_runs[spec.fold] for spec in tried.begun), tried.run_id]:
                    self.tracker.end_run(run_id, state)
            raise

    def _next_fold(self) -> tuple[_UnderWay, FoldSpec] | None:
        """The fold that wastes least: of the oldest trial, so that trials end.

        If trials may be stopped, it is of the most promising one: the first folds of those that are drawn at random come first,
        and then each next fold goes to the trial that was best so far, so that the others can lose against the best of all, and
        none leads for long by the luck of one fold. A further fold may turn out to be for nothing while another fold of the same
        trial is under way; so another trial comes first, until there are none. What is not drawn at random waits for a trial to
        learn from.
        """
        can_lose = self.plan.params.search.pruning != "none"
        if can_lose and self._missing and self._ended + len(self._under_way) < RANDOM_TRIALS:
            self._begin_trial()
        waiting = sorted(self._under_way, key=lambda tried: tried.promise) if can_lose else self._under_way
        startable = [
            (tried, spec)
            for tried in waiting
            for spec in tried.specs
            if spec.fold not in tried.fold_runs and not self.pool.trains(spec)
        ]
        for tried, spec in startable:
            if not (can_lose and tried.begun):
                return tried, spec
        if self._missing and (self._best is not None or not startable):
            self._begin_trial()
            return self._next_fold()
        return startable[0] if startable else None

    def _begin_trial(self) -> None:
        trial, training = next_trial(self.study, self.plan.params)
        specs = self.plan.fold_specs(training)
        key = f"{self.plan.name}/{specs[0].folder.parent.name}"
        run_id = self.tracker.start_run(f"trial {place(trial)}", key, self.run_id, {"lumbargrade.kind": "trial"})
        self.tracker.log_params(run_id, training.model_dump(mode="json"))
        trial.set_user_attr("run_id", run_id)
        trial.set_user_attr("training", training.model_dump(mode="json"))
        tried = _UnderWay(trial, training, specs, key, run_id)
        self._under_way.append(tried)
        self._missing -= 1
        if (failure := self._failed.find(training)) is not None:
            self._give_up(tried, failure.state, f"as trial {failure.trial} of the same parameters: {failure.reason}")

    def _start_fold(self, tried: _UnderWay, spec: FoldSpec) -> None:
        name, key = f"fold {spec.fold}", f"{tried.key}/{spec.fold}"
        run_id = self.tracker.start_run(name, key, tried.run_id, {"lumbargrade.kind": "fold"})
        tried.fold_runs[spec.fold] = run_id
        self.pool.start(spec, lambda spec, epoch: self._log_epoch(run_id, spec, epoch))

    def _take_next(self) -> None:
        """Waits for the next fold that ends, and decides what becomes of its trial."""
        spec, future = self.pool.next()
        if future is None:
            remove_checkpoint(spec.folder)
            reason = self._hopeless.pop(spec.folder, "")
            for tried in [each for each in self._under_way if reason and spec in each.begun]:
                self._give_up(tried, "pruned", reason)
            return
        tried = next(each for each in self._under_way if spec in each.begun)
        try:
            result = future.result()
        except TrialError as error:
            remove_checkpoint(spec.folder)
            for same in [each for each in self._under_way if each.training == tried.training]:
                self._give_up(same, failure_state(error), error.what)
            return
        tried.results[result.fold] = result
        self._finish_fold(tried.fold_runs[result.fold], result)
        if self.plan.params.search.pruning != "none":
            losses = self.scorer.losses(result)
            report_fold(tried.trial, self.plan.params.search, losses)
            tried.losses += losses.tolist()
        if len(tried.results) == len(tried.specs):
            self._finish_trial(tried)
            self._stop_losers(self._under_way)
        else:
            self._stop_losers([tried])

    def _stop_losers(self, among: Sequence[_UnderWay]) -> None:
        """Stops the trials that cannot win any more by what their folds so far have shown."""
        for tried in [each for each in among if each.results]:
            if reason := reason_to_prune(self.study, tried.trial, self.plan.params.search):
                self._give_up(tried, "pruned", f"after {len(tried.results)} of {len(tried.specs)} folds: {reason}")

    def _finish_trial(self, tried: _UnderWay) -> None:
        scored = self.scorer.score([tried.results[spec.fold] for spec in tried.specs])
        evaluation = scored.evaluation
        self.tracker.log_metrics(tried.run_id, scored.metrics())
        self.tracker.log_figure(tried.run_id, confusion_figure(evaluation, self.plan.task), "confusion.png")
        self.tracker.set_tags(tried.run_id, {"lumbargrade.state": "complete"})
        self.tracker.end_run(tried.run_id)
        tried.trial.set_user_attr("fold_run_ids", [tried.fold_runs[spec.fold] for spec in tried.specs])
        self.study.tell(tried.trial, evaluation.score)
        self._leave(tried)
        self._failed.end_row()
        known = f" (best {self._best.value:.4f})" if self._best is not None else ""
        self._on_trial(
            f"trial {place(tried.trial)}: score {evaluation.score:.4f}{known}, accuracy {evaluation.accuracy:.1%}"
        )

    def _give_up(self, tried: _UnderWay, state: str, reason: str) -> None:
        """Ends a trial that gets no score; Optuna calls all kinds pruned, so the state is kept beside it.

        Raises:
            LumbargradeError: Several trials in a row have failed alike.
        """
        failed = state in FAILED
        for spec in tried.begun:
            self.pool.stop(spec)
            self.tracker.end_run(tried.fold_runs[spec.fold], "FAILED" if failed else "KILLED")
        tried.trial.set_user_attr("state", state)
        tried.trial.set_user_attr("reason", reason)
        self.tracker.set_tags(tried.run_id, {"lumbargrade.state": state, "lumbargrade.reason": reason})
        self.tracker.end_run(tried.run_id, "FAILED" if failed else "FINISHED")
        self.study.tell(tried.trial, state=TrialState.PRUNED)
        self._leave(tried)
        self._on_trial(f"trial {place(tried.trial)}: {'given up' if failed else state}, {reason}")
        if failed:
            self._failed.add(tried.training, Failure(state, reason, place(tried.trial)))
        else:
            self._failed.end_row()

    def _leave(self, tried: _UnderWay) -> None:
        self._under_way.remove(tried)
        self._ended += 1
        self._best = best_trial(self.study)

    def _log_epoch(self, run_id: str, spec: AnySpec, epoch: Epoch) -> None:
        """Logs an epoch once, also when a trial that was cut off is run again."""
        if spec.folder in self._hopeless:
            return
        if run_id not in self._logged:
            self._logged[run_id] = self.tracker.last_step(run_id, "train_loss")
        if epoch.epoch > self._logged[run_id]:
            self.tracker.log_metrics(run_id, epoch.model_dump(exclude={"epoch"}), step=epoch.epoch)
            self._logged[run_id] = epoch.epoch
        self._epochs[spec.folder] = epoch.epoch
        if spec.fold == 0:
            self._watch_losses(spec, epoch)
        self._on_progress(self._progress())

    def _watch_losses(self, spec: AnySpec, epoch: Epoch) -> None:
        """Stops a first fold that does worse than others did by this epoch."""
        others = [losses for folder, losses in self._losses.copy().items() if folder != spec.folder]
        self._losses[spec.folder] = ours = [
            *self._losses.get(spec.folder, [])[: epoch.epoch - 1],
            epoch.validation_loss,
        ]
        keep = self.plan.params.search.epoch_keep
        if reason := reason_to_stop_epochs(ours, others, spec.training.epochs, keep):
            self._hopeless[spec.folder] = f"in epoch {epoch.epoch} of fold 0: {reason}"
            self.pool.stop(spec)

    def _first_losses(self) -> dict[Path, list[float]]:
        """Validation losses of the first folds of trials that ended before this process began, by their folders."""
        folders = [self.plan.fold_specs(training_of(trial))[0].folder for trial in ended_trials(self.study)]
        return {folder: [epoch.validation_loss for epoch in read_history(folder)] for folder in folders}

    def _finish_fold(self, run_id: str, result: FoldResult) -> None:
        """Where a fold ran and what came of it: no parameters, as another machine may train it again, otherwise."""
        self.tracker.log_params(run_id, {"fold": result.fold})
        self.tracker.set_tags(run_id, result.where)
        told = {"images_per_second": result.images_per_second, "kept_epoch": result.epoch, "epochs": result.epochs}
        self.tracker.log_metrics(run_id, told)
        self.tracker.end_run(run_id)

    def _progress(self) -> SearchProgress:
        """How far the search is; what pruning may save is not known yet. Asks no database, as threads call it each epoch."""
        under_way = list(self._under_way)
        live = {spec.folder for tried in under_way for spec in tried.specs}
        known = dict(self._epochs)
        ended = sum(epochs for folder, epochs in known.items() if folder not in live)
        per_trial = self.plan.params.training.epochs * self.plan.params.split.folds
        return SearchProgress(
            trials=self._ended,
            of_trials=self.plan.params.search.trials,
            folds=self.pool.running,
            places=self.pool.places,
            best=self._best.value if self._best is not None else None,
            epochs=sum(known.values()),
            of_epochs=ended + sum(tried.epochs for tried in under_way) + self._missing * per_trial,
        )
