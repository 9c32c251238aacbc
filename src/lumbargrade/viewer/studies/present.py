"""A model's records and the index of the images, put together to what the page shows."""

import base64
import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import numpy as np
from PIL import Image

from lumbargrade.config.task import CellKey, GradingTask
from lumbargrade.inference.causes import find_causes, untold_notes
from lumbargrade.inference.schema import is_uncertain
from lumbargrade.inference.series_table import read_series_json
from lumbargrade.models.trained_on import statement_of
from lumbargrade.notes import read_notes
from lumbargrade.serving.records.corrections import Correction, ServedVersion
from lumbargrade.viewer.image_index import SeriesIndex, SliceIndex, StudyIndex
from lumbargrade.viewer.schemas import (
    Cell,
    Heat,
    NotGraded,
    Place,
    ReportLinks,
    Series,
    SliceGeometry,
    StudyAnswer,
    StudyReport,
    Window,
)
from lumbargrade.viewer.studies.narrative import flags, level_sentences

Records = Sequence[Mapping[str, Any]]

_LEFT, _BACK, _HEAD = np.eye(3)


def version_of(records: Records, served: ServedVersion) -> ServedVersion:
    """The version that gave an answer: what the records say, if they do, else the one that was started."""
    name, _, version = str(records[0].get("model") or "").partition("/")
    if not version or (name, version) == (served.name, served.version):
        return served
    return ServedVersion(name=name, version=version, alias=served.alias)


def build_answer(
    study_id: str,
    task: GradingTask,
    records: Records,
    index: StudyIndex,
    served: ServedVersion,
    study_hash: str,
    corrections: Mapping[CellKey, Correction],
) -> StudyAnswer:
    """Puts an answer together.

    Args:
        study_id: The address of the study in this server.
        records: A record a cell, as the model server answers.
        corrections: By condition and level, those that were made before.
    """
    by_key = {(record["condition"], record["level"]): record for record in records}
    cells = tuple(
        _cell(task, by_key[cell.condition.name, cell.level], index, corrections.get((cell.condition.name, cell.level)))
        for cell in task.cells
    )
    causes = find_causes(records, task)
    notes = untold_notes(read_notes(records[0].get("notes"), records[0].get("notes_json")), causes)
    address = f"/api/studies/{study_id}/report"
    return StudyAnswer(
        id=study_id,
        request_id=str(records[0].get("request_id") or uuid4().hex),
        model=version_of(records, served),
        trained_on=statement_of(records[0]),
        graded_at=datetime.now(UTC).isoformat(timespec="seconds"),
        study_hash=study_hash,
        flags=tuple(flags(cells, notes, index.series)),
        not_graded=tuple(NotGraded(code=c.code, sites=c.sites, cells=len(c.cells), text=c.text) for c in causes),
        sentences=level_sentences(task, cells),
        cells=cells,
        series=tuple(map(_series, index.series)),
        series_table=read_series_json(records[0].get("series_json")),
        identifiers=index.identifiers,
        report=ReportLinks(pdf=f"{address}.pdf", sr=f"{address}.sr", json=f"{address}.json", csv=f"{address}.csv"),
    )


def report_of(answer: StudyAnswer, task: GradingTask, research_strip: str | None) -> StudyReport:
    """What of an answer can be kept."""
    kept = answer.model_dump(include=set(StudyReport.model_fields))
    return StudyReport(research_strip=research_strip, task=task.title, **kept)


def find_slice(
    index: StudyIndex, sop_uid: str, mm: Sequence[float], key: str | None = None
) -> tuple[SeriesIndex, int] | None:
    """The slice of a file that a point lies on; of an enhanced file's frames, the nearest one.

    Args:
        key: How the answer calls its series; several may have files of one SOPInstanceUID.
    """
    point = np.asarray(mm, dtype=float)
    found = [
        ((series.key != key, _distance(piece, point)), number, series)
        for series in index.series
        for number, piece in enumerate(series.slices)
        if piece.sop_uid == sop_uid
    ]
    if not found:
        return None
    _, number, series = min(found, key=lambda candidate: candidate[0])
    return series, number


