"""Registration with packaging and networks left out: what is logged, what a second call finds, what waits for a person."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lumbargrade.audit.log import AuditLog
from lumbargrade.config.params import GateParams
from lumbargrade.registry import register as registering
from lumbargrade.registry.approval import approve
from lumbargrade.registry.candidate import Candidate
from lumbargrade.registry.champion import Champion
from lumbargrade.registry.lineage.code import CodeState
from lumbargrade.registry.promotion.decision import GateDecision, decide
from lumbargrade.registry.promotion.gate import Judgement
from lumbargrade.registry.register import Registration, register_candidate
from lumbargrade.registry.resolve import champion_version
from lumbargrade.tracking.mlflow_tracker import Tracker
from lumbargrade.training.jobs.student import Student
from tests.candidates import TASK, TRUTH, make_candidate, make_student
from tests.predictions import both, right
from tests.projects import NAME, Register

Open = Callable[[], Champion]
TAGS = {
    *(
        "task",
        "dataset.name",
        "dataset.md5",
        "git.commit",
        "git.dirty",
        "git.diff_sha256",
        "code.sha256",
        "params.sha256",
    ),
    *("search.name", "search.run_id", "search.trials", "search.trial_run_id", "search.fold_run_ids", "package.graders"),
    *("student.run_id", "student.teachers_divergence", "student.teachers_same_grade", "prefect.flow_run_id"),
    *("cv.score", "cv.accuracy", "cv.accuracy_majority", "facts", "trained_on"),
    *("gate.decision", "gate.reason", "gate.champion"),
}
"""As versions that are registered already have them."""


def candidate_of(trial: str, student: Student | None = None) -> Candidate:
    return make_candidate(trial_run_id=trial, student=student)


@pytest.fixture
def call(tracker: Tracker, register: Register, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Registration]:
    """Registers a trial; the gate, if asked, decides as it is told to."""
    monkeypatch.setattr(registering, "read_code_state", lambda project: CodeState("c0ffee", "p"))
    monkeypatch.setattr(registering, "example_study", lambda: b"")
    monkeypatch.setattr(registering, "register_model", lambda tracker, candidate, example, tags: register(None, **tags))
    monkeypatch.setattr(registering, "write_evidence", lambda *told: {"evidence.sig": "abc"})

    def judge(decision: GateDecision) -> Callable[..., Judgement]:
        def judged(champion: Champion, version: str, candidate: Candidate) -> Judgement:
            tags = {"gate.reason": decision.reason, "gate.champion": "none", "gate.decision": decision.decision}
            for key, value in tags.items():
                tracker.client.set_model_version_tag(NAME, version, key, value)
            return Judgement(version, None, decision, tags)

        return judged

    def run(trial: str, decision: GateDecision, student: Student | None = None) -> Registration:
        monkeypatch.setattr(registering, "judge_new", judge(decision))
        return register_candidate(candidate_of(trial, student), tracker, "flow", AuditLog())

    return run


def waiting() -> GateDecision:
    return decide(TASK, both(TASK, TRUTH, right(TRUTH, 0.8), None), False, GateParams(promotion="approval"), 1)


def test_a_registration_is_logged_and_waits_until_a_person_approves(
    call: Callable[..., Registration], open_champion: Open
) -> None:
    made = call("t1", waiting())
    assert (made.is_new, made.waits, made.champion, made.decision) == (True, True, None, "needs approval")
    (entry,) = AuditLog().entries("registered")
    assert entry.subject == f"models:/{NAME}/1"
    assert entry.details["tags"]["search.trial_run_id"] == "t1"
    assert entry.details["tags"]["dataset.md5"] == "abc.dir"
    again = call("t1", waiting())
    assert (again.is_new, again.version, again.waits, again.gate) == (False, "1", True, None)
    assert len(AuditLog().entries("registered")) == 1
    approve(open_champion(), "1", "Ada", "checked")
    after = call("t1", waiting())
    assert (after.waits, after.champion, after.approved_by) == (False, "1", "Ada")


def test_the_same_trial_packaged_otherwise_is_another_version(
    call: Callable[..., Registration], tracker: Tracker, tmp_path: Path
) -> None:
    students = [make_student(tmp_path / name, name) for name in ("one", "two")]
    packaged = (None, *students, None, *students)
    versions = [call("t1", waiting(), student).version for student in packaged]
    assert versions == ["1", "2", "3", "1", "2", "3"]
    tags = [tracker.client.get_model_version(NAME, version).tags for version in versions[:2]]
    assert [each["package.graders"] for each in tags] == ["ensemble", "distilled"]
    assert (tags[1]["student.teachers_same_grade"], tags[1]["student.teachers_divergence"]) == ("0.75", "0.125")
    assert not [name for name in tags[0] if name.startswith("student.")]
    assert set(tags[1]) == TAGS


def test_a_version_that_is_kept_back_does_not_wait(call: Callable[..., Registration]) -> None:
    assert not call("t1", decide(TASK, None, True, GateParams(), 0)).waits


def test_a_registration_that_was_cut_off_before_the_alias_moved_goes_on(
    call: Callable[..., Registration], tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    promoted = decide(TASK, both(TASK, TRUTH, right(TRUTH, 0.8), None), False, GateParams(), 1)

    def killed(champion: Champion, version: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(registering, "settle", killed)
        call("t1", promoted)
    assert champion_version(tracker, TASK) is None
    again = call("t1", promoted)
    assert (again.version, again.is_new, again.champion) == ("1", False, "1")


def test_a_registration_that_was_cut_off_before_it_was_signed_is_made_anew(
    call: Callable[..., Registration], tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    promoted = decide(TASK, both(TASK, TRUTH, right(TRUTH, 0.8), None), False, GateParams(), 1)

    def killed(*told: object) -> dict[str, str]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(registering, "write_evidence", killed)
        call("t1", promoted)
    again = call("t1", promoted)
    assert (again.version, again.is_new, again.champion) == ("2", True, "2")
