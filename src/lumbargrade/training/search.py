"""The Optuna search over cross-validated training.

A trial's value is the official score of its out-of-fold predictions. The study lies in a journal file; a search that was
stopped goes on when it is run again: finished folds are not trained again, half-trained ones go on from their last epoch,
and a trial that was cut off is tried again. A trial that cannot win is stopped between its folds (``search.pruning``).
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState

from lumbargrade.errors import DivergedError, LumbargradeError
from lumbargrade.files import write_text
from lumbargrade.models.backbone import check_weights
from lumbargrade.params import Choices, FloatRange, Params, TrainingParams, override_training
from lumbargrade.prepare.pack import PackedCrops
from lumbargrade.prepare.split import HOLDOUT
from lumbargrade.training.calibrate import calibrate_across, evaluate_calibrated, fit_calibration
from lumbargrade.training.checkpoint import remove_checkpoint
from lumbargrade.training.crossval import RunFolds, run_folds
from lumbargrade.training.devices import find_devices
from lumbargrade.training.metrics import Evaluation
from lumbargrade.training.owner import owned_runs
from lumbargrade.training.plan import CALIBRATION, SearchOutcome, SearchPlan, TriedTrial
from lumbargrade.training.plots import confusion_figure
from lumbargrade.training.predict import truth_table
from lumbargrade.training.pruning import make_pruner, reason_to_prune, report_fold, study_losses
from lumbargrade.training.report import report_html, report_pictures
from lumbargrade.training.search_plots import PLOTS, study_figures
from lumbargrade.training.spec import Epoch, FoldResult, FoldSpec, read_result
from lumbargrade.training.suspects import label_suspects
from lumbargrade.training.tracking import Tracker


def run_search(
    plan: SearchPlan, tracker: Tracker, train: RunFolds = run_folds, on_trial: Callable[[str], None] = print
) -> SearchOutcome:
    """Runs the trials that are still missing and returns the best of all.

    Args:
        train: Trains the folds of a trial.
        on_trial: Told a line about each trial as it ends.

    Raises:
        InputError: The parameters or the data do not allow any training.
        LumbargradeError: Another process runs this search, a process failed, or no trial could be trained.
    """
    check_weights(plan.params.training.weights)
    folder = plan.folder / plan.name
    with owned_runs(folder, tracker, "search"):
        study = open_study(plan)
        search = _Search(plan, tracker, train, study, folder)
        missing = plan.params.search.trials - len(_ended(study))
        for _ in range(missing):
            on_trial(search.run_trial())
        return search.outcome(max(missing, 0))


def open_study(plan: SearchPlan) -> optuna.Study:
    """Opens or creates the plan's study; a trial that was cut off counts as failed.

    What it tried is tried again: the sampler draws the same once more, and the first trial is queued until one has ended.
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
    for trial in study.get_trials(states=[TrialState.RUNNING]):
        study.tell(trial.number, state=TrialState.FAIL)
    if not _ended(study) and not study.get_trials(states=[TrialState.WAITING]):
        study.enqueue_trial(_first_trial(params))
    return study


@dataclass(frozen=True)
class _Scored:
    """A trial's out-of-fold predictions, calibrated, and how good they are."""

    calibrated: pd.DataFrame
    evaluation: Evaluation
    on_labelled: Evaluation | None

    def metrics(self) -> dict[str, float]:
        told = self.on_labelled.flat() if self.on_labelled else {}
        return {**self.evaluation.flat(), **{f"labelled_points.{name}": value for name, value in told.items()}}


