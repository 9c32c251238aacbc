"""Checks every night that nothing was altered.

The run ends as ``Altered`` if something was, as ``Unverified`` if something could not be checked, and an event tells it.
"""

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.events import VERIFICATION, emit, event_id
from lumbargrade.audit.log import AuditLog
from lumbargrade.config.task import load_task
from lumbargrade.errors import CannotVerifyError, InputError, StoreError
from lumbargrade.registry.lineage.verify import Verification, verify
from lumbargrade.registry.names import registered_name
from lumbargrade.registry.versions import open_registry

ALTERED, UNVERIFIED = "Altered", "Unverified"
"""Names of the states of a run that found something, or could not look."""


@flow(name="verify-registry")
def verify_registry(task: str = "rsna2024", key_sha256: str | None = None) -> State[Verification | None]:
    """Verifies the audit log, all versions, and the data that they were made of.

    Args:
        task: A name of a task, or a YAML file.
        key_sha256: Fingerprint that the key must have, as it was noted elsewhere.
    """
    grading_task = load_task(task)
    name = registered_name(grading_task)
    try:
        found = verify(open_registry(grading_task), grading_task, AuditLog(), key_sha256=key_sha256)
    except (CannotVerifyError, StoreError) as error:
        get_run_logger().error(f"nothing could be checked: {error}")
        _tell(name, [], ["everything"])
        return Failed(name=UNVERIFIED, message=f"nothing could be checked: {error}")
    except InputError as error:
        return Completed(message=f"nothing to verify: {error}")
    checked = f"versions {', '.join(found.versions) or 'none'}, {found.entries} entries of the audit log"
    told = [(problem.part, problem.problem) for problem in found.problems]
    told += [(problem.part, f"could not be checked: {problem.problem}") for problem in found.unchecked]
    rows = "\n".join(f"| {part} | {problem} |" for part, problem in told)
    table = f"| part | problem |\n|---|---|\n{rows}" if rows else "Nothing was altered."
    create_markdown_artifact(key="verification", markdown=f"{name}: {checked}\n\n{table}")
    if not told:
        get_run_logger().info(f"nothing was altered: {checked}")
        return Completed(data=found, message="nothing was altered")
    for part, problem in told:
        get_run_logger().error(f"{part}: {problem}")
    faults = [f"{problem.part}: {problem.problem}" for problem in found.problems]
    _tell(name, faults, sorted({problem.part for problem in found.unchecked}))
    if faults:
        return Failed(name=ALTERED, message=f"{len(faults)} things are not what was signed", data=found)
    return Failed(name=UNVERIFIED, message=f"{len(found.unchecked)} things could not be checked", data=found)


def _tell(name: str, faults: list[str], unchecked: list[str]) -> None:
    """Raises the event; why something could not be checked names places of this machine, and stays in the log."""
    payload = {"model": name, "ok": False, "faults": faults, "unchecked": unchecked}
    emit(VERIFICATION, name, payload, event_id(VERIFICATION, name, "/".join([*faults, "unchecked", *unchecked])))
