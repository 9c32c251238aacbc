"""Checks every night that nothing was altered; if something was, the run ends as ``Altered`` and an event tells it."""

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from lumbargrade.audit.log import AuditLog
from lumbargrade.errors import InputError
from lumbargrade.flows.events import VERIFICATION, emit, event_id
from lumbargrade.registry.contract import registered_name
from lumbargrade.registry.evidence.verify import Verification, verify
from lumbargrade.registry.versions import open_registry
from lumbargrade.task import load_task


@flow(name="verify-registry")
def verify_registry(task: str = "rsna2024", key_sha256: str | None = None) -> State[Verification | None]:
    """Verifies the audit log, all versions, and the data that they were made of.

    Args:
        task: A name of a task, or a YAML file.
        key_sha256: Fingerprint that the key must have, as it was noted elsewhere.
    """
    grading_task = load_task(task)
    try:
        tracker = open_registry(grading_task)
    except InputError as error:
        return Completed(message=f"nothing to verify: {error}")
    found = verify(tracker, grading_task, AuditLog(), key_sha256=key_sha256)
    name = registered_name(grading_task)
    checked = f"versions {', '.join(found.versions) or 'none'}, {found.entries} entries of the audit log"
    rows = "\n".join(f"| {problem.part} | {problem.problem} |" for problem in found.problems)
    table = f"| part | problem |\n|---|---|\n{rows}" if rows else "Nothing was altered."
    create_markdown_artifact(key="verification", markdown=f"{name}: {checked}\n\n{table}")
    if not found.problems:
        get_run_logger().info(f"nothing was altered: {checked}")
        return Completed(data=found, message="nothing was altered")
    faults = [f"{problem.part}: {problem.problem}" for problem in found.problems]
    for fault in faults:
        get_run_logger().error(fault)
    payload = {"model": name, "ok": False, "faults": faults}
    emit(VERIFICATION, name, payload, event_id(VERIFICATION, name, "/".join(faults)))
    return Failed(name="Altered", message=f"{len(faults)} things are not what was signed", data=found)
