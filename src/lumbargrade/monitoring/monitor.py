"""The watch over a registered version: its reference out of its evidence, its answers out of the serving log."""

from pathlib import Path

from lumbargrade.config.params import WatchParams
from lumbargrade.config.project import current_project
from lumbargrade.config.task import GradingTask
from lumbargrade.errors import InputError
from lumbargrade.monitoring.drift import Watched, read_corrected, watch
from lumbargrade.registry.lineage.bundle import REFERENCE, read_evidence
from lumbargrade.registry.names import registered_name
from lumbargrade.registry.resolve import champion_version
from lumbargrade.registry.versions import get_version, open_registry
from lumbargrade.serving.records.prediction_log import ServingLog
from lumbargrade.serving.records.reference import read_reference

STATE = "drift.state"
"""Tag of a version's watch run in MLflow: what the last look saw."""


def watch_key(model: str) -> str:
    """The key of a version's watch run in MLflow.

    Args:
        model: Registered name and version, ``name/version``.
    """
    return f"watch/{model}"


def watch_version(
    task: GradingTask, params: WatchParams, log: Path | None = None, version: str | None = None
) -> Watched:
    """Watches a version by what it answered.

    Args:
        log: Of the model server, the project's if not given; readers' corrections lie beside it.
        version: The champion if not given.

    Raises:
        InputError: There is no such version, no champion, or no log.
    """
    tracker = open_registry(task)
    version = version or champion_version(tracker, task)
    if version is None:
        raise InputError(
            f"{registered_name(task)} has no champion", "name the version to watch with --version", "no-champion"
        )
    found = get_version(tracker, task, version)
    path = log or current_project().prediction_log
    if not path.is_file():
        raise InputError(
            f"{path} is not there",
            "serve the model first, or name the log of its server with --log",
            "prediction-log-missing",
        )
    return watch(
        ServingLog(path).answers(),
        f"{registered_name(task)}/{version}",
        task,
        params,
        read_reference(read_evidence(found, REFERENCE) or ""),
        read_corrected(path.parent, task),
    )
