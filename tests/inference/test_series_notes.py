"""Series are described by the slices that are used, and one cause is one note."""

from pathlib import Path

from pydicom import dcmread
from pydicom.uid import generate_uid

from lumbargrade.config.task import GradingTask
from lumbargrade.inference.described_series import describe_series
from lumbargrade.inference.series_notes import find_left_out, write_notes
from tests.inference.series_files import opened


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
