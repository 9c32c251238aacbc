"""The MLflow model, as code: MLflow runs this file to serve a registered version.

A row is a study (the zip of its DICOM files) and becomes a record a cell.
"""

import os
import threading
import uuid
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import torch
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from lumbargrade.errors import LumbargradeError
from lumbargrade.registry.contract import ANSWER_ORIGIN, EXPLAIN, EXPLAIN_ALL, STUDY_COLUMN, TRAINED_ON
from lumbargrade.registry.models import model_name, read_model
from lumbargrade.registry.trained_on import state
from lumbargrade.serving.explain import Look, explain_graded, with_heat_maps
from lumbargrade.serving.features import Features
from lumbargrade.serving.grade import CellKey, grade_with_crops, refuse_study
from lumbargrade.serving.log import SERVING_LOG, ServingLog
from lumbargrade.serving.study import open_study
from lumbargrade.task import Cell, GradingTask


class GradingModel(PythonModel):
    """Grades studies with the calibrated mean of its graders' probabilities, one study at a time."""

    def load_context(self, context: PythonModelContext) -> None:
        """Loads its graders onto the device that there is."""
        torch.set_num_threads(int(context.model_config.get("threads", 0)) or len(os.sched_getaffinity(0)))
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = read_model(Path(path) for path in context.artifacts.values()).to(device)
        self.statement = state(self.model.facts).model_dump_json()
        self.name = model_name(Path(next(iter(context.artifacts.values()))).parent.parent)
        log = os.environ.get(SERVING_LOG)
        self.log = ServingLog(Path(log)) if log else None
        self.abstain_above = int(context.model_config.get("abstain_above", 0))
        self.turn = threading.Semaphore(1)

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: Mapping[str, str] | None = None
    ) -> pd.DataFrame:
        """Returns a record for each cell of each study; a study that cannot be opened is answered with its reason.

        Each study's answer has a request id, under which the serving log has it.

        Args:
            params: ``explain`` asks for heat maps: ``all``, or the column's name of one cell.

        Raises:
            MlflowException: ``explain`` names no cell.
        """
        config = self.model.config
        explain = (params or {}).get(EXPLAIN, "")
        only = None if explain in ("", EXPLAIN_ALL) else _cell(config.task, explain)
        answers = []
        for study in model_input[STUDY_COLUMN]:
            looks: dict[CellKey, Look] = {}
            features: Features | None = None
            try:
                with self.turn, open_study(bytes(study), config.task) as opened:
                    graded = grade_with_crops(self.model, opened, self.abstain_above)
                    answer = graded.answer
                    if explain:
                        looks = explain_graded(self.model, graded, only)
                    if self.log is not None:
                        features = graded.features()
            except LumbargradeError as error:
                answer = refuse_study(config.task, str(error))
            request_id = uuid.uuid4().hex
            if self.log is not None:
                self.log.append(request_id, self.name, bytes(study), answer, config.task, features)
            told = with_heat_maps(answer, looks, config.prepare) if explain else answer
            origin = dict(zip(ANSWER_ORIGIN, (request_id, self.name), strict=True))
            answers.append(told.assign(**origin, **{TRAINED_ON: self.statement}))
        return pd.concat(answers, ignore_index=True)


def _cell(task: GradingTask, column: str) -> Cell:
    cell = next((cell for cell in task.cells if cell.column == column), None)
    if cell is None:
        some = task.cells[0].column
        told = f"params.{EXPLAIN} names no cell of task {task.name}; give {EXPLAIN_ALL}, or one cell such as {some}"
        raise MlflowException.invalid_parameter_value(told)
    return cell


set_model(GradingModel())
