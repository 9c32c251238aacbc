"""The serving log: a line for each answer, by which an answer is traced to the model that gave it.

It holds no pixels, and no identifiers but a salted hash of the study: the same study has the same hash, and nobody who
does not hold the salt can tell which study it is. What is kept of the images are the few numbers of
:mod:`lumbargrade.inference.drift_features`, by which drift is seen.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
from filelock import FileLock

from lumbargrade.config.project import current_project
from lumbargrade.config.task import GradingTask
from lumbargrade.deidentify.study_hash import StudyHasher
from lumbargrade.errors import InputError
from lumbargrade.frozen import Frozen
from lumbargrade.inference.drift_features import Features
from lumbargrade.json_lines import JsonLines

SERVING_LOG = "LUMBARGRADE_SERVING_LOG"
"""Environment variable with the path of the log; a model server without it writes none."""


class AnsweredCell(Frozen):
    """What was said of a cell.

    Attributes:
        probabilities: Of the task's grades; empty if there is no grade.
        confidence: The locator's; None if it was not asked.
        reason: Why there is no grade.
    """

    condition: str
    level: str
    grade: str | None
    probabilities: tuple[float, ...]
    confidence: float | None
    reason: str | None


class Answered(Frozen):
    """An answer.

    Attributes:
        time: UTC, ISO 8601.
        model: Registered name and version; MLflow's id of a model that was served without them.
        study: Salted hash of the study's UID; empty if it could not be opened.
        input_sha256: Salted hash of the bytes that were sent.
        features: None if the study could not be opened, or was answered before features were kept.
    """

    time: str
    request_id: str
    model: str
    study: str
    input_sha256: str
    cells: tuple[AnsweredCell, ...]
    features: Features | None = None


class ServingLog:
    """The log of a model server.

    Args:
        path: Its file, the project's if it is not given; the salt lies beside it, for its owner only.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or current_project().prediction_log
        self._lines = JsonLines(self.path)

    def append(
        self,
        request_id: str,
        model: str,
        study: bytes,
        answer: pd.DataFrame,
        task: GradingTask,
        features: Features | None = None,
    ) -> None:
        """Adds an answer; once this returns, it is on the disk.

        Args:
            study: The zip that was sent.
            answer: As :func:`lumbargrade.inference.grade.grade_study` gives it.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self.path}.lock"):
            hashed = StudyHasher(self.path.parent)
            uid = answer["study_id"].iloc[0]
            answered = Answered(
                time=datetime.now(UTC).isoformat(timespec="milliseconds"),
                request_id=request_id,
                model=model,
                study="" if uid is None else hashed(str(uid)),
                input_sha256=hashed(study),
                cells=answered_cells(answer, task),
                features=features,
            )
            self._lines.append(answered)

    def answers(self) -> Iterator[Answered]:
        """The answers in their order; a line that a killed server had begun is left out."""
        return self._lines.read(Answered)

    def get(self, request_id: str) -> Answered:
        """Returns an answer by its request id.

        Raises:
            InputError: The log does not have it.
        """
        for answered in self.answers():
            if answered.request_id == request_id:
                return answered
        raise InputError(
            f"{self.path} has no answer {request_id}",
            "name the log of the server that gave it with --log",
            "answer-not-logged",
        )


def answered_cells(answer: pd.DataFrame, task: GradingTask) -> tuple[AnsweredCell, ...]:
    """The cells of an answer as :func:`lumbargrade.inference.grade.grade_study` gives it."""
    names = ("condition", "level", "grade", "confidence", "reason")
    return tuple(
        AnsweredCell(
            probabilities=tuple(row[column] for column in task.grade_columns if row[column] is not None),
            **{name: row[name] for name in names},
        )
        for row in answer.to_dict("records")
    )
