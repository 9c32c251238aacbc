"""Candidate and champion on the same labelled cells of the frozen holdout, each where its own locators look.

Only the gate looks at the holdout.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from lumbargrade.data.layout import RsnaDataset
from lumbargrade.evaluation.align import CELL, truth_table
from lumbargrade.evaluation.evaluate import GradedStudies, cut_for, grade_packed
from lumbargrade.evaluation.metrics import Evaluation
from lumbargrade.models.bundle import LoadedModel
from lumbargrade.preprocessing.pack import PackedCrops
from lumbargrade.preprocessing.split.split import HOLDOUT
from lumbargrade.registry.candidate import Candidate


@dataclass(frozen=True, eq=False)
class HoldoutGrades:
    """What candidate and champion say of the holdout.

    Attributes:
        champion: None if there is none.
        on_labelled: The candidate at the labelled points, to tell the grader's errors from the locator's; None if that
            was not asked for, or if it has no locators.
        subgroups: Names of studies' subgroups, by what separates them.
    """

    candidate: GradedStudies
    champion: GradedStudies | None
    on_labelled: Evaluation | None = None
    subgroups: Mapping[str, Mapping[int, str]] = field(default_factory=dict)

    @property
    def truth(self) -> pd.DataFrame:
        """The labelled cells."""
        return self.candidate.truth

    @property
    def sha256(self) -> str:
        """Hash of the holdout: of its labelled cells and their grades, in the order of the cells."""
        rows = self.truth.sort_values(CELL, kind="stable")[[*CELL, "grade"]]
        return hashlib.sha256(rows.to_csv(index=False).encode()).hexdigest()


def held_out(split: Path) -> list[int]:
    """The studies that a split holds out."""
    folds = pd.read_csv(split)
    return [int(study) for study in folds.loc[folds["fold"] == HOLDOUT, "study_id"]]


def grade_planned(model: LoadedModel, champion: LoadedModel | None, candidate: Candidate) -> HoldoutGrades | None:
    """Grades the holdout of the split that a candidate was trained by; its crops are cut as the candidate sees them.

    Args:
        model: The candidate's.

    Returns:
        None if nothing is held out.
    """
    held = held_out(candidate.split)
    index = PackedCrops(candidate.crops).index
    truth = truth_table(index[index["study_id"].isin(held)])
    if not len(truth):
        return None
    crops = candidate.located or candidate.crops
    subgroups = {
        kind: {study: names[study] for study in held if study in names} for kind, names in candidate.subgroups.items()
    }
    ours = grade_packed(model, crops, truth, subgroups)
    on_labelled = grade_packed(model, candidate.crops, truth).evaluation if candidate.located else None
    theirs = _champion_grades(model, champion, candidate.dataset, crops, truth, subgroups)
    return HoldoutGrades(ours, theirs, on_labelled, subgroups)


def grade_anew(
    candidate: LoadedModel,
    champion: LoadedModel | None,
    dataset: RsnaDataset,
    held: Sequence[int],
    subgroups: Mapping[str, Mapping[int, str]],
) -> HoldoutGrades | None:
    """Grades the holdout from its files, without anything that a search has prepared.

    Returns:
        None if nothing is held out.
    """
    if not held:
        return None
    with cut_for(candidate, dataset, held) as (crops, truth):
        ours = grade_packed(candidate, crops, truth, subgroups)
        theirs = _champion_grades(candidate, champion, dataset, crops, truth, subgroups)
    return HoldoutGrades(ours, theirs, None, subgroups)


def _champion_grades(
    candidate: LoadedModel,
    champion: LoadedModel | None,
    dataset: RsnaDataset,
    crops: Path,
    truth: pd.DataFrame,
    subgroups: Mapping[str, Mapping[int, str]],
) -> GradedStudies | None:
    """Cuts crops for the champion only where it sees others than the candidate."""
    if champion is None:
        return None
    same_crops = champion.config.prepare == candidate.config.prepare
    if same_crops and champion.locators_sha256 == candidate.locators_sha256:
        return grade_packed(champion, crops, truth, subgroups)
    with cut_for(champion, dataset, [int(study) for study in truth["study_id"].unique()]) as (own, _):
        return grade_packed(champion, own, truth, subgroups)
