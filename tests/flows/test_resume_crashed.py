from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.states import Completed, Crashed
from prefect.testing.utilities import prefect_test_harness

from flows.resume_crashed import MOST, go_on

pytestmark = pytest.mark.slow


@flow
def work(number: int) -> None:
    """Something that a deployment runs."""


@pytest.fixture(scope="module")
def client() -> Iterator[SyncPrefectClient]:
    with prefect_test_harness(server_startup_timeout=120), get_client(sync_client=True) as client:
        yield client


@pytest.fixture
def deployment(client: SyncPrefectClient, request: pytest.FixtureRequest) -> UUID:
    return client.create_deployment(client.create_flow(work), request.node.name)


def begin(client: SyncPrefectClient, deployment: UUID) -> UUID:
    return client.create_flow_run_from_deployment(deployment, parameters={"number": 7}).id


def test_what_crashed_is_run_once_more_with_its_parameters(client: SyncPrefectClient, deployment: UUID) -> None:
    crashed = begin(client, deployment)
    client.set_flow_run_state(crashed, Crashed(), force=True)
    again = go_on(f"prefect.flow-run.{crashed}")
    assert again is not None and again != crashed
    assert client.read_flow_run(again).parameters == {"number": 7}
    assert go_on(f"prefect.flow-run.{crashed}") == again


def test_after_many_crashes_a_person_has_to_look(client: SyncPrefectClient, deployment: UUID) -> None:
    crashed = begin(client, deployment)
    for count in range(1, MOST + 1):
        client.set_flow_run_state(crashed, Crashed(), force=True)
        again = go_on(f"prefect.flow-run.{crashed}")
        assert (again is None) == (count == MOST)
        crashed = again or crashed


def test_crashes_of_other_runs_do_not_count(client: SyncPrefectClient, deployment: UUID) -> None:
    for _ in range(MOST):
        client.set_flow_run_state(begin(client, deployment), Crashed(), force=True)
    crashed = begin(client, deployment)
    client.set_flow_run_state(crashed, Crashed(), force=True)
    assert go_on(f"prefect.flow-run.{crashed}") is not None


def test_a_run_of_others_that_ended_well_does_not_end_the_count(client: SyncPrefectClient, deployment: UUID) -> None:
    crashed = begin(client, deployment)
    for _ in range(MOST - 1):
        client.set_flow_run_state(crashed, Crashed(), force=True)
        client.set_flow_run_state(begin(client, deployment), Completed(), force=True)
        again = go_on(f"prefect.flow-run.{crashed}")
        assert again is not None
        crashed = again
    client.set_flow_run_state(crashed, Crashed(), force=True)
    assert go_on(f"prefect.flow-run.{crashed}") is None


def test_who_gives_up_says_so_once(
    client: SyncPrefectClient, deployment: UUID, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    raised: list[dict[str, Any]] = []
    monkeypatch.setattr("flows.events.emit_event", lambda **told: raised.append(told))
    crashed = begin(client, deployment)
    for _ in range(MOST):
        client.set_flow_run_state(crashed, Crashed(), force=True)
        name = client.read_flow_run(crashed).name
        crashed = go_on(f"prefect.flow-run.{crashed}") or crashed
    assert go_on(f"prefect.flow-run.{crashed}") is None
    assert {event["event"] for event in raised} == {"lumbargrade.given-up"}
    assert raised[0]["payload"] == {"deployment": request.node.name, "run": name, "crashes": MOST}
    assert len({event["id"] for event in raised}) == 1
