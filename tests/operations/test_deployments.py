"""prefect.yaml against the code: what it names is there, and triggers give their flows what they take."""

import inspect
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from prefect import Flow
from prefect.events.schemas.deployment_triggers import DeploymentEventTrigger
from prefect.flows import load_flow_from_entrypoint
from prefect.server.events.schemas.events import ReceivedEvent
from prefect.server.utilities.user_templates import render_user_template_sync

from lumbargrade.errors import InputError
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
