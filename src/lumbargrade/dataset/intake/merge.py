"""Puts prepared studies and changed grades into a dataset, in one step."""

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from lumbargrade.dataset.intake.tables import Rows, write_tables
from lumbargrade.dataset.layout import IMAGES
from lumbargrade.files import exchange_folder
from lumbargrade.task import GradingTask


def new_folder(folder: Path) -> Path:
    """Where the next state of a dataset is put together; what lies there is of no use to anybody else."""
    return folder.with_name(f".{folder.name}-new")


def merge(
    staging: Path,
    folder: Path,
    task: GradingTask,
    studies: Iterable[int],
    rows: Rows,
    changed: Mapping[int, Mapping[str, str]],
) -> None:
    """Adds studies to a dataset, or makes it of them.

    Args:
        staging: Holds the studies under ``train_images``.
        changed: Grades that take the place of others, by study and column.
    """
    new = new_folder(folder)
    if folder.exists():
        _link_tree(folder, new)
    for study_id in studies:
        _link_tree(staging / IMAGES / str(study_id), new / IMAGES / str(study_id))
    write_tables(new, task, rows, changed)
    exchange_folder(new, folder)
    shutil.rmtree(new, ignore_errors=True)


def _link_tree(source: Path, target: Path) -> None:
    """Links files, so that they take neither time nor room; copies them where the file system has no links."""
    for name, _, files in os.walk(source):
        place = target / Path(name).relative_to(source)
        place.mkdir(parents=True, exist_ok=True)
        for file in files:
            try:
                (place / file).hardlink_to(Path(name, file))
            except OSError:
                shutil.copy2(Path(name, file), place / file)
