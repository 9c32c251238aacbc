"""Grades a study the way training saw its kind: same reading, order, places, crops and normalisation."""

import math
from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lumbargrade.config.task import CellKey, GradingTask
from lumbargrade.data.study_zip import POINTS
from lumbargrade.dicom.limits import check_time
from lumbargrade.inference.drift_features import Features, embed, study_features
from lumbargrade.inference.field_of_view import describe_fields, find_elsewhere
from lumbargrade.inference.opened_study import OpenedStudy
from lumbargrade.inference.points import split_conflicts
from lumbargrade.inference.predict import cell_codes, grade_crops, pool_cells
from lumbargrade.inference.schema import ANSWER_PLACE, is_uncertain
from lumbargrade.inference.series_notes import find_left_out, write_notes
from lumbargrade.inference.series_table import tabulate_series, write_series_json
from lumbargrade.inference.study import Study
from lumbargrade.localization.localize import LocatedStudy, locate_study
from lumbargrade.models.bundle import LoadedModel
from lumbargrade.notes import Note, join_notes, write_notes_json
from lumbargrade.preprocessing.points import PointCrop, cut_points


@dataclass
class _Found:
    """Crops that could be cut, where, and why others could not."""

    rows: list[dict[str, str]] = field(default_factory=list)
    crops: list[NDArray[np.uint8]] = field(default_factory=list)
    points: dict[CellKey, PointCrop] = field(default_factory=dict)
    reasons: dict[CellKey, Note] = field(default_factory=dict)
    places: dict[CellKey, dict[str, object]] = field(default_factory=dict)


class CellCrop(NamedTuple):
    """The crop of a graded cell, (channels, rows, columns).

    Attributes:
        reflected: Whether its columns run against those of the displayed slice.
    """

    pixels: NDArray[np.uint8]
    reflected: bool


class GradedCrops(NamedTuple):
    """A study's answer and its crops: all that explaining a grade needs, long after the study itself is gone."""

    answer: pd.DataFrame
    crops: Mapping[CellKey, CellCrop]

    @property
    def size(self) -> int:
        """Bytes of memory."""
        return int(self.answer.memory_usage(deep=True).sum()) + sum(crop.pixels.nbytes for crop in self.crops.values())


@dataclass(frozen=True, eq=False)
class GradedStudy:
    """A study's answer, and what it was made from.

    Attributes:
        answer: What :func:`grade_study` returns.
        points: The crop of each graded cell's place.
    """

    answer: pd.DataFrame
    points: Mapping[CellKey, PointCrop]
    _opened: OpenedStudy
    _embedding: Mapping[str, tuple[float, ...]]
    _notes: int

    @property
    def graded_crops(self) -> GradedCrops:
        """What can be kept after the study is closed; the crops are copies, so that nothing else is kept with them."""
        crops = {
            key: CellCrop(point.crop.copy(), point.reflected)
            for key, point in self.points.items()
            if point.crop is not None
        }
        return GradedCrops(self.answer, crops)

    def features(self) -> Features:
        """What is kept of the study to see drift by; to be asked as long as the study is open."""
        return study_features(self._opened.described(), self._embedding, self._notes)


def grade_study(model: LoadedModel, study: Study, abstain_above: int = 0) -> pd.DataFrame:
    """Grades every cell of the task, or says why a cell cannot be graded.

    Args:
        model: Its locators say where to look, unless the study carries its points.
        abstain_above: A cell with more possible grades than this gets a reason in place of a grade; 0 is never.

    Returns:
        One row a cell in the task's order: study_id, condition, level, ``task.grade_columns``, grade,
        possible_grades (joined by ``;``, the true one is among them as often as the calibration says), reason, notes,
        reason_code, notes_json, series_json, and the columns of
        :data:`lumbargrade.inference.schema.ANSWER_PLACE`; what does not apply is None.
    """
    return grade_with_crops(model, study, abstain_above).answer


