"""MLflow's memory of what was tried: search run → trial runs → fold runs, with explicit parents.

Only the supervising process writes to MLflow; training processes write files.
"""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from filelock import FileLock
from matplotlib.figure import Figure
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME
from sqlalchemy.engine import make_url

from lumbargrade.config.project import check_folder_name, current_project
from lumbargrade.config.settings import Settings
from lumbargrade.errors import StoreError
from lumbargrade.failures import explain_failure
from lumbargrade.files import remove_cut_off, replaced_file
from lumbargrade.proxies import exempt_loopback
from lumbargrade.tracking.relocate import ARTIFACTS, DATABASE, follow_move

_MAX_PARAM = 5000
_OWNER = "lumbargrade.owner"
_SQLITE = "sqlite:///"
_KIND = {"mlflow.experimentKind": "custom_model_development"}
"""Makes MLflow's page open on training runs and not on language models."""


def tracking_uri() -> str:
    """Returns MLFLOW_TRACKING_URI, or the embedded database of the project, wherever the project was moved to.

    Raises:
        StoreError: The project was moved, and its database cannot be changed.
    """
    uri = Settings().mlflow_tracking_uri or _own_store()
    if _is_own(uri):
        follow_move(current_project().mlflow_store.resolve())
    return uri


def has_store() -> bool:
    """Whether the project's own database is there, or another store is given."""
    return bool(Settings().mlflow_tracking_uri) or (current_project().mlflow_store / DATABASE).is_file()


