"""Registered models by their address, and their networks, loaded without any pickle."""

from dataclasses import dataclass
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException

from lumbargrade.errors import InputError
from lumbargrade.files import files_sha256
from lumbargrade.models.grader import Grader, GraderConfig, load_grader
from lumbargrade.models.locator import Locator, load_locator
from lumbargrade.registry.package import GRADER, LOCATOR, registered_name
from lumbargrade.task import GradingTask
from lumbargrade.training.tracking import Tracker, tracking_uri

CHAMPION = "champion"


@dataclass(frozen=True)
class LoadedModel:
    """A registered model's networks, one a fold, with one configuration.

    Attributes:
        locators: None if the task has none; then studies must carry their points.
    """

    uri: str
    graders: list[Grader]
    locators: list[Locator]
    locators_sha256: str

    @property
    def config(self) -> GraderConfig:
        """What the graders were built with."""
        return self.graders[0].config


def champion_uri(task: GradingTask) -> str:
    """Address of a task's champion."""
    return f"models:/{registered_name(task)}@{CHAMPION}"


def champion_version(tracker: Tracker, task: GradingTask) -> str | None:
    """Returns the version that is champion, if there is one."""
    try:
        return str(tracker.client.get_model_version_by_alias(registered_name(task), CHAMPION).version)
    except MlflowException:
        return None


def load_model(uri: str) -> LoadedModel:
    """Loads the networks of a model.

    Args:
        uri: ``models:/<name>@champion``, ``models:/<name>/<version>``, or a folder that MLflow wrote.

    Raises:
        InputError: There is no such model, or it is none of Lumbargrade's.
    """
    mlflow.set_tracking_uri(tracking_uri())
    try:
        folder = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri))
    except (MlflowException, OSError) as error:
        reason = str(error).splitlines()[0][:200]
        raise InputError(
            f"model {uri} cannot be loaded ({reason}); give models:/<name>@champion or models:/<name>/<version>, "
            f"and check that {tracking_uri()} is the store that holds it"
        ) from error
    graders = sorted((folder / "artifacts").glob(f"**/{GRADER}*.safetensors"))
    locators = sorted((folder / "artifacts").glob(f"**/{LOCATOR}*.safetensors"))
    if not graders:
        raise InputError(f"model {uri} holds no graders; it was not made by Lumbargrade")
    return LoadedModel(
        uri, [load_grader(file) for file in graders], [load_locator(file) for file in locators], files_sha256(locators)
    )
