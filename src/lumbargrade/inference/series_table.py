"""The series of a study, which of them were used for what, and why the others were not: a row a series.

Series are named by words of a fixed list, never by their descriptions, which may name somebody.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from lumbargrade.config.task import GradingTask, series_kind
from lumbargrade.inference.described_series import DescribedSeries
from lumbargrade.localization.left_out import LeftOut
from lumbargrade.notes import Note

if TYPE_CHECKING:  # which comes with torch, and the page reads these rows without
    from lumbargrade.localization.localize import LocatedStudy

LEVELS = "levels"
"""What a series is used for by which the levels are named."""


class SeriesRow(BaseModel):
    """A series, and what became of it.

    Attributes:
        series: As the column ``series`` of an answer has it.
        number: SeriesNumber; None if the header has none.
        name: Plane, weighting, fat suppression and contrast agent in words, as "sagittal T1 fat-suppressed after contrast".
        contrast_agent: Whether one was given; None if nothing tells.
        confidence: How sure the weighting is, 0 to 1: an order, not a frequency.
        used_for: Conditions that are graded on it, and :data:`LEVELS`.
        reason_code, reason: Why it is not used; None if it is.
    """

    model_config = ConfigDict(frozen=True)  # a later version may say more

    series: str
    number: int | None
    name: str
    plane: Literal["sagittal", "coronal", "axial"] | None
    weighting: str | None
    fat_suppressed: bool
    contrast_agent: bool | None
    slices: int
    confidence: float
    used: bool
    used_for: tuple[str, ...]
    reason_code: str | None
    reason: str | None


_ROWS = TypeAdapter(tuple[SeriesRow, ...])


def write_series_json(rows: Iterable[SeriesRow]) -> str | None:
    """The rows for programs; None if there are none."""
    rows = tuple(rows)
    return _ROWS.dump_json(rows).decode() if rows else None


def read_series_json(text: object) -> tuple[SeriesRow, ...]:
    """The rows of an answer; none where it has none, as those of older models."""
    if isinstance(text, str):
        try:
            return _ROWS.validate_json(text)
        except ValidationError:
            pass
    return ()


def describe_row(row: SeriesRow, task: GradingTask) -> str:
    """A row in one sentence, for a report: what the series was used for, or why it was not."""
    number = "Series without a number" if row.number is None else f"Series {row.number}"
    slices = f"{row.slices} slice{'' if row.slices == 1 else 's'}"
    if not row.used:
        return f"{number}, {row.name}, {slices}: not used: {row.reason}."
    conditions = [condition.label.lower() for condition in task.conditions if condition.name in row.used_for]
    uses = [*conditions, *(["the names of the levels"] if LEVELS in row.used_for else [])]
    return f"{number}, {row.name}, {slices}: used for {', '.join(uses)}."


def tabulate_series(
    series: Sequence[DescribedSeries],
    task: GradingTask,
    graded: Mapping[str, Collection[str]],
    located: "LocatedStudy",
    left_out: Iterable[LeftOut],
    torn: Collection[str] = (),
) -> list[SeriesRow]:
    """Tabulates a study's series in their order.

    Args:
        graded: Conditions that are graded, by series.
        left_out: Those that nothing was looked for on.
        torn: Single slices of which it is not known what series they are of.
    """
    faults = {one.series: Note.make("series-left-out", "{why}", why=one.reason) for one in left_out}
    faults |= {key: Note.make("series-torn", "it is not known which slices belong together") for key in torn}
    used = {described.key: _used_for(described, task, graded, located) for described in series}
    rows = []
    for described in series:
        reason = None
        if not used[described.key]:
            taken = [other for other in series if used[other.key]]
            reason = faults.get(described.key) or located.unused.get(described.key) or _unused(described, task, taken)
        row = _row(described, used[described.key], reason)
        rows.append(_with_seen(row, *located.weightings[row.series]) if row.series in located.weightings else row)
    return rows


def _with_seen(row: SeriesRow, weighting: str, sure: float) -> SeriesRow:
    """The row of a series whose weighting is known by its images only."""
    name = " ".join(part for part in (row.plane, weighting) if part)
    return row.model_copy(update={"name": name, "weighting": weighting, "confidence": sure})


def _used_for(
    described: DescribedSeries, task: GradingTask, graded: Mapping[str, Collection[str]], located: "LocatedStudy"
) -> tuple[str, ...]:
    conditions = graded.get(described.key, ())
    names = tuple(condition.name for condition in task.conditions if condition.name in conditions)
    return (*names, LEVELS) if described.key == located.levels_from else names


def _row(described: DescribedSeries, used_for: tuple[str, ...], reason: Note | None) -> SeriesRow:
    return SeriesRow(
        series=described.key,
        number=described.number,
        name=described.title or "unknown",
        plane=described.plane,
        weighting=described.weighting,
        fat_suppressed=described.kind.fat_suppressed,
        contrast_agent=described.kind.contrast_agent,
        slices=described.slices,
        confidence=described.kind.confidence,
        used=bool(used_for),
        used_for=used_for,
        reason_code=reason.code if reason else None,
        reason=reason.text if reason else None,
    )


def _unused(described: DescribedSeries, task: GradingTask, taken: Sequence[DescribedSeries]) -> Note:
    """Why a series that could be looked at has no place of an answer."""
    kinds = [series_kind(condition.series) for condition in task.conditions]
    plane, contrast = described.plane, described.contrast
    if plane is not None and all(kind.orientation != plane for kind in kinds):
        return Note.make("plane-not-graded", "no condition is graded on {plane} series", plane=plane)
    if (
        plane is not None
        and contrast is not None
        and all((kind.orientation, kind.contrast) != (plane, contrast) for kind in kinds)
    ):
        return Note.make(
            "kind-not-graded", "no condition is graded on {plane} {kind} series", plane=plane, kind=contrast
        )
    alike = [other for other in taken if (other.plane, other.contrast) == (plane, contrast)]
    if alike:
        return Note.make(
            "other-series-taken", "another one is used: {other}", other=alike[0].name(alike[0].images.stacks)
        )
    return Note.make("nothing-found", "no place that is graded was found on it")
