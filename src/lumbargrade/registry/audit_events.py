"""What the audit log says of versions: registered, signed."""

from lumbargrade.audit.log import AuditLog
from lumbargrade.config.task import GradingTask
from lumbargrade.registry.names import registered_name, version_uri

REGISTERED, SIGNED = "registered", "evidence signed"
"""Kinds of entries in the audit log."""


def logged_versions(log: AuditLog, task: GradingTask, kind: str) -> set[str]:
    """The versions of a task of which a log says this.

    Args:
        kind: ``registered``, or ``evidence signed`` if the registration is complete.
    """
    prefix = version_uri(registered_name(task), "")
    subjects = (entry.subject for entry in log.entries(kind))
    return {subject.removeprefix(prefix) for subject in subjects if subject.startswith(prefix)}
