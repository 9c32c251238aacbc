"""The flows that a server runs beside the retraining, on a project with a champion."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pandas as pd
import pytest
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.client.schemas.objects import FlowRun, State
from prefect.exceptions import ParameterTypeError, PrefectHTTPStatusError
from prefect.states import Cancelled, Completed, Crashed, Failed
from prefect.testing.utilities import prefect_test_harness

from flows import retrain_if_new_data as new_data
from flows.approve_version import approve_version
from flows.resume_crashed import go_on
from flows.verify_registry import verify_registry
from lumbargrade.config.params import DatasetParams, Params
from lumbargrade.errors import InputError, LumbargradeError
from lumbargrade.notifications.message import make_notice
from lumbargrade.pipeline.new_data import NewData
from tests.alterations import artifacts_that_are_not_mounted
from tests.projects import Project

pytestmark = pytest.mark.slow

PARAMS = Params(dataset=DatasetParams(path="data/tiny"))


@pytest.fixture(scope="module", autouse=True)
def prefect() -> Iterator[None]:
    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture
def raised(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    monkeypatch.setattr("flows.events.emit_event", lambda **told: events.append(told))
    return events


@flow(name="retrain")
def work(params: dict[str, Any]) -> None:
    """What the deployment runs; it waits, as there is no worker."""


@pytest.fixture
def retrainings(monkeypatch: pytest.MonkeyPatch) -> Iterator["Retrainings"]:
    """Ten labelled studies, of which the champion has seen eight, and Prefect's runs of retrain."""
    labels = pd.DataFrame({"study_id": range(10)})
    monkeypatch.setattr(new_data, "open_dataset", lambda *told: SimpleNamespace(labels=labels))
    with get_client(sync_client=True) as client:
        runs = Retrainings(client, client.create_deployment(client.create_flow(work), "retrain"))
        yield runs
        for run in runs.all():
            client.delete_flow_run(run.id)


class Retrainings:
    """The runs of retrain, and what becomes of them."""

    def __init__(self, client: SyncPrefectClient, deployment: UUID) -> None:
        self.client = client
        self._deployment = deployment

    def all(self) -> list[FlowRun]:
        only = DeploymentFilter(id=DeploymentFilterId(any_=[self._deployment]))
        return self.client.read_flow_runs(deployment_filter=only)

    def look(self, at_least: int = 2) -> NewData:
        return new_data.retrain_if_new_data(at_least=at_least, params=PARAMS)

    def end(self, run: str | None, state: State[Any]) -> None:
        assert run is not None
        self.client.set_flow_run_state(UUID(run), state, force=True)


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
    project: Project, retrainings: Retrainings, monkeypatch: pytest.MonkeyPatch, away: str
) -> None:
    with ExitStack() as stack:
        if away == "the store":
            monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
        else:
            stack.enter_context(artifacts_that_are_not_mounted(project))
        with pytest.raises(LumbargradeError):
            new_data.seen_studies(project.task)
    assert not retrainings.all()


def test_nothing_to_verify_yet(project: Project, raised: list[dict[str, Any]]) -> None:
    state = verify_registry("disc_degeneration", return_state=True)
    assert state.is_completed() and str(state.message).startswith("nothing to verify: ")


def test_enough_new_studies_start_one_retraining_a_data_version(project: Project, retrainings: Retrainings) -> None:
    found = retrainings.look()
    (run,) = retrainings.all()
    assert (found.new_studies, found.outcome, found.run) == (2, "started", str(run.id))
    assert run.parameters["params"]["dataset"]["path"] == "data/tiny"
    again = retrainings.look(at_least=1)
    assert (again.outcome, again.run) == ("running", str(run.id))
    retrainings.end(found.run, Completed())
    assert retrainings.look().outcome == "trained"
    assert len(retrainings.all()) == 1