def grade_with_crops(model: LoadedModel, study: Study, abstain_above: int = 0) -> GradedStudy:
    """Grades as :func:`grade_study` does, and keeps what the answer was made from."""
    config, locators = model.config, model.locators
    task = config.task
    opened = OpenedStudy(study, config.prepare.percentiles)
    located = LocatedStudy()
    points = study.points
    left_out = [*find_left_out(opened.series.values(), task), *find_elsewhere(opened.series.values())]
    if points is None and locators:
        located = locate_study(locators, opened.stacks(locators[0]), left_out)
        points = located.table(study.study_id)
    found = _Found(reasons=dict(located.reasons))
    if study.points is not None:
        points, conflicts = split_conflicts(study.points)
        found.reasons |= conflicts
    if points is not None:
        for point in cut_points(points, opened.images, task, config.prepare, quoted=False):
            _keep(point, found, study, opened, located)
    graded = pd.DataFrame(columns=["condition", "level", *task.grade_columns])
    embedding: Mapping[str, tuple[float, ...]] = {}
    if found.crops:
        index = pd.DataFrame(found.rows)
        seen: list[NDArray[np.float32]] = []
        probabilities = grade_crops(model.graders, np.stack(found.crops), cell_codes(index, task), seen=seen)
        check_time()
        embedding = embed(index, seen, task)
        graded = model.calibration.apply(task, pool_cells(index, probabilities, task))
        graded["possible"] = [
            [grade for grade, may_be in zip(task.grades, row, strict=True) if may_be]
            for row in model.calibration.sets(task, graded)
        ]
    by_cell = {(row["condition"], row["level"]): row for row in graded.to_dict("records")}
    notes = [*study.notes, *located.notes, *write_notes(list(opened.series.values()), left_out, task)]
    notes += describe_fields(opened.series.values())
    for key in [key for key, row in by_cell.items() if not np.isfinite([row[c] for c in task.grade_columns]).all()]:
        del by_cell[key]
        found.reasons[key] = Note.make("answer-not-finite", "the model's answer for this cell is not a number")
    rows = tabulate_series(
        list(opened.series.values()), task, _graded_on(found.places, by_cell), located, left_out, study.torn
    )
    names = {row.series: row.name for row in rows}
    for place in found.places.values():
        place["series_name"] = names.get(str(place["series"]))
    words = {"notes": join_notes(notes), "notes_json": write_notes_json(notes), "series_json": write_series_json(rows)}
    records = []
    for cell in task.cells:
        key = (cell.condition.name, cell.level)
        missing = found.reasons.get(key, _no_point(study))
        record = _record(task, study.study_id, key, by_cell.get(key), missing, abstain_above)
        place = found.places.get(key, dict.fromkeys(ANSWER_PLACE))
        records.append({name: _finite(value) for name, value in {**record, **words, **place}.items()})
    answer = pd.DataFrame(records, dtype=object)
    return GradedStudy(answer, found.points, opened, embedding, len(notes))


def _keep(point: PointCrop, found: _Found, study: Study, opened: OpenedStudy, located: LocatedStudy) -> None:
    key = (point.condition.name, point.level)
    if point.crop is None:
        found.reasons[key] = Note(code=point.code, text=point.reason or "")
        return
    found.rows.append({"study_id": study.study_id, "condition": key[0], "level": key[1]})
    found.crops.append(point.crop)
    found.points[key] = point
    images = opened.images(point.series_id)
    stack, index = images.find(point.instance_number)
    header = stack.slices[index]
    position = header.plane.to_patient(np.array([point.x, point.y]))
    place = located.places.get(key)
    found.places[key] = {
        "series": study.key(point.series_id),
        "series_number": header.series_number,
        "series_name": None,
        "instance_number": header.instance_number or point.instance_number,
        "sop_instance_uid": header.sop_uid,
        "x": point.x,
        "y": point.y,
        **dict(zip(("x_mm", "y_mm", "z_mm"), position.tolist(), strict=True)),
        "confidence": place.confidence if place else None,
        "place_uncertain": is_uncertain(place.confidence if place else None),
    }


def _graded_on(places: Mapping[CellKey, Mapping[str, object]], graded: Collection[CellKey]) -> dict[str, set[str]]:
    """The conditions that are graded on each series."""
    conditions: dict[str, set[str]] = {}
    for key, place in places.items():
        if key in graded:
            conditions.setdefault(str(place["series"]), set()).add(key[0])
    return conditions


def refuse_study(
    task: GradingTask, reason: str, code: str = "study-refused", study_id: str | None = None
) -> pd.DataFrame:
    """The answer for a study that cannot be opened: every cell with the reason.

    Args:
        code: Of the error that the reason is of.
        study_id: Where it is one of several that are answered together.
    """
    empty = dict.fromkeys(("notes", "notes_json", "series_json", *ANSWER_PLACE))
    why = Note(code=code, text=reason)
    records = [{**_record(task, study_id, (c.condition.name, c.level), None, why), **empty} for c in task.cells]
    return pd.DataFrame(records, dtype=object)


def _finite(value: object) -> object:
    """What JSON can carry: an infinite number becomes None."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _record(
    task: GradingTask,
    study_id: str | None,
    key: CellKey,
    graded: dict[Hashable, Any] | None,
    missing: Note,
    abstain_above: int = 0,
) -> dict[str, object]:
    record: dict[str, object] = {"study_id": study_id, "condition": key[0], "level": key[1]}
    probabilities = [None if graded is None else graded[column] for column in task.grade_columns]
    record |= dict(zip(task.grade_columns, probabilities, strict=True))
    possible = [] if graded is None else graded["possible"]
    unsure = 0 < abstain_above < len(possible)
    likeliest = None if graded is None else task.grades[int(np.argmax(np.array(probabilities, dtype=float)))]
    record["grade"] = None if unsure else likeliest
    record["possible_grades"] = ";".join(possible) or None
    reason = missing if graded is None else None
    if unsure:
        reason = Note.make("not-sure-enough", "not sure enough: may be {grades}", grades=" or ".join(possible))
    record["reason"] = None if reason is None else reason.text
    record["reason_code"] = None if reason is None else reason.code
    return record


def _no_point(study: Study) -> Note:
    if study.points is None:
        return Note.make(
            "nowhere-to-look",
            "the model has no locator and the study carries no {file}, so it is not known where to look",
            file=POINTS,
        )
    return Note.make("no-point", "{file} has no point for this cell", file=POINTS)
