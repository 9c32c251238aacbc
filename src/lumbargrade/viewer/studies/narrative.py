"""Plain sentences: what is found at a level, and what whoever reads the grades should know first."""

from collections.abc import Iterable, Iterator, Sequence

from lumbargrade.config.task import Condition, GradingTask
from lumbargrade.inference.causes import name_conditions
from lumbargrade.notes import Note
from lumbargrade.viewer.errors import sentence
from lumbargrade.viewer.image_index import SeriesIndex
from lumbargrade.viewer.schemas import Cell, Sentence


def level_sentences(task: GradingTask, cells: Sequence[Cell]) -> tuple[Sentence, ...]:
    """One statement a level, the worst finding first: ``L4/L5: severe spinal canal stenosis, moderate left ...``."""
    by_key = {(cell.condition, cell.level): cell for cell in cells}
    seen = {cell.condition for cell in cells if cell.grade is not None}
    graded = [condition for condition in task.conditions if condition.name in seen]  # why others are not is said once
    texts = [_level(task, [(one, by_key[one.name, level]) for one in graded], level) for level in task.levels]
    return tuple(Sentence(level=at, text=f"{at}: {text}") for at, text in zip(task.levels, texts, strict=True))


def flags(cells: Sequence[Cell], notes: Sequence[Note], series: Iterable[SeriesIndex]) -> list[str]:
    """What to know before reading: places that are uncertain, the model's notes, lost slices.

    Why cells are not graded stands beside these, in :attr:`lumbargrade.viewer.schemas.StudyAnswer.not_graded`.
    """
    lines = [*_uncertain_places(cells), *(sentence(note.text) for note in notes)]
    if all(cell.grade is None for cell in cells):
        lines.insert(0, "Nothing could be graded in this study.")
    is_noted = any(note.code == "slices-undecodable" for note in notes)
    for found in series:
        if found.unreadable and not is_noted:
            count = f"{found.unreadable} slice{'s' if found.unreadable > 1 else ''}"
            lines.append(
                f"{count} of {found.title} could not be decoded and {'are' if found.unreadable > 1 else 'is'} left out."
            )
    return list(dict.fromkeys(lines))


def _uncertain_places(cells: Sequence[Cell]) -> Iterator[str]:
    places = sum(cell.place is not None or cell.place_uncertain for cell in cells)
    uncertain = sum(cell.place_uncertain for cell in cells)
    if uncertain == 1:
        yield f"1 of {places} places is uncertain: check the marked place before you use its grade."
    elif uncertain:
        yield f"{uncertain} of {places} places are uncertain: check the marked places before you use these grades."


def _level(task: GradingTask, here: Sequence[tuple[Condition, Cell]], level: str) -> str:
    """The findings, what was not graded, where the worst grade cannot be excluded, and where a place is uncertain.

    Args:
        here: The level's cells of all conditions that are graded at any level.
    """
    graded = [(condition, cell) for condition, cell in here if cell.grade is not None]
    missing = [(condition, cell) for condition, cell in here if cell.grade is None]
    if not graded:
        return "not graded."
    best, worst = task.grades[0], task.grades[-1]
    found = [f"{grade.lower()} {words}" for grade, words in _findings(task, graded)]
    text = ", ".join(found) or f"{best.capitalize()} at every graded site"
    if missing:
        text += f"; not graded: {', '.join(name_conditions([condition for condition, _ in missing]))}"
    doubtful = [condition for condition, cell in graded if cell.grade != worst and worst in cell.possible_grades]
    if doubtful:
        every = len(doubtful) == len(graded) and len(graded) > 1
        sites = "any graded site" if every else f"{level} for {', '.join(name_conditions(doubtful))}"
        text += f". {worst} cannot be excluded at {sites}"
    uncertain = [condition for condition, cell in graded if cell.place_uncertain]
    if uncertain:
        every = len(uncertain) == len(graded)
        text += (
            f". {'Every place is uncertain' if every else 'Place uncertain: ' + ', '.join(name_conditions(uncertain))}"
        )
    return f"{text}."


def _findings(task: GradingTask, graded: Sequence[tuple[Condition, Cell]]) -> Iterator[tuple[str, str]]:
    """Grades above the best one, the worst first; both sides of one grade together."""
    for grade in reversed(task.grades[1:]):
        for words in name_conditions([condition for condition, cell in graded if cell.grade == grade]):
            yield grade, words
