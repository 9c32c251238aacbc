"""A crop shows the same part of the patient however the scanner stored it."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from lumbargrade.config.params import PrepareParams
from lumbargrade.dicom.headers import read_headers
from lumbargrade.errors import InputError
from lumbargrade.preprocessing.crop import cut_crop
from lumbargrade.preprocessing.series import SeriesImages

PARAMS = PrepareParams(crop_mm=40.0, pixel_mm=1.0, percentiles=(0.0, 100.0))
POINT = np.array([4.0, -6.0, 10.0])
AXES = {
    "sagittal": (np.array([0.0, 1, 0]), np.array([0.0, 0, -1]), np.array([1.0, 0, 0])),
    "axial": (np.array([1.0, 0, 0]), np.array([0.0, 1, 0]), np.array([0.0, 0, 1])),
}


def anatomy(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """A smooth function of the place in the patient that looks different from every side."""
    x, y, z = np.moveaxis(points, -1, 0)
    return (
        1000
        + 200 * np.sin(x / 9 + 0.3)
        + 150 * np.cos(y / 7)
        + 120 * np.sin(z / 8 + 1)
        + 40 * np.sin((x + 2 * y - z) / 11)
    )


def write_series(
    folder: Path,
    orientation: str,
    spacing: tuple[float, float] = (1.0, 1.0),
    flips: tuple[bool, bool] = (False, False),
    transposed: bool = False,
    reverse: bool = False,
    function=anatomy,
) -> SeriesImages:
    """Writes 9 slices, 3 mm apart, of an analytic anatomy, centred on the point, and opens them as a series."""
    columns, rows, normal = AXES[orientation]
    columns, rows = (-columns if flips[0] else columns), (-rows if flips[1] else rows)
    if transposed:
        columns, rows = rows, columns
    shape = (round(90 / spacing[0]) + 1, round(90 / spacing[1]) + 1)
    series = generate_uid()
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(9):
        middle = POINT + (number - 4) * 3.0 * normal
        corner = middle - columns * spacing[1] * (shape[1] - 1) / 2 - rows * spacing[0] * (shape[0] - 1) / 2
        down, along = np.meshgrid(np.arange(shape[0]), np.arange(shape[1]), indexing="ij")
        places = corner + along[..., None] * spacing[1] * columns + down[..., None] * spacing[0] * rows
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = MRImageStorage
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid()
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.Modality = "1.2.3", series, "MR"
        dataset.InstanceNumber = 9 - number if reverse else number + 1
        dataset.ImagePositionPatient = [float(value) for value in corner]
        dataset.ImageOrientationPatient = [float(value) for value in (*columns, *rows)]
        dataset.PixelSpacing = list(spacing)
        dataset.Rows, dataset.Columns = shape
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.BitsAllocated = dataset.BitsStored = 16
        dataset.HighBit, dataset.PixelRepresentation = 15, 0
        dataset.PixelData = np.round(function(places)).astype(np.uint16).tobytes()
        dataset.save_as(folder / f"{dataset.InstanceNumber}.dcm", enforce_file_format=True)
    headers = [header for path in sorted(folder.iterdir()) for header in read_headers(path)]
    return SeriesImages(headers, PARAMS.percentiles)


def crop_at_point(
    images: SeriesImages, mirrored: bool = False, point: NDArray[np.float64] = POINT
) -> NDArray[np.float64]:
    (stack,) = images.stacks
    offsets = [abs(header.plane.to_pixel(point)[2]) for header in stack.slices]
    index = int(np.argmin(offsets))
    x, y, _ = stack.slices[index].plane.to_pixel(point)
    return cut_crop(images, stack, index, (x, y), mirrored, PARAMS).astype(float)


@pytest.mark.parametrize("orientation", AXES)
@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.6, 0.6), (0.5, 1.0), (1.0, 0.7)])
@pytest.mark.parametrize("reverse", [False, True])
def test_spacing_and_numbering_do_not_matter(tmp_path: Path, orientation: str, spacing, reverse: bool) -> None:
    plain = crop_at_point(write_series(tmp_path / "plain", orientation))
    other = crop_at_point(write_series(tmp_path / "other", orientation, spacing, reverse=reverse))
    assert plain.std() > 20
    assert np.abs(plain - other).max() <= 6


@pytest.mark.parametrize("orientation", AXES)
@pytest.mark.parametrize(
    ("flips", "transposed"), list(itertools.product(itertools.product([False, True], repeat=2), [False, True]))
)
def test_the_way_an_image_is_stored_does_not_matter(tmp_path: Path, orientation: str, flips, transposed: bool) -> None:
    plain = crop_at_point(write_series(tmp_path / "plain", orientation))
    other = crop_at_point(write_series(tmp_path / "other", orientation, flips=flips, transposed=transposed))
    assert np.abs(plain - other).max() <= 1


def reflected(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The anatomy of a patient whose left and right are exchanged about the point."""
    return anatomy(points * [-1, 1, 1] + [2 * POINT[0], 0, 0])


