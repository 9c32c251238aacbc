"""The answer as a table, a row a cell."""

import csv
import io

from lumbargrade.config.task import GradingTask
from lumbargrade.viewer.schemas import Cell, StudyReport


def csv_report(report: StudyReport, task: GradingTask) -> str:
    """Returns the table; what holds for the whole study is repeated in each row, so that rows can be joined freely."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    head = ["study_hash", "request_id", "model", "graded_at", "condition", "level", "grade", *task.grade_columns]
    head += ["possible_grades", "reason", "reader_grade", "reader_comment", "place_confidence"]
    head += ["series_number", "series_name", "instance_number", "sop_instance_uid"]
    head += ["place_uncertain", "caution", "trained_on", "performance"]
    writer.writerow(head)
    shared = [report.study_hash, report.request_id, f"{report.model.name}/{report.model.version}", report.graded_at]
    caution = [report.research_strip or "", report.trained_on.sentence, report.trained_on.performance or ""]
    for cell in report.cells:
        probabilities = cell.probabilities or {}
        correction = cell.correction
        values = [f"{probabilities[grade]:.4f}" if grade in probabilities else "" for grade in task.grades]
        corrected = [correction.grade or "not graded", _text(correction.comment)] if correction else ["", ""]
        row = [cell.condition, cell.level, cell.grade or "", *values, ";".join(cell.possible_grades)]
        confidence = cell.place.confidence if cell.place else None
        place = ["" if confidence is None else f"{confidence:.4f}", *_slice(cell)]
        place.append("yes" if cell.place_uncertain else "no")
        writer.writerow([*shared, *row, cell.reason or "", *corrected, *place, *caution])
    return text.getvalue()


def _slice(cell: Cell) -> list[str]:
    place = cell.place
    if place is None:
        return [""] * 4
    values = (place.series_number, place.series_name, place.instance_number, place.sop_instance_uid)
    return ["" if value is None else str(value) for value in values]


def _text(comment: str | None) -> str:
    """A reader's words; a spreadsheet would run what begins like a formula."""
    words = comment or ""
    return f"'{words}" if words.startswith(("=", "+", "-", "@", "\t", "\r")) else words
