"""Plain sentences: what is found at a level, and what whoever reads the grades should know first."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from lumbargrade.task import Condition, GradingTask
from lumbargrade.web.api import Cell, Sentence
from lumbargrade.web.index import SeriesIndex
from lumbargrade.web.problems import sentence

_UNSURE_PLACE = 0.3
_SIDES = ("left", "right")

CellKey = tuple[str, str]


def level_sentences(task: GradingTask, cells: Sequence[Cell]) -> tuple[Sentence, ...]:
    """One statement a level, the worst finding first: ``L4/L5: severe spinal canal stenosis, moderate left ...``."""
    by_key = {(cell.condition, cell.level): cell for cell in cells}
    return tuple(Sentence(level=level, text=f"{level}: {_level(task, level, by_key)}") for level in task.levels)


def flags(task: GradingTask, cells: Sequence[Cell], notes: Iterable[str], series: Iterable[SeriesIndex]) -> list[str]:
    """What to know before reading: the model's notes, series that are missing, places that are uncertain, lost slices."""
    told = [sentence(note) for note in notes]
    if all(cell.grade is None for cell in cells):
        told.insert(0, "Nothing could be graded in this study.")
    told += [sentence(reason) for reason in dict.fromkeys(cell.reason or "" for cell in cells) if "the study" in reason]
    unsure = [cell for cell in cells if cell.place and (cell.place.confidence or 1.0) < _UNSURE_PLACE]
    if unsure:
        where = ", ".join(f"{cell.level} {finding(task.condition(cell.condition))}" for cell in unsure[:3])
        more = f" and {len(unsure) - 3} more" if len(unsure) > 3 else ""
        told.append(f"The model is not sure where to look for {where}{more}; check the marked places.")
    for found in series:
        if found.unreadable:
            count = f"{found.unreadable} slice{'s' if found.unreadable > 1 else ''}"
            told.append(
                f"{count} of {found.title} could not be decoded and {'are' if found.unreadable > 1 else 'is'} left out."
            )
    return list(dict.fromkeys(told))


def finding(condition: Condition) -> str:
    """A condition in a sentence: ``left neural foraminal narrowing``."""
    return condition.label.lower()


def _level(task: GradingTask, level: str, cells: Mapping[CellKey, Cell]) -> str:
    """The findings, what was not graded, and where the worst grade is not ruled out."""
    here = [(condition, cells[condition.name, level]) for condition in task.conditions]
    graded = [(condition, cell) for condition, cell in here if cell.grade is not None]
    missing = [(condition, cell) for condition, cell in here if cell.grade is None]
    if not graded:
        reasons = dict.fromkeys(cell.reason or "" for _, cell in missing)
        return f"not graded: {next(iter(reasons))}." if len(reasons) == 1 else "not graded."
    best, worst = task.grades[0], task.grades[-1]
    found = [f"{grade.lower()} {words}" for grade, words in _findings(task, graded)]
    normal = f"{_grade_words(best)} throughout" if not missing else f"{_grade_words(best)} where graded"
    text = ", ".join(found) or normal
    if missing:
        text += f"; not graded: {', '.join(_joined([condition for condition, _ in missing]))}"
    doubtful = [condition for condition, cell in graded if cell.grade != worst and worst in cell.possible_grades]
    if doubtful:
        every = len(doubtful) == len(graded) and len(graded) > 1
        text += f". {worst} is not ruled out {'anywhere' if every else 'for ' + ', '.join(_joined(doubtful))}"
    return f"{text}."


def _findings(task: GradingTask, graded: Sequence[tuple[Condition, Cell]]) -> Iterator[tuple[str, str]]:
    """Grades above the best one, the worst first; both sides of one grade together."""
    for grade in reversed(task.grades[1:]):
        for words in _joined([condition for condition, cell in graded if cell.grade == grade]):
            yield grade, words


def _joined(conditions: Sequence[Condition]) -> Iterator[str]:
    """Conditions in words; where both sides of a group are there, once, as ``bilateral``."""
    for _, members in groupby(conditions, key=lambda condition: condition.group):
        group = list(members)
        if sorted(condition.side or "" for condition in group) == sorted(_SIDES):
            yield f"bilateral {finding(group[0]).removeprefix(f'{group[0].side} ')}"
        else:
            yield from map(finding, group)


def _grade_words(grade: str) -> str:
    return grade.lower().replace("/", " or ")
