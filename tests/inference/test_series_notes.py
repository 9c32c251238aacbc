"""Series are described by the slices that are used, and one cause is one note."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from pydicom import dcmread
from pydicom.uid import generate_uid

from lumbargrade.config.params import PrepareParams
from lumbargrade.config.task import GradingTask
from lumbargrade.dicom.headers import SliceHeader, read_headers
from lumbargrade.inference.series_notes import describe_series, find_left_out, write_notes
from lumbargrade.preprocessing.series import SeriesImages


@pytest.fixture
def sagittal(phantom: Path, tmp_path: Path) -> Path:
    """Folder of a sagittal T2 that may be spoiled."""
    table = pd.read_csv(phantom / "train_series_descriptions.csv")
    row = table[table["series_description"] == "Sagittal T2/STIR"].iloc[0]
    shutil.copytree(phantom / f"train_images/{row.study_id}/{row.series_id}", tmp_path / "series")
    return tmp_path / "series"


def opened(folder: Path) -> SeriesImages:
    headers: list[SliceHeader] = [header for path in sorted(folder.iterdir()) for header in read_headers(path)]
    return SeriesImages(headers, PrepareParams().percentiles)


def test_of_two_echoes_the_short_one_does_not_make_the_series_something_else(sagittal: Path, rsna: GradingTask) -> None:
    """The proton-density echo comes first in the files, and there are as many of it."""
    for path in list(sagittal.iterdir()):
        dataset = dcmread(path)
        dataset.EchoTime, dataset.SOPInstanceUID = 15, generate_uid()
        dataset.save_as(path.with_name(f"0-{path.name}"))
    described = describe_series("1", opened(sagittal))
    assert described.contrast == "T2"
    assert find_left_out([described], rsna) == []
    (note,) = write_notes([described], [], rsna)
    assert "they differ in echo time" in note.text


def test_no_description_is_quoted(sagittal: Path, rsna: GradingTask) -> None:
    for path in sagittal.iterdir():
        dataset = dcmread(path)
        dataset.SeriesDescription = "T2 MUELLER Scout"
        del dataset.PixelSpacing
        dataset.save_as(path)
    described = describe_series("1", opened(sagittal))
    left_out = find_left_out([described], rsna)
    assert "MUELLER" not in str(write_notes([described], left_out, rsna)) + str(left_out)
    assert len(left_out) == 1
