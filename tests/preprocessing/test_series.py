"""Slices that show nothing, gaps and copies: no image of them reaches a network."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydicom import Dataset, dcmread

from lumbargrade.config.params import PrepareParams, ViewParams
from lumbargrade.config.task import GradingTask
from lumbargrade.data.layout import open_dataset
from lumbargrade.dicom.errors import UnreadableFile
from lumbargrade.preprocessing.crop import cut_crop
from lumbargrade.preprocessing.pack_views import SLICES, PackedViews, pack_views
from lumbargrade.preprocessing.series import SeriesImages, open_series
from lumbargrade.preprocessing.views import view_series
from tests.faulty_decoders import faulty_decoders, make_faulty

PARAMS = PrepareParams()
VIEWS = ViewParams(pixels=64)


@pytest.fixture
def dataset(phantom: Path, tmp_path: Path) -> Path:
    """A copy of a phantom study of which the sagittal T1 series may be spoiled."""
    folder = tmp_path / "dataset"
    study = pd.read_csv(phantom / "train.csv")["study_id"].min()
    shutil.copytree(phantom / "train_images" / str(study), folder / "train_images" / str(study))
    for path in phantom.glob("*.csv"):
        table = pd.read_csv(path)
        table[table["study_id"] == study].to_csv(folder / path.name, index=False)
    return folder


@pytest.fixture
def sagittal(dataset: Path, rsna: GradingTask) -> Path:
    """Folder of the first study's sagittal T1."""
    table = open_dataset(dataset, rsna).series.sort_values("study_id")
    row = table[table["series_description"] == "Sagittal T1"].iloc[0]
    return dataset / "train_images" / str(row["study_id"]) / str(row["series_id"])


def opened(folder: Path) -> SeriesImages:
    return open_series(folder, PARAMS.percentiles)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def blank(path: Path) -> None:
    dataset = dcmread(path)
    if dataset.file_meta.TransferSyntaxUID.is_compressed:
        dataset.decompress()
    dataset.PixelData = bytes(len(dataset.PixelData))
    dataset.save_as(path)


def change(folder: Path, **tags: object) -> None:
    for path in folder.iterdir():
        dataset: Dataset = dcmread(path)
        for keyword, value in tags.items():
            delattr(dataset, keyword) if value is None else setattr(dataset, keyword, value)
        dataset.save_as(path)


@pytest.mark.parametrize("spoil", [cut, blank, Path.unlink])
def test_beside_a_lost_slice_a_crop_and_a_view_repeat_the_slice(sagittal: Path, spoil: Callable[[Path], None]) -> None:
    whole = opened(sagittal)
    lost = whole.stacks[0].slices[6]
    kept = whole.stacks[0].slices[5].path
    spoil(lost.path)
    images = opened(sagittal)
    (stack,) = images.stacks
    index = next(place for place, header in enumerate(stack.slices) if header.path == kept)
    rows, columns = stack.slices[index].plane.shape
    crop = cut_crop(images, stack, index, (columns / 2, rows / 2), False, PARAMS)
    assert (crop[2] == crop[1]).all()
    assert (crop[0] != crop[1]).any()
    (view,) = view_series("1", images, "T1", VIEWS)
    shown = view.image(index)
    assert (shown[2] == shown[1]).all()
    assert shown.max(axis=(1, 2)).min() > 0


@pytest.mark.parametrize("spoil", [cut, blank])
def test_a_slice_that_shows_nothing_is_no_black_image(sagittal: Path, spoil: Callable[[Path], None]) -> None:
    for header in opened(sagittal).stacks[0].slices[2:4]:
        spoil(header.path)
    images = opened(sagittal)
    (view,) = view_series("1", images, "T1", VIEWS)
    assert [index for index in range(len(view.slices)) if not view.readable(index)] == [2, 3]
    with pytest.raises(UnreadableFile):
        view.image(2)
    assert images.count_unreadable() == 2


