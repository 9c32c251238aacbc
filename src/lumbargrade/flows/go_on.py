"""Runs again what crashed, with the same parameters: flows here go on where they were."""

from uuid import UUID

from prefect import flow, get_run_logger
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import FlowRunSort

MOST = 3
"""Crashes one after another; after so many a person has to look."""


@flow(name="go-on", retries=3, retry_delay_seconds=10)
def go_on(crashed: str) -> UUID | None:
    """Starts a run for one that crashed, once for each, unless its deployment has crashed too often.

    Args:
        crashed: Prefect's id of the run, ``prefect.flow-run.UUID`` as events have it.

    Returns:
        The new run's id; nothing if there is none.
    """
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(UUID(crashed.removeprefix("prefect.flow-run.")))
        if run.deployment_id is None or _crashes(client, run) >= MOST:
            get_run_logger().info(f"{run.name} is not run again; look at its log")
            return None
        again = client.create_flow_run_from_deployment(
            run.deployment_id, parameters=run.parameters, idempotency_key=f"go on {run.id}"
        )
    get_run_logger().info(f"{again.name} goes on where {run.name} crashed")
    return again.id


def _crashes(client: SyncPrefectClient, crashed: FlowRun) -> int:
    """How many runs of the deployment have crashed one after another, this one among them."""
    runs = client.read_flow_runs(
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[crashed.deployment_id])),  # type: ignore[list-item]
        sort=FlowRunSort.START_TIME_DESC,
        limit=2 * MOST,
    )
    ended = [run for run in runs if run.state is not None and run.state.is_final()]
    count = 0
    for run in ended:
        if run.state is None or not run.state.is_crashed():
            break
        count += 1
    return count
