"""The log can only grow: whatever else is done to it shows, and a kill loses nothing that was told."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lumbargrade.audit.keys import SIGNING_KEY, open_public_key, open_signing_key
from lumbargrade.audit.log import BEGUN, AuditLog
from lumbargrade.errors import InputError


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AuditLog:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(SIGNING_KEY, raising=False)
    return AuditLog()


def filled(log: AuditLog, entries: int = 4) -> AuditLog:
    for number in range(entries):
        log.append("registered", f"models:/a/{number}", {"score": number / 3}, by="Ada")
    return log


def lines(log: AuditLog) -> list[bytes]:
    return log.path.read_bytes().splitlines(keepends=True)


def test_what_is_told_is_read_back_in_its_order(log: AuditLog) -> None:
    told = log.append("approved", "models:/a/1", {"why": "looks good \N{EM DASH} véry"}, by="Ada")
    log.append("rolled back", "models:/a/1", {}, by="Bob")
    assert [entry.kind for entry in log.entries()] == [BEGUN, "approved", "rolled back"]
    assert [entry.number for entry in log.entries()] == [0, 1, 2]
    assert log.entries("approved") == [told]
    assert told.details == {"why": "looks good \N{EM DASH} véry"}
    assert told.by == "Ada"
    assert log.entries()[0].details == {"key_sha256": open_public_key().sha256}
    assert log.problems() == []


def test_nothing_was_altered_where_nothing_was_logged(log: AuditLog) -> None:
    assert log.problems() == []
    assert log.entries() == []


def edited(log: AuditLog) -> None:
    log.path.write_bytes(log.path.read_bytes().replace(b'"Ada"', b'"Eve"', 1))


def edited_and_hashed_anew(log: AuditLog) -> None:
    found = log.entries()[2].model_copy(update={"by": "Eve"})
    found = found.model_copy(update={"sha256": found.digest()})
    kept = lines(log)
    log.path.write_bytes(b"".join([*kept[:2], found.model_dump_json().encode() + b"\n", *kept[3:]]))


def removed(log: AuditLog) -> None:
    kept = lines(log)
    log.path.write_bytes(b"".join(kept[:2] + kept[3:]))


def first_removed(log: AuditLog) -> None:
    log.path.write_bytes(b"".join(lines(log)[1:]))


def swapped(log: AuditLog) -> None:
    kept = lines(log)
    kept[2], kept[3] = kept[3], kept[2]
    log.path.write_bytes(b"".join(kept))


def doubled(log: AuditLog) -> None:
    kept = lines(log)
    log.path.write_bytes(b"".join([*kept[:3], kept[2], *kept[3:]]))


def cut_off(log: AuditLog) -> None:
    log.path.write_bytes(b"".join(lines(log)[:-2]))


def emptied(log: AuditLog) -> None:
    log.path.write_bytes(b"")


def head_removed(log: AuditLog) -> None:
    log.path.with_suffix(".head.json").unlink()


def head_set_back(log: AuditLog) -> None:
    """A head made to fit a log that was cut off; without the private key it cannot be signed."""
    head = log.path.with_suffix(".head.json")
    last = log.entries()[2]
    told = json.loads(head.read_text()) | {"number": last.number, "sha256": last.sha256}
    head.write_text(json.dumps(told))
    log.path.write_bytes(b"".join(lines(log)[:3]))


def head_with_a_signature_of_another_form(log: AuditLog) -> None:
    head = log.path.with_suffix(".head.json")
    head.write_text(json.dumps(json.loads(head.read_text()) | {"signature": "no hexadecimal"}))


def key_swapped(log: AuditLog) -> None:
    other = open_signing_key(Path("other"))
    open_public_key().path.write_bytes(other.public.path.read_bytes())


@pytest.mark.parametrize(
    ("alter", "told"),
    [
        (edited, "audit/log.jsonl line 2 was edited: its hash is another"),
        (edited_and_hashed_anew, "audit/log.jsonl line 3 is not signed with audit/keys/public.pem"),
        (removed, "audit/log.jsonl line 3 is entry 3 where entry 2 belongs"),
        (first_removed, "audit/log.jsonl line 1 is entry 1 where entry 0 belongs"),
        (swapped, "audit/log.jsonl line 3 is entry 3 where entry 2 belongs"),
        (doubled, "audit/log.jsonl line 4 is entry 2 where entry 3 belongs"),
        (cut_off, "audit/log.jsonl ends with entry 2, and its head says that it had entry 4"),
        (emptied, "audit/log.jsonl ends with entry -1, and its head says that it had entry 4"),
        (head_removed, "audit/log.head.json is missing"),
        (head_set_back, "audit/log.head.json is not signed with audit/keys/public.pem"),
        (head_with_a_signature_of_another_form, "audit/log.head.json cannot be read"),
        (key_swapped, "audit/keys/public.pem is not the key that the log was begun with"),
    ],
)
def test_every_alteration_is_named(log: AuditLog, alter: Callable[[AuditLog], None], told: str) -> None:
    assert filled(log).problems() == []
    alter(log)
    assert told in log.problems()


@pytest.mark.parametrize(
    "alter", [cut_off, emptied, head_removed, head_set_back, head_with_a_signature_of_another_form]
)
def test_an_altered_end_is_not_built_upon(log: AuditLog, alter: Callable[[AuditLog], None]) -> None:
    alter(filled(log))
    before = log.path.read_bytes()
    with pytest.raises(InputError, match=r"the audit log was altered: .*; see `lumbargrade audit verify`"):
        log.append("approved", "models:/a/1", {})
    assert log.path.read_bytes() == before


def test_a_line_that_a_kill_cut_off_is_taken_away_and_nothing_else(log: AuditLog) -> None:
    filled(log)
    whole = log.path.read_bytes()
    log.path.write_bytes(whole + lines(log)[-1][:70])
    assert log.problems() == []
    assert len(log.entries()) == 5
    log.append("approved", "models:/a/1", {})
    assert log.path.read_bytes().startswith(whole)
    assert [entry.number for entry in log.entries()] == [0, 1, 2, 3, 4, 5]
    assert log.problems() == []


def test_a_kill_before_the_head_was_written_is_no_alteration(log: AuditLog) -> None:
    filled(log)
    head = log.path.with_suffix(".head.json")
    before = head.read_bytes()
    log.append("approved", "models:/a/1", {})
    head.write_bytes(before)
    assert log.problems() == []
    log.append("approved", "models:/a/2", {})
    assert log.problems() == []
    assert len(log.entries()) == 7


def test_the_first_entry_may_be_cut_off_too(log: AuditLog) -> None:
    log.append("approved", "models:/a/1", {})
    log.path.write_bytes(lines(log)[0])
    log.path.with_suffix(".head.json").unlink()
    assert log.problems() == []
    log.append("approved", "models:/a/1", {})
    assert [entry.kind for entry in log.entries()] == [BEGUN, "approved"]
    assert log.problems() == []


def test_processes_that_write_at_once_and_are_killed_leave_a_whole_log(log: AuditLog, tmp_path: Path) -> None:
    code = (
        "import itertools\nfrom lumbargrade.audit.log import AuditLog\n"
        "for number in itertools.count():\n    print(AuditLog().append('registered', str(number), {}).number, flush=True)\n"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, text=True) for _ in "ab"
    ]
    for writer in writers:
        assert writer.stdout is not None
        writer.stdout.readline()
    time.sleep(0.3)
    told = []
    for writer in writers:
        os.kill(writer.pid, signal.SIGKILL)
        told += [int(line) for line in writer.communicate()[0].split()]
    log.append("approved", "the end", {})
    assert log.problems() == []
    numbers = [entry.number for entry in log.entries()]
    assert numbers == list(range(len(numbers)))
    assert set(told) <= set(numbers)


def test_the_logs_order_is_not_the_clocks(log: AuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that is set back between two entries leaves them in the order in which they were made, and whole."""
    times = iter(["2026-03-01T12:00:00", "2026-03-01T12:00:01", "2025-12-31T23:00:00", "2026-01-01T00:00:00"])

    class Clock(datetime):
        @classmethod
        def now(cls, tz: object = None) -> "Clock":
            return cls.fromisoformat(next(times)).replace(tzinfo=UTC)

    monkeypatch.setattr("lumbargrade.audit.log.datetime", Clock)
    for kind in ("first", "second", "third"):
        log.append(kind, "", {})
    assert [entry.kind for entry in log.entries()] == ["log begun", "first", "second", "third"]
    assert log.problems() == []