@pytest.mark.parametrize("spoil", [cut, blank, Path.unlink])
def test_training_sees_a_spoiled_series_as_serving_does(
    dataset: Path, sagittal: Path, rsna: GradingTask, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    for header in opened(sagittal).stacks[0].slices[6:9]:
        spoil(header.path)
    pack_views(open_dataset(dataset, rsna), tmp_path / "views", PARAMS, VIEWS, workers=1)
    packed = PackedViews(tmp_path / "views")
    found = next(s for s in packed.stacks[int(sagittal.parent.name)] if s.series == sagittal.name)
    (served,) = view_series(sagittal.name, opened(sagittal), "T1", VIEWS)
    readable = [index for index in range(len(served.slices)) if served.readable(index)]
    assert [served.slices[index].instance for index in readable] == [piece.instance for piece in found.slices]
    for place, index in enumerate(readable):
        np.testing.assert_array_equal(found.image(place), served.image(index))


@pytest.mark.parametrize("tags", [{"PixelSpacing": None}, {"SeriesDescription": "Scout"}])
def test_a_series_that_cannot_be_measured_teaches_nothing(
    dataset: Path, sagittal: Path, rsna: GradingTask, tmp_path: Path, tags: dict[str, object]
) -> None:
    change(sagittal, **tags)
    pack_views(open_dataset(dataset, rsna), tmp_path / "views", PARAMS, VIEWS, workers=1)
    packed = PackedViews(tmp_path / "views")
    study = int(sagittal.parent.name)
    assert sagittal.name not in {stack.series for stack in packed.stacks[study]}
    assert int(sagittal.name) not in {point["series_id"] for point in packed.points_of(study)}


def test_numbers_in_no_order_do_not_make_true_positions_doubtful(sagittal: Path) -> None:
    numbers = np.random.default_rng(1).permutation(40)
    for number, path in zip(numbers, sorted(sagittal.iterdir()), strict=False):
        dataset = dcmread(path)
        dataset.InstanceNumber = int(number) + 1
        dataset.save_as(path)
    (stack,) = opened(sagittal).stacks
    assert stack.placement_fault is None


def test_positions_in_no_order_are_told_by_the_images(sagittal: Path) -> None:
    paths = [header.path for header in opened(sagittal).stacks[0].slices]
    datasets = [dcmread(path) for path in paths]
    positions = [dataset.ImagePositionPatient for dataset in datasets]
    for path, dataset, place in zip(paths, datasets, np.random.default_rng(2).permutation(len(paths)), strict=True):
        dataset.ImagePositionPatient = positions[place]
        dataset.save_as(path)
    (stack,) = opened(sagittal).stacks
    assert "their positions contradict what they show" in str(stack.placement_fault)
    assert [header.path for header in stack.slices] in (paths, paths[::-1])


def test_slices_that_crash_their_decoder_are_left_out(
    sagittal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = opened(sagittal)
    before = {header.path: sound.pixels(header) for header in sound.stacks[0].slices}
    paths = sorted(sagittal.glob("*.dcm"))
    for path, fault in zip(paths, ("none", "segfault", "abort", "killed", "exit"), strict=False):
        make_faulty(path, fault)
    with faulty_decoders(tmp_path / "decoders", monkeypatch):
        images = opened(sagittal)
        assert images.count_unreadable() == 4
        assert {header.path for header in images.unreadable} == set(paths[1:5])
        for header in set(images.stacks[0].slices) - set(images.unreadable):
            np.testing.assert_array_equal(images.pixels(header), before[header.path])


@pytest.mark.slow
def test_preparing_leaves_out_slices_that_crash_their_decoder(
    phantom: Path, rsna: GradingTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In processes of its own, each of which has children that decode."""
    folder = tmp_path / "dataset"
    studies = sorted(pd.read_csv(phantom / "train.csv")["study_id"])[:2]
    for study in studies:
        shutil.copytree(phantom / "train_images" / str(study), folder / "train_images" / str(study))
    for path in phantom.glob("*.csv"):
        table = pd.read_csv(path)
        table[table["study_id"].isin(studies)].to_csv(folder / path.name, index=False)
    series = open_dataset(folder, rsna).series
    spoilt = {}
    for row in series[series["series_description"] == "Sagittal T1"].to_dict("records"):
        place = folder / "train_images" / str(row["study_id"]) / str(row["series_id"])
        spoilt[row["series_id"]] = sorted(place.glob("*.dcm"))[2]
        make_faulty(spoilt[row["series_id"]], "segfault")
    with faulty_decoders(tmp_path / "decoders", monkeypatch):
        pack_views(open_dataset(folder, rsna), tmp_path / "views", PARAMS, VIEWS, workers=2)
    packed = pd.read_parquet(tmp_path / "views" / SLICES)
    for number, path in spoilt.items():
        there = set(packed[packed["series_id"] == number]["instance_number"])
        assert there == {int(other.stem) for other in path.parent.glob("*.dcm")} - {int(path.stem)}
