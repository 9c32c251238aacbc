"""The main job: check → version → prepare → locate → search (→ distil) → register → answer.

`lumbargrade run` runs it; `prefect deploy` schedules it.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import cast

import pandas as pd
import torch
from prefect import flow, get_run_logger, runtime, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed
from prefect.task_runners import ThreadPoolTaskRunner

from flows.events import GATE, RETRAINED, emit, event_id
from lumbargrade.audit.log import AuditLog
from lumbargrade.config.loading import load_params, save_params
from lumbargrade.config.params import DatasetParams, Params
from lumbargrade.config.project import current_project
from lumbargrade.config.settings import Settings
from lumbargrade.config.task import GradingTask, load_task, save_task
from lumbargrade.console import bar, say
from lumbargrade.data.layout import open_dataset
from lumbargrade.data.subgroups import study_subgroups
from lumbargrade.data.validation.counts import check_counts, count_dataset
from lumbargrade.data.validation.report import CheckReport
from lumbargrade.data.validation.validate import check_dataset
from lumbargrade.data.versioning.dvc import (
    DatasetVersion,
    commit_pointers,
    dataset_folder,
    fetch_dataset,
    reproduce,
)
from lumbargrade.errors import InputError, StoppedError, TrialError
from lumbargrade.models.locator import column_group
from lumbargrade.phantom import generate
from lumbargrade.pipeline.candidate import make_candidate
from lumbargrade.pipeline.estimate.parallelism import choose_parallelism
from lumbargrade.pipeline.summary import RunSummary, summarise
from lumbargrade.pipeline.version_dataset import version_and_log
from lumbargrade.preprocessing.split.duplicates import DUPLICATES
from lumbargrade.preprocessing.split.groups import PATIENTS, study_groups
from lumbargrade.preprocessing.split.split import check_split
from lumbargrade.registry.candidate import Candidate
from lumbargrade.registry.lineage.code import refuse_changes
from lumbargrade.registry.promotion.holdout import held_out
from lumbargrade.registry.promotion.report import gate_table, gate_text
from lumbargrade.registry.register import Registration, register_candidate
from lumbargrade.registry.resolve import load_model
from lumbargrade.search.history import explain_new_search
from lumbargrade.search.plan import SearchOutcome, SearchPlan, SearchProgress
from lumbargrade.search.plots import PLOTS
from lumbargrade.search.run import run_search
from lumbargrade.search.single_grader import make_student
from lumbargrade.serving.records.reference import answer_reference
from lumbargrade.serving.smoke_test import Answer, answer_over_http
from lumbargrade.tracking.mlflow_tracker import Tracker
from lumbargrade.training.grader.input_files import check_files
from lumbargrade.training.grader.label_weights import count_suspects
from lumbargrade.training.jobs.devices import find_devices
from lumbargrade.training.jobs.executor import FoldFuture, FoldPool
from lumbargrade.training.jobs.memory import KILLED
from lumbargrade.training.jobs.process import OnEpoch, run_fold
from lumbargrade.training.jobs.ray_cluster import join_cluster, run_on_cluster
from lumbargrade.training.jobs.spec import AnySpec, FoldResult
from lumbargrade.training.locator.cross_validate import LocatorPlan, save_located, train_locators

_ANNOUNCED = {
    *("model", "version", "decision", "reason", "champion", "approve"),
    *("dataset_md5", "studies", "score", "holdout_score"),
}
"""What events say of a run; they may leave the machine, so no path and no study is among it."""


def _tell(line: str) -> None:
    """A line of the story: for who watches, and for who looks at the run in Prefect later."""
    say(line)
    get_run_logger().info(line)


def _worth_retrying(task: object, run: object, state: State[object]) -> bool:
    """Mistakes and bad parameters stay what they are; a process that was killed may do better the second time."""
    result = state.result(raise_on_failure=False)
    return not isinstance(result, InputError | TrialError) or result.code == KILLED


RunFold = Callable[[AnySpec, OnEpoch, Event], FoldResult]
_RUNNER: ThreadPoolTaskRunner[FoldResult] = ThreadPoolTaskRunner(max_workers=256)
"""A thread watches over each fold; how many there are at a time is the devices' matter."""


