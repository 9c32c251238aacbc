"""The Optuna search over cross-validated training.

A trial's value is the official score of its out-of-fold predictions. The study lies in a journal file; a search that was
stopped goes on when it is run again: finished folds are not trained again, half-trained ones go on from their last epoch,
and trials that were cut off are tried again. A trial that cannot win is stopped between its folds (``search.pruning``); one
that does not fit into the memory, is too slow, or diverges, is given up with its reason, and the search goes on.

While parameters are drawn at random, nothing is learned from a trial that has ended, so that the first folds of these trials
come first, if trials may be stopped, and each next fold goes to the trial that was best so far; then trial after trial.
Several devices are kept busy: trials overlap, and which parameters are drawn later depends on which trials have ended.
"""

from collections.abc import Callable

from optuna.exceptions import StorageInternalError

from lumbargrade.errors import LumbargradeError
from lumbargrade.evaluation.calibrate import fit_calibration
from lumbargrade.evaluation.label_issues import label_suspects
from lumbargrade.evaluation.plots import confusion_figure
from lumbargrade.evaluation.report import report_html, report_pictures
from lumbargrade.files import write_text
from lumbargrade.preprocessing.pack import PackedCrops
from lumbargrade.search.failed_trials import no_trial_error
from lumbargrade.search.optuna_study import open_study, signs_of_life
from lumbargrade.search.plan import CALIBRATION, SearchOutcome, SearchPlan, SearchProgress
from lumbargrade.search.plots import PLOTS, Lane, lanes_figure, study_figures
from lumbargrade.search.scheduler import TrialRunner
from lumbargrade.search.trials import best_trial, ended_trials, place, read_trial, training_of
from lumbargrade.tracking.mlflow_tracker import Tracker
from lumbargrade.tracking.run_lock import owned_runs
from lumbargrade.training.grader.input_files import check_files
from lumbargrade.training.jobs.executor import FoldPool
from lumbargrade.training.jobs.spec import read_result


def run_search(
    plan: SearchPlan,
    tracker: Tracker,
    pool: FoldPool,
    on_trial: Callable[[str], None] = print,
    on_progress: Callable[[SearchProgress], None] = lambda progress: None,
) -> SearchOutcome:
    """Runs the trials that are still missing and returns the best of all.

    Args:
        pool: Trains the folds.
        on_trial: Told a line about each trial as it ends.
        on_progress: Told how far the search is, after each epoch.

    Raises:
        InputError: The parameters or the data do not allow any training.
        LumbargradeError: Another process runs this search, a process failed, or no trial, or several in a row, could be
            trained.
    """
    check_files(plan.params, plan.task)
    with owned_runs(plan.folder / plan.name, tracker, "search"):
        study = open_study(plan)
        with tracker.run(f"search {plan.name}", plan.name, tags={"lumbargrade.kind": "search"}) as run_id:
            tracker.log_params(run_id, plan.settings)
            tracker.set_tags(run_id, {f"lumbargrade.{key}": value for key, value in plan.data.items()})
            missing = max(plan.params.search.trials - len(ended_trials(study)), 0)
            try:
                runner = TrialRunner(plan, tracker, pool, study, run_id, on_trial, on_progress)
                with signs_of_life(study):
                    runner.run(missing)
                return _outcome(runner, missing)
            except StorageInternalError as error:
                raise LumbargradeError(
                    "the search's database does not answer any more",
                    f"when it does, run again: {plan.name} goes on",
                    "search-database-lost",
                ) from error


def _outcome(runner: TrialRunner, new_trials: int) -> SearchOutcome:
    """Reports the search in its run, and describes the best trial."""
    plan, tracker, study, run_id = runner.plan, runner.tracker, runner.study, runner.run_id
    best = best_trial(study)
    if best is None:
        raise no_trial_error(plan.name, ended_trials(study))
    training = training_of(best)
    specs = plan.fold_specs(training)
    kept = [result for spec in specs if (result := read_result(spec.folder))]
    results = kept if len(kept) == len(specs) else runner.pool.train(specs, lambda spec, epoch: None)
    scored = runner.scorer.score(results)
    suspects = label_suspects(plan.task, runner.scorer.truth, scored.calibrated)
    tracker.log_metrics(run_id, scored.metrics())
    tracker.set_tags(run_id, {"lumbargrade.best_trial": str(place(best))})
    packed = PackedCrops(plan.located or plan.crops)
    report = report_html(
        f"Search {plan.name}, trial {place(best)}",
        plan.task,
        scored.evaluation,
        report_pictures(plan.task, scored.evaluation, runner.scorer.truth, scored.calibrated, packed),
    )
    tracker.log_text(run_id, report, "report.html")
    tracker.log_text(run_id, scored.evaluation.model_dump_json(indent=2), "evaluation.json")
    tracker.log_text(run_id, suspects.to_csv(index=False), "suspects.csv")
    if new_trials:
        for name, figure in study_figures(study).items():
            tracker.log_figure(run_id, figure, f"{PLOTS}/{name}.png")
        if lanes := _lanes(runner):
            tracker.log_figure(run_id, lanes_figure(lanes), f"{PLOTS}/devices.png")
        tracker.log_figure(run_id, confusion_figure(scored.evaluation, plan.task), "confusion.png")
    calibration = specs[0].folder.parent / CALIBRATION
    fitted = fit_calibration(
        plan.task, runner.scorer.truth, runner.scorer.predictions(results), plan.params.calibration.coverage
    )
    write_text(calibration, fitted.model_dump_json(indent=2))
    return SearchOutcome(
        name=plan.name,
        tried=[read_trial(trial) for trial in study.get_trials(deepcopy=False)],
        new_trials=new_trials,
        trial=place(best),
        training=training,
        folds=results,
        calibration=calibration,
        evaluation=scored.evaluation,
        on_labelled=scored.on_labelled,
        report=report,
        run_id=run_id,
        trial_run_id=best.user_attrs["run_id"],
        fold_run_ids=best.user_attrs["fold_run_ids"],
    )


def _lanes(runner: TrialRunner) -> list[Lane]:
    """Where and when the folds of all trials ended; those that were stopped have left no word of it."""
    lanes = {}
    for trial in ended_trials(runner.study):
        for spec in runner.plan.fold_specs(training_of(trial)):
            result = read_result(spec.folder)
            if result is not None and spec.folder not in lanes:
                lanes[spec.folder] = Lane(place(trial), result)
    return list(lanes.values())
