"""Starts a retraining if the dataset has enough studies that the newest version has not seen.

A retraining that has failed is tried again at the next occasion, a few times for each version of the data.
"""

import logging
from datetime import datetime

from prefect import flow, get_run_logger
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun

from flows.events import emit_given_up
from lumbargrade.config.loading import load_params
from lumbargrade.config.params import Params
from lumbargrade.config.project import current_project
from lumbargrade.config.task import load_task
from lumbargrade.data.layout import open_dataset
from lumbargrade.data.versioning.dvc import dataset_folder, pointer_of, read_version
from lumbargrade.pipeline.attempts import find_run, last_run
from lumbargrade.pipeline.new_data import AtLeast, NewData, Outcome, seen_studies

RETRAIN = "retrain/retrain"
MOST_TRIES = 5
"""Retrainings of one version of the data that may fail; after so many a person has to look."""


@flow(name="retrain-if-new-data", retries=2, retry_delay_seconds=60)
def retrain_if_new_data(at_least: AtLeast = 20, params: Params | None = None) -> NewData:
    """Compares the dataset with the newest version's evidence, and sees to it that ``retrain`` is run for its version.

    Args:
        at_least: So many new labelled studies.
        params: All parameters; those of ``params.yaml`` if not given.
    """
    params = params or load_params()
    task = load_task(params.task)
    folder = dataset_folder(current_project().resolve_path(params.dataset.path))
    if not pointer_of(folder).is_file():
        get_run_logger().info(f"{folder} is not under DVC yet; the first retraining is started by hand")
        return NewData(md5="", new_studies=0, at_least=at_least)
    md5 = read_version(folder).md5
    labelled = set(open_dataset(folder, task).labels["study_id"].tolist())
    found = NewData(md5=md5, new_studies=len(labelled - seen_studies(task)), at_least=at_least)
    counts = f"{found.new_studies} new studies, {at_least} are needed"
    if found.new_studies < at_least:
        get_run_logger().info(f"{counts}: nothing to do")
        return found
    outcome, run, words = start_retraining(params, md5)
    get_run_logger().log(logging.WARNING if outcome == "given up" else logging.INFO, f"{counts}: {words}")
    return found.model_copy(update={"outcome": outcome, "run": str(run.id)})


def start_retraining(params: Params, md5: str) -> tuple[Outcome, FlowRun, str]:
    """Makes a run of ``retrain`` for a version of the data, unless one has ended well, works, or too many have failed.

    Returns:
        What was done, the run that it is about, and words for the log.
    """
    work = f"{RETRAIN} {params.task} {md5}"
    failed: FlowRun | None = None
    with get_client(sync_client=True) as client:
        for number in range(1, MOST_TRIES + 1):
            key = work if number == 1 else f"{work} try {number}"
            first = find_run(client, key)
            if first is None:
                run = client.create_flow_run_from_deployment(
                    client.read_deployment_by_name(RETRAIN).id,
                    parameters={"params": params.model_dump(mode="json")},
                    idempotency_key=key,
                )
                if failed is None:
                    return "started", run, f"retraining {run.name} is started"
                return (
                    "tried again",
                    run,
                    f"{_ending(failed)} before; tried again as {run.name} (try {number} of {MOST_TRIES})",
                )
            last = last_run(client, first)
            if last.state is None or not last.state.is_final():
                return "running", last, f"retraining {last.name} is at work already, {_since(last)}"
            if last.state.is_completed():
                return "trained", last, f"already trained: {_ending(last)}; nothing to do until the data changes"
            failed = last
        assert failed is not None
        name = RETRAIN.split("/")[1]
        emit_given_up(name, {"deployment": name, "run": failed.name, "tries": MOST_TRIES}, work)
    words = (
        f"{_ending(failed)}, the last of {MOST_TRIES} tries with this version of the data; it is not tried again by itself; "
        f"look at its log, then start {RETRAIN} by hand"
    )
    return "given up", failed, words


def _ending(run: FlowRun) -> str:
    state = run.state
    assert state is not None
    return f"retraining {run.name} ended as {state.name} on {_time(state.timestamp)}"


def _since(run: FlowRun) -> str:
    if run.start_time is not None:
        return f"since {_time(run.start_time)}"
    return f"planned for {_time(run.expected_start_time)}" if run.expected_start_time is not None else "planned"


def _time(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"
