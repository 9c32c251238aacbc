import shutil
from pathlib import Path

import pytest

from lumbargrade.dicom.headers import SliceHeader, read_headers
from lumbargrade.errors import InputError
from lumbargrade.preprocessing.series import SeriesImages


@pytest.fixture
def parted(phantom: Path, tmp_path: Path) -> list[SliceHeader]:
    """A series over two folders, whose files have the same numbers."""
    series = sorted((phantom / "train_images").glob("*/*"))[0]
    paths = sorted(series.iterdir(), key=lambda path: int(path.stem))
    headers = []
    for number, path in enumerate(paths):
        target = tmp_path / str(1 + number % 2) / f"{1 + number // 2}.dcm"
        target.parent.mkdir(exist_ok=True)
        headers += read_headers(Path(shutil.copy(path, target)))
    return headers


def test_slices_whose_files_share_a_number_are_not_mixed_up(parted: list[SliceHeader]) -> None:
    images = SeriesImages(parted, (1, 99))
    assert len(set(images.numbers.values())) == len(parted)
    for header, number in images.numbers.items():
        stack, index = images.find(number)
        assert stack.slices[index] is header


def test_a_number_that_two_files_have_is_that_of_the_header(parted: list[SliceHeader]) -> None:
    images = SeriesImages(parted, (1, 99))
    header = next(header for header in parted if header.instance_number == 2)
    stack, index = images.find(2)
    assert stack.slices[index] is header


def test_a_number_that_names_several_images_names_none(phantom: Path, tmp_path: Path) -> None:
    series = sorted((phantom / "train_images").glob("*/*"))[0]
    headers = []
    for place, path in enumerate(sorted(series.iterdir())[:3]):
        target = tmp_path / str(place) / "1.dcm"
        target.parent.mkdir()
        headers += read_headers(Path(shutil.copy(path, target)))
    for header in headers:
        object.__setattr__(header, "instance_number", 4)
    with pytest.raises(InputError, match="instance 4 is the number of 3 of the series' images"):
        SeriesImages(headers, (1, 99)).find(4)