@flow(name="retrain", task_runner=_RUNNER)  # type: ignore[arg-type]
def retrain(params: Params | None = None, commit: bool = False, allow_dirty: bool = False) -> RunSummary:
    """Runs every stage that is stale, and ends with a registered model that has answered over HTTP.

    Args:
        params: All parameters; those of ``params.yaml`` if not given.
        commit: Whether to commit the data's pointers to git.
        allow_dirty: Whether the project's files may differ from the commit; what differs is kept with the version.
    """
    project = current_project()
    params = params or load_params()
    if not allow_dirty:
        refuse_changes(project.root)
    grading_task = load_task(params.task)
    check_files(params, grading_task)
    dataset_folder(
        project.resolve_path(params.dataset.path)
    )  # a name that cannot be kept is refused before anything is made
    tracker = Tracker(f"lumbargrade-{grading_task.name}")
    source = obtain(params.dataset)
    if params.dataset.expected is not None:
        check_counts(source, count_dataset(open_dataset(source, grading_task)), params.dataset.expected)
    report = check(source, grading_task, params.workers)
    version = version_data(source)
    folder = project.prepared / version.name
    save_params(params, folder / "params.yaml")
    save_task(grading_task, folder / "task.yaml")
    outputs = prepare(version.name, ["prepare", "views", "duplicates", "split"])
    data = {"name": version.name, "md5": version.md5, "crops_md5": outputs["crops"], "split_md5": outputs["split.csv"]}
    data["duplicate_groups"] = str(guard_split(folder))
    plan = SearchPlan(params, grading_task, data, folder / "crops", folder / "split.csv")
    if column_group(grading_task) is not None:
        plan = locate(plan, outputs["views"], folder, tracker)
    if commit:
        commit_pointers(f"Version dataset {version.name} ({version.md5})")
    dataset = open_dataset(version.folder, grading_task)
    plan = replace(plan, subgroups=study_subgroups(dataset, dataset.labels["study_id"].tolist()))
    outcome = search(plan, tracker)
    if params.package.graders != "ensemble":
        outcome = unite_folds(plan, outcome, tracker)
    candidate = make_candidate(plan, outcome, dataset)
    registration = register(candidate, tracker)
    answer = ask_model(candidate, registration) if registration.is_new else None
    summary = summarise(report, candidate, outcome.new_trials, registration, answer)
    if registration.is_new:
        announce(summary)
    return summary


def announce(summary: RunSummary) -> None:
    """Raises the events about a new version, once for each."""
    about = summary.model_dump(mode="json", include=_ANNOUNCED)
    for event in (RETRAINED, GATE):
        emit(event, summary.model, about, event_id(event, summary.model, summary.version), summary.version)


@task(cache_policy=NO_CACHE)
def obtain(dataset: DatasetParams) -> Path:
    """Returns the dataset's folder: as it is, out of DVC, or, for the embedded default, made as a phantom."""
    source = current_project().resolve_path(dataset.path)
    if source.is_dir() or fetch_dataset(source):
        return source
    if dataset.path != DatasetParams().path:
        raise InputError(
            f"dataset folder {source} does not exist",
            "give a folder in RSNA layout with --data",
            "dataset-folder-missing",
        )
    with bar("phantom studies") as progress:
        generate(
            source,
            dataset.phantom_studies,
            dataset.phantom_seed,
            progress=progress,
            headers=dataset.phantom_headers,
        )
    _tell(f"made {dataset.phantom_studies} phantom studies in {source}")
    return source


@task(cache_policy=NO_CACHE)
def check(source: Path, grading_task: GradingTask, workers: int) -> CheckReport:
    """Checks the dataset before it is copied. Faulty files cost their own cells only, so errors are told, not fatal."""
    with bar("studies checked") as progress:
        report = check_dataset(source, grading_task, workers, progress)
    table = [count.model_dump(include={"level", "title", "findings", "studies", "remedy"}) for count in report.counts]
    create_table_artifact(key="dataset-check", table=table, description=f"Integrity check of {source}")
    for count in report.counts:
        if count.level == "error":
            _tell(f"error in the data: {count.title.lower()} ({count.studies} studies); {count.remedy}")
    return report


