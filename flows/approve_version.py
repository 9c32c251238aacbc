"""A person's approval through Prefect: the parameters of a run of this flow are the approval."""

from typing import Annotated

from prefect import flow, get_run_logger
from pydantic import Field

from lumbargrade.audit.log import AuditLog
from lumbargrade.config.task import load_task
from lumbargrade.registry.approval import approve
from lumbargrade.registry.champion import Champion, Move
from lumbargrade.registry.versions import open_registry

NotBlank = Annotated[str, Field(pattern=r"\S")]
"""Asked for when the run is made; without them nobody would have approved."""


@flow(name="approve-version")
def approve_version(version: str, by: NotBlank, why: NotBlank, task: str = "rsna2024") -> Move:
    """Makes a version champion, whatever the gate decided; name and reason go into the audit log.

    Who may start flows on the Prefect server may approve; keep others out of it.
    """
    grading_task = load_task(task)
    move = approve(Champion(open_registry(grading_task), grading_task, AuditLog()), version, by, why)
    get_run_logger().info(f"version {move.to_version} is champion (before: {move.from_version or 'none'})")
    return move
