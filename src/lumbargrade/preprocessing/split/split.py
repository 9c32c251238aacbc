"""Which studies train, validate and are held out.

A study is never on two sides, nor are its near-duplicates, nor its patient's other studies.
"""

import hashlib
from collections.abc import Mapping

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from lumbargrade.config.params import SplitParams
from lumbargrade.errors import InputError

HOLDOUT = -1
"""Fold number of the studies in the frozen holdout."""


def in_holdout(study_id: int, share: float) -> bool:
    """Tells whether a study is in the frozen holdout.

    It depends on nothing but the id, so that a study stays where it is when the dataset grows, and a larger share only
    adds studies.
    """
    digest = hashlib.sha256(str(study_id).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < share


def split_studies(crops: pd.DataFrame, params: SplitParams, groups: Mapping[int, int] | None = None) -> pd.DataFrame:
    """Assigns each study to a fold or to the holdout.

    Folds are balanced over condition groups and grades (StratifiedGroupKFold).

    Args:
        crops: One row a crop, with study_id, group and grade; grade is missing where a cell is not labelled.
        groups: For studies that must stay together, the number that stands for all of them (:mod:`.groups`).

    Returns:
        Columns study_id and fold, one row a study, by study_id; fold is :data:`HOLDOUT` for the holdout.

    Raises:
        InputError: There are too few studies for the folds.
    """
    labelled = crops[crops["grade"].notna()].sort_values(["study_id", "group"], kind="stable")
    studies = np.sort(labelled["study_id"].unique())
    groups = groups or {}
    together = np.array([groups.get(int(study), int(study)) for study in studies], dtype=np.int64)
    held = np.array([in_holdout(int(study), params.holdout) for study in together], dtype=bool)
    kept = np.unique(together[~held])
    if len(kept) < params.folds:
        twins = "; a patient's studies and near-duplicates count as one" if len(kept) < (~held).sum() else ""
        raise InputError(
            f"{len(kept)} labelled studies are left for {params.folds} folds ({held.sum()} of {len(studies)} are held "
            f"out{twins})",
            "add studies or lower split.folds",
            "too-few-studies-for-folds",
        )
    if params.holdout > 0 and not held.any():
        raise InputError(
            f"none of the {len(studies)} labelled studies falls into the frozen holdout",
            f"add studies or raise split.holdout (now {params.holdout:g})",
            "holdout-empty",
        )
    folds = dict.fromkeys(studies[held].tolist(), HOLDOUT)
    rest = labelled[labelled["study_id"].isin(studies[~held])]
    owners = rest["study_id"].map(dict(zip(studies.tolist(), together.tolist(), strict=True)))
    strata = _strata(rest, params.folds)
    kfold = StratifiedGroupKFold(params.folds, shuffle=True, random_state=params.seed)
    for fold, (_, validation) in enumerate(kfold.split(strata, strata, groups=owners)):
        folds |= dict.fromkeys(rest["study_id"].iloc[validation].tolist(), fold)
    return pd.DataFrame(sorted(folds.items()), columns=["study_id", "fold"])


def check_split(split: pd.DataFrame, groups: Mapping[int, int]) -> None:
    """Checks, before anything is trained, that no study and no group of studies that must stay together is on two sides.

    Args:
        split: Columns study_id and fold.
        groups: As in :func:`split_studies`.

    Raises:
        InputError: One is; the sentence names the studies and where they are.
    """
    owners = split["study_id"].map(lambda study: groups.get(study, study))
    sides = split.groupby(owners)["fold"].nunique()
    if not (sides > 1).any():
        return
    owner = sides.index[sides > 1][0]
    rows = split[owners == owner].sort_values(["study_id", "fold"])
    places = ", ".join(
        f"study {study} in {'the holdout' if fold == HOLDOUT else f'fold {fold}'}"
        for study, fold in zip(rows["study_id"], rows["fold"], strict=True)
    )
    what = "the same study" if rows["study_id"].nunique() == 1 else "of one patient or near-duplicates of each other"
    others = int((sides > 1).sum()) - 1
    more = f" (and {others} more such group{'s' if others > 1 else ''})" if others else ""
    raise InputError(
        f"the split leaks: {places}, which are {what}{more}",
        "remove split.csv and run again, so that it is made anew",
        "split-leaks",
    )


def _strata(cells: pd.DataFrame, folds: int) -> pd.Series:
    """Group and grade of each cell; those too rare to be in every fold join their group's commonest, else the commonest."""
    strata = cells["group"] + "/" + cells["grade"].astype(int).astype(str)
    for kin in (cells["group"], pd.Series("all", index=cells.index)):
        rare = strata.map(strata.value_counts()) < folds
        commonest = strata.groupby(kin).transform(lambda members: members.mode().iloc[0])
        strata = strata.where(~rare, commonest)
    return strata