class Tracker:
    """Writes runs of one experiment. Runs are found again by a key, so that work that goes on keeps its run."""

    def __init__(self, experiment: str) -> None:
        """Opens the experiment, creating it, and the embedded database, if they are not there.

        Raises:
            StoreError: The tracking server or database cannot be had.
        """
        uri = tracking_uri()
        check_reachable(uri)
        local = uri == _own_store()
        try:
            make_database(uri)
            self.client = MlflowClient(tracking_uri=uri)
            found = self.client.get_experiment_by_name(experiment)
            place = str((current_project().mlflow_store / ARTIFACTS).resolve()) if local else None
            self.experiment_id = (
                found.experiment_id if found else self.client.create_experiment(experiment, place, _KIND)
            )
        except Exception as error:  # MLflow lets SQLAlchemy's, requests' and its own errors through
            raise _unreachable(uri, error) from error
        self.owner: str | None = None

    @contextmanager
    def owned_by(self, owner: str) -> Iterator[None]:
        """Tags the runs that are started meanwhile with the id of the folder whose work they are."""
        self.owner = owner
        try:
            yield
        finally:
            self.owner = None

    def running_runs(self) -> dict[str, list[str]]:
        """Ids of all runs that are said to be running, by the id of the folder whose work they are."""
        experiments = [each.experiment_id for each in self.client.search_experiments()]
        owners: dict[str, list[str]] = {}
        token = None
        while token != "":
            page = self.client.search_runs(
                experiments, f"attributes.status = 'RUNNING' and tags.`{_OWNER}` LIKE '%'", page_token=token
            )
            for run in page:
                owners.setdefault(run.data.tags[_OWNER], []).append(run.info.run_id)
            token = page.token or ""
        return owners

    def find_run(self, key: str) -> Run | None:
        """Returns the newest run with this key."""
        runs = self.client.search_runs(
            [self.experiment_id],
            f"tags.`lumbargrade.key` = '{key}'",
            order_by=["attributes.start_time DESC"],
            max_results=1,
        )
        return runs[0] if runs else None

    @contextmanager
    def run(
        self, name: str, key: str, parent: str | None = None, tags: Mapping[str, str] | None = None
    ) -> Iterator[str]:
        """Keeps the run with this key open as long as the context lasts; yields its id.

        It ends as FINISHED; as FAILED if an error leaves the context, and as KILLED if the work was interrupted.
        """
        run_id = self.start_run(name, key, parent, tags)
        try:
            yield run_id
        except BaseException as error:
            self.end_run(run_id, "FAILED" if isinstance(error, Exception) else "KILLED")
            raise
        self.end_run(run_id)

    def start_run(self, name: str, key: str, parent: str | None = None, tags: Mapping[str, str] | None = None) -> str:
        """Returns the id of the run with this key, which is running from now on."""
        run = self.find_run(key)
        owner = {_OWNER: self.owner} if self.owner else {}
        if run is not None:
            self.set_tags(run.info.run_id, owner)
            self.client.update_run(run.info.run_id, status="RUNNING")
            return str(run.info.run_id)
        all_tags = {MLFLOW_RUN_NAME: name, "lumbargrade.key": key, **owner, **(tags or {})}
        if parent is not None:
            all_tags[MLFLOW_PARENT_RUN_ID] = parent
        return str(self.client.create_run(self.experiment_id, tags=all_tags).info.run_id)

    def end_run(self, run_id: str, status: str = "FINISHED") -> None:
        """Closes a run as FINISHED, FAILED or KILLED."""
        self.client.set_terminated(run_id, status)

    def log_params(self, run_id: str, values: Mapping[str, Any]) -> None:
        """Logs parameters; nested sections become dotted names."""
        params = [Param(key, str(value)[:_MAX_PARAM]) for key, value in _flat(values)]
        self.client.log_batch(run_id, params=params)

    def log_metrics(self, run_id: str, values: Mapping[str, float], step: int = 0) -> None:
        """Logs metrics at a step."""
        now = int(time.time() * 1000)
        self.client.log_batch(run_id, metrics=[Metric(key, float(value), now, step) for key, value in values.items()])

    def last_step(self, run_id: str, metric: str) -> int:
        """Returns the last step at which a metric was logged, or 0."""
        return max((point.step for point in self.client.get_metric_history(run_id, metric)), default=0)

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Sets tags of a run."""
        self.client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])

    def log_figure(self, run_id: str, figure: Figure, name: str) -> None:
        """Logs a picture."""
        self.client.log_figure(run_id, figure, name)

    def log_text(self, run_id: str, text: str, name: str) -> None:
        """Logs a text file."""
        self.client.log_text(run_id, text, name)


def make_database(uri: str) -> None:
    """Makes the file of an SQLite store with all of MLflow's tables, whole or not at all, unless it is there.

    MLflow makes one table after another, and cannot use a file where it was killed between two of them.
    """
    database = make_url(uri).database if uri.startswith(_SQLITE) else None
    if not database or database == ":memory:" or (path := Path(database)).exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        remove_cut_off(path)
        if not path.exists():
            with replaced_file(path) as temporary:
                made = SqlAlchemyStore(f"{_SQLITE}{temporary}", str(path.parent / "artifacts"))  # type: ignore[no-untyped-call]
                made.engine.dispose()


def _own_store() -> str:
    """Absolute: MLflow keeps stores by their address, and a relative one would follow no change of folder."""
    check_folder_name(current_project().root.resolve())
    return f"{_SQLITE}{current_project().mlflow_store.resolve()}/{DATABASE}"


def _is_own(uri: str) -> bool:
    database = make_url(uri).database if uri.startswith(_SQLITE) else None
    return database is not None and Path(database).resolve() == (current_project().mlflow_store / DATABASE).resolve()


def check_reachable(uri: str) -> None:
    """Checks that an MLflow server answers; MLflow itself would try a dead one for minutes.

    Raises:
        StoreError: It does not.
    """
    if not uri.startswith("http"):
        return
    exempt_loopback(os.environ)  # a flow may have been started by a worker that is not ours
    try:
        requests.get(f"{uri.rstrip('/')}/health", timeout=5).raise_for_status()
    except requests.RequestException as error:
        raise _unreachable(uri, error) from error


def _unreachable(uri: str, error: Exception) -> StoreError:
    if "database is locked" in str(error):
        failure = explain_failure(error)
        return StoreError(f"the MLflow store {uri} cannot be used: {failure.what}", failure.remedy, "store-locked")
    reason = error.message if isinstance(error, MlflowException) else type(error).__name__
    return StoreError(
        f"the MLflow store {uri} cannot be used ({str(reason).splitlines()[0][:200]})",
        "start its server, correct MLFLOW_TRACKING_URI, or unset it to use the project's own database",
        "store-not-reached",
    )


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for key, value in values.items():
        pairs += _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else [(f"{prefix}{key}", value)]
    return pairs
