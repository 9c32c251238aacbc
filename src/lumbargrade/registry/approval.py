"""What people decide about the champion: who makes a version champion, or goes back to the one before, and why."""

from mlflow.entities.model_registry import ModelVersion

from lumbargrade.audit.log import Entry
from lumbargrade.errors import InputError
from lumbargrade.registry.champion import ROLLED_BACK, Champion, Move
from lumbargrade.registry.names import registered_name, version_uri
from lumbargrade.registry.tags import (
    APPROVAL_BY,
    APPROVAL_TIME,
    APPROVAL_WHY,
    GATE_DECISION,
    GATE_REASON,
    MAX_LENGTH,
)
from lumbargrade.registry.versions import get_version

APPROVED = "approved"


def approve(champion: Champion, version: str, by: str, why: str) -> Move:
    """Makes a version champion, whatever the gate decided; the approval is kept in the log and as tags of the version.

    Raises:
        InputError: There is no such version, the gate has not seen it, it is champion already, or a name or a reason is
            missing.
    """
    by, why = _said("--by", by, "the person who approves"), _said("--why", why, "the reason")
    found = get_version(champion.tracker, champion.task, version)
    _refuse_champion(champion.version, version)
    decision = _decision(found)
    name = registered_name(champion.task)
    details = {"why": why, "gate_decision": decision, "gate_reason": found.tags.get(GATE_REASON, "")}
    entry = champion.log.append(APPROVED, version_uri(name, version), details, by)
    for key, value in approval_tags(entry).items():
        champion.tracker.client.set_model_version_tag(name, version, key, value)
    return champion.move(version, why, by, check=lambda now: _refuse_champion(now, version))


def approval_tags(entry: Entry) -> dict[str, str]:
    """What an approval that was logged says on its version."""
    return {APPROVAL_BY: entry.by, APPROVAL_WHY: entry.details["why"], APPROVAL_TIME: entry.time}


def rollback(champion: Champion, by: str = "", why: str = "") -> Move:
    """Makes the previous champion champion again; a second rollback goes back one further.

    Raises:
        InputError: There was no champion before, or its version is gone.
    """
    line, now = champion.line(), champion.version
    before = line[:-1] if line and line[-1] == now else line
    if not before:
        raise InputError(
            f"there is nothing to roll back to: {registered_name(champion.task)} has had "
            f"{'one champion, version ' + now if now else 'no champion'}",
            "see `lumbargrade models history`",
            "nothing-to-roll-back-to",
        )
    try:
        get_version(champion.tracker, champion.task, before[-1])
    except InputError as error:
        raise InputError(
            f"version {before[-1]}, the champion before, is no longer registered",
            "make another one champion with `lumbargrade models approve`",
            "former-champion-gone",
        ) from error

    def unchanged(latest: str | None) -> None:
        if latest != now:
            raise InputError(
                "the champion has changed meanwhile",
                "see `lumbargrade models history` and roll back again",
                "champion-changed-meanwhile",
            )

    return champion.move(before[-1], why.strip()[:MAX_LENGTH], by.strip(), ROLLED_BACK, unchanged)


def _said(option: str, text: str, what: str) -> str:
    if not text.strip():
        raise InputError(f"{option} is empty", f"give {what}", "reason-empty")
    if len(text) > MAX_LENGTH:
        raise InputError(f"{option} has {len(text):,} characters", f"give at most {MAX_LENGTH:,}", "reason-too-long")
    return text.strip()


def _refuse_champion(champion: str | None, version: str) -> None:
    if champion == version:
        raise InputError(f"version {version} is champion already", "there is nothing to approve", "champion-already")


def _decision(found: ModelVersion) -> str:
    decision: str | None = found.tags.get(GATE_DECISION)
    if decision is None:
        raise InputError(
            f"version {found.version} has not passed by the gate, as its registration was cut off",
            f"judge it with `lumbargrade models gate {found.version}`",
            "version-not-judged",
        )
    return decision
