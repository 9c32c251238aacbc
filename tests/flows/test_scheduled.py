"""The flows that a server runs beside the retraining, on a project with a champion."""

from collections.abc import Iterator
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pandas as pd
import pytest
from prefect.testing.utilities import prefect_test_harness

from lumbargrade.errors import InputError, LumbargradeError
from lumbargrade.flows import retrain_if_new_data as flow
from lumbargrade.flows.approve_version import approve_version
from lumbargrade.flows.verify_registry import verify_registry
from lumbargrade.notices.notice import make_notice
from lumbargrade.params import DatasetParams, Params

from ..registry.evidence.conftest import Project, project, whole
from ..registry.evidence.test_unchecked import artifacts_that_are_not_mounted

__all__ = ["project", "whole"]

PARAMS = Params(dataset=DatasetParams(path="data/tiny"))
RUN = UUID(int=7)


@pytest.fixture(scope="module", autouse=True)
def prefect() -> Iterator[None]:
    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture
def raised(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    monkeypatch.setattr("lumbargrade.flows.events.emit_event", lambda **told: events.append(told))
    return events


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Ten labelled studies, of which the champion has seen eight, and what is started."""
    labels = pd.DataFrame({"study_id": range(10)})
    monkeypatch.setattr(flow, "open_dataset", lambda *told: SimpleNamespace(labels=labels))
    runs: list[dict[str, Any]] = []

    def start(name: str, **told: Any) -> SimpleNamespace:
        runs.append({"name": name, **told})
        return SimpleNamespace(id=RUN)

    monkeypatch.setattr(flow, "run_deployment", start)
    return runs


def test_an_untouched_registry_is_verified(project: Project, raised: list[dict[str, Any]]) -> None:
    state = verify_registry(return_state=True)
    assert state.is_completed() and state.message == "nothing was altered"
    assert not raised


def test_what_was_altered_is_told_as_an_event(project: Project, raised: list[dict[str, Any]]) -> None:
    (project.evidence / "files" / "params.yaml").write_text("seed: 1\n")
    state = verify_registry(return_state=True)
    assert (state.name, state.is_failed()) == ("Altered", True)
    (event,) = raised
    assert event["event"] == "lumbargrade.verification"
    assert any("params.yaml" in fault for fault in event["payload"]["faults"])


def test_what_cannot_be_checked_is_told_as_that(
    project: Project, raised: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with artifacts_that_are_not_mounted(project):
        state = verify_registry(return_state=True)
    assert (state.name, state.is_failed()) == ("Unverified", True)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    state = verify_registry(return_state=True)
    assert (state.name, state.is_failed()) == ("Unverified", True)
    assert [(event["payload"]["faults"], event["payload"]["unchecked"]) for event in raised] == [
        ([], ["version 1"]),
        ([], ["everything"]),
    ]
    for event in raised:
        notice = make_notice("1", event["event"], "m", event["payload"])
        assert notice.title == "m could not be checked; nothing was found altered"
        assert str(project.folder) not in notice.text()


@pytest.mark.parametrize("away", ["the store", "its files"])
def test_a_store_that_is_away_starts_no_retraining(
    project: Project, started: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, away: str
) -> None:
    with ExitStack() as stack:
        if away == "the store":
            monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
        else:
            stack.enter_context(artifacts_that_are_not_mounted(project))
        with pytest.raises(LumbargradeError):
            flow.seen_studies(project.task)
    assert not started


def test_nothing_to_verify_yet(project: Project, raised: list[dict[str, Any]]) -> None:
    state = verify_registry("disc_degeneration", return_state=True)
    assert state.is_completed() and str(state.message).startswith("nothing to verify: ")


def test_enough_new_studies_start_one_retraining_a_data_version(
    project: Project, started: list[dict[str, Any]]
) -> None:
    found = flow.retrain_if_new_data(at_least=2, params=PARAMS)
    assert (found.new_studies, found.run) == (2, str(RUN))
    flow.retrain_if_new_data(at_least=1, params=PARAMS)
    first, second = started
    assert first["name"] == "retrain/retrain" and first["parameters"]["params"]["dataset"]["path"] == "data/tiny"
    assert first["idempotency_key"] == second["idempotency_key"] and found.md5 in first["idempotency_key"]


def test_too_few_new_studies(project: Project, started: list[dict[str, Any]]) -> None:
    found = flow.retrain_if_new_data(at_least=3, params=PARAMS)
    assert (found.new_studies, found.run) == (2, None)
    assert not started


def test_no_dataset_yet(project: Project, started: list[dict[str, Any]]) -> None:
    found = flow.retrain_if_new_data(params=Params(dataset=DatasetParams(path="data/nothing")))
    assert (found.new_studies, found.run) == (0, None)


def test_an_approval_that_makes_no_sense_is_refused(project: Project) -> None:
    state = approve_version("1", "Ada", "because", return_state=True)
    with pytest.raises(InputError, match="version 1 is champion already; there is nothing to approve"):
        state.result()
