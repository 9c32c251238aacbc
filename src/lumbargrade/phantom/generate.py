"""Making a whole dataset of phantoms, in parallel, all or nothing."""

import csv
import errno
import json
from collections import Counter
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lumbargrade.config.task import GradingTask, load_task
from lumbargrade.data.layout import IMAGES
from lumbargrade.data.tables import LABELS, POINT_COLUMNS, POINTS, SERIES
from lumbargrade.errors import InputError, LumbargradeError
from lumbargrade.files import replaced_folder
from lumbargrade.phantom.faults import apply_faults
from lumbargrade.phantom.headers.choose import DEFAULT, Shares, draw_profile, name_shares, read_headers_choice
from lumbargrade.phantom.study import STENOSES, build_study
from lumbargrade.phantom.writer import label_row, point_rows, series_rows, set_headers, write_study
from lumbargrade.processes import Progress, map_in_processes

MARKER = "phantom.json"
TASKS = (STENOSES, "disc_degeneration")
"""What phantoms can be graded for."""
_RECIPE = 1


@dataclass(frozen=True)
class Fault:
    """One fault that was put in on purpose."""

    kind: str
    study_id: int
    series_id: int
    detail: str


@dataclass(frozen=True)
class PhantomSummary:
    """What was made.

    Attributes:
        labels: Number of cells a condition and grade: ``{"Spinal Canal Stenosis": {"Severe": 12, ..., "empty": 0}}``.
        faults: What ``faults=True`` put in, by study.
        made: False if it was there already.
    """

    studies: int
    series: int
    files: int
    points: int
    labels: dict[str, dict[str, int]]
    faults: tuple[Fault, ...] = ()
    made: bool = True


@dataclass(frozen=True)
class _Job:
    """A study to be made, as :func:`generate` was asked for it."""

    folder: Path
    seed: int
    index: int
    faults: bool
    task: str
    crops_only: bool
    headers: Shares


@dataclass(frozen=True)
class _Rows:
    """What one study adds to the tables."""

    labels: list[str]
    series: list[list[str]]
    points: list[list[str]]
    files: int
    faults: list[Fault] = field(default_factory=list)


def generate(
    directory: Path,
    studies: int,
    seed: int,
    faults: bool = False,
    workers: int = 0,
    progress: Progress | None = None,
    task: str = STENOSES,
    crops_only: bool = False,
    headers: str | Shares = DEFAULT,
) -> PhantomSummary:
    """Makes a dataset of synthetic lumbar spines in RSNA layout.

    The same arguments give the same bytes; a study does not depend on how many others there are. The folder appears
    when it is complete, or not at all. If it is there already, made with the same arguments, nothing is done.

    Args:
        directory: New or empty.
        faults: Puts in what is wrong with the real dataset.
        workers: Processes; 0 for one a CPU.
        progress: Is called with the number of finished studies and of all.
        task: One of ``TASKS``.
        crops_only: Scans no more than crops of the task's cells show, which is done sooner.
        headers: Those of one profile or several, as :func:`lumbargrade.phantom.headers.choose.read_headers_choice` says;
            images, grades and points do not depend on them.

    Raises:
        InputError: Task or headers are none of them, a number is out of range, or the folder holds something else.
        LumbargradeError: The disk is full or a worker died.
    """
    if studies < 1:
        raise InputError(f"studies is {studies}", "ask for at least 1", "phantom-studies-invalid")
    if seed < 0:
        raise InputError(f"seed is {seed}", "give 0 or a larger whole number", "phantom-seed-invalid")
    if workers < 0:
        raise InputError(f"workers is {workers}", "give 0 for one a CPU, or a larger number", "phantom-workers-invalid")
    if task not in TASKS:
        raise InputError(f"phantoms cannot be graded for {task}", f"give {' or '.join(TASKS)}", "phantom-task-invalid")
    shares = read_headers_choice(headers)
    arguments: dict[str, Any] = {"recipe": _RECIPE, "studies": studies, "seed": seed, "faults": faults}
    arguments |= {} if task == STENOSES else {"task": task}
    arguments |= {"crops_only": True} if crops_only else {}
    arguments |= {} if list(shares) == [DEFAULT] else {"headers": shares}
    there = _complete(directory, arguments)
    if there is not None:
        return there
    try:
        with replaced_folder(directory) as folder:
            rows: list[_Rows] = []
            jobs = [_Job(folder, seed, index, faults, task, crops_only, shares) for index in range(studies)]
            for row in map_in_processes(_make_study, jobs, workers):
                rows.append(row)
                if progress is not None:
                    progress(len(rows), studies)
            graded = load_task(task)
            summary = _summary(rows, graded)
            _write_tables(folder, rows, graded)
            text = json.dumps({"arguments": arguments, "summary": asdict(summary)}, indent=1)
            (folder / MARKER).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise LumbargradeError(
                f"{directory} cannot be written ({error.strerror})", "check the folder", "phantom-folder-not-writable"
            ) from error
        raise LumbargradeError(
            f"the disk of {directory} is full", "free some space (about 7 MB a study)", "disk-full"
        ) from error
    except BrokenProcessPool as error:
        raise LumbargradeError(
            "a process that draws phantoms was killed, perhaps for lack of memory",
            "use fewer workers",
            "phantom-process-killed",
        ) from error
    return summary


