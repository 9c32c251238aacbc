"""Starts a retraining if the dataset has enough studies that the newest version has not seen."""

import io
from pathlib import Path

import pandas as pd
from prefect import flow, get_run_logger
from prefect.deployments import run_deployment
from pydantic import BaseModel, Field

from lumbargrade.dataset.layout import open_dataset
from lumbargrade.dataset.versions import dataset_folder, pointer_of, read_version
from lumbargrade.errors import InputError, StoreError
from lumbargrade.params import Params
from lumbargrade.params_file import load_params
from lumbargrade.registry.evidence.bundle import SPLIT, read_evidence
from lumbargrade.registry.versions import all_versions, open_registry
from lumbargrade.task import GradingTask, load_task

RETRAIN = "retrain/retrain"


class NewData(BaseModel):
    """What was found.

    Attributes:
        md5: The dataset's version.
        new_studies: Labelled studies that the newest version has neither trained nor been judged on.
        run: Prefect's id of the retraining; nothing if none was started.
    """

    md5: str
    new_studies: int
    at_least: int = Field(ge=1)
    run: str | None


@flow(name="retrain-if-new-data", retries=2, retry_delay_seconds=60)
def retrain_if_new_data(at_least: int = 20, params: Params | None = None) -> NewData:
    """Compares the dataset with the newest version's evidence, and starts ``retrain`` once for each version of the data.

    Args:
        at_least: So many new labelled studies.
        params: All parameters; those of ``params.yaml`` if not given.
    """
    params = params or load_params(Path("params.yaml"))
    task = load_task(params.task)
    folder = dataset_folder(Path(params.dataset.path))
    if not pointer_of(folder).is_file():
        get_run_logger().info(f"{folder} is not under DVC yet; the first retraining is started by hand")
        return NewData(md5="", new_studies=0, at_least=at_least, run=None)
    md5 = read_version(folder).md5
    labelled = set(open_dataset(folder, task).labels["study_id"].tolist())
    new = len(labelled - seen_studies(task))
    run = None
    if new >= at_least:
        started = run_deployment(
            RETRAIN,
            parameters={"params": params.model_dump(mode="json")},
            timeout=0,
            as_subflow=False,
            idempotency_key=f"{RETRAIN} {params.task} {md5}",
        )
        run = str(started.id)  # type: ignore[union-attr]
    found = NewData(md5=md5, new_studies=new, at_least=at_least, run=run)
    get_run_logger().info(
        f"{new} new studies, {at_least} are needed: {f'retraining {run}' if run else 'nothing to do'}"
    )
    return found


def seen_studies(task: GradingTask) -> set[int]:
    """The studies of the newest registered version, by its signed split; none if there is no version.

    Raises:
        StoreError: The store cannot be reached, which does not mean that no study was seen.
        CannotVerifyError: The store, or the folder for temporary files, was in the way.
    """
    try:
        versions = all_versions(open_registry(task), task)
    except StoreError:
        raise
    except InputError:
        return set()
    for found in sorted(versions, key=lambda one: int(one.version), reverse=True):
        split = read_evidence(found, SPLIT)
        if split is not None:
            return set(pd.read_csv(io.StringIO(split))["study_id"].tolist())
    return set()
