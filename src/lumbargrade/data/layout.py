"""A dataset in RSNA layout: three tables and ``train_images/<study>/<series>/<instance>.dcm``."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from pydicom import Dataset
from pydicom.tag import BaseTag

from lumbargrade.config.task import GradingTask
from lumbargrade.data.tables import LABELS, POINTS, SERIES, read_labels, read_points, read_series
from lumbargrade.dicom.errors import UnreadableFile
from lumbargrade.dicom.parse import parse_header
from lumbargrade.errors import InputError

IMAGES = "train_images"


@dataclass(frozen=True, eq=False)
class RsnaDataset:
    """The tables of a dataset, and where its images are.

    Attributes:
        labels: study_id and ``task.columns``, one row a study; NA where a cell has no grade.
        series: study_id, series_id, series_description.
        points: study_id, series_id, instance_number, condition (its name), level, x (column) and y (row) in pixels of
            the slice whose file is ``<instance_number>.dcm``. A cell may have points in several series.
    """

    root: Path
    task: GradingTask
    labels: pd.DataFrame
    series: pd.DataFrame
    points: pd.DataFrame

    def series_dir(self, study_id: int, series_id: int) -> Path:
        """Returns the folder of a series, whether or not it is there."""
        return self.root / IMAGES / str(study_id) / str(series_id)

    def files(self, study_id: int, series_id: int) -> list[Path]:
        """Returns the DICOM files of a series by number; none if its folder is missing."""
        return dicom_files(self.series_dir(study_id, series_id))

    def used_points(self) -> pd.DataFrame:
        """Returns the points that lie on a series which shows their condition."""
        conditions = [(condition.name, condition.series) for condition in self.task.conditions]
        shown = pd.DataFrame(conditions, columns=["condition", "series_description"])
        described = self.points.merge(self.series, on=["study_id", "series_id"])
        return described.merge(shown, on=["condition", "series_description"])[self.points.columns]


def dicom_files(folder: Path) -> list[Path]:
    """Returns the ``.dcm`` files of a folder, numbered ones first and by number; none if it is missing.

    Hidden files are left out: copies made on a Mac have a ``._1.dcm`` beside each ``1.dcm``.
    """
    if not folder.is_dir():
        return []
    files = [path for path in folder.iterdir() if path.suffix.lower() == ".dcm" and path.name[0] != "."]
    return sorted(files, key=_by_number)


def first_header(files: Iterable[Path], tags: list[BaseTag]) -> Dataset | None:
    """Reads tags of the first image that can be read; None if none can."""
    for path in files:
        with suppress(UnreadableFile):
            return parse_header(path, tags)
    return None


def _by_number(path: Path) -> tuple[float, str]:
    return (int(path.stem) if path.stem.isdecimal() else float("inf"), path.name)


def open_dataset(root: Path, task: GradingTask) -> RsnaDataset:
    """Reads the tables of a dataset and checks each of their cells; images are not opened.

    Raises:
        InputError: The folder is no dataset of this task; it names the file, column, line and value, and what to do.
    """
    if not root.is_dir():
        raise InputError(
            f"dataset folder {root} does not exist",
            f"give a folder that holds {LABELS} and {IMAGES}",
            "dataset-folder-missing",
        )
    dataset = RsnaDataset(
        root=root,
        task=task,
        labels=read_labels(root / LABELS, task),
        series=read_series(root / SERIES, task),
        points=read_points(root / POINTS, task),
    )
    if not (root / IMAGES).is_dir():
        raise InputError(
            f"{root} has no folder {IMAGES}",
            "put images there as <study_id>/<series_id>/<instance>.dcm",
            "images-folder-missing",
        )
    return dataset
