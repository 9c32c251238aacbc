"""Grades and points that come with new studies, by whatever the studies are called in them."""

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from lumbargrade.config.task import GradingTask
from lumbargrade.data.ids import same_but_changed
from lumbargrade.data.intake.source import SourceStudy
from lumbargrade.data.spelling import spell_columns
from lumbargrade.data.tables import read_header, read_labels
from lumbargrade.deidentify.study_hash import study_hash, study_number
from lumbargrade.errors import InputError

KEYS = ("study_id", "StudyInstanceUID", "AccessionNumber")
"""Columns by which a label table may name its studies."""

Grades = dict[str, str]


@dataclass
class LabelTable:
    """Grades by study.

    Attributes:
        key: Which of :data:`KEYS` names the studies.
        grades: By study, the filled cells; a study without one has none.
        salt: The reading room's, whose corrections call a study by a number made of its StudyInstanceUID.
        used: Studies that were asked for.
        missed: Names that were asked for in vain.
    """

    key: str
    grades: dict[str, Grades]
    salt: bytes | None = None
    used: set[str] = field(default_factory=set)
    missed: set[str] = field(default_factory=set)

    def of(self, study: SourceStudy) -> Grades | None:
        """The grades of a study of a source; nothing if the table does not name it."""
        if self.key == "study_id":
            return self.of_number(study.study_id, study.uid)
        return self._take(study.uid if self.key == "StudyInstanceUID" else study.accession)

    def of_number(self, study_id: int | None, uid: str) -> Grades | None:
        """The grades of a study by its number, or by the number that the reading room has for its UID."""
        found = None if study_id is None else self._take(str(study_id))
        if found is None and uid and self.salt is not None and self.key == "study_id":
            found = self._take(str(study_number(study_hash(self.salt, uid))))
        return found

    @property
    def unused(self) -> int:
        """How many of its studies nobody asked for."""
        return len(self.grades.keys() - self.used)

    @property
    def changed(self) -> int:
        """How many of those that nobody asked for name a study, if a spreadsheet has changed how they are written."""
        return sum(same_but_changed(name, self.missed) is not None for name in self.grades.keys() - self.used)

    def _take(self, name: str) -> Grades | None:
        (self.used if name in self.grades else self.missed).add(name)
        return self.grades.get(name)


def read_label_table(path: Path, task: GradingTask, salt: Path | None = None) -> LabelTable:
    """Reads a table with the grade columns of ``train.csv`` and one of :data:`KEYS`.

    Args:
        salt: File with the reading room's salt.

    Raises:
        InputError: It is no such table; the sentence names file, line and what is wrong, never a patient's number.
    """
    header = spell_columns(read_header(path), KEYS)
    keys = [key for key in KEYS if key in header]
    if len(keys) != 1:
        raise InputError(
            f"{path.name} must have one of the columns {', '.join(KEYS)}, to say which study a row is of",
            "",
            "labels-without-key-column",
        )
    table = read_labels(path, task, keys[0]).set_index(keys[0])
    grades = {str(name): {str(c): str(g) for c, g in row.items() if pd.notna(g)} for name, row in table.iterrows()}
    return LabelTable(keys[0], grades, None if salt is None else _read_salt(salt))


def _read_salt(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"salt {path} cannot be read ({error.strerror})",
            "it lies in the reading room's data folder",
            "salt-unreadable",
        ) from error
