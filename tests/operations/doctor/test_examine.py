"""What is told of an examination, whatever its checks come to."""

import json
import threading

import pytest
from typer.testing import CliRunner

from lumbargrade.cli.app import app
from lumbargrade.errors import InputError
from lumbargrade.operations.doctor import examine as examining
from lumbargrade.operations.doctor.examine import CHECKS, examine
from lumbargrade.operations.doctor.findings import Examination, Finding

FINE = Finding.ok("fine", "all is well")


def fail(error: Exception):
    def check() -> list[Finding]:
        raise error

    return check


def test_what_is_broken_or_hangs_is_told_and_hides_nothing() -> None:
    checks = {
        "broken": fail(KeyError("x")),
        "refused": fail(InputError("a file is odd", "mend it", "odd-file")),
        "hanging": lambda: [FINE] if threading.Event().wait(60) else [],
        "working": lambda: [FINE],
    }
    found = examine(checks, 0.5).findings
    assert [finding.code for finding in found] == ["not-checked", "odd-file", "check-hangs", "fine"]
    assert (found[0].what, found[1].remedy) == ("broken could not be checked (KeyError: 'x')", "mend it")
    assert not Examination(findings=found).is_healthy


def test_what_was_found_before_a_fault_is_told_and_the_same_once() -> None:
    def check():
        yield FINE
        raise InputError("a file is odd", "mend it", "odd-file")

    found = examine({"one": check, "other": check}, 10).findings
    assert [finding.code for finding in found] == ["fine", "odd-file"]


def test_names_and_commands_keep_their_letters() -> None:
    words = {"data/x.dvc is odd": "data/x.dvc is odd.", "`chmod 600` it": "`chmod 600` it.", "free room": "Free room."}
    for what, shown in words.items():
        lines = Examination(findings=(Finding.ok("ok", what),)).lines()
        assert next(iter(lines)) == f"ok       {shown}"


def test_a_reader_finds_problems_first_in_80_columns() -> None:
    long = (
        "a path like /mnt/store/of/the/hospital is told, and what is wrong with it in so many words that it needs lines"
    )
    found = Examination(
        findings=(FINE, Finding.note("noted", long), Finding.problem("disk-full", "the disk is full", "free some room"))
    )
    lines = list(found.lines())
    assert lines[:2] == ["problem  The disk is full (disk-full).", "         → Free some room."]
    assert lines[-1] == "1 problem, 1 note, 1 as they should be"
    assert max(map(len, lines)) < 80 and len([line for line in lines if line.startswith("         ")]) == 2


def test_the_command_ends_with_1_if_there_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examining, "examine", lambda: Examination(findings=(FINE,)))
    assert CliRunner().invoke(app, ["doctor"]).exit_code == 0
    problem = Finding.problem("disk-full", "the disk is full", "free room")
    monkeypatch.setattr(examining, "examine", lambda: Examination(findings=(problem,)))
    result = CliRunner().invoke(app, ["doctor", "--json"])
    assert result.exit_code == 1
    assert json.loads(result.stdout)["findings"] == [problem.model_dump()]


def test_a_clone_in_which_nothing_was_run_has_nothing_broken() -> None:
    """All real checks; a repository is missing here, and what the machine is like is its own matter."""
    found = examine(CHECKS)
    told = {finding.code for finding in found.findings if finding.state == "problem"}
    assert told <= {"git-without-commit", "disk-full", "disk-temporary-full", "memory-short", "gpu-driver-old"}
    assert {"decoders", "locks", "links", "signing-key", "store", "prefect", "dvc-cache", "dvc-remote"} <= {
        finding.code for finding in found.findings
    }