@task(cache_policy=NO_CACHE, retries=1, retry_condition_fn=_worth_retrying)
def version_data(source: Path) -> DatasetVersion:
    """Puts the dataset under DVC."""
    _tell(f"versioning {source} with DVC")
    return version_and_log(source)


@task(cache_policy=NO_CACHE)
def prepare(name: str, stages: Sequence[str]) -> dict[str, str]:
    """Cuts crops and views and assigns folds, if data, code or parameters have changed."""
    _tell(f"preparing {name} (dvc repro: {', '.join(stages)})")
    return reproduce(name, *stages)


@task(cache_policy=NO_CACHE)
def guard_split(folder: Path) -> int:
    """Stops a leak before anything is trained; returns the number of groups of studies that must stay together."""
    pairs = pd.read_csv(folder / DUPLICATES)
    groups = study_groups(pairs, pd.read_csv(folder / PATIENTS))
    check_split(pd.read_csv(folder / "split.csv"), groups)
    sizes = Counter(groups.values())
    together = [size for size in sizes.values() if size > 1]
    if len(pairs):
        table = [{str(key): value for key, value in row.items()} for row in pairs.to_dict("records")]
        create_table_artifact(key="near-duplicates", table=table, description="Series that show the same images")
    found = f"{len(together)} group{'s' if len(together) > 1 else ''} of one patient or of near-duplicates"
    found += f" ({sum(together)} studies), kept together"
    _tell(f"split: {found if together else 'no two studies of one patient, no near-duplicates'}")
    return len(together)


@task(name="fold", cache_policy=NO_CACHE, retries=1, retry_condition_fn=_worth_retrying)
def train_fold(run: RunFold, spec: AnySpec, on_epoch: OnEpoch, stop: Event) -> FoldResult | State[None]:
    """Trains one fold in a process of its own."""
    try:
        return run(spec, on_epoch, stop)
    except StoppedError as error:
        return Completed(name="Stopped", message=str(error))


@contextmanager
def fold_pool(params: Params, network: str, jobs: int) -> Iterator[FoldPool]:
    """Trains folds as tasks, on this machine's devices or on a cluster.

    Args:
        network: ``grader`` or ``locator``.
        jobs: Folds that may be trained side by side.
    """

    def pool(run: RunFold, places: int) -> FoldPool:
        def submit(spec: AnySpec, on_epoch: OnEpoch, stop: Event) -> FoldFuture:
            return cast(FoldFuture, train_fold.submit(run, spec, on_epoch, stop))

        return FoldPool(submit, places)

    threads, per_device = (params.locator if network == "locator" else params.training).threads, params.folds_per_device
    if address := Settings().ray_address:
        with (
            join_cluster(threads, per_device or 1) as cluster,
            pool(partial(run_on_cluster, cluster), cluster.places) as folds,
        ):
            _tell(f"training on the Ray cluster {address}, {cluster.places} folds at a time")
            yield folds
    else:
        if not per_device and not torch.cuda.is_available():
            choice = choose_parallelism(params, network, jobs)
            threads, per_device = choice.chosen.threads, choice.chosen.processes
            _tell(choice.words())
        devices = find_devices(threads, per_device or 1)
        with pool(lambda spec, on_epoch, stop: run_fold(spec, devices, on_epoch, stop), len(devices)) as folds:
            yield folds


