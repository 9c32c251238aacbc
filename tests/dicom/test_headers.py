from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from lumbargrade.dicom.headers import NotAnImage, UnreadableFile, read_headers
from lumbargrade.dicom.stacks import group_stacks

Make = Callable[..., Dataset]


def test_reads_what_a_slice_says_of_itself(write: Any) -> None:
    path = write.image(name="7.dcm", InstanceNumber=7)
    (header,) = read_headers(path)
    assert (header.path, header.frame, header.instance_number) == (path, None, 7)
    assert (header.study_uid, header.series_uid) == ("1.2.3", "1.2.3.4")
    assert (header.modality, header.series_description, header.manufacturer) == ("MR", "T2 SAG", "Maker")
    assert (header.thickness, header.field_strength, header.plane_known) == (4.0, 1.5, True)
    assert header.transfer_syntax == "1.2.840.10008.1.2.1"
    assert header.plane.shape == (6, 8)
    assert header.plane.spacing == (0.5, 0.75)
    np.testing.assert_array_equal(header.plane.position, [1, 2, 3])
    np.testing.assert_array_equal(header.plane.row_direction, [0, 1, 0])
    np.testing.assert_array_equal(header.plane.column_direction, [0, 0, -1])


def test_nothing_of_the_patient_is_kept(write: Any) -> None:
    assert "SECRET" not in repr(read_headers(write.image()))


@pytest.mark.parametrize("absent", ["ImagePositionPatient", "ImageOrientationPatient"])
@pytest.mark.parametrize(("description", "orientation"), [("T2 sagittal", "sagittal"), ("T2 TSE", "axial")])
def test_without_a_place_slices_follow_their_numbers(
    write: Any, absent: str, description: str, orientation: str
) -> None:
    tags = {absent: None, "SeriesDescription": description}
    if absent == "ImagePositionPatient":
        tags["ImageOrientationPatient"] = [0, 1, 0, 0, 0, -1] if orientation == "sagittal" else [1, 0, 0, 0, 1, 0]
    paths = [write.image(name=f"{number}.dcm", InstanceNumber=number, **tags) for number in (3, 1, 10, 2)]
    headers = [header for path in paths for header in read_headers(path)]
    assert not any(header.plane_known for header in headers)
    (stack,) = group_stacks(headers)
    assert stack.orientation == orientation
    assert [header.instance_number for header in stack.slices] == [1, 2, 3, 10]
    assert stack.spacing_between == pytest.approx(4)  # the thickness stands in for the distance


@pytest.mark.parametrize(
    "spacing", [None, [0, 0], [0.5, 0], [-1, 1], [0.5], "", [1e-6, 1e-6], [50, 50], [0.5, 50], [float("nan"), 0.5]]
)
def test_without_a_size_that_can_be_pixels_are_of_unknown_size(write: Any, spacing: Any) -> None:
    (header,) = read_headers(write.image(PixelSpacing=spacing))
    assert not header.spacing_known
    assert not header.plane_known
    assert header.placed
    np.testing.assert_array_equal(header.plane.position, [1, 2, 3])


@pytest.mark.parametrize(
    "cosines", [[1, 0, 0, 1, 0, 0], [1, 0, 0, 0.5, 0.8, 0], [0] * 6, [1, 0, 0], [1e200, 0, 0, 0, 1e200, 0]]
)
def test_an_orientation_that_cannot_be_is_not_believed(write: Any, cosines: list[float]) -> None:
    (header,) = read_headers(write.image(ImageOrientationPatient=cosines))
    assert not header.orientation_known
    assert header.spacing_known
    assert header.plane.row_direction @ header.plane.column_direction == 0
    assert np.linalg.norm(header.plane.normal) == 1


