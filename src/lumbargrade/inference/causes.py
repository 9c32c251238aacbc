"""Why a study's cells are not graded, one sentence a cause: what many cells say alike is said once.

Page, PDF, DICOM SR and command line show these, and make none of their own.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from lumbargrade.config.task import CellKey, Condition, GradingTask
from lumbargrade.localization.doubt import LEAST_CONFIDENCE
from lumbargrade.notes import Note

_SIDES = ("left", "right")
_TOGETHER = {
    "level-not-seen": "the model did not find {levels} in the study's {series} series; the images may be fine",
    "level-elsewhere": "place uncertain: {levels} lie elsewhere in the {series} series than in the study's others",
    "level-not-located": "{levels} are not located on a sagittal series, so that their {series} slices are not known",
    "no-slice-at-level": "no {series} slice passes through {levels}",
    "place-not-shown": "no slice of the study's {series} series passes through their places",
    "place-not-seen": "the model did not find their places in the {series} series; the images may be fine",
    "place-not-seen-on-side": "the model did not find their places on their sides in the {series} series",
    "place-at-other-level": "place uncertain: their places would lie at the heights of other levels",
    "place-unsure": f"their places were found with a confidence below {LEAST_CONFIDENCE:.0%}",
    "levels-at-odds": "place uncertain: places of neighbouring levels would lie too near to each other, or too far apart",
    "sides-at-odds": "place uncertain: left and right of one level would lie at different heights",
    "not-sure-enough": "not sure enough: too many grades are possible",
}
"""What several cells say of whose reasons each names its own level or place, by the reasons' code."""


@dataclass(frozen=True)
class Cause:
    """Why cells are not graded.

    Attributes:
        code: Of the cells' reasons; None if they have none, as those of older models.
        text: A sentence without a capital letter and a full stop.
        sites: The cells in words, as "bilateral subarticular stenosis at L1/L2 and L2/L3".
        cells: Condition and level of each.
        reasons: What the cells themselves say.
    """

    code: str | None
    text: str
    sites: str
    cells: tuple[CellKey, ...]
    reasons: frozenset[str]


def find_causes(records: Iterable[Mapping[str, Any]], task: GradingTask) -> list[Cause]:
    """Finds why cells have no grade, in the order of the task's cells.

    Args:
        records: Condition, level, grade, reason and reason_code of each cell.
    """
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for record in records:
        if record["grade"] is None:
            code, reason = record.get("reason_code"), str(record["reason"] or "no reason is given")
            alike = task.condition(record["condition"]).series if code in _TOGETHER else reason
            groups.setdefault((str(code or ""), alike), []).append(record)
    return [_cause(members, task) for members in groups.values()]


def _cause(members: Sequence[Mapping[str, Any]], task: GradingTask) -> Cause:
    cells = tuple((str(member["condition"]), str(member["level"])) for member in members)
    reasons = list(dict.fromkeys(str(member["reason"] or "no reason is given") for member in members))
    code, text = members[0].get("reason_code"), reasons[0]
    if len(reasons) > 1:
        levels = [level for level in task.levels if level in {level for _, level in cells}]
        text = _TOGETHER[str(code)].format(series=task.condition(cells[0][0]).series, levels=_listed(levels))
    return Cause(code, text, name_sites(cells, task), cells, frozenset(reasons))


def untold_notes(notes: Iterable[Note], causes: Sequence[Cause]) -> list[Note]:
    """The notes that say what no cause says."""
    reasons = [reason for cause in causes for reason in cause.reasons]
    codes = {cause.code for cause in causes}

    def is_said(note: Note) -> bool:
        if note.code == "levels-not-seen":
            return "level-not-seen" in codes
        why = note.facts.get("reason")
        return isinstance(why, str) and any(why in reason for reason in reasons)

    return [note for note in notes if not is_said(note)]


def name_sites(cells: Iterable[CellKey], task: GradingTask) -> str:
    """Cells in words; both sides of a condition together where they are of the same levels."""
    cells = list(cells)
    if len(cells) > 1 and len(set(cells)) == len(task.cells):
        return "every site"
    levels: dict[str, list[str]] = {}
    for condition, level in cells:
        levels.setdefault(condition, []).append(level)
    parts = []
    for at, conditions in groupby(
        (c for c in task.conditions if c.name in levels), key=lambda c: tuple(levels[c.name])
    ):
        where = "every level" if set(at) == set(task.levels) and len(at) > 1 else _ranged(at, task)
        parts.append(f"{_listed(list(name_conditions(list(conditions))))} at {where}")
    return "; ".join(parts)


def name_conditions(conditions: Sequence[Condition]) -> Iterator[str]:
    """Conditions in words; where both sides of a group are there, once, as ``bilateral``."""
    for _, members in groupby(conditions, key=lambda condition: condition.group):
        group = list(members)
        if sorted(condition.side or "" for condition in group) == sorted(_SIDES):
            yield f"bilateral {group[0].label.lower().removeprefix(f'{group[0].side} ')}"
        else:
            yield from (condition.label.lower() for condition in group)


def _ranged(levels: Sequence[str], task: GradingTask) -> str:
    """``L1/L2 to L4/L5, L5/S1``: three neighbours and more as a range."""
    places = sorted(task.levels.index(level) for level in levels)
    runs: list[list[int]] = []
    for place in places:
        if runs and place == runs[-1][-1] + 1:
            runs[-1].append(place)
        else:
            runs.append([place])
    words = []
    for run in runs:
        names = [task.levels[place] for place in run]
        words += [f"{names[0]} to {names[-1]}"] if len(run) > 2 else names
    return _listed(words)


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
