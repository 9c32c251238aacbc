"""Decides whether a candidate becomes champion: it must beat the champion on the frozen holdout.

Only the gate looks at the holdout.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from lumbargrade.dataset.layout import RsnaDataset
from lumbargrade.prepare.pack import PackedCrops
from lumbargrade.prepare.split import HOLDOUT
from lumbargrade.registry.evaluate import evaluate_model, evaluate_packed, holdout_rows
from lumbargrade.registry.models import LoadedModel
from lumbargrade.training.metrics import Evaluation


@dataclass(frozen=True)
class GateDecision:
    """What the gate decided, and why in words.

    Attributes:
        candidate: The candidate on the holdout; nothing if there is no holdout.
        champion: The champion on the same studies; nothing if there was none.
    """

    decision: Literal["promote", "keep"]
    reason: str
    candidate: Evaluation | None
    champion: Evaluation | None


def judge(
    candidate: LoadedModel, champion: LoadedModel | None, dataset: RsnaDataset, crops: Path, split: Path
) -> GateDecision:
    """Compares candidate and champion on the studies of the frozen holdout.

    Args:
        champion: Nothing if there is none yet; then the candidate is promoted.
        crops: Packed crops, cut as the candidate sees them.
        split: Table of studies and folds.
    """
    packed = PackedCrops(crops)
    folds = pd.read_csv(split)
    rows = holdout_rows(packed, folds)
    ours = evaluate_packed(candidate, packed, rows) if len(rows) else None
    if champion is None:
        return GateDecision("promote", "there was no champion", ours, None)
    if ours is None:
        return GateDecision("keep", "without a holdout (split.holdout 0) a champion cannot be beaten", None, None)
    if champion.config.prepare == candidate.config.prepare:
        theirs = evaluate_packed(champion, packed, rows)
    else:
        theirs = evaluate_model(champion, dataset, folds.loc[folds["fold"] == HOLDOUT, "study_id"].tolist())
    better = ours.score < theirs.score
    verb = "beats" if better else "does not beat"
    reason = f"score {ours.score:.4f} on the holdout {verb} the champion's {theirs.score:.4f}"
    return GateDecision("promote" if better else "keep", reason, ours, theirs)
