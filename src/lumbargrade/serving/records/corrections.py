"""What readers think instead of the model: appended, never changed, and exported as labels in RSNA's columns."""

import csv
import io
import threading
from collections.abc import Mapping
from pathlib import Path

from filelock import FileLock
from pydantic import ConfigDict

from lumbargrade.config.task import CellKey, GradingTask
from lumbargrade.deidentify.study_hash import study_number
from lumbargrade.frozen import Frozen
from lumbargrade.json_lines import JsonLines


class HttpModel(Frozen):
    """A part of the HTTP API's JSON: what is answered has all of its fields."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)


class ServedVersion(HttpModel):
    """Which model answers.

    Attributes:
        alias: The one that named the version when the reading room was started.
    """

    name: str
    version: str
    alias: str | None = None
    run_id: str | None = None


class Correction(HttpModel):
    """What a reader thinks instead.

    Attributes:
        grade: None where the cell cannot be graded.
        model_grade: What the model had said.
        at: UTC, ISO 8601.
        by: Who was let in: the proxy's user, or "reader".
    """

    condition: str
    level: str
    grade: str | None
    model_grade: str | None
    comment: str | None
    at: str
    by: str


CORRECTIONS = "corrections.jsonl"


class KeptCorrection(Frozen):
    """A line of the file.

    Attributes:
        request_id: The answer that is corrected; its model version is in the serving log too.
        study_hash: Salted; nothing else tells the study.
    """

    task: str
    request_id: str
    study_hash: str
    model: ServedVersion
    correction: Correction


class Corrections:
    """The corrections of a data folder.

    Args:
        folder: The data folder.
        task: Corrections of other tasks in the file are left alone.
    """

    def __init__(self, folder: Path, task: GradingTask) -> None:
        self._lines = JsonLines(folder / CORRECTIONS)
        self._task = task
        self._lock = threading.Lock()
        self._last: dict[str, dict[CellKey, Correction]] = {}
        folder.mkdir(parents=True, exist_ok=True)
        for kept in self._lines.read(KeptCorrection):
            self._note(kept)

    def add(self, kept: KeptCorrection) -> None:
        """Appends a correction; once this returns, it is on the disk."""
        with self._lock:
            with FileLock(f"{self._lines.path}.lock"):
                self._lines.append(kept)
            self._note(kept)

    def of(self, study_hash: str) -> Mapping[CellKey, Correction]:
        """The last correction of each cell of a study."""
        with self._lock:
            return dict(self._last.get(study_hash, {}))

    def table(self) -> str:
        """All corrected studies as CSV with the columns of ``train.csv``; cells that nobody corrected are empty."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["study_id", *self._task.columns])
        with self._lock:
            for study_hash, cells in sorted(self._last.items()):
                grades = [
                    cells[key].grade or "" if (key := (c.condition.name, c.level)) in cells else ""
                    for c in self._task.cells
                ]
                writer.writerow([study_number(study_hash), *grades])
        return text.getvalue()

    def _note(self, kept: KeptCorrection) -> None:
        if kept.task == self._task.name:
            correction = kept.correction
            self._last.setdefault(kept.study_hash, {})[correction.condition, correction.level] = correction
