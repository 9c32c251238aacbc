"""Runs that are for the same work: a first one, and each that was started as the one before it crashed."""

from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId, FlowRunFilterIdempotencyKey
from prefect.client.schemas.objects import FlowRun

_AFTER = "go on "


def key_after(crashed: UUID) -> str:
    """The idempotency key of the run that goes on for one that crashed."""
    return f"{_AFTER}{crashed}"


def find_run(client: SyncPrefectClient, key: str) -> FlowRun | None:
    """The run with an idempotency key; None if there is none."""
    return _first(client, FlowRunFilter(idempotency_key=FlowRunFilterIdempotencyKey(any_=[key])))


def last_run(client: SyncPrefectClient, first: FlowRun) -> FlowRun:
    """The run that goes on, or has ended, for a first one; that itself if nothing went on for it."""
    last = first
    while (after := find_run(client, key_after(last.id))) is not None:
        last = after
    return last


def crashes_up_to(client: SyncPrefectClient, crashed: FlowRun) -> int:
    """How many runs have crashed one after the other for the same work, this one among them; others do not count."""
    count = 1
    run: FlowRun | None = crashed
    while run is not None and (before := (run.idempotency_key or "")).startswith(_AFTER):
        count += 1
        run = _first(client, FlowRunFilter(id=FlowRunFilterId(any_=[UUID(before.removeprefix(_AFTER))])))
    return count


def _first(client: SyncPrefectClient, runs: FlowRunFilter) -> FlowRun | None:
    found = client.read_flow_runs(flow_run_filter=runs, limit=1)
    return found[0] if found else None
