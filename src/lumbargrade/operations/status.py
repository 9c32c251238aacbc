"""How the project's server is: its parts, the last runs, what comes next, the champion, the watch."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL, temporary_settings
from pydantic import BaseModel

from lumbargrade.config.task import GradingTask
from lumbargrade.errors import InputError
from lumbargrade.monitoring.monitor import STATE, watch_key
from lumbargrade.operations.addresses import prefect_api, read_addresses, server_runs
from lumbargrade.operations.deployments import POOL, POOL_FILTER
from lumbargrade.registry.names import registered_name
from lumbargrade.registry.resolve import champion_version
from lumbargrade.registry.versions import open_registry
from lumbargrade.serving.mlflow_server import answers

_BEGUN = [state for state in StateType if state != StateType.SCHEDULED]


class PartStatus(BaseModel):
    """A part of the server.

    Attributes:
        state: ``ready`` or ``down``.
    """

    name: str
    state: str
    address: str


class DeploymentStatus(BaseModel):
    """What Prefect runs.

    Attributes:
        last: State of the last run that began, and last_time when it did; None if none has.
        next_time: When the next one is due; None if none is planned.
    """

    name: str
    last: str | None
    last_time: datetime | None
    next_time: datetime | None


class Status(BaseModel):
    """How the project's server is.

    Attributes:
        champion: The version that is; None if there is none, or no registry.
        served: The version that the model server serves now; None if it does not answer.
        drift: What the watch saw last of the champion: ``no drift``, ``drift``, ``waits``; None if it has not looked.
    """

    parts: list[PartStatus]
    deployments: list[DeploymentStatus]
    model: str
    champion: str | None
    served: str | None
    drift: str | None

    @property
    def is_up(self) -> bool:
        """Whether all parts are ready."""
        return all(part.state == "ready" for part in self.parts)

    def lines(self) -> list[tuple[str, str]]:
        """The status for people, but for the deployments."""
        champion = f"version {self.champion}" if self.champion else "none"
        served = f"served: version {self.served}" if self.served else "not served"
        return [
            *((part.name, f"{part.state}  {part.address}") for part in self.parts),
            ("champion", f"{champion} of {self.model}, {served}"),
            ("watch", self.drift or "has not looked at the champion"),
        ]


def read_status(task: GradingTask) -> Status:
    """Asks all parts.

    Raises:
        InputError: The project has no server.
    """
    addresses = read_addresses()
    if addresses is None:
        raise InputError("this project has had no server", "start it with `lumbargrade server`", "server-never-run")
    api = prefect_api()
    parts = [
        PartStatus(name="supervisor", state="ready" if server_runs() else "down", address="lumbargrade server"),
        _part("prefect", api, f"{api}/health"),
        _part("mlflow", addresses.mlflow, f"{addresses.mlflow}/health"),
        _part("model", addresses.model, f"{addresses.model}/ping"),
    ]
    deployments: list[DeploymentStatus] = []
    if parts[1].state == "ready":
        with temporary_settings({PREFECT_API_URL: api}), get_client(sync_client=True) as client:
            parts.append(PartStatus(name="worker", state=_worker(client), address=f"pool {POOL}"))
            deployments = _deployments(client)
    else:
        parts.append(PartStatus(name="worker", state="unknown", address=f"pool {POOL}"))
    champion, drift = _registry(task)
    served = _served(addresses.model) if parts[3].state == "ready" else None
    return Status(
        parts=parts,
        deployments=deployments,
        model=registered_name(task),
        champion=champion,
        served=served,
        drift=drift,
    )


def _part(name: str, address: str, ready: str) -> PartStatus:
    return PartStatus(name=name, state="ready" if answers(ready) else "down", address=address)


def _worker(client: SyncPrefectClient) -> str:
    try:
        workers = client.read_workers_for_work_pool(POOL)
    except ObjectNotFound:
        return "down"
    return "ready" if any(worker.status == "ONLINE" for worker in workers) else "down"


def _deployments(client: SyncPrefectClient) -> list[DeploymentStatus]:
    found = client.read_deployments(work_pool_filter=POOL_FILTER)
    return [_deployment(client, each) for each in sorted(found, key=lambda one: one.name)]


def _deployment(client: SyncPrefectClient, deployment: Any) -> DeploymentStatus:
    def first(states: Sequence[StateType], sort: FlowRunSort) -> Any:
        runs = client.read_flow_runs(
            deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment.id])),
            flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(states)))),
            sort=sort,
            limit=1,
        )
        return runs[0] if runs else None

    last = first(_BEGUN, FlowRunSort.START_TIME_DESC)
    planned = first([StateType.SCHEDULED], FlowRunSort.EXPECTED_START_TIME_ASC)
    return DeploymentStatus(
        name=deployment.name,
        last=last.state_name if last else None,
        last_time=last.start_time if last else None,
        next_time=planned.expected_start_time if planned else None,
    )


def _registry(task: GradingTask) -> tuple[str | None, str | None]:
    """The champion, and what the watch saw of it."""
    try:
        tracker = open_registry(task)
    except InputError:
        return None, None
    champion = champion_version(tracker, task)
    run = tracker.find_run(watch_key(f"{registered_name(task)}/{champion}")) if champion else None
    return champion, run.data.tags.get(STATE) if run else None


def _served(address: str) -> str | None:
    try:
        version: str | None = httpx.get(f"{address}/ping", timeout=2).headers.get("x-model-version")
    except httpx.HTTPError:
        return None
    return version or None
