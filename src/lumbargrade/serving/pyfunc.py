"""The MLflow model, as code: MLflow runs this file to serve a registered version.

A row is a study (the zip of its DICOM files) and becomes a record a cell.
"""

import logging
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import torch
from mlflow.environment_variables import MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from lumbargrade.config.settings import Settings
from lumbargrade.config.task import Cell, CellKey, GradingTask
from lumbargrade.dicom.limits import LIMITS, StudyTimeoutError
from lumbargrade.errors import InputError
from lumbargrade.inference.crop_cache import CropCache
from lumbargrade.inference.drift_features import Features
from lumbargrade.inference.explain import Look, explain_graded, with_heat_maps
from lumbargrade.inference.grade import GradedCrops, grade_with_crops, refuse_study
from lumbargrade.inference.schema import ANSWER_ORIGIN, EXPLAIN, EXPLAIN_ALL, KEPT_REQUEST, STUDY_COLUMN
from lumbargrade.inference.study import open_study
from lumbargrade.machine import count_cores
from lumbargrade.models.bundle import read_model
from lumbargrade.models.trained_on import TRAINED_ON, state
from lumbargrade.registry.resolve import model_name
from lumbargrade.scratch import ScratchError, keep_sweeping
from lumbargrade.serving.records.prediction_log import ServingLog

_SHARE_OF_WAIT = 0.9
_BUSY = "the model server was busy with other studies"
_NO_SPACE = "the model server's folder for temporary files is full or cannot be written; its log says which: tell whoever runs it"

_log = logging.getLogger(__name__)


class GradingModel(PythonModel):
    """Grades studies with the calibrated mean of its graders' probabilities, one study at a time."""

    def load_context(self, context: PythonModelContext) -> None:
        """Loads its graders onto the device that there is."""
        torch.set_num_threads(int(context.model_config.get("threads", 0)) or count_cores())
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = read_model(Path(path) for path in context.artifacts.values()).to(device)
        self.statement = state(self.model.facts).model_dump_json()
        self.name = model_name(Path(next(iter(context.artifacts.values()))).parent.parent)
        log = Settings().serving_log
        self.log = ServingLog(log) if log else None
        self.abstain_above = int(context.model_config.get("abstain_above", 0))
        self.turn = threading.Semaphore(1)
        self.cache = CropCache()
        self.seconds = _answer_seconds()
        keep_sweeping()

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: Mapping[str, str] | None = None
    ) -> pd.DataFrame:
        """Returns a record for each cell of each study; a study that cannot be opened is answered with its reason.

        Each study's answer has a request id, under which the serving log has it.

        Args:
            params: ``explain`` asks for heat maps: ``all``, or the column's name of one cell. With ``request_id`` and no
                study it explains what that request was answered a short while ago; no record if that is not kept.

        Raises:
            MlflowException: ``explain`` names no cell.
        """
        task = self.model.config.task
        explain = (params or {}).get(EXPLAIN, "")
        only = None if explain in ("", EXPLAIN_ALL) else _cell(task, explain)
        end = time.monotonic() + self.seconds
        if not len(model_input):
            return self._explain_kept((params or {}).get(KEPT_REQUEST, ""), bool(explain), only, end)
        answers = []
        for study in model_input[STUDY_COLUMN]:
            outcome = self._grade(bytes(study), bool(explain), only, end)
            request_id = uuid.uuid4().hex
            if self.log is not None:
                self.log.append(request_id, self.name, bytes(study), outcome.answer, task, outcome.features)
            if outcome.crops is not None:
                self.cache.put(request_id, self.name, outcome.crops)
            answers.append(self._sign(outcome, request_id, bool(explain)))
        return pd.concat(answers, ignore_index=True)

    def _explain_kept(self, request_id: str, explain: bool, only: Cell | None, end: float) -> pd.DataFrame:
        """Explains an earlier answer in its turn; an answer without records if it is not kept."""
        graded = self.cache.get(request_id, self.name)
        if graded is None:
            return pd.DataFrame()
        if not self.turn.acquire(timeout=max(0.0, end - time.monotonic())):
            return self._sign(self._busy(), request_id, explain)
        try:
            looks = explain_graded(self.model, graded, only) if explain else {}
        finally:
            self.turn.release()
        return self._sign(_Outcome(graded.answer, looks), request_id, explain)

    def _busy(self) -> "_Outcome":
        reason = f"{_BUSY} for {self.seconds:.0f} s; send the study again later"
        return _Outcome(refuse_study(self.model.config.task, reason, "model-server-busy"))

    def _sign(self, outcome: "_Outcome", request_id: str, explain: bool) -> pd.DataFrame:
        """The answer with its heat maps, if they were asked for, and where it comes from."""
        answer = outcome.answer
        if explain:
            answer = with_heat_maps(answer, outcome.looks, self.model.config.prepare)
        origin = dict(zip(ANSWER_ORIGIN, (request_id, self.name), strict=True))
        return answer.assign(**origin, **{TRAINED_ON: self.statement})

    def _grade(self, study: bytes, explain: bool, only: Cell | None, end: float) -> "_Outcome":
        """Grades a study in its turn; whatever keeps it from being graded becomes the reason of every cell.

        Args:
            end: When nobody waits for the answer, on the monotonic clock; the next study has its turn then.
        """
        task = self.model.config.task
        if not self.turn.acquire(timeout=max(0.0, end - time.monotonic())):
            return self._busy()
        try:
            with open_study(study, task, seconds=end - time.monotonic()) as opened:
                graded = grade_with_crops(self.model, opened, self.abstain_above)
                crops = graded.graded_crops
                looks = explain_graded(self.model, crops, only) if explain else {}
                features = graded.features() if self.log is not None else None
                return _Outcome(graded.answer, looks, features, crops)
        except (InputError, StudyTimeoutError) as error:
            return _Outcome(refuse_study(task, str(error), error.code))
        except ScratchError as error:
            _log.error("a study could not be unpacked: %s", error)
            return _Outcome(refuse_study(task, _NO_SPACE, error.code))
        except Exception as error:  # a study may hold anything; its words may be a patient's
            _log.error("a study could not be graded (%s)", type(error).__name__)
            reason = f"the study could not be graded ({type(error).__name__})"
            return _Outcome(refuse_study(task, reason, "unexpected-fault"))
        finally:
            self.turn.release()


@dataclass(frozen=True, eq=False)
class _Outcome:
    answer: pd.DataFrame
    looks: dict[CellKey, Look] = field(default_factory=dict)
    features: Features | None = None
    crops: GradedCrops | None = None


def _answer_seconds() -> float:
    """How long somebody waits for an answer: less than the scoring server does, so that he gets it."""
    waits = MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT.get_raw()  # type: ignore[no-untyped-call]
    return _SHARE_OF_WAIT * float(waits) if waits else LIMITS.seconds


def _cell(task: GradingTask, column: str) -> Cell:
    cell = next((cell for cell in task.cells if cell.column == column), None)
    if cell is None:
        some = task.cells[0].column
        problem = f"params.{EXPLAIN} names no cell of task {task.name}; give {EXPLAIN_ALL}, or one cell such as {some}"
        raise MlflowException.invalid_parameter_value(problem)
    return cell


set_model(GradingModel())
