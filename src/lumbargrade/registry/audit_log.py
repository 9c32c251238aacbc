"""What was done to models and data, by whom and why: a file to which lines are added.

Stands in for the signed and chained log; only what is used here is the interface.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

LOG = Path("audit/log.jsonl")
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


class AuditLog:
    """The log of a project.

    Args:
        path: Its file.
    """

    def __init__(self, path: Path = LOG) -> None:
        self.path = path

    def append(self, kind: str, subject: str, details: Mapping[str, object], by: str = "") -> Entry:
        """Adds an entry."""
        before = self.entries()
        told = {
            "number": len(before),
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "kind": kind,
            "subject": subject,
            "by": by,
            "details": json.loads(json.dumps(dict(details))),
            "previous": before[-1].sha256 if before else _NOTHING,
        }
        digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
        entry = Entry.model_validate({**told, "sha256": digest})
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(entry.model_dump_json() + "\n")
        return entry

    def entries(self, kind: str | None = None) -> list[Entry]:
        """The entries in their order.

        Args:
            kind: Only these.
        """
        if not self.path.is_file():
            return []
        found = [Entry.model_validate_json(line) for line in self.path.read_text(encoding="utf-8").splitlines()]
        return [entry for entry in found if kind is None or entry.kind == kind]