def locate(plan: SearchPlan, views_md5: str, folder: Path, tracker: Tracker) -> SearchPlan:
    """Trains the locators that are not trained, locates every study, cuts crops there; adds them to the plan."""
    data = {**plan.data, "views_md5": views_md5}
    locating = LocatorPlan(plan.params, plan.task, data, folder / "views", plan.split)
    _tell(f"locator {locating.name}: {plan.params.split.folds} folds")
    with (
        fold_pool(plan.params, "locator", plan.params.split.folds) as pool,
        bar("epochs of the locator") as show,
    ):
        outcome = train_locators(locating, tracker, pool, _tell, show)
    save_located(outcome.located, folder / "located.parquet")
    table = [{"metric": name, "value": round(value, 4)} for name, value in outcome.metrics.items()]
    create_table_artifact(key="locator", table=table, description=f"How far {outcome.name} is from the labels")
    located_md5 = prepare(plan.data["name"], ["located"])["located"]
    return replace(
        plan,
        data={**data, "located_md5": located_md5},
        located=folder / "located",
        locators=tuple(fold.model for fold in outcome.folds),
        locator_runs=outcome.run_ids,
    )


def search(plan: SearchPlan, tracker: Tracker) -> SearchOutcome:
    """Runs the missing trials; each fold is a task."""
    if because := explain_new_search(plan):
        _tell(because)
    _tell(f"search {plan.name}: {plan.params.search.trials} trials of {plan.params.split.folds} folds")
    if plan.params.training.suspects is not None:
        studies = pd.read_csv(plan.split)["study_id"]
        _tell(count_suspects(plan.params.training.suspects, plan.task, studies))
    folds = plan.params.split.folds * plan.params.search.trials
    with fold_pool(plan.params, "grader", folds) as pool, bar("epochs") as show:
        outcome = run_search(plan, tracker, pool, _tell, lambda now: show(now.epochs, now.of_epochs, _told(now)))
    table = [{"metric": name, "value": round(value, 4)} for name, value in outcome.evaluation.flat().items()]
    create_table_artifact(
        key="search",
        table=table,
        description=f"Out-of-fold metrics of the best trial of {plan.name}; Optuna's pictures of the search are in MLflow, "
        f"run {outcome.run_id}, folder {PLOTS}",
    )
    return outcome


def unite_folds(plan: SearchPlan, outcome: SearchOutcome, tracker: Tracker) -> SearchOutcome:
    """Makes one grader of the best trial's folds, if it is not made; it is a task like a fold."""
    doing = "distilling" if plan.params.package.graders == "distilled" else "averaging"
    _tell(f"{doing} {len(outcome.folds)} folds of trial {outcome.trial} into one grader")
    with fold_pool(plan.params, "grader", 1) as pool, bar("epochs") as show:
        return make_student(plan, outcome, tracker, pool, _tell, show)


def _told(now: SearchProgress) -> str:
    """What stands in front of the search's bar."""
    best = "" if now.best is None else f", best {now.best:.4f}"
    return f"{now.trials}/{now.of_trials} trials{best}, {now.folds}/{now.places} devices, epochs"


@task(cache_policy=NO_CACHE)
def register(candidate: Candidate, tracker: Tracker) -> Registration:
    """Registers the best trial, unless it is registered, and lets the gate decide on the champion."""
    flow_run = str(runtime.flow_run.id or "")
    reference = partial(_answer_reference, candidate)
    registration = register_candidate(candidate, tracker, flow_run, AuditLog(), _tell, reference)
    name = f"{registration.name} version {registration.version}"
    markdown = f"**{name}**: {registration.decision} - {registration.reason}"
    if registration.gate is not None:
        markdown = gate_text(name, registration.gate)
        table = gate_table(registration.gate)
        if table:
            create_table_artifact(key="gate", table=table, description=f"The gate's checks of {name}")
    create_markdown_artifact(key="registration", markdown=markdown)
    return registration


def _answer_reference(candidate: Candidate, uri: str) -> str:
    """What a version answers to the held-out studies, for the watch to compare with."""
    held = held_out(candidate.split)
    _tell(f"grading {len(held)} held-out studies as a server would, for the watch")
    model = load_model(uri).to(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    with bar("held-out studies") as progress:
        return answer_reference(model, candidate.dataset, held, progress)


@task(cache_policy=NO_CACHE)
def ask_model(candidate: Candidate, registration: Registration) -> Answer:
    """Serves the new version for a moment and asks it for a study of the frozen holdout."""
    _tell(f"asking {registration.name} version {registration.version} over HTTP")
    return answer_over_http(registration.version, candidate.dataset.root, candidate.task, candidate.split)
