"""A study's grades as a reader wants them in a terminal of 80 columns: findings in words, a grid, each reason once.

Nothing is said by colour alone. Functions take an answer's records and return lines; whoever prints them decides on colours.
"""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.text import Text

from lumbargrade.config.task import Condition, GradingTask
from lumbargrade.inference.causes import Cause, find_causes, name_sites, untold_notes
from lumbargrade.inference.schema import MIN_PLACE_CONFIDENCE
from lumbargrade.inference.series_table import LEVELS, SeriesRow, read_series_json
from lumbargrade.notes import read_notes

WIDTH = 79
Records = Sequence[Mapping[Any, Any]]
_GAP = 1
_LONGEST_HEAD = 12
_MOST_NAMED = 8
"""Sites at which the worst grade cannot be excluded that are named; more are counted."""


def grade_grid(records: Records, task: GradingTask) -> list[Text]:
    """The answer of a study: worst findings in words, a row a level, a column a condition, and what is to be known of them."""
    lines = [*_findings(records, task), Text(), *_grid(records, task), Text()]
    return [*lines, *explanations(records, task), *_legend(task)]


def explanations(records: Records, task: GradingTask) -> Iterator[Text]:
    """Why cells are not graded, where a place is uncertain, what the study lacks, and on which series was read."""
    causes = find_causes(records, task)
    yield from _footnotes(records, causes)
    notes = read_notes(records[0].get("notes"), records[0].get("notes_json"))
    for note in untold_notes(notes, causes):
        yield from wrapped(f"Note: {note.text}.")
    yield from _series(read_series_json(records[0].get("series_json")), task, causes)


def number_footnotes(records: Records, task: GradingTask) -> dict[tuple[str, str], int]:
    """The number of the footnote that says why a cell is not graded, by condition and level."""
    causes = find_causes(records, task)
    return {cell: number for number, cause in enumerate(causes, start=1) for cell in cause.cells}


