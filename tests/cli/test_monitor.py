"""``lumbargrade watch`` and its flow's events, over a registered version and a serving log on the disk."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from flows import monitor_drift as flow
from lumbargrade.cli.app import app
from lumbargrade.config.project import current_project
from lumbargrade.config.task import GradingTask
from lumbargrade.errors import InputError
from lumbargrade.monitoring.drift import watch
from lumbargrade.serving.records.prediction_log import Answered
from lumbargrade.tracking.mlflow_tracker import Tracker
from tests.answers import MODEL, QUICK, Answer

NAME = MODEL.partition("/")[0]
PARAMS = "watch: {false_alarms: 0.02, replays: 250, horizon: 150}\n"


@pytest.fixture
def tracker(empty_project: Path) -> Tracker:
    """A store with one version, which is champion and has no evidence."""
    (empty_project / "mlruns" / "artifacts" / "other").mkdir(parents=True)
    Path("params.yaml").write_text(PARAMS)
    tracker = Tracker(NAME)
    tracker.client.create_registered_model(NAME)
    tracker.client.create_model_version(NAME, str(empty_project / "model"), tracker.start_run("search", "search"))
    tracker.client.set_registered_model_alias(NAME, "champion", "1")
    return tracker


def serve(answers: Sequence[Answered]) -> None:
    log = current_project().prediction_log
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("".join(f"{each.model_dump_json()}\n" for each in answers))


def ask(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["watch", *arguments])


def test_drift_is_the_exit_code_and_the_result(tracker: Tracker, answers: Answer) -> None:
    serve([*answers(130, 1), *answers(50, 2, noise=0.02)])
    done = ask("--json", "--report", "report.html")
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    assert (told["state"], told["drifts"][0]["families"][0]["family"]) == ("drift", "intensity")
    assert "Watch over" in Path("report.html").read_text()
    serve(answers(130, 1))
    done = ask()
    assert (done.exit_code, done.stdout.splitlines()[0]) == (0, "watch          no drift")
    serve(answers(70, 1))
    done = ask()
    assert (done.exit_code, done.stdout.splitlines()[0]) == (3, "watch          too few studies to look: 20 more")


def test_what_is_missing_is_named(tracker: Tracker) -> None:
    for arguments, said in (
        (
            (),
            r"^state/served/answers\.jsonl is not there; serve the model first, or name the log of its server with --log$",
        ),
        (("--version", "7"), "version 7"),
    ):
        with pytest.raises(InputError, match=said):
            raise ask(*arguments).exception or AssertionError
    tracker.client.delete_registered_model_alias(NAME, "champion")
    with pytest.raises(InputError, match=f"^{NAME} has no champion; name the version to watch with --version$"):
        raise ask().exception or AssertionError


def test_an_event_is_raised_once_for_each_drift(
    tracker: Tracker, answers: Answer, rsna: GradingTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised: list[dict[str, Any]] = []
    monkeypatch.setattr("flows.events.emit_event", lambda **told: raised.append(told))
    watched = watch([*answers(130, 1), *answers(50, 2, noise=0.02)], MODEL, rsna, QUICK)
    for _ in range(2):
        flow.keep(tracker, watched)
    (event,) = raised
    assert event["event"] == "lumbargrade.drift"
    assert event["resource"] == {
        "prefect.resource.id": f"lumbargrade.model.{NAME}",
        "prefect.resource.name": NAME,
        "lumbargrade.model.version": "1",
    }
    drift = watched.report.drifts[0]
    assert event["payload"]["families"][0] == "intensity"
    assert (event["payload"]["since_study"], event["payload"]["raised"]) == (drift.since, drift.raised_time)
    run = tracker.find_run(f"watch/{MODEL}")
    assert run is not None and run.info.status == "FINISHED"
    history = tracker.client.get_metric_history(run.info.run_id, "drift.intensity")
    assert [point.step for point in history] == [120]
    assert {file.path for file in tracker.client.list_artifacts(run.info.run_id)} == {
        "course.png", "watch.html", "watch.json",
    }  # fmt: skip
