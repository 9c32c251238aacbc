"""Puts prepared studies and changed grades into a dataset, in one step, and only if nothing is lost by it."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from lumbargrade.config.task import GradingTask
from lumbargrade.data.intake.tables import TABLES, Rows, count_rows, write_tables
from lumbargrade.data.layout import IMAGES
from lumbargrade.errors import LumbargradeError
from lumbargrade.files import exchange_folder, new_folder
from lumbargrade.tree import check_whole, file_sizes, link_tree, remove_tree


def merge(
    staging: Path,
    folder: Path,
    task: GradingTask,
    studies: Iterable[int],
    rows: Rows,
    changed: Mapping[int, Mapping[str, str]],
) -> None:
    """Adds studies to a dataset, or makes it of them.

    Files and rows are counted before the folders change places. Linked folders of the dataset become folders of links.

    Args:
        staging: Holds the studies under ``train_images``.
        changed: Grades that take the place of others, by study and column.

    Raises:
        InputError: Something in the dataset cannot be read; nothing was changed.
        LumbargradeError: A file or a row would be lost, or the dataset changed meanwhile; nothing was changed.
    """
    new = new_folder(folder)
    before = file_sizes(folder) if folder.exists() else {}
    coming: dict[Path, int] = {}
    if folder.exists():
        link_tree(folder, new)
    for study_id in studies:
        staged = staging / IMAGES / str(study_id)
        coming |= {Path(IMAGES, str(study_id), path): size for path, size in file_sizes(staged).items()}
        link_tree(staged, new / IMAGES / str(study_id))
    write_tables(new, task, rows, changed)
    check_whole(new, before | coming, but=frozenset(map(Path, TABLES)))
    _check_rows(folder, new, rows)
    if folder.exists() and file_sizes(folder) != before:
        raise LumbargradeError(
            f"{folder} changed while studies were added to it",
            "nothing was added, run again",
            "dataset-changed-meanwhile",
        )
    exchange_folder(new, folder)
    remove_tree(new)


def _check_rows(folder: Path, new: Path, rows: Rows) -> None:
    before, after, added = count_rows(folder), count_rows(new), dict(zip(TABLES, rows, strict=True))
    for name, number in after.items():
        wanted = before.get(name, 0) + len(added[name])
        if number != wanted:
            raise LumbargradeError(
                f"{new / name} has {number} rows where {wanted} are right",
                "nothing was added, run again",
                "merged-table-incomplete",
            )
