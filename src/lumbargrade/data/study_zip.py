"""A study as a client sends it: one zip of its DICOM files, and of its points where they are known."""

import io
import zipfile
from pathlib import Path

import pandas as pd

from lumbargrade.data.layout import IMAGES, dicom_files
from lumbargrade.data.spelling import spell_columns
from lumbargrade.data.tables import POINT_COLUMNS
from lumbargrade.data.tables import POINTS as COORDINATES
from lumbargrade.errors import InputError

POINTS = "points.csv"
"""The member of a study's zip that says where to look, with the columns of the coordinates table."""


def zip_study(dataset: Path, study_id: int, only_pointed: bool = False, with_points: bool = True) -> bytes:
    """Zips a study of a dataset.

    Args:
        with_points: Whether to put its rows of the coordinates table in, as :data:`POINTS`.
        only_pointed: Whether to leave out slices that carry no point.

    Raises:
        InputError: The dataset has no such study.
    """
    images = dataset / IMAGES
    table = pd.read_csv(dataset / COORDINATES)
    table.columns = pd.Index(spell_columns([str(name).strip() for name in table.columns], POINT_COLUMNS))
    points = table[table["study_id"] == study_id]
    files = [path for series in sorted((images / str(study_id)).glob("*")) for path in dicom_files(series)]
    if only_pointed:
        pointed = set(zip(points["series_id"].astype(str), points["instance_number"].astype(str), strict=True))
        named = {(path.parent.name, path.stem) for path in files}
        whole = {series for series, number in pointed if (series, number) not in named}  # their frames have the points
        files = [path for path in files if path.parent.name in whole or (path.parent.name, path.stem) in pointed]
    if not files:
        raise InputError(
            f"study {study_id} has no images in {images}", "choose one of train.csv", "study-without-images"
        )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path in files:
            archive.write(path, path.relative_to(images).as_posix())
        if with_points:
            archive.writestr(POINTS, points.to_csv(index=False))
    return buffer.getvalue()
