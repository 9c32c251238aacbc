"""What ``lumbargrade grade`` prints of one study: what to know first, a line a cell, and each reason once."""

import json
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from lumbargrade.config.task import GradingTask
    from lumbargrade.inference.study import Study
    from lumbargrade.models.bundle import LoadedModel
    from lumbargrade.serving.verified_model import VerifiedModel

_WIDTH = 80
Records = Sequence[Mapping[Any, Any]]


def grade_export(source: Path, model: str, explain: Path | None, as_json: bool) -> None:
    """Grades each study of an export by itself and prints the answers, one after the other.

    Args:
        source: A folder or an archive.
        model: Its address.
        explain: Folder for pictures; a folder for each study there, if there are several.

    Raises:
        InputError: There is no such model, or no study can be graded.
    """
    from lumbargrade.inference.each_study import each_study, name_study
    from lumbargrade.inference.grade import refuse_study
    from lumbargrade.inference.study import open_studies
    from lumbargrade.serving.verified_model import open_model

    verified = open_model(model)
    loaded = verified.loaded
    task, together = loaded.config.task, []
    with open_studies(source, task) as studies:
        several = len(studies) > 1
        outcomes = each_study(studies, lambda study: _answer(verified, study, explain, several))
        for number, outcome in enumerate(outcomes, start=1):
            if several and not as_json:
                _print_wrapped([*([""] if number > 1 else []), name_study(outcome.study, number, len(studies))])
            if outcome.result is not None:
                records = outcome.result.to_dict("records")
            else:
                error = outcome.error
                refused = refuse_study(task, str(error), error.code if error else "", outcome.study.study_id)
                records = refused.to_dict("records")
            if as_json:
                together += records
            elif outcome.error is not None:
                _print_wrapped([f"Not graded: {outcome.error}"])
            else:
                print_grades(records, loaded, False)
    if as_json:
        print_grades(together, loaded, True)


def _answer(verified: "VerifiedModel", study: "Study", explain: Path | None, several: bool) -> "pd.DataFrame":
    from lumbargrade.inference.grade import grade_study

    if explain is None:
        return grade_study(verified.loaded, study, verified.abstain_above)
    from lumbargrade.console import say
    from lumbargrade.inference.explain import explain_study
    from lumbargrade.inference.figures import save_looks

    answer, looks = explain_study(verified.loaded, study, verified.abstain_above)
    folder = explain / study.study_id if several else explain
    pictures = save_looks(looks, answer, verified.loaded.config.task, folder)
    say(f"wrote {len(pictures)} pictures into {folder}: they explain the grades and are no evidence for them")
    return answer


def print_grades(records: Records, model: "LoadedModel", as_json: bool) -> None:
    """Prints a study's answer, as JSON with what a model server adds to it, or for people."""
    from lumbargrade.models.trained_on import TRAINED_ON, state

    statement = state(model.facts)
    if as_json:
        origin = {"model": model.name, TRAINED_ON: statement.model_dump_json()}
        print(json.dumps([{**record, **origin} for record in records], indent=2))
        return
    task = model.config.task
    _print_wrapped(["Not for clinical use.", *statement.lines, f"Model: {model.name or 'without a name'}"])
    print()
    reasons = list(dict.fromkeys(str(record["reason"]) for record in records if record["grade"] is None))
    print(_table(records, task, reasons))
    print()
    _print_wrapped(_legend(records, reasons, statement.possible_grades))


def _table(records: Records, task: "GradingTask", reasons: Sequence[str]) -> str:
    """A row a cell: the grade, the probability of each, the possible ones, and how sure the place is."""
    rows = [["condition", "level", "grade", *(name.lower() for name in task.grades), "may be", "place"]]
    for record in records:
        condition = task.condition(record["condition"])
        head = [f"{condition.side or ''} {condition.group}".strip(), record["level"]]
        if record["grade"] is None:
            rows.append([*head, f"- ({reasons.index(str(record['reason'])) + 1})"])
            continue
        possible = "".join(grade[0] for grade in task.grades if grade in str(record["possible_grades"]).split(";"))
        chances = [f"{record[column]:.0%}" for column in task.grade_columns]
        confidence = "" if record["confidence"] is None else f"{record['confidence']:.0%}"
        place = f"{confidence}{' ?' if record['place_uncertain'] else ''}"
        rows.append([*head, record["grade"], *chances, possible, place])
    widths = [max(len(row[column]) for row in rows if column < len(row)) for column in range(len(rows[0]))]
    lines = [" ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=False)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def _legend(records: Records, reasons: Sequence[str], possible_grades: str) -> Iterable[str]:
    from lumbargrade.inference.schema import MIN_PLACE_CONFIDENCE

    places = [record for record in records if record["confidence"] is not None]
    uncertain = sum(bool(record["place_uncertain"]) for record in places)
    if uncertain:
        below = f"found with less than {MIN_PLACE_CONFIDENCE:.0%} confidence"
        yield f"? {uncertain} of {len(places)} places are uncertain ({below}): check them before you use these grades."
    for number, reason in enumerate(reasons, start=1):
        cells = sum(record["grade"] is None and str(record["reason"]) == reason for record in records)
        yield f"({number}) {cells} {'cell is' if cells == 1 else 'cells are'} not graded: {reason}."
    if records[0]["notes"]:
        yield f"note: {records[0]['notes']}"
    yield f"may be: first letters of the possible grades. {possible_grades}"


def _print_wrapped(lines: Iterable[str]) -> None:
    for line in lines:
        print(textwrap.fill(line, _WIDTH - 1, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False))