def _complete(directory: Path, arguments: dict[str, Any]) -> PhantomSummary | None:
    """Returns the summary of a finished dataset, or None where there is nothing, or only a damaged one of ours."""
    if directory.is_file():
        raise InputError(f"{directory} is a file", "give a folder that is new or empty", "phantom-folder-is-file")
    if not directory.exists() or not any(directory.iterdir()):
        return None
    try:
        marker = json.loads((directory / MARKER).read_text(encoding="utf-8"))
        made_with, summary = marker["arguments"], marker["summary"]
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(
            f"{directory} is not empty", "give a new folder, or remove what is in it", "phantom-folder-not-empty"
        ) from None
    if made_with != arguments:
        had = f"--studies {made_with.get('studies')} --seed {made_with.get('seed')}"
        had += " --faults" if made_with.get("faults") else ""
        had += f" --task {made_with['task']}" if "task" in made_with else ""
        had += " for crops only" if made_with.get("crops_only") else ""
        had += f" --headers {name_shares(made_with['headers'])}" if "headers" in made_with else ""
        raise InputError(
            f"{directory} holds a phantom made with {had}",
            "give a new folder, or remove it",
            "phantom-folder-of-another",
        )
    if sum(1 for _ in (directory / IMAGES).glob("*/*/*.dcm")) != summary["files"]:
        return None
    faults = tuple(Fault(**fault) for fault in summary.pop("faults"))
    return PhantomSummary(**(summary | {"made": False}), faults=faults)


def _make_study(job: _Job) -> _Rows:
    task = load_task(job.task)
    study = build_study(job.seed, job.index, task, job.crops_only)
    if job.faults:
        apply_faults(study, job.seed, job.index, task)
    rng = np.random.default_rng(np.random.SeedSequence(job.seed, spawn_key=(job.index, 2)))
    set_headers(study, draw_profile(job.headers, rng))
    files = write_study(study, job.folder)
    listed = [Fault(kind, study.study_id, series_id, detail) for kind, series_id, detail in study.faults]
    return _Rows(label_row(study, task), series_rows(study), point_rows(study, task), files, listed)


def _summary(rows: list[_Rows], task: GradingTask) -> PhantomSummary:
    counts: dict[str, Counter[str]] = {condition.label: Counter() for condition in task.conditions}
    for row in rows:
        for cell, grade in zip(task.cells, row.labels[1:], strict=True):
            counts[cell.condition.label][grade or "empty"] += 1
    return PhantomSummary(
        studies=len(rows),
        series=sum(len(row.series) for row in rows),
        files=sum(row.files for row in rows),
        points=sum(len(row.points) for row in rows),
        labels={label: {name: count[name] for name in (*task.grades, "empty")} for label, count in counts.items()},
        faults=tuple(fault for row in rows for fault in row.faults),
    )


def _write_tables(folder: Path, rows: list[_Rows], task: GradingTask) -> None:
    ordered = sorted(rows, key=lambda row: int(row.labels[0]))
    _write_table(folder / LABELS, ["study_id", *task.columns], [row.labels for row in ordered])
    series = [line for row in ordered for line in row.series]
    _write_table(folder / SERIES, ["study_id", "series_id", "series_description"], series)
    _write_table(folder / POINTS, list(POINT_COLUMNS), [line for row in ordered for line in row.points])


def _write_table(path: Path, header: list[str], rows: list[list[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
