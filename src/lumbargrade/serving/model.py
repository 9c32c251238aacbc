"""The MLflow model, as code: MLflow runs this file to serve a registered version.

A row is a study (the zip of its DICOM files) and becomes a record a cell.
"""

import os
import threading
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import torch
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from lumbargrade.errors import InputError
from lumbargrade.registry.models import read_model
from lumbargrade.registry.package import EXPLAIN, STUDY_COLUMN
from lumbargrade.serving.explain import Look, explain_study, with_heat_maps
from lumbargrade.serving.grade import CellKey, grade_study, refuse_study
from lumbargrade.serving.study import open_study


class GradingModel(PythonModel):
    """Grades studies with the calibrated mean of the folds' probabilities, one study at a time."""

    def load_context(self, context: PythonModelContext) -> None:
        """Loads the folds' graders onto the device that there is."""
        torch.set_num_threads(int(context.model_config.get("threads", 0)) or len(os.sched_getaffinity(0)))
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = read_model(Path(path) for path in context.artifacts.values()).to(device)
        self.abstain_above = int(context.model_config.get("abstain_above", 0))
        self.turn = threading.Semaphore(1)

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: Mapping[str, bool] | None = None
    ) -> pd.DataFrame:
        """Returns a record for each cell of each study; a study that cannot be opened is answered with its reason.

        Args:
            params: ``explain`` asks for heat maps.
        """
        explain = bool((params or {}).get(EXPLAIN))
        config = self.model.config
        answers = []
        for study in model_input[STUDY_COLUMN]:
            looks: dict[CellKey, Look] = {}
            try:
                with self.turn, open_study(bytes(study), config.task) as opened:
                    if explain:
                        answer, looks = explain_study(self.model, opened, self.abstain_above)
                    else:
                        answer = grade_study(self.model, opened, self.abstain_above)
            except InputError as error:
                answer = refuse_study(config.task, str(error))
            answers.append(with_heat_maps(answer, looks, config.prepare) if explain else answer)
        return pd.concat(answers, ignore_index=True)


set_model(GradingModel())