@pytest.mark.parametrize("ending", [Failed, Crashed, Cancelled])
def test_a_retraining_that_ended_badly_is_tried_again_at_the_next_occasion(
    project: Project, retrainings: Retrainings, ending: Callable[[], State[Any]]
) -> None:
    first = retrainings.look()
    retrainings.end(first.run, ending())
    second = retrainings.look()
    assert (second.outcome, second.run != first.run) == ("tried again", True)
    assert (retrainings.look().outcome, len(retrainings.all())) == ("running", 2)
    retrainings.end(second.run, Completed())
    assert retrainings.look().outcome == "trained"


def test_a_retraining_that_goes_on_after_a_crash_is_at_work(project: Project, retrainings: Retrainings) -> None:
    first = retrainings.look()
    retrainings.end(first.run, Crashed())
    again = go_on(f"prefect.flow-run.{first.run}")
    found = retrainings.look()
    assert (found.outcome, found.run) == ("running", str(again))
    retrainings.end(str(again), Failed())
    assert retrainings.look().outcome == "tried again"


def test_a_retraining_that_fails_always_is_given_up_and_told(
    project: Project, retrainings: Retrainings, raised: list[dict[str, Any]]
) -> None:
    for _ in range(new_data.MOST_TRIES):
        assert not raised
        retrainings.end(retrainings.look().run, Failed())
    assert [retrainings.look().outcome for _ in "ab"] == ["given up", "given up"]
    assert len(retrainings.all()) == new_data.MOST_TRIES
    assert {(event["event"], event["payload"]["deployment"]) for event in raised} == {
        ("lumbargrade.given-up", "retrain")
    }
    assert len({event["id"] for event in raised}) == 1, "one notice"


def test_the_log_says_what_became_of_the_last_try(project: Project, retrainings: Retrainings) -> None:
    first = retrainings.look()
    name = retrainings.client.read_flow_run(UUID(first.run)).name
    retrainings.end(first.run, Failed())
    _, run, words = new_data.start_retraining(PARAMS, first.md5)
    assert words.startswith(f"retraining {name} ended as Failed on ")
    assert words.endswith(f" before; tried again as {run.name} (try 2 of {new_data.MOST_TRIES})")


@pytest.mark.parametrize("at_least", [0, -5])
def test_a_number_of_studies_that_makes_no_sense_starts_nothing(
    project: Project, retrainings: Retrainings, at_least: int
) -> None:
    with pytest.raises(ParameterTypeError, match="greater than or equal to 1"):
        retrainings.look(at_least)
    assert retrainings.all() == []


def test_runs_whose_parameters_make_no_sense_are_refused_when_they_are_made() -> None:
    with get_client(sync_client=True) as client:
        for made, parameters in (
            (new_data.retrain_if_new_data, {"at_least": 0}),
            (approve_version, {"version": "1", "by": "", "why": "because"}),
            (approve_version, {"version": "1", "by": "Ada", "why": " "}),
        ):
            deployment = client.create_deployment(
                client.create_flow(made),
                "checked",
                parameter_openapi_schema=made.parameters.model_dump_for_openapi(),
                enforce_parameter_schema=True,
            )
            with pytest.raises(PrefectHTTPStatusError, match="409"):
                client.create_flow_run_from_deployment(deployment, parameters=parameters)


def test_too_few_new_studies(project: Project, retrainings: Retrainings) -> None:
    found = retrainings.look(at_least=3)
    assert (found.new_studies, found.outcome, found.run) == (2, "not needed", None)
    assert retrainings.all() == []


def test_no_dataset_yet(project: Project) -> None:
    found = new_data.retrain_if_new_data(params=Params(dataset=DatasetParams(path="data/nothing")))
    assert (found.new_studies, found.run) == (0, None)


def test_an_approval_that_makes_no_sense_is_refused(project: Project) -> None:
    state = approve_version("1", "Ada", "because", return_state=True)
    with pytest.raises(InputError, match="version 1 is champion already; there is nothing to approve"):
        state.result()
