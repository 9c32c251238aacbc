"""Registered models by their address, and their networks, loaded without any pickle."""

from dataclasses import replace
from pathlib import Path

import yaml
from mlflow.exceptions import MlflowException

from lumbargrade.config.task import GradingTask
from lumbargrade.errors import InputError, LumbargradeError
from lumbargrade.models.bundle import LoadedModel, read_model
from lumbargrade.registry.artifacts import ABSENT, fetch_artifact
from lumbargrade.registry.names import CHAMPION, MODEL_META, registered_name
from lumbargrade.tracking.mlflow_tracker import Tracker, tracking_uri


def champion_version(tracker: Tracker, task: GradingTask) -> str | None:
    """Returns the version that is champion, if there is one.

    Raises:
        LumbargradeError: The store cannot tell; that is not the same as no champion.
    """
    try:
        return str(tracker.client.get_model_version_by_alias(registered_name(task), CHAMPION).version)
    except MlflowException as error:
        if error.error_code in ABSENT:
            return None
        reason = str(error).splitlines()[0][:200]
        raise LumbargradeError(
            f"the store cannot say which version is champion ({reason})", "run again", "champion-unknown"
        ) from error


def load_model(uri: str) -> LoadedModel:
    """Loads the networks of a model.

    Args:
        uri: ``models:/<name>@champion``, ``models:/<name>/<version>``, or a folder that MLflow wrote.

    Raises:
        InputError: There is no such model, or it is none of Lumbargrade's.
        CannotVerifyError: The store, or the folder for temporary files, was in the way.
    """
    folder = fetch_model(uri)
    return replace(read_model((folder / "artifacts").glob("**/*.*"), uri), name=model_name(folder))


def model_name(folder: Path) -> str:
    """Registered name and version, which MLflow writes beside a model that it fetches; its own id where it did not."""
    meta_file = folder / MODEL_META
    if meta_file.is_file():
        meta = yaml.safe_load(meta_file.read_text(encoding="utf-8"))
        return f"{meta['model_name']}/{meta['model_version']}"
    return str(yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8")).get("model_id", ""))


def fetch_model(uri: str) -> Path:
    """Brings a model's files here, or finds them where they lie.

    Raises:
        InputError: There is no such model.
        CannotVerifyError: The store, or the folder for temporary files, was in the way.
    """
    folder = fetch_artifact(uri)
    if folder is None:
        raise InputError(
            f"model {uri} is not there",
            f"give models:/<name>@champion or models:/<name>/<version>, and check that {tracking_uri()} is the store "
            "that holds it",
            "model-not-registered",
        )
    return folder
