"""prefect.yaml against the code: what it names is there, and triggers give their flows what they take."""

import inspect
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
import yaml
from prefect import Flow
from prefect.automations import Automation
from prefect.client.schemas.actions import DeploymentUpdate
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.events.schemas.deployment_triggers import DeploymentEventTrigger
from prefect.flows import load_flow_from_entrypoint
from prefect.server.events.schemas.events import ReceivedEvent
from prefect.server.utilities.user_templates import render_user_template_sync

from lumbargrade.errors import InputError
from lumbargrade.operations import deployments
from lumbargrade.operations.deployments import TRAINING, deploy

PROJECT = Path(__file__).parents[2]
DEPLOYMENTS: list[dict[str, Any]] = yaml.safe_load((PROJECT / "prefect.yaml").read_text())["deployments"]


def flow_of(deployment: dict[str, Any]) -> Flow[Any, Any]:
    return load_flow_from_entrypoint(str(PROJECT / deployment["entrypoint"]))


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda one: str(one["name"]))
def test_a_deployment_gives_its_flow_what_it_takes(deployment: dict[str, Any]) -> None:
    flow = flow_of(deployment)
    takes = inspect.signature(flow.fn).parameters
    assert set(deployment.get("parameters", {})) <= set(takes)
    for trigger in deployment.get("triggers", []):
        given = DeploymentEventTrigger.model_validate(trigger).parameters or {}
        assert set(given) <= set(takes)
        needed = {name for name, each in takes.items() if each.default is inspect.Parameter.empty}
        assert needed <= {*given, *deployment.get("parameters", {})}


def test_what_triggers_pass_on_can_be_written_as_json() -> None:
    event = ReceivedEvent(
        occurred=datetime.now(UTC),
        event="lumbargrade.gate",
        resource={"prefect.resource.id": "lumbargrade.model.m", "prefect.resource.name": "m"},
        payload={"version": "2", "score": 0.5},
        id=uuid4(),
    )
    for trigger in [trigger for each in DEPLOYMENTS for trigger in each.get("triggers", [])]:
        for value in (trigger.get("parameters") or {}).values():
            if isinstance(value, str):  # Prefect adds the filter by itself
                template = value.replace(" }}", " | tojson }}")
                assert json.loads(render_user_template_sync(template, {"event": event}))


def test_what_changes_models_or_data_waits_in_one_queue() -> None:
    queued = {each["name"] for each in DEPLOYMENTS if each["work_pool"].get("work_queue_name") == TRAINING}
    assert queued == {"retrain", "version-dataset"}


def test_a_failed_notice_tells_of_no_failure() -> None:
    (tell,) = [each for each in DEPLOYMENTS if each["name"] == "tell"]
    named = tell["triggers"][1]["match_related"][0]["prefect.resource.name"]
    assert set(named) == {each["name"] for each in DEPLOYMENTS} - {"tell"}


def test_no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"there is no prefect\.yaml here; run the command in the project's folder"):
        deploy("http://127.0.0.1:9/api")
    (tmp_path / "prefect.yaml").write_text("deployments: []")
    with pytest.raises(InputError, match=r"no Prefect server answers at http://127\.0\.0\.1:9/api; start one with"):
        deploy("http://127.0.0.1:9/api")


class Client:
    """What Prefect has of three deployments, and what it is told to change."""

    def __init__(self, folders: list[str]) -> None:
        step = "prefect.deployments.steps.set_working_directory"
        self.steps: dict[int, Any] = {number: [{step: {"directory": each}}] for number, each in enumerate(folders)}

    def read_deployments(self, work_pool_filter: object) -> list[Any]:
        return [SimpleNamespace(id=number, pull_steps=steps) for number, steps in self.steps.items()]

    def update_deployment(self, number: int, change: DeploymentUpdate) -> None:
        self.steps[number] = change.pull_steps


def test_deployments_run_in_the_project_that_they_belong_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prefect writes down an absolute path; in a moved project it is gone, in a copy it is another project's."""
    monkeypatch.chdir(tmp_path)
    client = Client(["/before", str(tmp_path), "{{ clone.directory }}"])
    cloned = client.steps[2]
    client.steps[3] = [{"prefect.deployments.steps.git_clone": {"repository": "x"}}, *cloned]
    theirs = client.steps[3]
    deployments._follow_move(client)  # type: ignore[arg-type]
    assert client.steps == {0: client.steps[1], 1: client.steps[1], 2: cloned, 3: theirs}


def test_a_run_that_never_began_frees_its_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed while it is pending, it has given no sign of life yet, and would hold the queue's only place for good."""
    made: dict[str, Automation] = {}

    @contextmanager
    def client(**options: object) -> Iterator[Any]:
        yield SimpleNamespace(read_automations_by_name=lambda name: [])

    monkeypatch.setattr(deployments, "get_client", client)
    monkeypatch.setattr(Automation, "create", lambda self: made.setdefault(self.name, self))
    deployments._end_zombies()
    trigger = made[deployments.STILLBORN].trigger
    assert isinstance(trigger, EventTrigger) and trigger.posture is Posture.Proactive
    assert trigger.after == {"prefect.flow-run.Pending"} and trigger.for_each == {"prefect.resource.id"}
    for ends in ("Running", "Crashed", "Cancelled", "Failed", "Completed"):
        assert f"prefect.flow-run.{ends}" in trigger.expect
    assert trigger.within.total_seconds() >= 300, "a busy machine takes minutes to start a process"
    assert set(made) == {deployments.ZOMBIES, deployments.STILLBORN}
