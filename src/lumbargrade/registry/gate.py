"""Decides whether a candidate becomes champion: it must beat the champion on the frozen holdout.

Only the gate looks at the holdout.
"""

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from lumbargrade.dataset.layout import RsnaDataset
from lumbargrade.prepare.split import HOLDOUT
from lumbargrade.registry.evaluate import evaluate_model, grade_packed, holdout_truth
from lumbargrade.registry.models import LoadedModel
from lumbargrade.training.metrics import Evaluation
from lumbargrade.training.plan import SearchPlan


@dataclass(frozen=True)
class GateDecision:
    """What the gate decided, and why in words.

    Attributes:
        candidate: The candidate on the holdout; nothing if there is no holdout.
        champion: The champion on the same studies; nothing if there was none.
        on_labelled: The candidate at the labelled points, to tell the grader's errors from the locator's.
    """

    decision: Literal["promote", "keep"]
    reason: str
    candidate: Evaluation | None
    champion: Evaluation | None
    on_labelled: Evaluation | None = None


def judge(candidate: LoadedModel, champion: LoadedModel | None, dataset: RsnaDataset, plan: SearchPlan) -> GateDecision:
    """Compares candidate and champion on the studies of the frozen holdout, each where its own locators look.

    Args:
        champion: Nothing if there is none yet; then the candidate is promoted.
        plan: What the candidate was trained on; its crops are cut as the candidate sees them.
    """
    folds = pd.read_csv(plan.split)
    held = folds.loc[folds["fold"] == HOLDOUT, "study_id"].tolist()
    truth = holdout_truth(plan.crops, held)
    ours = grade_packed(candidate, plan.located or plan.crops, truth).evaluation if len(truth) else None
    on_labelled = grade_packed(candidate, plan.crops, truth).evaluation if len(truth) and plan.located else None
    if champion is None:
        return GateDecision("promote", "there was no champion", ours, None, on_labelled)
    if ours is None:
        return GateDecision("keep", "without a holdout (split.holdout 0) a champion cannot be beaten", None, None)
    same_crops = champion.config.prepare == candidate.config.prepare
    if same_crops and champion.locators_sha256 == candidate.locators_sha256:
        theirs = grade_packed(champion, plan.located or plan.crops, truth).evaluation
    else:
        theirs = evaluate_model(champion, dataset, held)
    better = ours.score < theirs.score
    verb = "beats" if better else "does not beat"
    reason = f"score {ours.score:.4f} on the holdout {verb} the champion's {theirs.score:.4f}"
    return GateDecision("promote" if better else "keep", reason, ours, theirs, on_labelled)
