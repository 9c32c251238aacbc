"""The watch, on a schedule: looks, keeps what it saw in MLflow and Prefect, and raises an event for each new drift.

The event ``lumbargrade.drift`` is what an automation starts a retraining by. Its resource is
``lumbargrade.model.<registered name>``; see docs/monitoring.md for its payload.
"""

from pathlib import Path

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact

from flows.events import DRIFT, emit, event_id
from lumbargrade.config.loading import load_params
from lumbargrade.config.params import WatchParams
from lumbargrade.config.project import current_project
from lumbargrade.config.task import load_task
from lumbargrade.monitoring.drift import Watched, WatchReport
from lumbargrade.monitoring.monitor import STATE, watch_key, watch_version
from lumbargrade.monitoring.report import course_figure, watch_html, watch_markdown
from lumbargrade.registry.versions import open_registry
from lumbargrade.tracking.mlflow_tracker import Tracker

_TOLD = "drift.told"
"""Tag of the watch's run in MLflow: the ids of the events that have been raised."""


@flow(name="watch-drift")
def watch_drift(
    task: str = "rsna2024", params: WatchParams | None = None, log: Path | None = None, version: str | None = None
) -> WatchReport | None:
    """Watches a version by what it answered; nothing is told as long as nobody has asked it.

    Args:
        task: A name of a task, or a YAML file.
        params: The ``watch`` section; that of ``params.yaml`` if not given.
        log: Of the model server; the project's if not given.
        version: The champion if not given.
    """
    grading_task = load_task(task)
    project = current_project()
    if log is None and not project.prediction_log.is_file():
        get_run_logger().info(f"{project.prediction_log} is not there: nobody has asked the model yet")
        return None
    watched = watch_version(grading_task, params or load_params().watch, log, version)
    report = watched.report
    keep(open_registry(grading_task), watched)
    create_markdown_artifact(key="drift", markdown=watch_markdown(report), description=f"Watch over {report.model}")
    get_run_logger().info(f"{report.model}: {report.state}")
    return report


def keep(tracker: Tracker, watched: Watched) -> None:
    """Keeps a look in the version's watch run in MLflow, and raises an event for each drift that is new there."""
    report = watched.report
    with tracker.run(f"watch {report.model}", watch_key(report.model), tags={"model": report.model}) as run:
        _log(tracker, run, watched)
        tracker.set_tags(run, {STATE: report.state})
        _raise_events(tracker, run, report)


def _log(tracker: Tracker, run: str, watched: Watched) -> None:
    """Metrics by the number of studies; a look that was logged is not logged again."""
    tracker.log_text(run, watched.report.model_dump_json(indent=2), "watch.json")
    tracker.log_text(run, watch_html(watched), "watch.html")
    course = watched.course
    if course is None:
        return
    tracker.log_figure(run, course_figure(watched), "course.png")
    logged = tracker.last_step(run, f"drift.{course.names[0]}")
    studies = watched.report.studies
    if studies > logged:
        heights = {f"drift.{name}": height for name, height in watched.report.heights.items()}
        tracker.log_metrics(run, {"drift.threshold": course.threshold, **heights}, studies)


def _raise_events(tracker: Tracker, run: str, report: WatchReport) -> None:
    """An event for each drift, once; a process that is killed in between raises it again, with the same id."""
    told = set(tracker.client.get_run(run).data.tags.get(_TOLD, "").split())
    name, _, version = report.model.partition("/")
    for key, payload in _news(report).items():
        number = event_id(DRIFT, report.model, key)
        if str(number) in told:
            continue
        emit(DRIFT, name, {"model": report.model, **payload}, number, version)
        told.add(str(number))
        tracker.set_tags(run, {_TOLD: " ".join(sorted(told))})


def _news(report: WatchReport) -> dict[str, dict[str, object]]:
    """What there is to tell, by what makes it the same when it is told again."""
    news: dict[str, dict[str, object]] = {}
    for drift in report.drifts:
        news[drift.raised_by] = {
            "kind": "what is served",
            "families": [family.family for family in drift.families],
            "since_study": drift.since,
            "since": drift.since_time,
            "raised_study": drift.raised,
            "raised": drift.raised_time,
            "reference": report.reference,
        }
    if report.calibration.drift:
        news["calibration"] = {"kind": "calibration", **report.calibration.model_dump(mode="json")}
    return news
