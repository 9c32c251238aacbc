"""What a served model is called, is asked and answers. What a model server imports stands here, and no more."""

import re
from dataclasses import dataclass

from lumbargrade.config.task import GradingTask

MODEL_META = "registered_model_meta"
"""A file that MLflow writes into a model's folder when somebody fetches it; it is no part of the model."""
CHAMPION = "champion"
"""The alias of the version that serves."""

_ADDRESS = re.compile(r"models:/(?P<name>[^/@]+)(?:/(?P<version>\d+)|@(?P<alias>[^/@]+))")


@dataclass(frozen=True)
class ModelAddress:
    """A registered model's address, which names a version or an alias."""

    name: str
    version: str | None
    alias: str | None


def parse_address(uri: str) -> ModelAddress | None:
    """Reads ``models:/<name>@<alias>`` or ``models:/<name>/<version>``; None if it is neither."""
    found = _ADDRESS.fullmatch(uri)
    return ModelAddress(**found.groupdict()) if found else None


def registered_name(task: GradingTask) -> str:
    """Name under which a task's models are registered."""
    return f"lumbargrade-{task.name.replace('_', '-')}"


def version_uri(name: str, version: str) -> str:
    """Address of a version of a registered model; the audit log calls it so too."""
    return f"models:/{name}/{version}"


def champion_uri(task: GradingTask) -> str:
    """Address of a task's champion; the audit log calls it so too."""
    return f"models:/{registered_name(task)}@{CHAMPION}"
