"""De-identifies the planned studies beside the dataset, and checks them there as a dataset of their own."""

import shutil
from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pandas as pd

from lumbargrade.config.task import GradingTask
from lumbargrade.data.intake.labels import Grades
from lumbargrade.data.intake.plan import PlannedStudy
from lumbargrade.data.intake.report import Line
from lumbargrade.data.intake.source import Source, SourceStudy
from lumbargrade.data.intake.study import StagedStudy, stage_study
from lumbargrade.data.intake.tables import Rows, write_tables
from lumbargrade.data.layout import IMAGES
from lumbargrade.data.validation.rules import KINDS
from lumbargrade.data.validation.validate import check_dataset
from lumbargrade.deidentify.pseudonyms import Pseudonyms
from lumbargrade.processes import Progress, each_result


def stage(
    staging: Path, source: Source, planned: list[PlannedStudy], pseudonyms: Pseudonyms, workers: int, progress: Progress
) -> tuple[dict[int, StagedStudy], list[Line]]:
    """De-identifies studies; those that a killed addition has finished are not made again.

    Returns:
        What was made of each study that has images, and lines for what was left out.
    """
    (staging / IMAGES).mkdir(parents=True, exist_ok=True, mode=0o700)
    of = {study.job.study_id: study for study in planned}
    staged, lines = {}, []
    work = partial(stage_study, staging, pseudonyms.key)
    for done, (job, result) in enumerate(each_result(work, [study.job for study in planned], workers), start=1):
        name = source.name(of[job.study_id].source.files[0].path.parent)
        if isinstance(result, Exception):
            reason = f"its files stopped the process that read them ({type(result).__name__})"
            lines.append(Line(name, None, "left out", reason, is_study=True))
        else:
            lines += _file_lines(source, of[job.study_id], result)
            if result.files:
                staged[job.study_id] = result
            else:
                reason = "none of its images can be used: see the files' reasons"
                lines.append(Line(name, None, "left out", reason, is_study=True))
        progress(done, len(planned))
    return staged, lines


def _file_lines(source: Source, study: PlannedStudy, staged: StagedStudy) -> list[Line]:
    paths = {(series.series_id, file.number): Path(file.path) for series in study.job.series for file in series.files}
    return [
        Line(source.name(paths[series, number]), study.job.study_id, "left out", reason, is_study=False)
        for series, number, reason in staged.left_out
    ]


def rows_of(
    source: Source,
    planned: list[PlannedStudy],
    staged: Mapping[int, StagedStudy],
    grades: Mapping[int, Grades],
    sop_points: pd.DataFrame | None,
    task: GradingTask,
    pseudonyms: Pseudonyms,
) -> tuple[Rows, int]:
    """Makes the tables' rows of staged studies.

    Returns:
        The rows, and the number of points whose image did not come along.
    """
    labels, series, points, patients, lost = [], [], [], [], 0
    for study in planned:
        number = study.job.study_id
        if number not in staged:
            continue
        labels.append({"study_id": number, **grades[number]})
        series += [
            {"study_id": number, "series_id": series_id, "series_description": description}
            for series_id, description in staged[number].series.items()
        ]
        patient = {"patient_id": study.job.patient, "study_uid": study.job.study_uid, "key": pseudonyms.fingerprint}
        patients.append({"study_id": number, **patient})
        missing = {(series_id, file) for series_id, file, _ in staged[number].left_out}
        for place, frame, row in _points(source, study, sop_points):
            if place is None or place in missing:
                lost += 1
                continue
            label = task.condition(str(row["condition"])).label
            where = {"study_id": number, "series_id": place[0], "instance_number": frame or place[1]}
            points.append({**where, "condition": label, **{name: row[name] for name in ("level", "x", "y")}})
    return Rows(labels, series, points, patients), lost


def _points(
    source: Source, study: PlannedStudy, sop_points: pd.DataFrame | None
) -> list[tuple[tuple[int, int] | None, int | None, dict[str, object]]]:
    """A study's points, with the numbers of their series and file if the image is there, and of their frame.

    A table calls the frames of a series' only file by their numbers from 1; a SOPInstanceUID names none of several.
    """
    if source.dataset is not None:
        points = source.dataset.points
        own = points[points["study_id"] == study.source.study_id]
        numbers = _numbers(study.source)
        found = [((str(row["series_id"]), row["instance_number"]), row) for row in own.to_dict("records")]
        named = [(*numbers.get(where, ("", "", None)), row) for where, row in found]
        return [(study.places.get((series, sop_uid)), frame, _named(row)) for series, sop_uid, frame, row in named]
    if sop_points is None:
        return []
    by_uid = {sop_uid: place for (_, sop_uid), place in study.places.items()}
    several = {file.sop_uid for file in study.source.files if file.frames > 1}
    rows = sop_points[sop_points["SOPInstanceUID"].isin(by_uid)].to_dict("records")
    uids = [str(row["SOPInstanceUID"]) for row in rows]
    return [(None if uid in several else by_uid[uid], None, _named(row)) for uid, row in zip(uids, rows, strict=True)]


def _numbers(study: SourceStudy) -> dict[tuple[str, int | None], tuple[str, str, int | None]]:
    """The series, UID and frame of each image of a study in RSNA layout, by its series and number in the tables."""
    alone = Counter(file.series for file in study.files)
    found: dict[tuple[str, int | None], tuple[str, str, int | None]] = {}
    for file in study.files:
        if file.frames > 1 and alone[file.series] == 1:
            found |= {(file.series, frame): (file.series, file.sop_uid, frame) for frame in range(1, file.frames + 1)}
        else:
            found[file.series, file.number] = (file.series, file.sop_uid, None)
    return found


def _named(row: Mapping[object, object]) -> dict[str, object]:
    return {str(name): value for name, value in row.items()}


def check_staged(staging: Path, task: GradingTask, rows: Rows, workers: int) -> dict[int, str]:
    """Checks staged studies as a dataset of their own.

    Returns:
        What is wrong with each study that has an error.
    """
    if not rows.labels:
        return {}
    for name in staging.glob("*.csv"):
        name.unlink()
    listed = {str(row["study_id"]) for row in rows.labels}
    for folder in (staging / IMAGES).iterdir():
        if folder.name not in listed:
            shutil.rmtree(folder)
    write_tables(staging, task, rows, {})
    found: dict[int, str] = {}
    for error in check_dataset(staging, task, workers).errors:
        if error.study_id is not None:
            found.setdefault(
                error.study_id, f"{KINDS[error.kind].title[0].lower()}{KINDS[error.kind].title[1:]}: {error.message}"
            )
    return found
