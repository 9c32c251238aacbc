"""What a batch has done so far: a line a study, so that a run that is killed loses the studies under way and no other."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout
from pydantic import ValidationError

from lumbargrade.errors import InputError
from lumbargrade.frozen import Frozen
from lumbargrade.json_lines import JsonLines


class BatchModel(Frozen):
    """The model that grades a batch; all of it, or the output would mix models.

    Attributes:
        name: Registered name and version, or the name of a folder.
        sha256: Of its files.
    """

    name: str
    task: str
    sha256: str


class GradedStudy(Frozen):
    """What came of a study.

    Attributes:
        study: Name of its folder or zip; of one of several in it, that name, a slash and its id.
        parts: Ids of the studies in it, if it holds several; each has a line of its own, and this one no records.
        source: What was there: names, sizes and times of its files, hashed.
        records: A record a cell, as :func:`lumbargrade.inference.grade.grade_study` returns them; empty for a fault.
        fault: Why it could not be graded.
    """

    study: str
    source: str
    records: tuple[dict[str, Any], ...] = ()
    fault: str | None = None
    parts: tuple[str, ...] = ()


def part_name(name: str, study_id: str) -> str:
    """How a journal calls one of several studies in a folder or zip."""
    return f"{name}/{study_id}"


class Journal:
    """The last word on each study; lines are only ever appended.

    Args:
        path: Made if it is not there.
        model: What grades now.

    Raises:
        InputError: Another model began the file, or another run writes it.
    """

    def __init__(self, path: Path, model: BatchModel) -> None:
        self._path = path
        self.studies: dict[str, GradedStudy] = {}
        self._lines = JsonLines(path)
        whole = self._lines.whole_lines()
        if whole:
            self._check_model(whole[0], model)
        for line in whole[1:]:
            self._note(line)
        if not whole:
            self._lines.cut_torn()
            self._lines.append(model)

    @classmethod
    @contextmanager
    def opened(cls, path: Path, model: BatchModel) -> Iterator[Self]:
        """Opens a journal for this run alone."""
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(f"{path}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise InputError(
                f"another run writes {path}", "wait for it, or give another --out", "batch-output-in-use"
            ) from None
        try:
            yield cls(path, model)
        finally:
            lock.release()

    def add(self, graded: GradedStudy) -> None:
        """Appends a study; once this returns, it is on the disk."""
        self._lines.append(graded)
        self.studies[graded.study] = graded

    def graded(self, name: str) -> list[GradedStudy]:
        """What came of a folder or zip: of the study in it, or of each of several."""
        whole = self.studies[name]
        return [self.studies[part_name(name, part)] for part in whole.parts] or [whole]

    def _check_model(self, line: bytes, model: BatchModel) -> None:
        try:
            begun = BatchModel.model_validate_json(line)
        except ValidationError:
            raise InputError(
                f"{self._path} is no journal of a batch", "give another --out", "batch-journal-unreadable"
            ) from None
        if begun != model:
            raise InputError(
                f"{self._path} was begun with {begun.name}, and {model.name} is another model: go on with --model of "
                "the first, or give another --out, as an output never mixes two models",
                "",
                "batch-of-another-model",
            )

    def _note(self, line: bytes) -> None:
        try:
            graded = GradedStudy.model_validate_json(line)
        except ValidationError:  # a line that a killed run had begun, and the next one ended
            return
        self.studies[graded.study] = graded
