"""Brings artifacts out of MLflow's store, and tells those that a readable store does not have from those it cannot give."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from requests import RequestException
from sqlalchemy.exc import SQLAlchemyError

from lumbargrade.errors import CannotVerifyError
from lumbargrade.failures import explain_failure
from lumbargrade.tracking.mlflow_tracker import tracking_uri

STORE_FAILURES = (MlflowException, SQLAlchemyError, RequestException, OSError)
"""What a read of the store ends with where the store, its disk or its network is at fault."""

ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""What MLflow says where there is no such run or model, and where a model has no such alias."""

_RUN = re.compile(r"runs:/(?P<run>[^/]+)/(?P<path>.+)")


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Puts a failure of the store or the machine into words.

    Args:
        what: Is read, for the sentence.

    Raises:
        CannotVerifyError: It could not be read.
    """
    try:
        yield
    except STORE_FAILURES as error:
        failure = explain_failure(error)
        sentence = f"{what} could not be read: {failure.what}"
        raise CannotVerifyError(sentence, failure.remedy, "store-unreadable") from error


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yields a folder that is gone afterwards.

    Raises:
        CannotVerifyError: None can be made.
    """
    with reading("a folder for temporary files"):
        folder = tempfile.TemporaryDirectory(prefix="lumbargrade-")
    with folder as name:
        yield Path(name)


def fetch_artifact(uri: str, folder: Path | None = None) -> Path | None:
    """Brings an artifact here; None if the store could be read and does not have it.

    Args:
        uri: ``runs:/<id>/<path>``, ``models:/<name>/<version>``, ``models:/<name>@<alias>``, or a folder.
        folder: Where to put a copy; without it, an artifact on this machine's disk is given as it lies there.

    Raises:
        CannotVerifyError: It could not be read; whether it is there is not known.
        StoreError: The store cannot be opened.
    """
    mlflow.set_tracking_uri(tracking_uri())
    try:
        return Path(_download(uri, str(folder) if folder else None))
    except STORE_FAILURES as error:
        with reading(uri):
            if _is_absent(uri):
                return None
            raise error


def read_artifact(uri: str) -> str | None:
    """Reads a text artifact; None if the store could be read and does not have it.

    Raises:
        CannotVerifyError: It could not be read; whether it is there is not known.
    """
    with temporary_folder() as folder:
        path = fetch_artifact(uri, folder)
        if path is None:
            return None
        with reading(uri):
            return path.read_text(encoding="utf-8", errors="replace")


def _download(uri: str, folder: str | None) -> str:
    """By ``runs:/`` MLflow would hide what failed, so a run's artifact is fetched by its own address."""
    run = _RUN.fullmatch(uri)
    if run is None:
        return str(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=folder))
    repository = get_artifact_repository(MlflowClient(tracking_uri()).get_run(run["run"]).info.artifact_uri)
    return str(repository.download_artifacts(run["path"], folder))  # type: ignore[no-untyped-call]


def _is_absent(uri: str) -> bool:
    """Whether the store, as far as it can be read, does not have an artifact."""
    client = MlflowClient(tracking_uri())
    run = _RUN.fullmatch(uri)
    try:
        if run is not None:
            info = client.get_run(run["run"]).info
            return _lacks(client, info.artifact_uri, run["path"], info.experiment_id, info.run_id)
        location = _model_location(client, uri)
        if location is None:
            return False
        folder, experiment = location
        return _lacks(client, folder, "", experiment, None)
    except MlflowException as error:
        if error.error_code in ABSENT:
            return True
        raise


def _model_location(client: MlflowClient, uri: str) -> tuple[str, str | None] | None:
    """Where a model's files lie by the store's account, and the experiment they belong to; None if that is not known."""
    if not uri.startswith("models:/"):
        return uri, None
    name, _, version = uri.removeprefix("models:/").partition("/")
    if "@" in name:
        name, _, alias = name.partition("@")
        version = str(client.get_model_version_by_alias(name, alias).version)
    source = client.get_model_version_download_uri(name, version)
    if not source.startswith("models:/"):
        run_id = client.get_model_version(name, version).run_id
        return source, client.get_run(run_id).info.experiment_id if run_id else None
    model = client.get_logged_model(source.removeprefix("models:/"))
    return (model.artifact_location, model.experiment_id) if model.artifact_location else None


def _lacks(client: MlflowClient, root: str, path: str, experiment: str | None, run_id: str | None) -> bool:
    folder = _local_folder(root)
    if folder is not None:
        store = _local_folder(client.get_experiment(experiment).artifact_location) if experiment is not None else None
        _check_store(store or folder.parent)
        return not (folder / path).exists()
    if run_id is None:
        return False
    known = [each.path for each in client.list_artifacts(run_id)]
    parent, _, _ = path.rpartition("/")
    return bool(known) and path not in [each.path for each in client.list_artifacts(run_id, parent or None)]


def _local_folder(uri: str) -> Path | None:
    """The folder on this machine that an address means, if it means one."""
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return Path(uri) if not parts.scheme else None


def _check_store(folder: Path) -> None:
    """A store on a disk that is not mounted, or that lay elsewhere, lacks everything: that says nothing of one artifact.

    Raises:
        CannotVerifyError: The store's folder is not there, or holds nothing.
    """
    if not folder.is_dir() or next(folder.iterdir(), None) is None:
        raise CannotVerifyError(
            f"the store of models keeps its files in {folder}, where nothing is",
            "mount that folder or restore it from a copy, and run in the folder of the project",
            "store-files-missing",
        )
