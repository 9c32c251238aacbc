"""What a dataset's own table says of the series of one of its studies."""

from functools import lru_cache
from pathlib import Path

import pandas as pd

from lumbargrade.config.task import GradingTask, series_kind
from lumbargrade.data.tables import SERIES, read_series

_TABLES = {"train_images": SERIES, "test_images": SERIES.replace("train", "test")}


def find_table(folder: Path) -> Path | None:
    """The table of the dataset that a study's folder is of: beside its images' folder, or in the folder itself.

    Args:
        folder: As ``<dataset>/train_images/<study>``, or one that holds the table.
    """
    folder = folder.absolute()
    places = [folder / SERIES]
    if folder.parent.name in _TABLES:
        places.append(folder.parent.parent / _TABLES[folder.parent.name])
    return next((place for place in places if place.is_file()), None)


def read_descriptions(table: Path, study: str, task: GradingTask) -> dict[str, str]:
    """Descriptions of a study's series by their numbers; only those that name a plane and a weighting.

    Args:
        study: Name of its folder; if it is no number, the table is of this study alone.

    Raises:
        InputError: The table cannot be read.
    """
    rows = _read(table, table.stat().st_mtime_ns, task)
    if study.isdecimal():
        rows = rows[rows["study_id"] == int(study)]
    elif rows["study_id"].nunique() > 1:
        return {}
    pairs = zip(rows["series_id"], rows["series_description"], strict=True)
    return {str(number): str(text) for number, text in pairs if _is_kind(str(text))}


@lru_cache(maxsize=2)
def _read(table: Path, changed: int, task: GradingTask) -> pd.DataFrame:
    return read_series(table, task)


def _is_kind(description: str) -> bool:
    try:
        series_kind(description)
    except ValueError:
        return False
    return True
