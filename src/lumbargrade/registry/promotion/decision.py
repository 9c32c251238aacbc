"""Decides whether a candidate becomes champion, by rules that stand in the parameters.

- ``keep``: its official score on the holdout is not better than the champion's.
- ``promote``: its score is better beyond chance, no rail is broken beyond chance, and the recall of severe cells does not
  fall below what is allowed, by chance or not: a missed severe stenosis is what the gate is there for.
- ``needs approval``: its score is better, but that may be chance, or a rail is broken, or severe recall cannot be judged;
  or the champion was made by another version of Lumbargrade and cannot be read.

On a small holdout few differences are beyond chance, so that a person decides there. A rail that may be broken by chance
is named, and stops nothing but severe recall: among many rails one is broken by chance often.
"""

from typing import Literal

from lumbargrade.config.params import GateParams
from lumbargrade.config.task import GradingTask
from lumbargrade.evaluation.align import GradedCells, align, complete_cells
from lumbargrade.evaluation.evaluate import GradedStudies
from lumbargrade.evaluation.metrics import Evaluation
from lumbargrade.frozen import Frozen
from lumbargrade.registry.promotion.checks import SEVERE_RECALL, Check, compare_on_holdout
from lumbargrade.registry.promotion.holdout import HoldoutGrades

Decision = Literal["promote", "keep", "needs approval"]
PROMOTE: Literal["promote"] = "promote"
KEEP: Literal["keep"] = "keep"
NEEDS_APPROVAL: Literal["needs approval"] = "needs approval"


class GateDecision(Frozen):
    """What the gate decided, and why in words.

    Attributes:
        rules: What it decided by.
        holdout_sha256: Of the holdout's labelled cells; None if there is no holdout.
        look: Which look at this holdout it was, from 1; 0 if there is no holdout.
        score: None if there was no champion or no holdout; then there are no rails either.
        candidate: The candidate on the holdout; None if there is no holdout.
        champion: The champion on the same cells; None if there was none.
        on_labelled: The candidate at the labelled points, to tell the grader's errors from the locator's.
    """

    decision: Decision
    reasons: tuple[str, ...]
    rules: GateParams
    holdout_sha256: str | None = None
    look: int = 0
    score: Check | None = None
    rails: tuple[Check, ...] = ()
    candidate: Evaluation | None = None
    champion: Evaluation | None = None
    on_labelled: Evaluation | None = None

    @property
    def reason(self) -> str:
        """The reasons in one line."""
        return "; ".join(self.reasons)

    @property
    def checks(self) -> tuple[Check, ...]:
        """The score, if it was compared, and the rails."""
        return ((self.score,) if self.score else ()) + self.rails


def decide(
    task: GradingTask,
    grades: HoldoutGrades | None,
    has_champion: bool,
    rules: GateParams,
    look: int,
    unreadable: str | None = None,
) -> GateDecision:
    """Decides by what candidate and champion say of the holdout.

    Args:
        grades: None if nothing is held out.
        has_champion: If there is none, the candidate is promoted.
        look: Which look at this holdout it is, from 1.
        unreadable: Why the champion cannot be compared with; then a person decides.
    """
    if grades is None and has_champion:
        reason = "without a holdout (split.holdout 0) a champion cannot be beaten"
        return GateDecision(decision=KEEP, reasons=(reason,), rules=rules)
    score: Check | None = None
    rails: list[Check] = []
    decision: Decision = PROMOTE if unreadable is None else NEEDS_APPROVAL
    reasons = ["there was no champion" if unreadable is None else f"the champion cannot be compared with: {unreadable}"]
    if grades is not None and grades.champion is not None:
        ours, theirs = (_aligned(task, grades, said) for said in (grades.candidate, grades.champion))
        score, rails = compare_on_holdout(task, ours, theirs, rules, grades.subgroups)
        decision, reasons = _weigh(score, rails, rules)
    if decision == PROMOTE and rules.promotion == "approval":
        decision = NEEDS_APPROVAL
        reasons.append("every promotion is left to a person (gate.promotion: approval)")
    if grades is None:
        return GateDecision(decision=decision, reasons=tuple(reasons), rules=rules)
    if look > rules.holdout_looks:
        reasons.append(
            f"this was look {look} at this holdout, and after {rules.holdout_looks} (gate.holdout_looks) it wears out: what "
            "is best on it may fit it by chance, so hold out other studies"
        )
    return GateDecision(
        decision=decision,
        reasons=tuple(reasons),
        rules=rules,
        holdout_sha256=grades.sha256,
        look=look,
        score=score,
        rails=tuple(rails),
        candidate=grades.candidate.evaluation,
        champion=grades.champion.evaluation if grades.champion else None,
        on_labelled=grades.on_labelled,
    )


def _aligned(task: GradingTask, grades: HoldoutGrades, said: GradedStudies) -> GradedCells:
    return align(task, grades.truth, complete_cells(grades.truth, said.calibrated, task))


def _weigh(score: Check, rails: list[Check], rules: GateParams) -> tuple[Decision, list[str]]:
    reasons = [_score_words(score, rules)]
    if not score.passed:
        return KEEP, reasons
    broken = [rail for rail in rails if rail.passed is False]
    stops = [rail for rail in broken if rail.certain or rail.name == SEVERE_RECALL]
    reasons += [_rail_words(rail) for rail in broken]
    blind = [rail for rail in rails if rail.passed is None and rail.name == SEVERE_RECALL]
    reasons += [f"{rail.name} cannot be judged: {rail.note}" for rail in blind]
    return (PROMOTE if score.certain and not stops and not blind else NEEDS_APPROVAL), reasons


def _score_words(score: Check, rules: GateParams) -> str:
    verb = "beats" if score.passed else "does not beat"
    chance = ", which may be chance" if score.passed and not score.certain else ""
    return (
        f"score {score.candidate:.4f} on the holdout {verb} the champion's {score.champion:.4f} "
        f"({_interval_words(score, rules)}){chance}"
    )


def _interval_words(check: Check, rules: GateParams) -> str:
    if check.interval is None:
        return "one study tells nothing of chance"
    low, high = check.interval
    return f"difference {check.difference:+.4f}, {rules.confidence:.0%} interval {low:+.4f} to {high:+.4f}"


def _rail_words(rail: Check) -> str:
    verb = "rises" if rail.lower_is_better else "falls"
    chance = "" if rail.certain else ", which may be chance"
    return (
        f"{rail.name} {verb} from {rail.champion:.4f} to {rail.candidate:.4f}, more than the {rail.allowed:g} allowed"
        f"{chance}"
    )
