"""A dry run: what would stop the main job, and what it will take. Nothing is trained to an end, and nothing is written."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lumbargrade.config.params import DatasetParams, Params
from lumbargrade.config.project import current_project
from lumbargrade.config.task import GradingTask, load_task
from lumbargrade.data.layout import open_dataset
from lumbargrade.data.validation.counts import DatasetCounts, check_counts, count_dataset
from lumbargrade.data.versioning.dvc import versioned_bytes
from lumbargrade.errors import LumbargradeError
from lumbargrade.frozen import Frozen
from lumbargrade.models.locator import column_group
from lumbargrade.phantom.headers.choose import read_headers_choice
from lumbargrade.pipeline.estimate.disk import DiskNeed, disk_needs
from lumbargrade.pipeline.estimate.resources import TrainingHours, too_slow, training_hours
from lumbargrade.pipeline.estimate.throughput import (
    TrainingCost,
    estimate_cost,
    make_grader,
    make_locator,
)
from lumbargrade.registry.lineage.code import read_code_state, refuse_changes
from lumbargrade.tracking.mlflow_tracker import check_reachable, tracking_uri
from lumbargrade.training.grader.input_files import check_files
from lumbargrade.training.jobs.devices import find_devices


class DryRun(Frozen):
    """What a dry run found.

    Attributes:
        problems: What would stop the run, a sentence each.
        notes: What it could not find out, or will do on its own.
        dataset: What the dataset counts; None if it cannot be read.
    """

    problems: list[str]
    notes: list[str]
    dataset: DatasetCounts | None
    devices: list[str]
    training: list[TrainingCost]
    hours: list[TrainingHours]
    disk: list[DiskNeed]
    disk_needed: int
    disk_free: int


def dry_run(params: Params, allow_dirty: bool = False) -> DryRun:
    """Checks all that can be checked before the run, and estimates what it will take.

    Args:
        allow_dirty: Whether the run would take a project whose files differ from the commit.
    """
    project = current_project()
    problems: list[str] = []
    notes: list[str] = []
    task = load_task(params.task)
    if not project.dvc_stages.is_file():
        problems.append("there is no dvc.yaml here; run the command in the project's folder")
    checks: tuple[Callable[[], object], ...] = (
        lambda: read_code_state(project.root) if allow_dirty else refuse_changes(project.root),
        lambda: check_reachable(tracking_uri()),
        lambda: check_files(params, task),
        lambda: read_headers_choice(params.dataset.phantom_headers),
    )
    for check in checks:
        with _noted(problems):
            check()
    counts = _read_counts(params, task, problems, notes)
    costs = [estimate_cost(make_grader(params, task))]
    if column_group(task) is not None:
        costs.insert(0, estimate_cost(make_locator(params, task)))
    expected = params.dataset.expected
    studies = counts.studies if counts else _studies_to_come(params)
    size = counts.bytes if counts else int((expected.gigabytes or 0) * 1e9) if expected else 0
    files = counts.files if counts else (expected.files or 0) if expected else 0
    if not size:
        notes.append("the dataset's size is not known before it is there; the disk's need leaves it out")
    cells = counts.points if counts else (studies or 0) * len(task.cells)
    disk: list[DiskNeed] = []
    with _noted(problems):
        disk = disk_needs(params, size, files, cells, costs)
    needed, free = sum(need.bytes for need in disk), shutil.disk_usage(project.root).free
    if needed > free:
        problems.append(
            f"the run needs {size_words(needed)} of disk and {size_words(free)} are free in {project.root.resolve()}; free "
            "some, or run where there is more"
        )
    hours = training_hours(params, costs, cells)
    problems += [*too_slow(params, hours), *_too_large(costs)]
    return DryRun(
        problems=problems,
        notes=notes,
        dataset=counts,
        devices=[device.name for device in find_devices()],
        training=costs,
        hours=hours,
        disk=disk,
        disk_needed=needed,
        disk_free=free,
    )


def _read_counts(params: Params, task: GradingTask, problems: list[str], notes: list[str]) -> DatasetCounts | None:
    source = current_project().resolve_path(params.dataset.path)
    if not source.is_dir():
        if versioned_bytes(source):
            notes.append(f"{source} is not in the workspace; the run takes it out of DVC's cache or remote")
        elif params.dataset.path == DatasetParams().path:
            notes.append(f"{source} is not there; the run makes {params.dataset.phantom_studies} phantom studies")
        else:
            problems.append(f"dataset folder {source} does not exist; give a folder in RSNA layout with --data")
        return None
    counts = None
    with _noted(problems):
        counts = count_dataset(open_dataset(source, task))
        if not counts.points:
            problems.append(f"{source} has no points on series that show the conditions of task {task.name}")
        if params.dataset.expected is not None:
            check_counts(source, counts, params.dataset.expected)
    return counts


def _studies_to_come(params: Params) -> int | None:
    """Studies of a dataset that is not there yet, as far as that is known."""
    if params.dataset.expected is not None:
        return params.dataset.expected.studies
    return params.dataset.phantom_studies if params.dataset.path == DatasetParams().path else None


def _too_large(costs: list[TrainingCost]) -> Iterator[str]:
    sections = {"grader": "training", "locator": "locator"}
    for cost in costs:
        if cost.images_per_second is None:
            yield (
                f"a batch of the {cost.network} does not fit {cost.device} (about {size_words(cost.memory_bytes)}); lower "
                f"{sections[cost.network]}.batch_size (now {cost.batch_size})"
            )


@contextmanager
def _noted(problems: list[str]) -> Iterator[None]:
    """Takes down what would have stopped the run."""
    try:
        yield
    except LumbargradeError as error:
        problems.append(str(error))


def size_words(number: float) -> str:
    """Bytes as people say them: ``3.4 GB``."""
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.0f} MB"