class _Search:
    def __init__(self, plan: SearchPlan, tracker: Tracker, train: RunFolds, study: optuna.Study, folder: Path) -> None:
        self.plan = plan
        self.tracker = tracker
        self.train = train
        self.study = study
        self.folder = folder
        self.logged: dict[str, int] = {}
        index = PackedCrops(plan.crops).index
        split = pd.read_csv(plan.split)
        self.folds = dict(zip(split["study_id"].tolist(), split["fold"].tolist(), strict=True))
        self.truth = truth_table(index[index["study_id"].map(self.folds).fillna(HOLDOUT) != HOLDOUT])
        self.run_id = tracker.start_run(f"search {plan.name}", plan.name, tags={"lumbargrade.kind": "search"})
        tracker.log_params(self.run_id, plan.settings)
        tracker.set_tags(self.run_id, {f"lumbargrade.{key}": value for key, value in plan.data.items()})

    def run_trial(self) -> str:
        """Runs one trial, a batch of folds after another, and returns a line about it."""
        self.study.sampler = _sampler(self.plan.params.search.seed, len(_ended(self.study)))
        trial = self.study.ask()
        training = self._suggest(trial)
        specs = self._specs(training)
        key = f"{self.plan.name}/{specs[0].folder.parent.name}"
        run_id = self.tracker.start_run(f"trial {trial.number}", key, self.run_id, {"lumbargrade.kind": "trial"})
        self.tracker.log_params(run_id, training.model_dump(mode="json"))
        trial.set_user_attr("run_id", run_id)
        trial.set_user_attr("training", training.model_dump(mode="json"))
        fold_runs: list[str] = []
        results: list[FoldResult] = []
        try:
            for batch in self._batches(specs):
                fold_runs.extend(self._start_fold(spec, key, run_id) for spec in batch)
                trained = self.train(batch, lambda spec, epoch: self._log_epoch(fold_runs[spec.fold], epoch))
                results.extend(trained)
                for result in trained:
                    self._finish_fold(fold_runs[result.fold], result)
                    self._report_fold(trial, result)
                reason = (
                    reason_to_prune(self.study, trial, self.plan.params.search) if len(results) < len(specs) else ""
                )
                if reason:
                    return self._give_up(trial, "pruned", f"after {len(results)} of {len(specs)} folds: {reason}")
        except DivergedError as error:
            for spec in specs:
                remove_checkpoint(spec.folder)
            for fold_run in fold_runs[len(results) :]:
                self.tracker.end_run(fold_run, "FAILED")
            return self._give_up(trial, "diverged", str(error))
        except BaseException as error:
            state = "FAILED" if isinstance(error, Exception) else "KILLED"
            for ended in [*fold_runs[len(results) :], run_id, self.run_id]:
                self.tracker.end_run(ended, state)
            raise
        evaluation = self._finish_trial(run_id, results)
        trial.set_user_attr("fold_run_ids", fold_runs)
        self.study.tell(trial, evaluation.score)
        best = min(t.value for t in _complete(self.study) if t.value is not None)
        return (
            f"trial {trial.number}: score {evaluation.score:.4f} (best {best:.4f}), accuracy {evaluation.accuracy:.1%}"
        )

    def outcome(self, new_trials: int) -> SearchOutcome:
        """Closes the search run and describes the best trial."""
        if not _complete(self.study):
            self.tracker.end_run(self.run_id, "FAILED")
            raise LumbargradeError(
                f"none of the {len(_ended(self.study))} trials of {self.plan.name} could be trained; lower "
                "training.learning_rate and its range in search.space"
            )
        best = self.study.best_trial
        training = TrainingParams.model_validate_json(json.dumps(best.user_attrs["training"]))
        specs = self._specs(training)
        kept = [result for spec in specs if (result := read_result(spec.folder))]
        results = kept if len(kept) == len(specs) else self.train(specs, lambda spec, epoch: None)
        scored = self._score(results)
        suspects = label_suspects(self.plan.task, self.truth, scored.calibrated)
        self.tracker.log_metrics(self.run_id, scored.metrics())
        self.tracker.set_tags(self.run_id, {"lumbargrade.best_trial": str(best.number)})
        packed = PackedCrops(self.plan.located or self.plan.crops)
        report = report_html(
            f"Search {self.plan.name}, trial {best.number}",
            self.plan.task,
            scored.evaluation,
            report_pictures(self.plan.task, scored.evaluation, self.truth, scored.calibrated, packed),
        )
        self.tracker.log_text(self.run_id, report, "report.html")
        self.tracker.log_text(self.run_id, scored.evaluation.model_dump_json(indent=2), "evaluation.json")
        self.tracker.log_text(self.run_id, suspects.to_csv(index=False), "suspects.csv")
        if new_trials:
            for name, figure in study_figures(self.study).items():
                self.tracker.log_figure(self.run_id, figure, f"{PLOTS}/{name}.png")
            self.tracker.log_figure(self.run_id, confusion_figure(scored.evaluation, self.plan.task), "confusion.png")
        self.tracker.end_run(self.run_id)
        coverage = self.plan.params.calibration.coverage
        calibration = fit_calibration(self.plan.task, self.truth, self._predictions(results), coverage)
        write_text(specs[0].folder.parent / CALIBRATION, calibration.model_dump_json(indent=2))
        return SearchOutcome(
            name=self.plan.name,
            trials=len(_ended(self.study)),
            tried=[_tried(trial) for trial in self.study.get_trials(deepcopy=False)],
            new_trials=new_trials,
            trial=best.number,
            training=training,
            folds=results,
            calibration=specs[0].folder.parent / CALIBRATION,
            evaluation=scored.evaluation,
            on_labelled=scored.on_labelled,
            report=report,
            run_id=self.run_id,
            trial_run_id=best.user_attrs["run_id"],
            fold_run_ids=best.user_attrs["fold_run_ids"],
        )

    def _suggest(self, trial: Trial) -> TrainingParams:
        space = self.plan.params.search.space
        values = {name: _suggest(trial, name, values) for name, values in space.items()}
        return override_training(self.plan.params.training, values)

    def _specs(self, training: TrainingParams) -> list[FoldSpec]:
        """The folds of a trial. Their folder is named by what they depend on, so that equal trials share it."""
        digest = hashlib.sha256(training.model_dump_json().encode()).hexdigest()[:12]
        return [
            FoldSpec(
                task=self.plan.task,
                prepare=self.plan.params.prepare,
                training=training,
                crops=self.plan.crops.resolve(),
                located=self.plan.located.resolve() if self.plan.located else None,
                split=self.plan.split.resolve(),
                fold=fold,
                seed=self.plan.params.seed,
                folder=(self.folder / digest / f"fold-{fold}").resolve(),
            )
            for fold in range(self.plan.params.split.folds)
        ]

    def _batches(self, specs: list[FoldSpec]) -> list[list[FoldSpec]]:
        """As many folds at a time as there are devices, so that a trial can be stopped; all, if nothing would stop it."""
        if self.plan.params.search.pruning == "none" or not _complete(self.study):
            return [specs]
        size = len(find_devices(specs[0].training.threads))
        return [specs[start : start + size] for start in range(0, len(specs), size)]

    def _report_fold(self, trial: Trial, result: FoldResult) -> None:
        if self.plan.params.search.pruning == "none":
            return
        studies = [study for study, fold in self.folds.items() if fold == result.fold]
        predictions = self._predictions([result])
        coverage = self.plan.params.calibration.coverage
        losses = study_losses(self.plan.task, self.truth, predictions, coverage, studies)
        places = {study: place for place, study in enumerate(sorted(self.folds))}
        report_fold(trial, self.plan.params.search, result.fold, losses.rename(index=places))

    def _give_up(self, trial: Trial, state: str, reason: str) -> str:
        """Ends a trial that gets no score; Optuna calls both kinds pruned, so the state is kept beside it."""
        run_id = trial.user_attrs["run_id"]
        trial.set_user_attr("state", state)
        trial.set_user_attr("reason", reason)
        self.tracker.set_tags(run_id, {"lumbargrade.state": state, "lumbargrade.reason": reason})
        self.tracker.end_run(run_id, "FINISHED" if state == "pruned" else "FAILED")
        self.study.tell(trial, state=TrialState.PRUNED)
        return f"trial {trial.number}: {'given up' if state == 'diverged' else state}, {reason}"

    def _start_fold(self, spec: FoldSpec, key: str, parent: str) -> str:
        return self.tracker.start_run(f"fold {spec.fold}", f"{key}/{spec.fold}", parent, {"lumbargrade.kind": "fold"})

    def _log_epoch(self, run_id: str, epoch: Epoch) -> None:
        """Logs an epoch once, also when a trial that was cut off is run again."""
        if run_id not in self.logged:
            self.logged[run_id] = self.tracker.last_step(run_id, "train_loss")
        if epoch.epoch > self.logged[run_id]:
            self.tracker.log_metrics(run_id, epoch.model_dump(exclude={"epoch"}), step=epoch.epoch)
            self.logged[run_id] = epoch.epoch

    def _finish_fold(self, fold_run: str, result: FoldResult) -> None:
        facts = result.model_dump(include={"device", "precision", "threads", "epoch", "epochs"})
        self.tracker.log_params(fold_run, {**facts, "fold": result.fold})
        self.tracker.log_metrics(fold_run, {"images_per_second": result.images_per_second})
        self.tracker.end_run(fold_run)

    def _finish_trial(self, run_id: str, results: list[FoldResult]) -> Evaluation:
        scored = self._score(results)
        self.tracker.log_metrics(run_id, scored.metrics())
        self.tracker.log_figure(run_id, confusion_figure(scored.evaluation, self.plan.task), "confusion.png")
        self.tracker.set_tags(run_id, {"lumbargrade.state": "complete"})
        self.tracker.end_run(run_id)
        return scored.evaluation

    def _score(self, results: Sequence[FoldResult]) -> "_Scored":
        """The headline is of located points, as users have no others; cells that were not located count as unknown."""
        calibrated, evaluation = self._evaluate(results, "located" if self.plan.located else "labelled")
        on_labelled = self._evaluate(results, "labelled")[1] if self.plan.located else None
        return _Scored(calibrated, evaluation, on_labelled)

    def _evaluate(self, results: Sequence[FoldResult], points: str) -> tuple[pd.DataFrame, Evaluation]:
        """Out-of-fold predictions, what calibrates a fold from the other folds, and how good they are."""
        task, coverage = self.plan.task, self.plan.params.calibration.coverage
        calibrated, sets = calibrate_across(task, self.truth, self._predictions(results, points), coverage)
        return calibrated, evaluate_calibrated(task, self.truth, calibrated, sets, coverage, self.plan.subgroups)

    def _predictions(self, results: Sequence[FoldResult], points: str | None = None) -> pd.DataFrame:
        """What the folds say of their validation studies, with the column ``fold``."""
        points = points or ("located" if self.plan.located else "labelled")
        every = pd.concat([result.predictions().assign(fold=result.fold) for result in results], ignore_index=True)
        return every[every["points"] == points].reset_index(drop=True)


def _sampler(seed: int, trials: int) -> optuna.samplers.TPESampler:
    """Seeded for each trial anew, so that a search that goes on draws what it would have drawn, and nothing twice."""
    return optuna.samplers.TPESampler(
        multivariate=True, seed=int(np.random.SeedSequence([seed, trials]).generate_state(1)[0])
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


def _complete(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])


def _tried(trial: FrozenTrial) -> TriedTrial:
    """A trial that was cut off has no score, run or reason of its own: the one that tried it again has them."""
    told = {} if trial.state is TrialState.FAIL else trial.user_attrs
    return TriedTrial(
        number=trial.number,
        state=told.get("state", trial.state.name.lower()),
        score=trial.value if trial.state is TrialState.COMPLETE else None,  # a pruned one's is the loss of some study
        training=trial.user_attrs.get("training", trial.params),
        run_id=told.get("run_id", ""),
        reason=told.get("reason", ""),
    )


def _ended(study: optuna.Study) -> list[FrozenTrial]:
    """Trials that need not be run again: complete ones, and those that were pruned or given up."""
    return study.get_trials(deepcopy=False, states=[TrialState.COMPLETE, TrialState.PRUNED])
