"""An evening in which everything happens: a scanner changes, the watch sees it, a retraining follows, a person approves.

    lumbargrade run && git add -A && git commit -m data     # a champion; then gate.promotion: approval in params.yaml, committed
    lumbargrade server &
    python benchmarks/evening.py FOLDER [--usual 300] [--changed 60] [--watch-seconds 90] [--review-seconds 180]

In the project's folder, beside its server. Phantom studies are sent to the model server one after another, first of the usual
scanners, then of another one, and on until the end. The clock is made short on the server: the watch looks every so many seconds
and not every hour, a drift leaves so many seconds for review and not a day. In the review the other scanner's studies are added
to the dataset with their labels. When the retraining has ended, the new version is approved by a run of approve-version.
Then the usual studies' answers are put in ten other orders before the watch. Writes evening.json and evening.png into FOLDER.
"""

import argparse
import base64
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import TypeVar
from unittest.mock import patch

import httpx
import numpy as np
import pandas as pd
import requests
from drift import CHANGED_SEED, CHANGES, SEED, Change, ways
from matplotlib.figure import Figure
from prefect.automations import Automation
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.settings import PREFECT_API_URL, temporary_settings

from lumbargrade.audit.log import AuditLog
from lumbargrade.config.loading import load_params
from lumbargrade.config.task import load_task
from lumbargrade.data.study_zip import zip_study
from lumbargrade.inference.schema import STUDY_COLUMN
from lumbargrade.monitoring.drift import watch
from lumbargrade.monitoring.monitor import watch_version
from lumbargrade.operations.addresses import prefect_api, read_addresses
from lumbargrade.phantom import generate
from lumbargrade.phantom import study as scanning
from lumbargrade.registry.names import registered_name
from lumbargrade.registry.versions import VersionSummary, list_versions, open_registry
from lumbargrade.serving.records.prediction_log import ServingLog

T = TypeVar("T")
TASK = "rsna2024"
AFTERWARDS = 20
"""Requests after the new champion has answered for the first time."""
DATASET = Path("data/phantom")


@dataclass
class Request:
    """One study that was sent; seconds count from the evening's start."""

    at: float
    seconds: float
    scanner: str
    status: int
    version: str


class Load(threading.Thread):
    """Sends one study after another, and the last scanner's again and again, until it is told to stop."""

    def __init__(self, address: str, usual: Path, changed: Path, started: float, pause: float) -> None:
        super().__init__(daemon=True)
        self.sent: list[Request] = []
        self.done = threading.Event()
        self._address, self._began, self._pause = address, started, pause
        self._studies = [(name, place, study) for name, place in (("A", usual), ("B", changed)) for study in ids(place)]
        self._last = [each for each in self._studies if each[0] == "B"]

    def run(self) -> None:
        """Sends all once, then the last scanner's with a pause after each."""
        for scanner, place, study in self._studies:
            self._send(scanner, place, study)
            if self.done.is_set():
                return
        while not self.done.wait(self._pause):
            scanner, place, study = self._last[len(self.sent) % len(self._last)]
            self._send(scanner, place, study)

    def _send(self, scanner: str, place: Path, study: int) -> None:
        column = base64.b64encode(zip_study(place, study, with_points=False)).decode()
        at = time.time()
        try:
            answer = requests.post(
                f"{self._address}/invocations",
                json={"dataframe_split": {"columns": [STUDY_COLUMN], "data": [[column]]}},
                timeout=300,
            )
            status, version = answer.status_code, answer.headers.get("x-model-version", "")
        except requests.RequestException:
            status, version = 0, ""
        self.sent.append(Request(at - self._began, time.time() - at, scanner, status, version))


class Evening:
    """The story as it goes, and when each thing happened."""

    def __init__(self) -> None:
        self.started = time.time()
        self.story: list[dict[str, object]] = []

    def tell(self, what: str) -> None:
        """Writes down that something has happened."""
        self.story.append({"at": round(time.time() - self.started, 1), "what": what})
        print(f"{self.story[-1]['at']:>7} s  {what}", flush=True)