@pytest.mark.parametrize("orientation", AXES)
def test_a_right_side_looks_like_the_left_side_of_the_mirrored_patient(tmp_path: Path, orientation: str) -> None:
    left = crop_at_point(write_series(tmp_path / "left", orientation))
    right = crop_at_point(write_series(tmp_path / "right", orientation, function=reflected), mirrored=True)
    unmirrored = crop_at_point(write_series(tmp_path / "again", orientation, function=reflected))
    assert np.abs(left - right).max() <= 1
    assert np.abs(left - unmirrored).max() > 20


def test_channels_are_neighbours_and_the_last_one_is_repeated(tmp_path: Path) -> None:
    images = write_series(tmp_path, "sagittal")
    (stack,) = images.stacks
    x, y, _ = stack.slices[0].plane.to_pixel(POINT)
    first = cut_crop(images, stack, 0, (x, y), False, PARAMS)
    second = cut_crop(images, stack, 1, (x, y), False, PARAMS)
    assert (first[0] == first[1]).all()
    assert (first[2] == second[1]).all()
    assert (second[0] == first[1]).all()


def test_beyond_the_image_it_is_black(tmp_path: Path) -> None:
    images = write_series(tmp_path, "axial")
    (stack,) = images.stacks
    crop = cut_crop(images, stack, 4, (0.0, 0.0), False, PARAMS)
    assert (crop[:, :19, :] == 0).all()
    assert (crop[:, :, :19] == 0).all()
    assert crop[:, 22:, 22:].min() > 0


def test_the_grey_scale_does_not_depend_on_what_is_asked_first(tmp_path: Path) -> None:
    one, other = write_series(tmp_path / "a", "axial"), write_series(tmp_path / "a", "axial")
    one.pixels(one.stacks[0].slices[8])
    assert one.window == other.window


def test_an_instance_is_found_by_its_file_and_a_missing_one_is_named(tmp_path: Path) -> None:
    images = write_series(tmp_path, "axial", reverse=True)
    stack, index = images.find(9)
    assert stack.slices[index].path.name == "9.dcm"
    with pytest.raises(InputError, match="instance 40 is not among the series' images"):
        images.find(40)


def test_an_instance_that_gave_way_to_a_duplicate_is_found_in_its_place(tmp_path: Path) -> None:
    write_series(tmp_path, "axial")
    (tmp_path / "30.dcm").write_bytes((tmp_path / "3.dcm").read_bytes())
    images = SeriesImages([h for path in sorted(tmp_path.iterdir()) for h in read_headers(path)], PARAMS.percentiles)
    assert len(images.stacks[0].slices) == 9
    stack, index = images.find(30)
    assert index == images.find(3)[1]
    assert stack is images.stacks[0]
