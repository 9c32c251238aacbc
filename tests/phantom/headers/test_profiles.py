"""One study with each profile of headers: images, geometry, grades and points are the same, and the rest is as its maker's."""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import UID, EnhancedMRImageStorage

from lumbargrade.config.task import load_task
from lumbargrade.dicom.headers import SliceHeader, read_headers
from lumbargrade.dicom.numbering import number_slices
from lumbargrade.dicom.pixels import read_pixels
from lumbargrade.dicom.synthetic import is_synthetic
from lumbargrade.phantom.faults import SPOILS
from lumbargrade.phantom.headers.choose import PROFILES
from lumbargrade.phantom.study import Study, build_study, true_point
from lumbargrade.phantom.writer import set_headers, write_study

pytestmark = pytest.mark.slow

TASK = load_task("rsna2024")
CONTRASTS = {"Sagittal T1": "T1", "Sagittal T2/STIR": "T2", "Axial T2": "T2"}


@pytest.fixture(scope="module")
def study() -> Study:
    return build_study(11, 0, TASK)


@pytest.fixture(scope="module")
def written(study: Study, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Study, Path]]:
    """The study and its folder by headers."""
    root = tmp_path_factory.mktemp("headers")
    return {name: write(study, name, root / name) for name in PROFILES}


def write(study: Study, name: str, root: Path) -> tuple[Study, Path]:
    copied = deepcopy(study)
    set_headers(copied, name)
    write_study(copied, root)
    return copied, root / "train_images" / str(study.study_id)


def slices(study: Study, folder: Path, description: str) -> Iterator[SliceHeader]:
    for series in study.described(description):
        for path in sorted((folder / str(series.series_id)).iterdir()):
            yield from read_headers(path)


def tags(study: Study, folder: Path) -> list[Dataset]:
    return [dcmread(path) for path in sorted(folder.rglob("*.dcm"))]


@pytest.mark.parametrize("name", PROFILES)
def test_images_and_geometry_are_the_same(name: str, written: dict[str, tuple[Study, Path]]) -> None:
    for description in CONTRASTS:
        plain = {header.plane.position.tobytes(): header for header in slices(*written["plain"], description)}
        other = {header.plane.position.tobytes(): header for header in slices(*written[name], description)}
        assert plain.keys() == other.keys()
        for place, header in plain.items():
            same = other[place]
            assert same.plane_known
            assert np.array_equal(read_pixels(header), read_pixels(same))
            for one, two in zip(vars(header.plane).values(), vars(same.plane).values(), strict=True):
                assert np.array_equal(one, two)
            assert (header.thickness, header.between) == (same.thickness, same.between)


@pytest.mark.parametrize("name", PROFILES)
def test_points_lie_where_the_anatomy_is(name: str, written: dict[str, tuple[Study, Path]]) -> None:
    study, folder = written[name]
    assert len(study.points) > 15
    numbered = {
        series.series_id: {
            number: header for header, number in number_slices(list(slices(study, folder, series.description))).items()
        }
        for series in study.series
    }
    for point in study.points:
        plane = numbered[point.series_id][point.instance].plane
        x, y, off = plane.to_pixel(true_point(study.spine, point.condition, point.level, TASK))
        assert np.hypot(x - point.x, y - point.y) < 0.1
        assert abs(off) < 4


@pytest.mark.parametrize("name", PROFILES)
def test_headers_say_what_it_is_and_that_it_is_nobody(name: str, written: dict[str, tuple[Study, Path]]) -> None:
    study, folder = written[name]
    assert all(is_synthetic(dataset) for dataset in tags(study, folder))
    for description, contrast in CONTRASTS.items():
        found = {(header.contrast, header.localizer) for header in slices(study, folder, description)}
        assert found == {(None if name == "minimal" else contrast, None)}


def test_the_challenges_files_have_about_thirty_tags(written: dict[str, tuple[Study, Path]]) -> None:
    study, folder = written["rsna2024"]
    for dataset in tags(study, folder):
        assert 25 <= len(dataset) <= 35
        assert "Modality" not in dataset and "SOPClassUID" not in dataset and "NumberOfFrames" not in dataset
        assert "EchoTime" not in dataset and "Manufacturer" not in dataset
        assert dataset.file_meta.MediaStorageSOPClassUID == EnhancedMRImageStorage
        assert UID(dataset.file_meta.TransferSyntaxUID).name == "RLE Lossless"
        assert dataset.SeriesDescription in ("T1", "T2")
        assert dataset.StudyInstanceUID == dataset.PatientID == str(study.study_id)
        assert dataset.SOPInstanceUID.startswith(f"{study.study_id}.")
        assert (dataset.BitsAllocated, dataset.BitsStored) == (16, 12)


def test_an_enhanced_series_is_one_file(written: dict[str, tuple[Study, Path]]) -> None:
    study, folder = written["enhanced"]
    files = sorted(folder.rglob("*.dcm"))
    assert len(files) == len(study.series)
    for dataset in map(dcmread, files):
        assert dataset.SOPClassUID == EnhancedMRImageStorage
        assert int(dataset.NumberOfFrames) == len(dataset.PerFrameFunctionalGroupsSequence)


def test_makers_write_by_the_hundred_what_nobody_else_knows(written: dict[str, tuple[Study, Path]]) -> None:
    private = {
        name: sum(element.tag.is_private for element in tags(*written[name])[0])
        for name in ("ge", "siemens", "philips")
    }
    assert private["ge"] > 200 and min(private.values()) > 30


def test_slices_of_two_shapes_are_enhanced_files_of_one_frame(study: Study, tmp_path: Path) -> None:
    spoiled = deepcopy(study)
    series, _ = SPOILS["mixed shapes"](spoiled, np.random.default_rng(0), TASK)
    assert series is not None
    copied, folder = write(spoiled, "enhanced", tmp_path)
    headers = [header for path in (folder / str(series.series_id)).iterdir() for header in read_headers(path)]
    assert len(headers) == len(series.images)
    assert sorted(number_slices(headers).values()) == sorted(
        image.instance for image in copied.described(series.description)[0].images
    )


@pytest.mark.parametrize("name", ["rsna2024", "ge", "philips", "enhanced"])
@pytest.mark.parametrize("fault", ["no orientation", "signed pixels", "rescaled", "duplicate positions"])
def test_faults_are_there_with_any_headers(name: str, fault: str, study: Study, tmp_path: Path) -> None:
    spoiled = deepcopy(study)
    series, _ = SPOILS[fault](spoiled, np.random.default_rng(0), TASK)
    assert series is not None
    spoiled.series = [series]
    plain, other = (write(spoiled, each, tmp_path / each) for each in ("plain", name))
    first, second = (list(slices(*each, series.description)) for each in (plain, other))
    assert len(first) == len(second)
    assert {header.orientation_known for header in second} == {header.orientation_known for header in first}
    total = [sorted(float(read_pixels(header).sum()) for header in each) for each in (first, second)]
    assert total[0] == total[1]
