"""Runs again what crashed, with the same parameters: flows here go on where they were."""

from uuid import UUID

from prefect import flow, get_run_logger
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun

from flows.events import emit_given_up
from lumbargrade.pipeline.attempts import crashes_up_to, key_after

MOST = 3
"""Crashes of the same work, one after another; after so many a person has to look."""


@flow(name="go-on", retries=3, retry_delay_seconds=10)
def go_on(crashed: str) -> UUID | None:
    """Starts a run for one that crashed, once for each, unless the same work has crashed too often; then an event says so.

    Args:
        crashed: Prefect's id of the run, ``prefect.flow-run.UUID`` as events have it.

    Returns:
        The new run's id; `None` if there is none.
    """
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(UUID(crashed.removeprefix("prefect.flow-run.")))
        if run.deployment_id is None:
            get_run_logger().info(f"{run.name} is not run again, as no deployment says how; look at its log")
            return None
        crashes = crashes_up_to(client, run)
        if crashes >= MOST:
            _give_up(client, run, crashes)
            return None
        again = client.create_flow_run_from_deployment(
            run.deployment_id, parameters=run.parameters, idempotency_key=key_after(run.id)
        )
    get_run_logger().info(f"{again.name} goes on where {run.name} crashed (crash {crashes} of at most {MOST})")
    return again.id


def _give_up(client: SyncPrefectClient, run: FlowRun, crashes: int) -> None:
    assert run.deployment_id is not None
    name = client.read_deployment(run.deployment_id).name
    get_run_logger().warning(
        f"{run.name} is not run again, as {name} has crashed {crashes} times for it; look at its log"
    )
    emit_given_up(name, {"deployment": name, "run": run.name, "crashes": crashes}, str(run.id))
