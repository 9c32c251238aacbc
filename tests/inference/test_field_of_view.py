"""What a study shows beside the lumbar spine, or too little of, is said with counts."""

from pathlib import Path

import pytest
from pydicom import dcmread

from lumbargrade.config.task import GradingTask
from lumbargrade.inference.described_series import describe_series
from lumbargrade.inference.field_of_view import describe_fields, find_elsewhere
from lumbargrade.inference.series_notes import write_notes
from tests.inference.series_files import opened


def test_the_lumbar_spine_alone_has_no_note(sagittal: Path) -> None:
    described = describe_series("1", opened(sagittal))
    assert not list(describe_fields([described]))
    assert not find_elsewhere([described])


def test_too_few_slices_are_told(sagittal: Path) -> None:
    for path in sorted(sagittal.iterdir())[3:]:
        path.unlink()
    (note,) = describe_fields([describe_series("1", opened(sagittal))])
    assert (note.code, note.facts["count"]) == ("few-slices", 3)


def test_an_image_of_the_whole_spine_is_told(sagittal: Path) -> None:
    for path in sagittal.iterdir():
        dataset = dcmread(path)
        dataset.PixelSpacing = [2.5 * float(value) for value in dataset.PixelSpacing]
        dataset.save_as(path)
    (note,) = describe_fields([describe_series("1", opened(sagittal))])
    assert note.code == "whole-spine"
    assert "only the lumbar part is graded" in note.text


@pytest.mark.parametrize("tag", ["ImageOrientationPatient", "ImagePositionPatient"])
def test_slices_whose_place_is_lost_are_counted(sagittal: Path, tag: str, rsna: GradingTask) -> None:
    paths = sorted(sagittal.iterdir())
    for path in paths[:2]:
        dataset = dcmread(path)
        delattr(dataset, tag)
        dataset.save_as(path)
    notes = [
        note
        for note in write_notes([describe_series("1", opened(sagittal))], [], rsna)
        if note.code == "slices-unplaced"
    ]
    assert [note.facts["count"] for note in notes] == [2]
    assert "for 2 of them" in notes[0].text


def test_a_series_of_the_neck_is_left_out(sagittal: Path) -> None:
    for path in sagittal.iterdir():
        dataset = dcmread(path)
        dataset.SeriesDescription = "HWS T2 sag"
        dataset.save_as(path)
    described = describe_series("1", opened(sagittal))
    (left_out,) = find_elsewhere([described])
    assert (left_out.orientation, left_out.contrast) == ("sagittal", "T2")
    assert left_out.reason == "its name says that it shows the cervical spine"
    assert not list(describe_fields([described]))