def wrapped(text: str, style: str = "", indent: str = "  ") -> Iterator[Text]:
    """A sentence in lines that fit; words stay whole."""
    folded = textwrap.wrap(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    yield from (Text(line, style=style) for line in folded)


def style_of(grade: str, task: GradingTask) -> str:
    """The colour of a grade where there are colours: the worst one red, the best one none, those between amber."""
    place = task.grades.index(grade)
    return "" if place == 0 else "bold red" if place == len(task.grades) - 1 else "yellow"


def short_grades(task: GradingTask) -> dict[str, str]:
    """``N/Mi``, ``Mod``, ``SEV``: as few letters as tell the grades apart, the worst one in capitals."""
    for letters in (3, 4, 5, 6):
        short = [_short(grade, letters) for grade in task.grades]
        if len(set(short)) == len(short):
            break
    else:
        short = list(task.grades)
    short[-1] = short[-1].upper()
    return dict(zip(task.grades, short, strict=True))


def _short(grade: str, letters: int) -> str:
    first, _, second = grade.partition("/")
    return f"{first[:1]}/{second[: letters - 1]}" if second else first[:letters].rstrip()


def _initials(task: GradingTask) -> dict[str, str]:
    """A letter a grade, or a number where two begin alike."""
    initials = [grade[0].lower() for grade in task.grades]
    if len(set(initials)) < len(initials):
        initials = [str(number) for number in range(1, len(initials) + 1)]
    return dict(zip(task.grades, initials, strict=True))


def _findings(records: Records, task: GradingTask) -> Iterator[Text]:
    """What is graded worse than the best grade, the worst first, and where the worst one cannot be excluded."""
    graded = [record for record in records if record["grade"] is not None]
    if not graded:
        yield Text("Nothing could be graded in this study.", style="bold")
        return
    worse = list(reversed(task.grades[1:]))
    for grade in worse:
        column = task.grade_columns[task.grades.index(grade)]
        found = sorted((one for one in graded if one["grade"] == grade), key=lambda one: -one[column])
        sites = [
            f"{record['level']} {task.condition(record['condition']).label.lower()} {record[column]:.0%}{_mark(record)}"
            for record in found
        ]
        if sites:
            yield from wrapped(f"{grade}: {', '.join(sites)}.", style_of(grade, task))
    if all(record["grade"] == task.grades[0] for record in graded):
        kinds = " or ".join(grade.lower() for grade in reversed(worse))
        whole = len(graded) == len(records)
        where = f"any of the {len(records)}" if whole else f"{len(graded)} of {len(records)}"
        yield from wrapped(f"No {kinds} finding at {where} sites.")
    worst = task.grades[-1]
    open_ = [one for one in graded if one["grade"] != worst and worst in _possible(one)]
    if open_:
        yield from wrapped(f"{worst} cannot be excluded{_where(open_, graded, task)}.")


def _where(records: Records, graded: Records, task: GradingTask) -> str:
    if len(records) == len(graded):
        return " at any graded site"
    if len(records) > _MOST_NAMED:
        return f" at {len(records)} of {len(graded)} graded sites"
    return ": " + name_sites([(record["condition"], record["level"]) for record in records], task)


def _possible(record: Mapping[Any, Any]) -> list[str]:
    return str(record["possible_grades"] or "").split(";")


def _mark(record: Mapping[Any, Any]) -> str:
    return "?" if record.get("place_uncertain") else ""


def _grid(records: Records, task: GradingTask) -> Iterator[Text]:
    """As many conditions beside each other as fit, the patient's right before the left as in an image."""
    footnote = number_footnotes(records, task)
    by_key = {(record["condition"], record["level"]): record for record in records}
    short, initials = short_grades(task), _initials(task)
    cells = {
        key: f"- ({footnote[key]})" if record["grade"] is None else _cell(record, task, short, initials)
        for key, record in by_key.items()
    }
    conditions = _ordered(task)
    heads = {condition.name: _head(condition) for condition in conditions}
    width = _GAP + max(map(len, (*cells.values(), *heads.values())))
    first = 2 + max(map(len, task.levels))
    beside = max(1, (WIDTH + _GAP - first) // width)
    for start in range(0, len(conditions), beside):
        block = conditions[start : start + beside]
        if start:
            yield Text()
        yield Text(" " * first + "".join(f"{heads[one.name]:<{width}}" for one in block).rstrip(), style="bold")
        for level in task.levels:
            line = Text(f"{level:<{first}}")
            for condition in block:
                key = (condition.name, level)
                grade = by_key[key]["grade"]
                line.append(f"{cells[key]:<{width}}", style_of(grade, task) if grade else "dim")
            line.rstrip()
            yield line


def _ordered(task: GradingTask) -> list[Condition]:
    """Conditions of a group together, each group where its first one stands; right before left."""
    groups = list(dict.fromkeys(condition.group for condition in task.conditions))
    sides = ("right", None, "left")
    return sorted(task.conditions, key=lambda condition: (groups.index(condition.group), sides.index(condition.side)))


def _head(condition: Condition) -> str:
    side = f" {condition.side[0].upper()}" if condition.side else ""
    name = condition.group.replace("_", " ").capitalize()
    most = _LONGEST_HEAD - len(side)
    return f"{name if len(name) <= most else f'{name[: most - 1]}.'}{side}"


def _cell(record: Mapping[Any, Any], task: GradingTask, short: Mapping[str, str], initials: Mapping[str, str]) -> str:
    grade = record["grade"]
    chance = record[task.grade_columns[task.grades.index(grade)]]
    may_be = "".join(initials[name] for name in task.grades if name in _possible(record))
    return f"{short[grade]:<{max(map(len, short.values()))}} {chance:>3.0%} {may_be}{_mark(record)}".rstrip()


def _footnotes(records: Records, causes: Sequence[Cause]) -> Iterator[Text]:
    for number, cause in enumerate(causes, start=1):
        count = len(cause.cells)
        yield from wrapped(
            f"({number}) {count} site{'' if count == 1 else 's'} not graded: {cause.text}.", indent="    "
        )
    uncertain = [record for record in records if record.get("place_uncertain")]
    if uncertain:
        places = sum(record["confidence"] is not None for record in records)
        below = f"found with less than {MIN_PLACE_CONFIDENCE:.0%} confidence"
        words = f"{len(uncertain)} of {places} places are uncertain ({below}): check the images before you use these."
        yield from wrapped(f"  ? {words}", "yellow", indent="    ")


def _series(rows: Sequence[SeriesRow], task: GradingTask, causes: Sequence[Cause]) -> Iterator[Text]:
    """On what was read, and what was not read, with why."""
    read = []
    for group in dict.fromkeys(condition.group for condition in task.conditions):
        names = {condition.name for condition in task.conditions if condition.group == group}
        used = [_named(row) for row in rows if names & set(row.used_for)]
        read += [f"{group.replace('_', ' ')} {' and '.join(used)}"] if used else []
    only = [_named(row) for row in rows if row.used_for == (LEVELS,)]
    read += [f"levels {' and '.join(only)}"] if only else []
    if read:
        yield from wrapped(f"Read on: {'; '.join(read)}.")
    unused: dict[str, list[str]] = {}
    for row in rows:
        if not row.used:
            unused.setdefault(_why(row, causes), []).append(_named(row))
    for why, unread in unused.items():
        yield from wrapped(f"Not used: {' and '.join(unread)}: {why}.")


def _why(row: SeriesRow, causes: Sequence[Cause]) -> str:
    """Why a series is not used, unless a footnote says it."""
    reason = row.reason or "no reason is given"
    for number, cause in enumerate(causes, start=1):
        if any(reason in each for each in cause.reasons):
            return f"see ({number})"
    return reason


def _named(row: SeriesRow) -> str:
    agent = " after contrast agent" if row.contrast_agent else ""
    return f"series {row.number if row.number is not None else 'without number'} ({row.name}{agent})"


def _legend(task: GradingTask) -> Iterator[Text]:
    pairs = [f"{short} {grade}" for grade, short in short_grades(task).items()]
    may_be = " ".join(_initials(task).values())
    sides = " R, L: the patient's sides." if any(condition.side for condition in task.conditions) else ""
    yield from wrapped(
        f"{', '.join(pairs)}; {may_be}: the grades that are possible.{sides} --long for full names, --json for all.",
        "dim",
    )
