"""Registers a search's best trial with its lineage, and moves the champion alias as the gate decides."""

from dataclasses import dataclass
from typing import Any

from lumbargrade.dataset.layout import RsnaDataset
from lumbargrade.files import files_sha256
from lumbargrade.registry.example import example_study
from lumbargrade.registry.gate import GateDecision, judge
from lumbargrade.registry.lineage import read_code_state
from lumbargrade.registry.models import CHAMPION, champion_uri, champion_version, load_model
from lumbargrade.registry.package import find_version, register_model, registered_name
from lumbargrade.training.plan import SearchOutcome, SearchPlan
from lumbargrade.training.tracking import Tracker


@dataclass(frozen=True)
class Registration:
    """A model version and what became of it.

    Attributes:
        is_new: Whether it was registered by this call.
        champion: The version that is champion now.
        holdout_score: Official score on the frozen holdout.
    """

    name: str
    version: str
    is_new: bool
    decision: str
    reason: str
    champion: str | None
    holdout_score: float | None

    @property
    def uri(self) -> str:
        """Address of the version."""
        return f"models:/{self.name}/{self.version}"


def register_best(
    plan: SearchPlan, outcome: SearchOutcome, dataset: RsnaDataset, tracker: Tracker, flow_run_id: str
) -> Registration:
    """Registers the best trial unless it is registered already; the first model, or a better one, becomes champion.

    A call that is cut off registers again when it is repeated: only a version with its gate's decision counts.
    """
    name = registered_name(plan.task)
    known = find_version(tracker, plan.task, outcome.trial_run_id)
    if known is not None:
        tags = tracker.client.get_model_version(name, known).tags
        score = tags.get("holdout.score")
        champion = champion_version(tracker, plan.task)
        return Registration(
            name, known, False, tags["gate.decision"], tags["gate.reason"], champion, float(score) if score else None
        )
    tags = _tags(plan, outcome, flow_run_id)
    version = register_model(tracker, plan, outcome, example_study(), tags)
    decision = _gate(plan, dataset, tracker, version)
    if decision.decision == "promote":
        tracker.client.set_registered_model_alias(name, CHAMPION, version)
    for key, value in _gate_tags(decision).items():
        tracker.client.set_model_version_tag(name, version, key, value)
    return Registration(
        name=name,
        version=version,
        is_new=True,
        decision=decision.decision,
        reason=decision.reason,
        champion=champion_version(tracker, plan.task),
        holdout_score=decision.candidate.score if decision.candidate else None,
    )


def _gate(plan: SearchPlan, dataset: RsnaDataset, tracker: Tracker, version: str) -> GateDecision:
    candidate = load_model(f"models:/{registered_name(plan.task)}/{version}")
    has_champion = champion_version(tracker, plan.task) is not None
    champion = load_model(champion_uri(plan.task)) if has_champion else None
    return judge(candidate, champion, dataset, plan)


def _tags(plan: SearchPlan, outcome: SearchOutcome, flow_run_id: str) -> dict[str, str]:
    """What the version came from; each can be checked against git, DVC and the files."""
    code = read_code_state()
    evaluation = outcome.evaluation
    tags: dict[str, Any] = {
        "task": plan.task.name,
        **{f"dataset.{key}": value for key, value in plan.data.items()},
        "git.commit": code.commit,
        "git.dirty": str(code.dirty).lower(),
        "git.diff_sha256": code.diff_sha256,
        "code.sha256": code.package_sha256,
        "params.sha256": plan.params.digest(),
        "search.name": outcome.name,
        "search.run_id": outcome.run_id,
        "search.trials": outcome.trials,
        "search.trial_run_id": outcome.trial_run_id,
        "search.fold_run_ids": ",".join(outcome.fold_run_ids),
        "locators.sha256": files_sha256(plan.locators) if plan.locators else "",
        "cv.score": evaluation.score,
        "cv.accuracy": evaluation.accuracy,
        "cv.accuracy_majority": evaluation.accuracy_majority,
        "prefect.flow_run_id": flow_run_id,
    }
    if outcome.on_labelled is not None:
        tags["cv.score_labelled_points"] = outcome.on_labelled.score
    return {key: str(value) for key, value in tags.items() if value != ""}


def _gate_tags(decision: GateDecision) -> dict[str, str]:
    tags = {"gate.reason": decision.reason}
    if decision.candidate is not None:
        tags |= {
            "holdout.score": str(decision.candidate.score),
            "holdout.accuracy": str(decision.candidate.accuracy),
        }
    if decision.on_labelled is not None:
        tags["holdout.score_labelled_points"] = str(decision.on_labelled.score)
    if decision.champion is not None:
        tags["gate.champion_score"] = str(decision.champion.score)
    return {**tags, "gate.decision": decision.decision}
