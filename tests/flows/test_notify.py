"""One notice for one event, each way, with what may be told of a flow run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.states import Failed
from prefect.testing.utilities import prefect_test_harness

from flows import notify as telling
from flows.notify import tell
from lumbargrade.errors import LumbargradeError
from lumbargrade.notifications.message import Notice
from lumbargrade.notifications.settings import MAIL_FROM, MAIL_TO, SECRET, SMTP, WEBHOOK

pytestmark = pytest.mark.slow

FAILED = "prefect.flow-run.Failed"


@flow
def work() -> None:
    """Something that a deployment runs."""


@pytest.fixture(scope="module")
def client() -> Iterator[SyncPrefectClient]:
    with prefect_test_harness(server_startup_timeout=120), get_client(sync_client=True) as client:
        yield client


class Receivers:
    """What arrived, and whether the mail server is away."""

    def __init__(self) -> None:
        self.posted: list[Notice] = []
        self.mailed: list[Notice] = []
        self.is_away = False

    def mail(self, notice: Notice, where: Any) -> None:
        if self.is_away:
            raise LumbargradeError("the mail was not taken", "", "mail-not-taken")
        self.mailed.append(notice)


@pytest.fixture
def receivers(client: SyncPrefectClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Receivers:
    monkeypatch.chdir(tmp_path)
    for name, value in {
        WEBHOOK: "http://127.0.0.1:9/",
        SECRET: "s",
        SMTP: "smtp://127.0.0.1",
        MAIL_FROM: "a@example.org",
        MAIL_TO: "b@example.org",
    }.items():
        monkeypatch.setenv(name, value)
    found = Receivers()
    monkeypatch.setattr(telling, "post", lambda notice, where: found.posted.append(notice))
    monkeypatch.setattr(telling, "send", found.mail)
    return found


def test_one_notice_for_one_failure(receivers: Receivers) -> None:
    number = "prefect.flow-run.7"
    told = [tell(FAILED, "furry-rabbit", {}, number) for _ in range(3)]
    assert told == [["webhook", "mail"], [], []]
    assert (len(receivers.posted), len(receivers.mailed)) == (1, 1)
    assert tell("prefect.flow-run.Crashed", "furry-rabbit", {}, number) == ["webhook", "mail"], "another state is news"
    assert tell(FAILED, "lazy-fox", {}, "prefect.flow-run.8") == ["webhook", "mail"], "another run is news"


def test_a_way_that_failed_is_tried_again_and_the_other_is_not(receivers: Receivers) -> None:
    receivers.is_away = True
    with pytest.raises(LumbargradeError, match="the mail was not taken"):
        tell(FAILED, "furry-rabbit", {}, "prefect.flow-run.7")
    receivers.is_away = False
    assert tell(FAILED, "furry-rabbit", {}, "prefect.flow-run.7") == ["mail"]
    assert (len(receivers.posted), len(receivers.mailed)) == (1, 1)


def test_what_has_no_number_is_sent_each_time(receivers: Receivers) -> None:
    assert [tell("lumbargrade.test", "a test") for _ in "ab"] == [["webhook", "mail"]] * 2


def test_a_failure_names_its_deployment_and_kind_of_error_and_nothing_that_the_error_says(
    receivers: Receivers, client: SyncPrefectClient
) -> None:
    deployment = client.create_deployment(client.create_flow(work), "retrain")
    run = client.create_flow_run_from_deployment(deployment)
    message = "Flow run encountered an exception: InputError: /data/DOE^JOHN is no dataset"
    client.set_flow_run_state(run.id, Failed(message=message), force=True)
    tell(FAILED, run.name, {}, f"prefect.flow-run.{run.id}")
    (notice,) = receivers.posted
    assert notice.title == f"retrain failed by InputError (flow run {run.name})"
    assert notice.facts == {"deployment": "retrain", "run": run.name, "error": "InputError"}
    assert "DOE" not in notice.text()
