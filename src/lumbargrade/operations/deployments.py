"""What Prefect runs for the project: the deployments of ``prefect.yaml``, and what ends runs whose process is gone."""

import os
import subprocess
import sys
from datetime import timedelta

import httpx
from prefect.automations import Automation
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentUpdate, WorkPoolCreate
from prefect.client.schemas.filters import WorkPoolFilter, WorkPoolFilterName
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL, temporary_settings

from lumbargrade.config.project import current_project
from lumbargrade.errors import InputError, LumbargradeError
from lumbargrade.operations.addresses import HEARTBEAT_SECONDS

POOL, TRAINING = "lumbargrade", "training"
"""The work pool, and its queue of what changes datasets and models: one run of it at a time."""
ZOMBIES = "lumbargrade: end runs whose process is gone"
STILLBORN = "lumbargrade: end runs whose process never began"
PENDING_SECONDS = 600
"""A process has begun its run by then, also on a machine that is busy with another one."""
_LIFE, _ENDS = "prefect.flow-run.heartbeat", ("Completed", "Failed", "Altered", "Cancelled", "Crashed")
_PENDING, _BEGINS = "prefect.flow-run.Pending", "prefect.flow-run.Running"
_ENTER_FOLDER = "prefect.deployments.steps.set_working_directory"
POOL_FILTER = WorkPoolFilter(name=WorkPoolFilterName(any_=[POOL]))


def deploy(api: str, only_if_missing: bool = False) -> list[str]:
    """Makes the pool, its queue, the deployments and the automations as the project's files have them.

    Args:
        api: Address of Prefect's API.
        only_if_missing: Leave deployments as they are if there are any; people may have changed schedules.

    Returns:
        The deployments of the pool, as ``flow/deployment``.

    Raises:
        InputError: There is no prefect.yaml, or no server answers.
        LumbargradeError: Prefect refused a deployment; the sentence ends with its last words.
    """
    if not current_project().deployments.is_file():
        raise InputError(
            "there is no prefect.yaml here", "run the command in the project's folder", "prefect-yaml-missing"
        )
    with temporary_settings({PREFECT_API_URL: api}):
        try:
            with get_client(sync_client=True) as client:
                _make_pool(client)
                if not (only_if_missing and deployed(client)):
                    _deploy_all(api)
                _follow_move(client)
                _end_zombies()
                return deployed(client)
        except httpx.TransportError as error:
            raise InputError(
                f"no Prefect server answers at {api}",
                "start one with `lumbargrade server`, or correct PREFECT_API_URL",
                "prefect-server-not-reached",
            ) from error


def deployed(client: SyncPrefectClient) -> list[str]:
    """The deployments of the pool."""
    found = client.read_deployments(work_pool_filter=POOL_FILTER)
    flows = {each.flow_id: client.read_flow(each.flow_id).name for each in found}
    return sorted(f"{flows[each.flow_id]}/{each.name}" for each in found)


def _follow_move(client: SyncPrefectClient) -> None:
    """Lets the deployments run in this project: Prefect writes down its folder, and in a copy would go on in the first one."""
    here = [{_ENTER_FOLDER: {"directory": str(current_project().root.resolve())}}]
    for each in client.read_deployments(work_pool_filter=POOL_FILTER):
        steps = each.pull_steps or []
        if len(steps) == 1 and steps[0].get(_ENTER_FOLDER, {}).get("directory", "").startswith("/") and steps != here:
            client.update_deployment(each.id, DeploymentUpdate(pull_steps=here))


def _make_pool(client: SyncPrefectClient) -> None:
    try:
        client.read_work_pool(POOL)
    except ObjectNotFound:
        client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
    try:
        queue = client.read_work_queue_by_name(TRAINING, work_pool_name=POOL)
    except ObjectNotFound:
        queue = client.create_work_queue(TRAINING, work_pool_name=POOL)
    client.update_work_queue(queue.id, concurrency_limit=1)


def _deploy_all(api: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"],
        cwd=current_project().root,
        env={**os.environ, "PREFECT_API_URL": api, "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["it said nothing"]
        raise LumbargradeError(
            f"Prefect refused the deployments of prefect.yaml: {lines[-1]}", "", "deployments-refused"
        )


def _end_zombies() -> None:
    """A run whose process is gone is said to have crashed, which frees its queue and lets it go on.

    One that was being trained gives no sign of life any more; one whose process died before it began never gave any.
    """
    ends = {_LIFE, *(f"prefect.flow-run.{state}" for state in _ENDS)}
    with get_client(sync_client=True) as client:
        for name, after, expect, seconds, message in (
            (ZOMBIES, _LIFE, ends, 3 * HEARTBEAT_SECONDS, "its process gives no sign of life any more"),
            (STILLBORN, _PENDING, ends | {_BEGINS}, PENDING_SECONDS, "its process was started and never began"),
        ):
            automation = Automation(
                name=name,
                description="A flow run whose process was killed, with its worker or its machine, is over.",
                trigger=EventTrigger(
                    after={after},
                    expect=expect,
                    match={"prefect.resource.id": "prefect.flow-run.*"},
                    for_each={"prefect.resource.id"},
                    posture=Posture.Proactive,
                    threshold=1,
                    within=timedelta(seconds=seconds),
                ),
                actions=[ChangeFlowRunState(name=None, force=False, state=StateType.CRASHED, message=message)],
            )
            if not client.read_automations_by_name(name):
                automation.create()
