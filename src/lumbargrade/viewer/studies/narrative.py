"""Plain sentences: what is found at a level, and what whoever reads the grades should know first."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from lumbargrade.config.task import Condition, GradingTask
from lumbargrade.viewer.errors import sentence
from lumbargrade.viewer.image_index import SeriesIndex
from lumbargrade.viewer.schemas import Cell, Sentence

_SIDES = ("left", "right")

CellKey = tuple[str, str]


def level_sentences(task: GradingTask, cells: Sequence[Cell]) -> tuple[Sentence, ...]:
    """One statement a level, the worst finding first: ``L4/L5: severe spinal canal stenosis, moderate left ...``."""
    by_key = {(cell.condition, cell.level): cell for cell in cells}
    return tuple(Sentence(level=level, text=f"{level}: {_level(task, level, by_key)}") for level in task.levels)


def flags(
    task: GradingTask,
    cells: Sequence[Cell],
    notes: Iterable[str],
    series: Iterable[SeriesIndex],
    study_reasons: Iterable[str] = (),
) -> list[str]:
    """What to know before reading: places that are uncertain, the model's notes, series that are missing, lost slices.

    Args:
        study_reasons: Why cells are not graded, where the reason lies in the study as a whole.
    """
    told = [*_uncertain_places(cells), *map(sentence, notes)]
    if all(cell.grade is None for cell in cells):
        told.insert(0, "Nothing could be graded in this study.")
    told += map(sentence, study_reasons)
    for found in series:
        if found.unreadable:
            count = f"{found.unreadable} slice{'s' if found.unreadable > 1 else ''}"
            told.append(
                f"{count} of {found.title} could not be decoded and {'are' if found.unreadable > 1 else 'is'} left out."
            )
    return list(dict.fromkeys(told))


def _uncertain_places(cells: Sequence[Cell]) -> Iterator[str]:
    places = sum(cell.place is not None or cell.place_uncertain for cell in cells)
    uncertain = sum(cell.place_uncertain for cell in cells)
    if uncertain == 1:
        yield f"1 of {places} places is uncertain: check the marked place before you use its grade."
    elif uncertain:
        yield f"{uncertain} of {places} places are uncertain: check the marked places before you use these grades."


def finding(condition: Condition) -> str:
    """A condition in a sentence: ``left neural foraminal narrowing``."""
    return condition.label.lower()


def _level(task: GradingTask, level: str, cells: Mapping[CellKey, Cell]) -> str:
    """The findings, what was not graded, where the worst grade cannot be excluded, and where a place is uncertain."""
    here = [(condition, cells[condition.name, level]) for condition in task.conditions]
    graded = [(condition, cell) for condition, cell in here if cell.grade is not None]
    missing = [(condition, cell) for condition, cell in here if cell.grade is None]
    if not graded:
        reasons = dict.fromkeys(cell.reason or "" for _, cell in missing)
        return f"not graded: {next(iter(reasons))}." if len(reasons) == 1 else "not graded."
    best, worst = task.grades[0], task.grades[-1]
    found = [f"{grade.lower()} {words}" for grade, words in _findings(task, graded)]
    text = ", ".join(found) or f"{best.capitalize()} at every graded site"
    if missing:
        text += f"; not graded: {', '.join(_joined([condition for condition, _ in missing]))}"
    doubtful = [condition for condition, cell in graded if cell.grade != worst and worst in cell.possible_grades]
    if doubtful:
        every = len(doubtful) == len(graded) and len(graded) > 1
        text += f". {worst} cannot be excluded at {'any graded site' if every else _sites(level, doubtful)}"
    uncertain = [condition for condition, cell in graded if cell.place_uncertain]
    if uncertain:
        every = len(uncertain) == len(graded)
        text += f". {'Every place is uncertain' if every else 'Place uncertain: ' + ', '.join(_joined(uncertain))}"
    return f"{text}."


def _sites(level: str, conditions: Sequence[Condition]) -> str:
    """``L4/L5 for spinal canal stenosis, bilateral subarticular stenosis``."""
    return f"{level} for {', '.join(_joined(conditions))}"


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
