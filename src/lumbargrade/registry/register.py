"""Registers a search's best trial with its lineage, and lets the gate decide whether it becomes champion."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lumbargrade.audit.keys import open_signing_key
from lumbargrade.audit.log import AuditLog
from lumbargrade.config.project import current_project
from lumbargrade.data.layout import RsnaDataset
from lumbargrade.evaluation.performance import summarize_performance
from lumbargrade.files import files_sha256
from lumbargrade.models.trained_on import FACTS_TAG, ModelFacts
from lumbargrade.registry.audit_events import REGISTERED, SIGNED, logged_versions
from lumbargrade.registry.champion import Champion
from lumbargrade.registry.describe import describe_model
from lumbargrade.registry.example import example_study
from lumbargrade.registry.lineage.bundle import write_evidence
from lumbargrade.registry.lineage.code import CodeState, read_code_state
from lumbargrade.registry.lineage.record import Made
from lumbargrade.registry.names import registered_name, version_uri
from lumbargrade.registry.package import STUDENT_RUN, find_version, register_model
from lumbargrade.registry.promotion.decision import NEEDS_APPROVAL, GateDecision
from lumbargrade.registry.promotion.gate import NOBODY, judge_new, settle
from lumbargrade.search.plan import SearchOutcome, SearchPlan
from lumbargrade.tracking.mlflow_tracker import Tracker


@dataclass(frozen=True)
class Registration:
    """A model version and what became of it.

    Attributes:
        is_new: Whether it was registered by this call.
        champion: The version that is champion now.
        holdout_score: Official score on the frozen holdout.
        approved_by: Who made it champion, if a person did.
        gate: What the gate compared, if this call asked it.
    """

    name: str
    version: str
    is_new: bool
    decision: str
    reason: str
    champion: str | None
    holdout_score: float | None
    approved_by: str | None = None
    gate: GateDecision | None = None

    @property
    def uri(self) -> str:
        """Address of the version."""
        return version_uri(self.name, self.version)

    @property
    def waits(self) -> bool:
        """Whether a person has yet to decide about it."""
        return self.decision == NEEDS_APPROVAL and self.champion != self.version and self.approved_by is None


def register_best(
    plan: SearchPlan,
    outcome: SearchOutcome,
    dataset: RsnaDataset,
    tracker: Tracker,
    flow_run_id: str,
    log: AuditLog,
    tell: Callable[[str], None] = print,
    answer_reference: Callable[[str], str] = lambda uri: "",
) -> Registration:
    """Registers the best trial unless it is registered already, and makes it champion if the gate promotes it.

    The evidence is signed before the alias moves, so that no version serves without. A call that is cut off before that
    registers again when it is repeated; one that is cut off after it goes on.

    Args:
        tell: Told what takes a while.
        answer_reference: What the version with this address answers to held-out studies; asked if the version is new.
    """
    name = registered_name(plan.task)
    champion = Champion(tracker, plan.task, log)
    known = find_version(tracker, plan.task, outcome, logged_versions(log, plan.task, SIGNED))
    if known is not None:
        tags = tracker.client.get_model_version(name, known).tags
        if (champion.version or NOBODY) == tags["gate.champion"]:
            settle(champion, known)
        score = tags.get("holdout.score")
        return Registration(
            name=name,
            version=known,
            is_new=False,
            decision=tags["gate.decision"],
            reason=tags["gate.reason"],
            champion=champion.version,
            holdout_score=float(score) if score else None,
            approved_by=tags.get("approval.by"),
        )
    code = read_code_state(current_project().root)
    facts = describe_model(plan, outcome, dataset.root)
    tags = _tags(plan, outcome, facts, code, flow_run_id)
    version = register_model(tracker, plan, outcome, facts, example_study(), tags)
    log.append(REGISTERED, version_uri(name, version), {"tags": tags})
    judgement = judge_new(champion, version, dataset, plan)
    gate = judgement.decision
    reference = answer_reference(f"models:/{name}/{version}")
    if gate.candidate is not None:
        facts = facts.model_copy(update={"holdout": summarize_performance(gate.candidate, plan.task)})
    made = Made(
        plan, outcome, dataset.root, code, name, version, gate, judgement.against, flow_run_id, facts, reference
    )
    signatures = write_evidence(tracker, made, open_signing_key(log.keys), tell)
    log.append(SIGNED, version_uri(name, version), {"sha256": signatures})
    settle(champion, version)
    return Registration(
        name=name,
        version=version,
        is_new=True,
        decision=gate.decision,
        reason=gate.reason,
        champion=champion.version,
        holdout_score=gate.candidate.score if gate.candidate else None,
        gate=gate,
    )


def _tags(
    plan: SearchPlan, outcome: SearchOutcome, facts: ModelFacts, code: CodeState, flow_run_id: str
) -> dict[str, str]:
    """What the version came from; each can be checked against git, DVC and the files."""
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
        "package.graders": outcome.packaging,
        "locators.sha256": files_sha256(plan.locators) if plan.locators else "",
        "cv.score": evaluation.score,
        "cv.accuracy": evaluation.accuracy,
        "cv.accuracy_majority": evaluation.accuracy_majority,
        FACTS_TAG: facts.model_dump_json(),
        "trained_on": facts.trained_on.sentence(),
        "prefect.flow_run_id": flow_run_id,
    }
    if outcome.student is not None:
        tags |= {
            STUDENT_RUN: outcome.student.run_id,
            "student.teachers_divergence": outcome.student.divergence,
            "student.teachers_same_grade": outcome.student.same_grade,
        }
    if outcome.on_labelled is not None:
        tags["cv.score_labelled_points"] = outcome.on_labelled.score
    return {key: str(value) for key, value in tags.items() if value != ""}
