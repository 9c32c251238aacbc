"""Which packed crops train a grader, and which show how well it does."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lumbargrade.errors import InputError
from lumbargrade.preprocessing.split.split import HOLDOUT

Rows = NDArray[np.int64]
"""Places in the index of the packed crops."""

_FAR_MM = 10.0
"""A located crop farther than this from its label shows something else."""
_SAMPLE = 20
"""Studies on which the student is compared with its teachers after each epoch; all of them train it."""


def fold_rows(
    index: pd.DataFrame, split: pd.DataFrame, fold: int, trust: NDArray[np.float32] | None = None
) -> tuple[Rows, dict[str, Rows]]:
    """Rows of the index that train and that validate in a fold; only labelled crops, nothing of the holdout.

    A crop that was located far from where the cell is does not train, nor does one whose label counts nothing; both validate
    all the same.

    Args:
        trust: How much the label of each row counts, (rows,).

    Returns:
        Rows that train; rows that validate, ``labelled`` and ``located`` ones apart, of which the latter may be none.

    Raises:
        InputError: There are none to train on, or no labelled ones to validate with.
    """
    folds = index["study_id"].map(split.set_index("study_id")["fold"])
    graded = index["grade"].notna() & folds.notna() & (folds != HOLDOUT)
    counts = True if trust is None else trust > 0
    training = np.flatnonzero(graded & (folds != fold) & ~(index["error_mm"] > _FAR_MM) & counts)
    kinds = ["labelled", "located"][: index["folder"].max() + 1]
    validation = {
        kind: np.flatnonzero(graded & (folds == fold) & (index["folder"] == place)) for place, kind in enumerate(kinds)
    }
    labelled = len(validation["labelled"])
    if not len(training) or not labelled:
        raise InputError(
            f"fold {fold} has {len(training)} crops to train on and {labelled} to validate with", "", "fold-too-small"
        )
    return training, validation


def student_rows(index: pd.DataFrame, split: pd.DataFrame) -> tuple[Rows, dict[str, Rows]]:
    """Rows of the index that train a student, and those of a sample of them by which it is compared with its teachers.

    Every crop of every fold trains, with a label or without, wherever it was located; nothing of the holdout does. The
    sample is of whole studies, where the locator looked if there is one.

    Raises:
        InputError: There are none to train on.
    """
    folds = index["study_id"].map(split.set_index("study_id")["fold"])
    training = np.flatnonzero(folds.notna() & (folds != HOLDOUT))
    if not len(training):
        raise InputError(
            "there are no crops outside the holdout to train the student on",
            "lower split.holdout",
            "no-crops-for-student",
        )
    known = index.iloc[training]
    last = known["folder"].max()
    kind = "located" if last else "labelled"
    shown = training[known["folder"] == last]
    owners = index["study_id"].to_numpy()[shown]
    studies = np.unique(owners)
    sample = studies[:: max(len(studies) // _SAMPLE, 1)][:_SAMPLE]
    return training, {kind: shown[np.isin(owners, sample)]}


def crops_per_epoch(index: pd.DataFrame, rows: Rows) -> int:
    """Crops of an epoch: one for each labelled or located crop, whichever are more; the two take turns."""
    return int(index["folder"].iloc[rows].value_counts().max())