def build_heat(record: Mapping[str, Any], cell: Cell, place: Place, index: StudyIndex) -> Heat:
    """The heat map of a graded cell, turned the way its slice is stored."""
    series = next(series for series in index.series if series.id == place.series_id)
    return Heat(
        series_id=place.series_id,
        slice=place.slice,
        x=place.x,
        y=place.y,
        side_mm=float(record["heat_map_mm"]),
        png=_turned(str(record["heat_map"]), series.slices[place.slice]),
        words=(
            f"What spoke for {cell.grade}: the brighter, the more it moved the model. "
            "An explanation of the answer, not evidence of a finding."
        ),
    )


def _cell(task: GradingTask, record: Mapping[str, Any], index: StudyIndex, correction: Correction | None) -> Cell:
    values = [record.get(column) for column in task.grade_columns]
    probabilities = None
    if all(value is not None for value in values):
        probabilities = {
            name: float(value) for name, value in zip(task.grades, values, strict=True) if value is not None
        }
    return Cell(
        condition=record["condition"],
        level=record["level"],
        grade=record["grade"],
        probabilities=probabilities,
        possible_grades=tuple(part for part in str(record["possible_grades"] or "").split(";") if part),
        reason=record["reason"],
        correction=correction,
        place=_place(record, index),
        place_uncertain=is_uncertain(record.get("confidence")),
    )


def _place(record: Mapping[str, Any], index: StudyIndex) -> Place | None:
    if record.get("sop_instance_uid") is None:
        return None
    mm = (float(record["x_mm"]), float(record["y_mm"]), float(record["z_mm"]))
    found = find_slice(index, str(record["sop_instance_uid"]), mm, record.get("series"))
    if found is None:
        return None
    series, number = found
    confidence = record.get("confidence")
    return Place(
        series_id=series.id,
        slice=number,
        x=float(record["x"]),
        y=float(record["y"]),
        mm=mm,
        confidence=None if confidence is None else float(confidence),
        **{name: record.get(name) for name in ("series_number", "series_name", "instance_number", "sop_instance_uid")},
    )


def _series(series: SeriesIndex) -> Series:
    return Series(
        **series.model_dump(
            include={"id", "title", "plane", "weighting", "rows", "columns", "pixel_mm", "geometry_known"}
        ),
        slices=len(series.slices),
        window=Window(center=series.window[0], width=series.window[1]),
        geometry=tuple(
            SliceGeometry(**piece.model_dump(include=set(SliceGeometry.model_fields))) for piece in series.slices
        ),
    )


def _distance(piece: SliceIndex, point: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    normal = np.cross(piece.row_dir, piece.column_dir)
    return abs(float((point - np.array(piece.origin_mm)) @ normal))


def _turned(png: str, piece: SliceIndex) -> str:
    """A heat map as its slice is stored; the model gives it as slices are displayed."""
    heat = np.array(Image.open(io.BytesIO(base64.b64decode(png))).convert("L"))
    row, column = np.array(piece.row_dir), np.array(piece.column_dir)
    sagittal = int(np.abs(np.cross(row, column)).argmax()) == 0
    axial = int(np.abs(np.cross(row, column)).argmax()) == 2
    right = _BACK if sagittal else _LEFT
    down = _BACK if axial else -_HEAD
    if abs(row @ right) < abs(row @ down):  # the slice's rows run the way that the display's columns do
        heat = heat.T
        along_row, along_column = row @ down, column @ right
    else:
        along_row, along_column = row @ right, column @ down
    heat = heat[:: -1 if along_column < 0 else 1, :: -1 if along_row < 0 else 1]
    buffer = io.BytesIO()
    Image.fromarray(heat).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")