def main() -> None:
    """Parses the command line and lets the evening happen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--usual", type=int, default=300)
    parser.add_argument("--changed", type=int, default=60)
    parser.add_argument("--watch-seconds", type=int, default=90)
    parser.add_argument("--review-seconds", type=int, default=180)
    parser.add_argument("--pause", type=float, default=3.0, help="Seconds between two studies once all were sent.")
    told = parser.parse_args()
    addresses = read_addresses()
    if addresses is None or load_params(Path("params.yaml")).gate.promotion != "approval":
        raise SystemExit("start `lumbargrade server` first, with gate.promotion: approval committed in params.yaml")
    usual, changed = told.folder / "usual", told.folder / "changed"
    generate(usual, told.usual, SEED)
    changed_scanner(changed, CHANGES["scanner"], told.changed)
    evening = Evening()
    load = Load(addresses.model, usual, changed, evening.started, told.pause)
    with temporary_settings({PREFECT_API_URL: prefect_api()}), get_client(sync_client=True) as client:
        shorten_clock(client, told.watch_seconds, told.review_seconds)
        load.start()
        live(evening, load, client, changed)
    load.done.set()
    load.join()
    result = {
        "story": evening.story,
        "requests": summarise(load.sent),
        "versions": [version.model_dump(mode="json") for version in versions()],
        "audit log": [f"{entry.time[:19]} {entry.kind} {entry.subject} {entry.by}" for entry in AuditLog().entries()],
        "undrifted replays": replay(asked_most(load.sent)),
        "drift": drift_of(asked_most(load.sent)),
    }
    (told.folder / "requests.json").write_text(json.dumps([asdict(request) for request in load.sent]))
    (told.folder / "evening.json").write_text(json.dumps(result, indent=2))
    draw(evening, load.sent).savefig(told.folder / "evening.png", dpi=110)
    print(json.dumps({key: result[key] for key in ("requests", "undrifted replays", "drift")}, indent=2))


def live(evening: Evening, load: Load, client: SyncPrefectClient, changed: Path) -> None:
    """What happens, one after another."""
    evening.tell("studies of scanner A are sent")
    until(lambda: any(request.scanner == "B" for request in load.sent))
    evening.tell(f"scanner B from now on, after {sum(request.scanner == 'A' for request in load.sent)} studies of A")
    retraining = until(lambda: newest(client, "retrain/retrain", evening.started))
    sent = sum(request.scanner == "B" for request in load.sent)
    due = f"{retraining.expected_start_time:%H:%M:%S} UTC"
    evening.tell(f"drift was raised after {sent} studies of B or less: a retraining is due at {due}")
    added = ["dataset", "add", str(changed), "--to", str(DATASET), "--commit"]
    subprocess.run([sys.executable, "-c", "from lumbargrade.cli import main; main()", *added], check=True)
    evening.tell(f"{len(ids(changed))} labelled studies of scanner B were added to {DATASET}")
    until(lambda: client.read_flow_run(retraining.id).state_name == "Running")
    evening.tell("the retraining has begun")
    ended = until(lambda: final(client.read_flow_run(retraining.id)))
    version = versions()[-1]
    judged = f"version {version.version}: {version.decision}, {version.reason}"
    evening.tell(f"the retraining has ended ({ended.state_name}); {judged}")
    deployment = client.read_deployment_by_name("approve-version/approve-version")
    approval = client.create_flow_run_from_deployment(
        deployment.id,
        parameters={"version": version.version, "by": "Ada Lovelace", "why": "read the report of the evening"},
    )
    evening.tell("Ada Lovelace approves it through Prefect's API")
    ended = until(lambda: final(client.read_flow_run(approval.id)))
    evening.tell(f"the approval is in the audit log ({ended.state_name})")
    until(lambda: load.sent[-1].version == version.version)
    evening.tell(f"version {version.version} answers")
    count = len(load.sent)
    until(lambda: len(load.sent) >= count + AFTERWARDS)
    evening.tell("the end")


def changed_scanner(folder: Path, change: Change, studies: int) -> None:
    """Makes a labelled dataset of studies from a changed scanner."""
    generating = import_module("lumbargrade.phantom.generate")

    def scanned(seed: int, index: int, task: object) -> object:
        study = scanning.build_study(seed, index, task)
        return replace(study, station=change.station or study.station)

    with ExitStack() as stack:
        for name, drawn in ways(change).items():
            stack.enter_context(patch.object(scanning, name, drawn))
        stack.enter_context(patch.object(generating, "build_study", scanned))
        generate(folder, studies, CHANGED_SEED, workers=1)


def shorten_clock(client: SyncPrefectClient, watch_seconds: int, review_seconds: int) -> None:
    """Makes the watch look more often, and the time for review shorter."""
    deployment = client.read_deployment_by_name("watch-drift/watch-drift")
    for schedule in deployment.schedules:
        client.update_deployment_schedule(
            deployment.id,
            schedule.id,
            active=True,
            schedule=IntervalSchedule(interval=timedelta(seconds=watch_seconds), anchor_date=datetime.now(UTC)),
        )
    for found in client.read_automations_by_name("lumbargrade: retrain after drift"):
        automation = Automation.read(id=found.id)
        automation.actions[0].schedule_after = timedelta(seconds=review_seconds)
        automation.update()


def newest(client: SyncPrefectClient, name: str, since: float) -> FlowRun | None:
    """The newest run of a deployment that was made since a time."""
    deployment = client.read_deployment_by_name(name)
    runs = client.read_flow_runs(deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment.id])))
    made = [run for run in runs if run.created is not None and run.created.timestamp() > since]
    return max(made, key=lambda run: run.created.timestamp(), default=None)


def final(run: FlowRun) -> FlowRun | None:
    """The run, if it has ended."""
    return run if run.state is not None and run.state.is_final() else None


def until(what: Callable[[], T | None], seconds: float = 3600) -> T:
    """Waits for something; a server that does not answer for a moment is asked again."""
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        try:
            if found := what():
                return found
        except httpx.TransportError:
            pass
        time.sleep(2)
    raise SystemExit(f"nothing has happened for {seconds:g} s")


def versions() -> list[VersionSummary]:
    """The registered versions."""
    return list_versions(open_registry(load_task(TASK)), load_task(TASK))


def ids(dataset: Path) -> list[int]:
    """The studies of a dataset."""
    return sorted(pd.read_csv(dataset / "train.csv")["study_id"].tolist())


def summarise(sent: list[Request]) -> dict[str, object]:
    """Counts of answers, by what they were and which version gave them."""
    seconds = [request.seconds for request in sent]
    return {
        "sent": len(sent),
        "not answered": sum(request.status != requests.codes.ok for request in sent),
        "by version": {
            version: sum(one.version == version for one in sent) for version in sorted({one.version for one in sent})
        },
        "median seconds": round(float(np.median(seconds)), 2),
        "longest seconds": round(max(seconds), 2),
    }


def asked_most(sent: list[Request]) -> str:
    """The version that answered most of the usual studies."""
    return Counter(request.version for request in sent if request.scanner == "A").most_common(1)[0][0]


def drift_of(version: str) -> list[dict[str, object]]:
    """What the watch says now of a version; studies are counted from the end of its reference."""
    params = load_params(Path("params.yaml")).watch
    report = watch_version(load_task(TASK), params, version=version).report
    return [
        {"reference": report.reference, "since": drift.since, "raised": drift.raised, "by": drift.raised_by}
        for drift in report.drifts
    ]


def replay(version: str, replays: int = 10) -> dict[str, int]:
    """How often the watch raises drift in a version's answers to the usual studies, put in other orders."""
    task, params = load_task(TASK), load_params(Path("params.yaml")).watch
    model = f"{registered_name(task)}/{version}"
    first = drift_of(version)
    answers = [answer for answer in ServingLog().answers() if answer.model == model]
    answers = answers[: params.reference + int(str(first[0]["since"])) - 1] if first else answers
    rng, alarms = np.random.default_rng(0), 0
    for _ in range(replays):
        times = [answer.time for answer in answers]
        mixed = [answers[place] for place in rng.permutation(len(answers))]
        mixed = [each.model_copy(update={"time": at}) for each, at in zip(mixed, times, strict=True)]
        alarms += bool(watch(mixed, model, task, params).report.drifts)
    return {"replays": replays, "studies": len(answers), "with a false alarm": alarms}


def draw(evening: Evening, sent: list[Request]) -> Figure:
    """The evening: how long each answer took, by scanner and version, and what happened when."""
    figure = Figure(figsize=(10, 5), layout="constrained")
    axes = figure.subplots()
    for scanner, marker in (("A", "."), ("B", "x")):
        for version in sorted({request.version for request in sent}):
            ours = [request for request in sent if request.scanner == scanner and request.version == version]
            if ours:
                minutes = [request.at / 60 for request in ours]
                axes.plot(minutes, [one.seconds for one in ours], marker, label=f"scanner {scanner}, version {version}")
    top = max(request.seconds for request in sent)
    for number, each in enumerate(evening.story[1:-1], start=1):
        axes.axvline(float(str(each["at"])) / 60, color="grey", linewidth=0.8)
        axes.text(float(str(each["at"])) / 60, top * 1.02, str(number), ha="center", fontsize=8)
    axes.set_xlabel("Minutes")
    axes.set_ylabel("Seconds until the answer")
    axes.legend(loc="upper left")
    return figure


if __name__ == "__main__":
    main()
