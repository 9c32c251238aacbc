"""What ``lumbargrade grade`` prints of one study: a grid for readers, a line a cell, or all of it for programs."""

import csv
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.text import Text

from lumbargrade.cli.grid import Records, explanations, grade_grid, number_footnotes, style_of, wrapped
from lumbargrade.cli.output import print_lines
from lumbargrade.config.task import GradingTask
from lumbargrade.errors import InputError
from lumbargrade.inference.causes import find_causes
from lumbargrade.inference.series_table import read_series_json
from lumbargrade.models.bundle import LoadedModel
from lumbargrade.models.trained_on import TRAINED_ON, state

if TYPE_CHECKING:
    import pandas as pd

    from lumbargrade.inference.study import Study
    from lumbargrade.serving.verified_model import VerifiedModel

Form = Literal["grid", "long", "json", "csv"]


def grade_export(source: Path, model: str, explain: Path | None, form: Form) -> None:
    """Grades each study of an export by itself and prints the answers.

    Args:
        source: A folder or an archive.
        model: Its address.
        explain: Folder for pictures; a folder for each study there, if there are several.

    Raises:
        InputError: There is no such model, or no study can be graded.
    """
    from lumbargrade.console import working
    from lumbargrade.inference.each_study import each_study, name_study
    from lumbargrade.inference.grade import refuse_study
    from lumbargrade.inference.study import open_studies
    from lumbargrade.serving.verified_model import open_model

    with working("verifying and loading the model"):
        verified = open_model(model)
    task = verified.loaded.config.task
    answers: list[tuple[str, Records]] = []
    with working("grading"), open_studies(source, task) as studies:
        several = len(studies) > 1
        outcomes = each_study(studies, lambda study: _answer(verified, study, explain, several))
        for number, outcome in enumerate(outcomes, start=1):
            answer = outcome.result
            if answer is None:
                error = outcome.error
                answer = refuse_study(task, str(error), error.code if error else "", outcome.study.study_id)
            name = name_study(outcome.study, number, len(studies)) if several else source.name
            answers.append((name, answer.to_dict("records")))
    print_answers(answers, verified.loaded, form)


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


def choose_form(as_json: bool, as_csv: bool, long: bool) -> Form:
    """The form that options ask for.

    Raises:
        InputError: They ask for several.
    """
    options: dict[Form, bool] = {"json": as_json, "csv": as_csv, "long": long}
    asked = [form for form, wanted in options.items() if wanted]
    if len(asked) > 1:
        raise InputError(f"--{' and --'.join(asked)} are two forms", "give one of them", "forms-at-odds")
    return asked[0] if asked else "grid"


def print_answers(answers: Sequence[tuple[str, Records]], model: LoadedModel, form: Form) -> None:
    """Prints the answers of studies, each with what the study is called, such as the name of its folder."""
    statement = state(model.facts)
    origin = {"model": model.name, TRAINED_ON: statement.model_dump_json()}
    records = [{**record, **origin} for _, answer in answers for record in answer]
    if form == "json":
        print(json.dumps(records, indent=2))
    elif form == "csv":
        table = csv.DictWriter(sys.stdout, list(records[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(records)
    else:
        print_lines(_caution(statement.lines, model.name))
        for study, answer in answers:
            print_lines([Text(), *_study(study, answer, len(answers) > 1), *_body(answer, model.config.task, form)])


def _caution(statement: Sequence[str], model: str) -> Iterator[Text]:
    """What holds for all grades, before any of them."""
    yield Text("NOT FOR CLINICAL USE.", style="bold red")
    for line in statement:
        yield from wrapped(line)
    yield from wrapped(f"Model  {model or 'without a name'}", indent="       ")


def _study(study: str, records: Records, several: bool) -> Iterator[Text]:
    """What a study is called and what it holds; of several, its UID as well."""
    rows = read_series_json(records[0].get("series_json"))
    count = f"{len(rows)} series, {sum(row.slices for row in rows)} images" if rows else ""
    words = ": ".join(filter(None, (study, count)))
    yield from wrapped(words if several else f"Study  {words}", indent="       ")
    if several:
        yield Text(str(records[0].get("study_id") or "without StudyInstanceUID"), style="dim")
    yield Text()


def _body(records: Records, task: GradingTask, form: Form) -> Iterable[Text]:
    whole = [len(cause.cells) for cause in find_causes(records, task)] == [len(records)]
    if whole and not records[0].get("series_json"):  # a study that could not be opened
        return wrapped(f"Not graded: {records[0]['reason']}")
    return grade_grid(records, task) if form == "grid" else _long(records, task)


def _long(records: Records, task: GradingTask) -> Iterator[Text]:
    """A row a cell with full names, a condition below the other: grade, probabilities, and how sure the place is."""
    footnote = number_footnotes(records, task)
    grade = 2 + max(map(len, (*task.grades, "not graded (10)")))
    for condition in task.conditions:
        yield Text(condition.label, style="bold")
        yield Text(f"{'':<8}{'grade':<{grade}}{''.join(map(_column, (*task.grades, 'place')))}", style="dim")
        for record in records:
            if record["condition"] != condition.name:
                continue
            line = Text(f"{record['level']:<8}")
            if record["grade"] is None:
                line.append(f"not graded ({footnote[condition.name, record['level']]})", "dim")
            else:
                line.append(f"{record['grade']:<{grade}}", style_of(record["grade"], task))
                line.append("".join(_numbers(record, task)))
            line.rstrip()
            yield line
        yield Text()
    yield from explanations(records, task)
    yield from wrapped("*: a possible grade. place: the confidence that it was found with; ?: it is uncertain.", "dim")


def _column(head: str, text: str | None = None) -> str:
    return f"{head if text is None else text:>{max(len(head), 6) + 2}}"


def _numbers(record: Mapping[Any, Any], task: GradingTask) -> Iterator[str]:
    possible = str(record["possible_grades"] or "").split(";")
    for grade, column in zip(task.grades, task.grade_columns, strict=True):
        yield _column(grade, f"{record[column]:.1%}{'*' if grade in possible else ' '}")
    confidence = "" if record["confidence"] is None else f"{record['confidence']:.0%}"
    yield _column("place", f"{confidence}{'?' if record.get('place_uncertain') else ' '}")
