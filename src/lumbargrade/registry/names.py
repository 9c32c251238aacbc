"""What a served model is called, is asked and answers. What a model server imports stands here, and no more."""

from lumbargrade.config.task import GradingTask

TRAINED_ON = "trained_on"
"""Column of an answer, the same in each record: :class:`lumbargrade.evaluation.trained_on.TrainedOnStatement` as JSON."""
MIN_PLACE_CONFIDENCE = 0.30
"""A place that the model found with less confidence is uncertain: a grade that was given there is never called sure."""


MODEL_META = "registered_model_meta"
"""A file that MLflow writes into a model's folder when somebody fetches it; it is no part of the model."""


def is_uncertain(confidence: float | None) -> bool:
    """Whether a place is uncertain; one that came with the study, without a confidence, is not."""
    return confidence is not None and not confidence >= MIN_PLACE_CONFIDENCE


def registered_name(task: GradingTask) -> str:
    """Name under which a task's models are registered."""
    return f"lumbargrade-{task.name.replace('_', '-')}"


def version_uri(name: str, version: str) -> str:
    """Address of a version of a registered model; the audit log calls it so too."""
    return f"models:/{name}/{version}"
