"""What the integrity check found, and the report of it."""

from collections import Counter, defaultdict
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from lumbargrade.data.validation.rules import KINDS, Level

_LEVELS: tuple[Level, ...] = ("error", "warning", "note")
_ORDER = sorted(KINDS, key=lambda kind: _LEVELS.index(KINDS[kind].level))
"""The kinds of faults, the gravest first."""


class Finding(BaseModel):
    """One fault of one study or series; faults of the same kind are told together."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    level: Level
    study_id: int | None
    series_id: int | None
    message: str


def finding(kind: str, message: str, study_id: object, series_id: object = None) -> Finding:
    """Makes a finding of one of :data:`KINDS`.

    Args:
        study_id: Anything that prints as a whole number, as the keys of pandas' groups do, or None.
        series_id: The same.
    """
    study, series = (None if number is None else int(str(number)) for number in (study_id, series_id))
    return Finding(kind=kind, level=KINDS[kind].level, study_id=study, series_id=series, message=message)


class KindCount(BaseModel):
    """How often a kind of fault was found, and what to do about it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    level: Level
    title: str
    remedy: str
    findings: int
    studies: int


class SeriesSummary(BaseModel):
    """The series of one description.

    Attributes:
        slices: Fewest, median and most slices of a series that has any.
        not_square: Series whose images have unequal sides.
        orientations: Series by the orientation of most of their slices.
        directions: Series by where their instance numbers lead: ``left``, ``head``, ..., or ``none``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    description: str
    used: bool
    series: int
    studies: int
    files: int
    slices: tuple[int, float, int]
    not_square: int
    orientations: dict[str, int]
    directions: dict[str, int]


class CheckReport(BaseModel):
    """The result of an integrity check.

    Attributes:
        files: DICOM files of described series.
        findings: By level, kind, study and series.
        counts: The kinds among the findings, in the same order.
        grades: Labelled cells, by condition and grade; ``empty`` are cells without a grade.
        series: By description.
        transfer_syntaxes: Slices by UID of their encoding.
        manufacturers: Series by maker of the scanner.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str
    studies: int
    files: int
    points: int
    findings: tuple[Finding, ...]
    counts: tuple[KindCount, ...]
    grades: dict[str, dict[str, int]]
    series: tuple[SeriesSummary, ...]
    transfer_syntaxes: dict[str, int]
    manufacturers: dict[str, int]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Findings that cost or spoil labelled cells."""
        return self.of_level("error")

    def of_level(self, level: Level) -> tuple[Finding, ...]:
        """Returns the findings of one level."""
        return tuple(found for found in self.findings if found.level == level)


def ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Sorts findings by level, kind, study and series."""

    def place(found: Finding) -> tuple[int, int, int, str]:
        return _ORDER.index(found.kind), found.study_id or 0, found.series_id or 0, found.message

    return tuple(sorted(findings, key=place))


def count_kinds(findings: Iterable[Finding]) -> tuple[KindCount, ...]:
    """Counts findings, and the studies that have them, by kind."""
    number = Counter[str]()
    studies: dict[str, set[int | None]] = defaultdict(set)
    for found in findings:
        number[found.kind] += 1
        studies[found.kind].add(found.study_id)
    return tuple(
        KindCount(kind=kind, **KINDS[kind]._asdict(), findings=number[kind], studies=len(studies[kind]))
        for kind in sorted(number, key=_ORDER.index)
    )


def first_few(values: Iterable[object], most: int = 5) -> str:
    """Lists some values, and how many there are beyond them."""
    words = [str(value) for value in values]
    rest = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + rest
