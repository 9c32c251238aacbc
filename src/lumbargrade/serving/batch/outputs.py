"""The tables that a batch ends in: what was graded, a row a cell, and what could not be."""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from lumbargrade.archives.formats import ARCHIVES
from lumbargrade.config.task import GradingTask
from lumbargrade.errors import InputError
from lumbargrade.evaluation.submission import submission_table
from lumbargrade.files import replaced_file, write_text
from lumbargrade.inference.schema import ANSWER_PLACE, ANSWER_TEXTS, ANSWER_WORDS
from lumbargrade.models.trained_on import TRAINED_ON, TrainedOnStatement
from lumbargrade.serving.batch.journal import GradedStudy

TABLE, SUBMISSION = ".parquet", ".csv"
_TYPES = {"string": "string", "double": "float64", "long": "Int64", "boolean": "boolean"}


def check_output(path: Path) -> None:
    """Checks that a table of this name can be written.

    Raises:
        InputError: Its ending names none.
    """
    if path.suffix not in (TABLE, SUBMISSION):
        raise InputError(
            f"{path} must end in {TABLE} (a row a cell) or {SUBMISSION} (RSNA's submission)", "", "output-name-invalid"
        )


def write_predictions(
    path: Path, task: GradingTask, model: str, statement: TrainedOnStatement, graded: Sequence[GradedStudy]
) -> None:
    """Writes a table of the studies, whole or not at all.

    A Parquet file has a row a cell: study (its folder or zip), the columns of an answer, model, trained_on. A CSV file is
    RSNA's submission, which has no room for them; a study's id is the name of its folder or zip.
    """
    origin = {"model": model, TRAINED_ON: statement.model_dump_json()}
    cells = pd.DataFrame(
        [{"study": each.study, **record, **origin} for each in graded for record in each.records],
        columns=["study", *ANSWER_TEXTS, *task.grade_columns, *ANSWER_WORDS, *ANSWER_PLACE, *origin],
    )
    kinds = dict.fromkeys(cells.columns, "string") | dict.fromkeys(task.grade_columns, "double") | ANSWER_PLACE
    cells = cells.astype({name: _TYPES[kind] for name, kind in kinds.items()})
    with replaced_file(path) as temporary:
        if path.suffix == TABLE:
            cells.to_parquet(temporary, index=False)
            return
        cells["study_id"] = cells["study"].map(_stem)
        studies = [_stem(each.study) for each in graded]
        submission_table(task, cells, studies).to_csv(temporary, index=False)


def write_statement(path: Path, model: str, statement: TrainedOnStatement) -> None:
    """Writes what the model of a batch was trained on, as JSON, for whoever reads its table."""
    facts = {"model": model, "caution": "Not for clinical use", TRAINED_ON: statement.model_dump(mode="json")}
    write_text(path, json.dumps(facts, indent=2) + "\n")


def write_faults(path: Path, graded: Sequence[GradedStudy]) -> None:
    """Writes the studies that could not be graded, and why, as CSV; removes the file if there are none."""
    faults = [(each.study, each.fault) for each in graded if each.fault is not None]
    if not faults:
        path.unlink(missing_ok=True)
        return
    with replaced_file(path) as temporary:
        pd.DataFrame(faults, columns=["study", "fault"]).to_csv(temporary, index=False)


def _stem(study: str) -> str:
    """A study's id in a submission: the name without the ending of an archive."""
    name, slash, part = study.partition("/")
    ending = max((ending for ending in ARCHIVES if name.lower().endswith(ending)), key=len, default="")
    return f"{name[: len(name) - len(ending)]}{slash}{part}"
