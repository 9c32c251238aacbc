"""What a served model is called, is asked and answers. What a model server imports stands here, and no more."""

from lumbargrade.config.task import GradingTask

STUDY_COLUMN = "study"
EXPLAIN, EXPLAIN_ALL = "explain", "all"
"""The parameter that asks for heat maps, of one cell by its column's name or of all; without it an answer stays quick."""

GRADER, LOCATOR, CALIBRATION_NAME, FACTS_NAME = "grader-", "locator-", "calibration", "facts"
"""How the files of a packaged model begin."""

ANSWER_TEXTS = ("study_id", "condition", "level")
ANSWER_PLACE = {
    "series": "string", "instance_number": "long", "sop_instance_uid": "string", "x": "double", "y": "double",
    "x_mm": "double", "y_mm": "double", "z_mm": "double", "confidence": "double",
    "place_uncertain": "boolean",
}  # fmt: skip
ANSWER_WORDS = ("grade", "possible_grades", "reason", "notes")
"""Columns of an answer beside the grades' probabilities; those of the place are null where nothing was graded."""
ANSWER_ORIGIN = ("request_id", "model")
"""Columns of an answer by which it is traced: a number of its own, and the registered name and version."""
TRAINED_ON = "trained_on"
"""Column of an answer, the same in each record: :class:`lumbargrade.evaluation.trained_on.TrainedOnStatement` as JSON."""
MIN_PLACE_CONFIDENCE = 0.30
"""A place that the model found with less confidence is uncertain: a grade that was given there is never called sure."""
ANSWER_HEAT = {"heat_map": "string", "heat_map_mm": "double"}
"""Columns of an answer if :data:`EXPLAIN` is asked for; absent if not."""


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
