"""Asks a served model for a study of the frozen holdout: the proof that a registered version can be used."""

from pathlib import Path

import pandas as pd

from lumbargrade.config.task import GradingTask
from lumbargrade.data.study_zip import zip_study
from lumbargrade.errors import LumbargradeError
from lumbargrade.frozen import Frozen
from lumbargrade.registry.promotion.holdout import held_out
from lumbargrade.serving.mlflow_server import ask
from lumbargrade.serving.verified_server import served_version


class Answer(Frozen):
    """What the server said of one study.

    Attributes:
        graded: Cells with a grade; the others have a reason.
    """

    study_id: str
    cells: int
    graded: int


def answer_over_http(version: str, dataset: Path, task: GradingTask, split: Path) -> Answer:
    """Serves a registered version on this machine and asks it for the first study of the holdout (or of all, if there is none).

    Raises:
        LumbargradeError: The server did not start or did not answer every cell.
    """
    study_id = min(held_out(split) or map(int, pd.read_csv(split)["study_id"]))
    with served_version(task, version) as server:
        records = ask(server.address, zip_study(dataset, study_id, with_points=False))
    if len(records) != len(task.cells):
        raise LumbargradeError(
            f"version {version} answered {len(records)} cells for study {study_id}",
            f"the task has {len(task.cells)}",
            "answer-incomplete",
        )
    return Answer(
        study_id=str(study_id), cells=len(records), graded=sum(record["grade"] is not None for record in records)
    )
