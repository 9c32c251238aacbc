"""What a served model is called, is asked and answers. What a model server imports stands here, and no more."""

from lumbargrade.config.task import GradingTask

MODEL_META = "registered_model_meta"
"""A file that MLflow writes into a model's folder when somebody fetches it; it is no part of the model."""


def registered_name(task: GradingTask) -> str:
    """Name under which a task's models are registered."""
    return f"lumbargrade-{task.name.replace('_', '-')}"


def version_uri(name: str, version: str) -> str:
    """Address of a version of a registered model; the audit log calls it so too."""
    return f"models:/{name}/{version}"