def test_an_orientation_that_is_nearly_right_is_made_right(write: Any) -> None:
    (header,) = read_headers(write.image(ImageOrientationPatient=[1.01, 0, 0, 0.02, 0.99, 0]))
    assert header.plane_known
    np.testing.assert_allclose(header.plane.row_direction, [1, 0, 0])
    np.testing.assert_allclose(header.plane.column_direction, [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(header.plane.to_pixel(header.plane.to_patient([40, 30])), [40, 30, 0], atol=1e-9)


def test_frames_take_what_is_theirs_and_what_is_shared(write: Any, new_enhanced: Make) -> None:
    path = write.dataset(new_enhanced(np.zeros((3, 6, 8), np.uint16)))
    headers = read_headers(path)
    assert [header.frame for header in headers] == [0, 1, 2]
    assert [header.plane.position[2] for header in headers] == [0, 5, 10]
    for header in headers:
        assert header.plane_known
        assert header.plane.spacing == (0.6, 0.4)
        assert header.thickness == 5
        np.testing.assert_array_equal(header.plane.normal, [0, 0, 1])


def test_frames_that_do_not_say_where_they_are_are_stacked_in_order(write: Any, new_image: Make) -> None:
    dataset = new_image(np.zeros((3, 6, 8), np.uint16), NumberOfFrames=3)
    headers = read_headers(write.dataset(dataset))
    assert not any(header.plane_known for header in headers)
    (stack,) = group_stacks(headers)
    assert [header.frame for header in stack.slices] == [0, 1, 2]


def test_one_frame_takes_what_is_shared(write: Any, new_enhanced: Make) -> None:
    dataset = new_enhanced(np.zeros((1, 6, 8), np.uint16))
    dataset.SharedFunctionalGroupsSequence[0].PlanePositionSequence = [Dataset()]
    dataset.SharedFunctionalGroupsSequence[0].PlanePositionSequence[0].ImagePositionPatient = [7, 8, 9]
    del dataset.PerFrameFunctionalGroupsSequence, dataset.NumberOfFrames
    (header,) = read_headers(write.dataset(dataset))
    assert header.plane_known
    np.testing.assert_array_equal(header.plane.position, [7, 8, 9])


@pytest.mark.parametrize(
    ("implicit", "little"), [(True, True), (False, True), (False, False)], ids=["implicit", "explicit", "big"]
)
def test_reads_a_file_without_meta_information(write: Any, new_image: Make, implicit: bool, little: bool) -> None:
    path = write.folder / "bare.dcm"
    new_image(np.zeros((6, 8), np.uint16)).save_as(path, implicit_vr=implicit, little_endian=little)
    (header,) = read_headers(path)
    assert header.transfer_syntax == ""
    assert header.plane_known
    assert header.plane.shape == (6, 8)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_names_the_transfer_syntax(write: Any, syntax: str) -> None:
    assert read_headers(write.image(syntax=syntax))[0].transfer_syntax == syntax


def test_a_report_is_no_image(write: Any) -> None:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.88.11", "1.2.3"
    dataset.Modality, dataset.PatientName = "SR", "SECRET^PERSON"
    path = write.dataset(dataset, "report.dcm")
    with pytest.raises(NotAnImage) as caught:
        read_headers(path)
    assert str(caught.value) == "report.dcm is a DICOM object without an image"


@pytest.mark.parametrize(
    "sop_class",
    ["1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7", "1.2.840.10008.5.1.4.1.1.4.2"],
    ids=["segmentation", "label map", "spectroscopy"],
)
def test_what_has_rows_and_columns_may_be_no_image(write: Any, sop_class: str) -> None:
    with pytest.raises(NotAnImage) as caught:
        read_headers(write.image(name="seg.dcm", SOPClassUID=sop_class))
    assert str(caught.value) == "seg.dcm is a DICOM object without an image"


def test_a_directory_is_no_image(write: Any) -> None:
    dataset = Dataset()
    dataset.FileSetID = "DISC"
    dataset.DirectoryRecordSequence = []
    dataset.ensure_file_meta()
    dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    path = write.dataset(dataset, "DICOMDIR")
    with pytest.raises(NotAnImage) as caught:
        read_headers(path)
    assert str(caught.value) == "DICOMDIR is a DICOM object without an image"


def test_a_file_that_is_gone(write: Any) -> None:
    with pytest.raises(UnreadableFile) as caught:
        read_headers(write.folder / "gone.dcm")
    assert str(caught.value) == "gone.dcm is not there"
    assert not isinstance(caught.value, NotAnImage)
