"""How many studies a dataset has that the newest version has not seen."""

import io
from typing import Annotated, Literal

import pandas as pd
from pydantic import BaseModel, Field

from lumbargrade.config.task import GradingTask
from lumbargrade.errors import InputError, StoreError
from lumbargrade.registry.lineage.bundle import SPLIT, read_evidence
from lumbargrade.registry.versions import all_versions, open_registry

Outcome = Literal["not needed", "started", "running", "trained", "tried again", "given up"]
AtLeast = Annotated[int, Field(ge=1)]


class NewData(BaseModel):
    """What was found, and what came of it.

    Attributes:
        md5: The dataset's version.
        new_studies: Labelled studies that the newest version has neither trained nor been judged on.
        outcome: ``started`` and ``tried again`` say that a run was made now.
        run: Prefect's id of the retraining that the outcome is about; None if none is needed.
    """

    md5: str
    new_studies: int
    at_least: AtLeast
    outcome: Outcome = "not needed"
    run: str | None = None


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
