"""How much each label counts in training: labels that a table doubts count less."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lumbargrade.config.params import TrainingParams
from lumbargrade.config.task import GradingTask
from lumbargrade.errors import InputError
from lumbargrade.evaluation.align import CELL

_WAYS_OUT = "give the suspects.csv of a search or of `lumbargrade evaluate --report`, or set training.suspects to null"


def read_suspects(source: str, task: GradingTask) -> pd.DataFrame:
    """Reads the cells of such a table: study_id, condition, level; other columns are left out.

    Raises:
        InputError: There is no such table, or it is not of this task.
    """
    if not Path(source).is_file():
        raise InputError(f"training.suspects {source} is no file", f"{_WAYS_OUT}", "suspects-missing")
    try:
        table = pd.read_csv(source, dtype=str, keep_default_na=False)
    except ValueError as error:  # pandas' parser and Python's decoder raise kinds of it
        raise InputError(f"training.suspects {source} is no CSV table", f"{_WAYS_OUT}", "suspects-not-csv") from error
    missing = [column for column in CELL if column not in table]
    if missing:
        raise InputError(
            f"training.suspects {source} has no column {missing[0]}", f"{_WAYS_OUT}", "suspects-without-column"
        )
    known = {"condition": [condition.name for condition in task.conditions], "level": list(task.levels)}
    for column, names in known.items():
        unknown = table.loc[~table[column].isin(names), column]
        if len(unknown):
            raise InputError(
                f"training.suspects {source} names {column} {unknown.iloc[0]!r}, which task {task.name} does not have "
                f"({', '.join(names)})",
                f"{_WAYS_OUT}",
                "suspects-name-unknown",
            )
    odd = table.loc[~table["study_id"].str.fullmatch(r"\d{1,18}"), "study_id"]
    if len(odd):
        raise InputError(
            f"training.suspects {source} has study_id {odd.iloc[0]!r}, which is no number",
            f"{_WAYS_OUT}",
            "suspects-study-id-invalid",
        )
    return table[CELL].astype({"study_id": np.int64})


def count_suspects(source: str, task: GradingTask, studies: Collection[int]) -> str:
    """Says how many labels of the dataset's studies a table doubts."""
    table = read_suspects(source, task)
    known = int(table["study_id"].isin(studies).sum())
    if known or table.empty:
        return f"training.suspects {source}: {known} of its labels are doubted in training"
    return f"training.suspects {source} names no study of the dataset, so no label is doubted; {_WAYS_OUT}"


def label_trust(params: TrainingParams, index: pd.DataFrame, task: GradingTask) -> NDArray[np.float32] | None:
    """How much the label of each crop counts in training; nothing if all count alike.

    Args:
        index: study_id, condition and level of each crop; studies that it does not have are passed over.
    """
    if params.suspects is None:
        return None
    doubted = pd.MultiIndex.from_frame(read_suspects(params.suspects, task))
    listed = pd.MultiIndex.from_frame(index[CELL]).isin(doubted)
    return np.where(listed, params.suspect_weight, 1.0).astype(np.float32)
