"""The model's request and response: parameters and columns."""

STUDY_COLUMN = "study"

EXPLAIN, EXPLAIN_ALL = "explain", "all"
"""The parameter that asks for heat maps, of one cell by its column's name or of all; without it an answer stays quick."""

KEPT_REQUEST = "request_id"
"""The parameter that names an earlier request whose grades are to be explained; with it, no study is sent.

There are no records in the answer if the request is not kept (any more): the study must be sent again then."""

ANSWER_TEXTS = ("study_id", "condition", "level")

ANSWER_PLACE = {
    "series": "string", "series_number": "long", "series_name": "string", "instance_number": "long",
    "sop_instance_uid": "string", "x": "double", "y": "double", "x_mm": "double", "y_mm": "double", "z_mm": "double",
    "confidence": "double", "place_uncertain": "boolean",
}  # fmt: skip
"""Columns of an answer that say on which slice of which series a cell was graded, and where in it. ``series_name`` is made of
words of a fixed list."""

ANSWER_WORDS = ("grade", "possible_grades", "reason", "notes", "reason_code", "notes_json", "series_json")
"""Columns of an answer beside the grades' probabilities. ``notes`` is for people; ``notes_json`` is a list of
:class:`lumbargrade.notes.Note`, and ``reason_code`` the code of one; ``series_json`` is a list of
:class:`lumbargrade.inference.series_table.SeriesRow`. They are null where there is nothing to say."""

ANSWER_ORIGIN = ("request_id", "model")
"""Columns of an answer by which it is traced: a number of its own, and the registered name and version."""

ANSWER_HEAT = {"heat_map": "string", "heat_map_mm": "double"}
"""Columns of an answer if :data:`EXPLAIN` is asked for; absent if not."""

MIN_PLACE_CONFIDENCE = 0.30
"""A place that the model found with less confidence is uncertain: a grade that was given there is never called sure."""


def is_uncertain(confidence: float | None) -> bool:
    """Whether a place is uncertain; one that came with the study, without a confidence, is not."""
    return confidence is not None and not confidence >= MIN_PLACE_CONFIDENCE
