"""Registers a candidate with its lineage, and lets the gate decide whether it becomes champion."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from lumbargrade.audit.keys import open_signing_key
from lumbargrade.audit.log import AuditLog
from lumbargrade.config.project import current_project
from lumbargrade.evaluation.performance import summarize_performance
from lumbargrade.files import files_sha256
from lumbargrade.registry import tags as tag
from lumbargrade.registry.audit_events import REGISTERED, SIGNED, logged_versions
from lumbargrade.registry.candidate import Candidate
from lumbargrade.registry.champion import Champion
from lumbargrade.registry.example import example_study
from lumbargrade.registry.lineage.bundle import write_evidence
from lumbargrade.registry.lineage.code import CodeState, read_code_state
from lumbargrade.registry.lineage.record import NewVersion
from lumbargrade.registry.names import registered_name, version_uri
from lumbargrade.registry.package import find_version, register_model
from lumbargrade.registry.promotion.decision import NEEDS_APPROVAL, GateDecision
from lumbargrade.registry.promotion.gate import NOBODY, judge_new, settle
from lumbargrade.tracking.mlflow_tracker import Tracker
from lumbargrade.training.trial_record import count_ended


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


def register_candidate(
    candidate: Candidate,
    tracker: Tracker,
    flow_run_id: str,
    log: AuditLog,
    tell: Callable[[str], None] = print,
    answer_reference: Callable[[str], str] = lambda uri: "",
) -> Registration:
    """Registers a candidate unless it is registered already, and makes it champion if the gate promotes it.

    The evidence is signed before the alias moves, so that no version serves without. A call that is cut off before that
    registers again when it is repeated; one that is cut off after it goes on.

    Args:
        tell: Told what takes a while.
        answer_reference: What the version with this address answers to held-out studies; asked if the version is new.
    """
    name = registered_name(candidate.task)
    champion = Champion(tracker, candidate.task, log)
    known = find_version(tracker, candidate, logged_versions(log, candidate.task, SIGNED))
    if known is not None:
        tags = tracker.client.get_model_version(name, known).tags
        if (champion.version or NOBODY) == tags[tag.GATE_CHAMPION]:
            settle(champion, known)
        score = tags.get(tag.HOLDOUT_SCORE)
        return Registration(
            name=name,
            version=known,
            is_new=False,
            decision=tags[tag.GATE_DECISION],
            reason=tags[tag.GATE_REASON],
            champion=champion.version,
            holdout_score=float(score) if score else None,
            approved_by=tags.get(tag.APPROVAL_BY),
        )
    code = read_code_state(current_project().root)
    tags = _tags(candidate, code, flow_run_id)
    version = register_model(tracker, candidate, example_study(), tags)
    log.append(REGISTERED, version_uri(name, version), {"tags": tags})
    judgement = judge_new(champion, version, candidate)
    gate = judgement.decision
    reference = answer_reference(version_uri(name, version))
    new = NewVersion(version, gate, judgement.against, code, flow_run_id, reference)
    signatures = write_evidence(tracker, _with_holdout(candidate, gate), new, open_signing_key(log.keys), tell)
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


def _with_holdout(candidate: Candidate, gate: GateDecision) -> Candidate:
    """Adds to a candidate's facts what the gate saw of it."""
    if gate.candidate is None:
        return candidate
    holdout = summarize_performance(gate.candidate, candidate.task)
    return replace(candidate, facts=candidate.facts.model_copy(update={"holdout": holdout}))


def _tags(candidate: Candidate, code: CodeState, flow_run_id: str) -> dict[str, str]:
    """What the version came from; each can be checked against git, DVC and the files."""
    evaluation, student = candidate.evaluation, candidate.student
    tags: dict[str, Any] = {
        tag.TASK: candidate.task.name,
        **{f"{tag.DATASET}{key}": value for key, value in candidate.data.items()},
        tag.GIT_COMMIT: code.commit,
        tag.GIT_DIRTY: str(code.dirty).lower(),
        tag.GIT_DIFF_SHA256: code.diff_sha256,
        tag.CODE_SHA256: code.package_sha256,
        tag.PARAMS_SHA256: candidate.params.digest(),
        tag.SEARCH_NAME: candidate.search_name,
        tag.SEARCH_RUN: candidate.search_run_id,
        tag.SEARCH_TRIALS: count_ended(candidate.trials),
        tag.TRIAL_RUN: candidate.trial_run_id,
        tag.FOLD_RUNS: ",".join(candidate.fold_run_ids),
        tag.PACKAGE_GRADERS: candidate.packaging,
        tag.LOCATORS_SHA256: files_sha256(candidate.locators) if candidate.locators else "",
        tag.CV_SCORE: evaluation.score,
        tag.CV_ACCURACY: evaluation.accuracy,
        tag.CV_ACCURACY_MAJORITY: evaluation.accuracy_majority,
        tag.FACTS: candidate.facts.model_dump_json(),
        tag.TRAINED_ON: candidate.facts.trained_on.sentence(),
        tag.FLOW_RUN: flow_run_id,
    }
    if student is not None:
        tags |= {
            tag.STUDENT_RUN: student.run_id,
            tag.STUDENT_DIVERGENCE: student.divergence,
            tag.STUDENT_SAME_GRADE: student.same_grade,
        }
    if candidate.on_labelled is not None:
        tags[tag.CV_SCORE_LABELLED] = candidate.on_labelled.score
    return {key: str(value) for key, value in tags.items() if value != ""}
