"""Decides of each study of a source whether it comes along, under which numbers, and as whose."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from lumbargrade.config.task import GradingTask
from lumbargrade.data.intake.report import Line
from lumbargrade.data.intake.source import Source, SourceFile, SourceStudy
from lumbargrade.data.intake.study import FileJob, SeriesJob, StudyJob
from lumbargrade.deidentify.pseudonyms import Pseudonyms
from lumbargrade.deidentify.vocabulary import DESCRIPTION_WORDS, known_words


@dataclass(frozen=True, eq=False)
class PlannedStudy:
    """A study that comes along, if its files can be read.

    Attributes:
        places: Number of series and file of each image, by its series in the source and its own UID.
        nameless: Whether nothing tells its patient.
    """

    source: SourceStudy
    job: StudyJob
    places: dict[tuple[str, str], tuple[int, int]]
    nameless: bool


@dataclass(frozen=True)
class Plan:
    """What is to be done about a source.

    Attributes:
        studies: Those that come along.
        existing: Studies that the dataset has already, with their numbers in it.
        lines: Studies and files that are left out.
    """

    studies: list[PlannedStudy] = field(default_factory=list)
    existing: list[tuple[SourceStudy, int]] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)


def plan_intake(
    source: Source, task: GradingTask, pseudonyms: Pseudonyms, patients: pd.DataFrame, taken: set[int]
) -> Plan:
    """Plans which studies come along.

    Args:
        patients: The dataset's, as :func:`lumbargrade.data.patients.read_patients` gives them.
        taken: Numbers of studies and series that the dataset has; those that are given out are added.
    """
    plan = Plan()
    known = {str(uid): int(study) for uid, study in zip(patients["study_uid"], patients["study_id"], strict=True)}
    for study in source.studies:
        reason = _unfit(study)
        if reason:
            name = source.name(study.files[0].path.parent) if study.files else str(study.study_id or "")
            plan.lines.append(Line(name, None, "left out", reason, is_study=True))
            continue
        study_uid = pseudonyms.uid(study.uid)
        if study_uid in known:
            plan.existing.append((study, known[study_uid]))
            continue
        planned = _planned(study, study_uid, task, pseudonyms, taken, plan, source)
        known[study_uid] = planned.job.study_id
        plan.studies.append(planned)
    return plan


def _unfit(study: SourceStudy) -> str | None:
    if not study.files:
        return "it has no image that can be read"
    if len(study.patients - {()}) > 1:
        return f"its files are of {len(study.patients - {()})} patients under one StudyInstanceUID"
    return None


def _planned(
    study: SourceStudy,
    study_uid: str,
    task: GradingTask,
    pseudonyms: Pseudonyms,
    taken: set[int],
    plan: Plan,
    source: Source,
) -> PlannedStudy:
    identity = next(iter(study.patients - {()}), None)
    patient = pseudonyms.patient(*(identity or ("study", study.uid)))
    study_id = _free_number(pseudonyms, taken, "study", study.uid)
    by_series: dict[str, list[SourceFile]] = defaultdict(list)
    for file in study.files:
        by_series[file.series].append(file)
    series_jobs: list[SeriesJob] = []
    places: dict[tuple[str, str], tuple[int, int]] = {}
    seen: set[str] = set()
    for series, all_files in sorted(by_series.items()):
        files = []
        for file in all_files:
            if file.sop_uid in seen:
                reason = "it is a copy of another file of its study"
                plan.lines.append(Line(source.name(file.path), study_id, "left out", reason, is_study=False))
            else:
                seen.add(file.sop_uid)
                files.append(file)
        series_id = _free_number(pseudonyms, taken, "series", study.uid, series)
        jobs = [(file, FileJob(str(file.path), number)) for file, number in _numbered(files)]
        places |= {(series, file.sop_uid): (series_id, job.number) for file, job in jobs}
        description = _description(study.descriptions.get(series), task)
        series_jobs.append(SeriesJob(series_id, description, tuple(job for _, job in jobs)))
    words = tuple(sorted(study.words))
    job = StudyJob(study_id, study_uid, patient, words, task.series, tuple(series_jobs))
    return PlannedStudy(study, job, places, nameless=identity is None)


def _description(description: str | None, task: GradingTask) -> str | None:
    """A description that the task does not know was typed by somebody."""
    if description is None or description in task.series:
        return description
    return known_words(description, DESCRIPTION_WORDS, ()) or "other"


def _numbered(files: list[SourceFile]) -> Iterator[tuple[SourceFile, int]]:
    """Numbers files as they are numbered, if that tells them apart; else one after the other."""
    numbers = {file.number for file in files}
    if len(numbers) == len(files) and all(number is not None and 0 <= number < 10**9 for number in numbers):
        yield from ((file, file.number or 0) for file in files)
        return
    ordered = sorted(files, key=lambda file: (np.inf if file.number is None else file.number, file.sop_uid))
    yield from ((file, place) for place, file in enumerate(ordered, start=1))


def _free_number(pseudonyms: Pseudonyms, taken: set[int], *parts: str) -> int:
    attempt = 0
    while (number := pseudonyms.number(*parts, str(attempt))) in taken:
        attempt += 1
    taken.add(number)
    return number
