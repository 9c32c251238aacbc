"""What was done to models and data, by whom and why: a log that can only grow.

Each line holds the hash of the line before it, and is signed, so that an edited, a removed or a moved line shows. The
signed head beside the log says how long it was, so that a log that was cut off at its end shows too.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, ValidationError

from lumbargrade.audit.keys import PublicKey, SigningKey, open_public_key, open_signing_key
from lumbargrade.config.project import Project, current_project
from lumbargrade.errors import InputError
from lumbargrade.files import write_text
from lumbargrade.json_lines import JsonLines

BEGUN = "log begun"
"""Kind of the first entry, which names the key."""

_NOTHING = "0" * 64


class Entry(BaseModel):
    """One thing that was done.

    Attributes:
        number: From 0, without gaps.
        time: UTC, ISO 8601.
        kind: What was done, such as ``registered``.
        subject: What it was done to, such as ``models:/lumbargrade-rsna2024/3``.
        by: Who did it; empty for the system itself.
        previous: ``sha256`` of the entry before.
        sha256: Hash of all that stands above.
        signature: Of ``sha256``, hexadecimal.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    time: str
    kind: str
    subject: str
    by: str
    details: dict[str, Any]
    previous: str
    sha256: str
    signature: str

    def digest(self) -> str:
        """The hash that the entry should have."""
        told = self.model_dump(exclude={"sha256", "signature"})
        text = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()


class _Head(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    sha256: str
    signature: str

    def message(self) -> bytes:
        return f"head {self.number} {self.sha256}".encode()


class AuditLog:
    """The log of a project.

    Args:
        project: The current one if it is not given.
    """

    def __init__(self, project: Project | None = None) -> None:
        project = project or current_project()
        self.path = project.audit_log
        self.keys = project.audit_keys
        self._lines = JsonLines(self.path)
        self._head = self.path.with_suffix(".head.json")

    def append(self, kind: str, subject: str, details: Mapping[str, object], by: str = "") -> Entry:
        """Adds an entry; once this returns, it is on the disk.

        Raises:
            InputError: The log does not end as its head says; nothing is added to a log that was altered.
        """
        key = open_signing_key(self.keys)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self.path}.lock"):
            last = self._mend(key.public)
            if last is None:
                last = self._write(key, None, BEGUN, "", {"key_sha256": key.public.sha256}, "")
            return self._write(key, last, kind, subject, details, by)

    def entries(self, kind: str | None = None) -> list[Entry]:
        """The entries that can be read, in their order; :meth:`problems` tells whether they can be believed.

        Args:
            kind: Only these.
        """
        found = [entry for entry in map(_parse, self._lines.whole_lines()) if entry is not None]
        return [entry for entry in found if kind is None or entry.kind == kind]

    def is_absent(self) -> bool:
        """Whether there is neither a log nor a head: nothing was logged here, or this is not the project's folder."""
        return not self.path.exists() and not self._head.exists()

    def problems(self) -> list[str]:
        """What shows that the log was altered, a sentence each; nothing if it was not."""
        lines = self._lines.whole_lines()
        if not lines and not self._head.exists():
            return []
        key = open_public_key(self.keys)
        problems = []
        previous, number = _NOTHING, 0
        for place, line in enumerate(lines, start=1):
            entry = _parse(line)
            where = f"{self.path} line {place}"
            if entry is None:
                problems.append(f"{where} is no entry")
                continue
            if entry.number != number:
                problems.append(f"{where} is entry {entry.number} where entry {number} belongs")
            elif entry.previous != previous:
                problems.append(f"{where} does not follow from the line before it")
            if entry.digest() != entry.sha256:
                problems.append(f"{where} was edited: its hash is another")
            elif not key.has_signed(entry.sha256.encode(), bytes.fromhex(entry.signature)):
                problems.append(f"{where} is not signed with {key.path}")
            previous, number = entry.sha256, entry.number + 1
        first = _parse(lines[0]) if lines else None
        if first is not None and first.number == 0 and first.details.get("key_sha256") != key.sha256:
            problems.append(f"{key.path} is not the key that the log was begun with")
        return problems + self._head_problems(key)

    def _head_problems(self, key: PublicKey) -> list[str]:
        try:
            head = _Head.model_validate_json(self._head.read_text(encoding="utf-8"))
            signature = bytes.fromhex(head.signature)
        except FileNotFoundError:
            begun = [entry.kind for entry in self.entries()] == [BEGUN]  # and killed before it had a head
            return [] if begun else [f"{self._head} is missing"]
        except ValueError:
            return [f"{self._head} cannot be read"]
        if not key.has_signed(head.message(), signature):
            return [f"{self._head} is not signed with {key.path}"]
        known = {entry.number: entry.sha256 for entry in self.entries()}
        if head.number not in known:
            last = max(known, default=-1)
            return [f"{self.path} ends with entry {last}, and its head says that it had entry {head.number}"]
        if known[head.number] != head.sha256:
            return [f"entry {head.number} of {self.path} is not the one that its head names"]
        return []

    def _mend(self, key: PublicKey) -> Entry | None:
        """Returns the last entry; cuts off what a killed process had begun to write, as nobody was told of it."""
        self._lines.cut_torn()
        lines = self._lines.whole_lines()
        if not lines and not self._head.exists():
            return None
        last = _parse(lines[-1]) if lines else None
        problems = self._head_problems(key)
        if last is None or last.digest() != last.sha256:
            problems.append(f"{self.path} does not end with a whole entry")
        if problems:
            raise InputError(
                f"the audit log was altered: {problems[0]}", "see `lumbargrade audit verify`", "audit-log-altered"
            )
        return last

    def _write(
        self, key: SigningKey, last: Entry | None, kind: str, subject: str, details: Mapping[str, object], by: str
    ) -> Entry:
        """The entry first, then the head: a log that is longer than its head says was cut off by a kill, not by a hand."""
        draft = Entry(
            number=0 if last is None else last.number + 1,
            time=datetime.now(UTC).isoformat(timespec="milliseconds"),
            kind=kind,
            subject=subject,
            by=by,
            details=json.loads(json.dumps(dict(details))),
            previous=_NOTHING if last is None else last.sha256,
            sha256="",
            signature="",
        )
        digest = draft.digest()
        entry = draft.model_copy(update={"sha256": digest, "signature": key.sign(digest.encode()).hex()})
        self._lines.append(entry)
        head = _Head(number=entry.number, sha256=digest, signature="")
        signature = key.sign(head.message()).hex()
        write_text(self._head, head.model_copy(update={"signature": signature}).model_dump_json())
        return entry


def _parse(line: bytes) -> Entry | None:
    try:
        entry = Entry.model_validate_json(line)
        bytes.fromhex(entry.signature)
    except (ValidationError, ValueError):
        return None
    return entry
