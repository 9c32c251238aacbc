import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydicom import dcmread

from lumbargrade.config.params import PrepareParams
from lumbargrade.config.task import GradingTask
from lumbargrade.data.layout import RsnaDataset, open_dataset
from lumbargrade.errors import InputError, LumbargradeError
from lumbargrade.preprocessing.pack import PackedCrops, pack_crops

pytestmark = pytest.mark.slow

PARAMS = PrepareParams(crop_mm=40.0, pixel_mm=2.0)


@pytest.fixture
def dataset(phantom: Path, tmp_path: Path) -> Path:
    """Two phantom studies that may be spoiled."""
    folder = tmp_path / "dataset"
    studies = pd.read_csv(phantom / "train.csv")["study_id"].iloc[:2].tolist()
    for name in ("train.csv", "train_series_descriptions.csv", "train_label_coordinates.csv"):
        table = pd.read_csv(phantom / name)
        folder.mkdir(exist_ok=True)
        table[table["study_id"].isin(studies)].to_csv(folder / name, index=False)
    for study in studies:
        shutil.copytree(phantom / f"train_images/{study}", folder / f"train_images/{study}")
    return folder


def skipped(folder: Path) -> list[str]:
    return sorted(set(pd.read_parquet(folder / "skipped.parquet")["reason"]))


def test_every_point_becomes_a_crop_with_its_grade(dataset: Path, rsna: GradingTask, tmp_path: Path) -> None:
    opened = open_dataset(dataset, rsna)
    summary = pack_crops(opened, tmp_path / "crops", PARAMS)
    packed = PackedCrops(tmp_path / "crops")
    assert summary.crops == len(packed) == len(opened.points)
    assert packed.take(np.array([0, len(packed) - 1])).shape == (2, 3, 20, 20)
    labels = opened.labels.set_index("study_id")
    for row in packed.index.to_dict("records"):
        cell = next(c for c in rsna.cells if (c.condition.name, c.level) == (row["condition"], row["level"]))
        grade = labels.loc[row["study_id"], cell.column]
        assert (None if pd.isna(row["grade"]) else rsna.grades[row["grade"]]) == (None if pd.isna(grade) else grade)


def test_workers_and_shards_do_not_change_what_is_read(dataset: Path, rsna: GradingTask, tmp_path: Path) -> None:
    opened = open_dataset(dataset, rsna)
    pack_crops(opened, tmp_path / "one", PARAMS, workers=1)
    pack_crops(opened, tmp_path / "two", PARAMS, workers=2, shard_crops=7)
    one, two = PackedCrops(tmp_path / "one"), PackedCrops(tmp_path / "two")
    rows = np.arange(len(one))
    assert len(list((tmp_path / "two").glob("crops-*.npy"))) == -(-len(two) // 7)
    np.testing.assert_array_equal(one.take(rows), two.take(rows))
    pd.testing.assert_frame_equal(one.index, two.index)


def test_a_damaged_file_costs_its_own_crops_only(dataset: Path, rsna: GradingTask, tmp_path: Path) -> None:
    opened = open_dataset(dataset, rsna)
    point = opened.points[opened.points["condition"] == "left_subarticular_stenosis"].iloc[0]
    path = dataset / f"train_images/{point.study_id}/{point.series_id}/{point.instance_number}.dcm"
    path.write_bytes(path.read_bytes()[:200])
    lost = opened.points[
        (opened.points["series_id"] == point.series_id) & (opened.points["instance_number"] == point.instance_number)
    ]
    summary = pack_crops(opened, tmp_path / "crops", PARAMS)
    assert summary.crops == len(opened.points) - len(lost)
    assert skipped(tmp_path / "crops") == [f"instance {point.instance_number} is not among the series' images"]


def test_a_series_without_images_and_a_cell_without_a_point_say_so(
    dataset: Path, rsna: GradingTask, tmp_path: Path
) -> None:
    opened = open_dataset(dataset, rsna)
    canal = opened.points["condition"] == "spinal_canal_stenosis"
    shutil.rmtree(dataset / f"train_images/{opened.points.study_id.iloc[0]}/{opened.points[canal].series_id.iloc[0]}")
    without = RsnaDataset(
        dataset, rsna, opened.labels, opened.series, opened.points[~opened.points["condition"].str.startswith("right")]
    )
    pack_crops(without, tmp_path / "crops", PARAMS)
    assert skipped(tmp_path / "crops") == ["it is labelled but has no point", "its series has no readable image"]


def test_a_dataset_that_gives_no_crop_leaves_the_old_ones_alone(
    dataset: Path, rsna: GradingTask, tmp_path: Path
) -> None:
    opened = open_dataset(dataset, rsna)
    pack_crops(opened, tmp_path / "crops", PARAMS)
    before = len(PackedCrops(tmp_path / "crops"))
    empty = RsnaDataset(dataset, rsna, opened.labels, opened.series, opened.points.iloc[:0])
    with pytest.raises(LumbargradeError, match=r"no crop could be cut from .*dataset: it is labelled but has no point"):
        pack_crops(empty, tmp_path / "crops", PARAMS)
    assert len(PackedCrops(tmp_path / "crops")) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["crops", "dataset"]


def test_progress_ends_at_all_studies(dataset: Path, rsna: GradingTask, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    pack_crops(open_dataset(dataset, rsna), tmp_path / "crops", PARAMS, lambda *done: told.append(done), workers=1)
    assert told == [(1, 2), (2, 2)]


def test_a_folder_without_crops_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no packed crops; run `lumbargrade run` or `dvc repro` first"):
        PackedCrops(tmp_path)


def test_real_studies_are_packed(spider: Path, disc: GradingTask, tmp_path: Path) -> None:
    summary = pack_crops(open_dataset(spider, disc), tmp_path / "crops", PrepareParams())
    assert (summary.crops, summary.studies, summary.skipped) == (319, 64, 1)
    brightness = PackedCrops(tmp_path / "crops").take(np.arange(319))[:, :, 44:84, 44:84].mean(axis=(1, 2, 3))
    assert brightness.std() > 10


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"PixelSpacing": None}, "the size of a pixel is not known"),
        ({"ImageOrientationPatient": None}, "how its slices lie in the patient is not known"),
        ({"ImagePositionPatient": None}, "where its slices lie in the patient is not known"),
        ({"SeriesDescription": "Survey"}, "its series is a localizer"),
    ],
)
def test_points_of_sides_and_sizes_that_are_not_known_are_left_out_with_the_reason(
    dataset: Path, rsna: GradingTask, tmp_path: Path, tags: dict[str, str | None], reason: str
) -> None:
    opened = open_dataset(dataset, rsna)
    foraminal = opened.points[opened.points["condition"] == "left_neural_foraminal_narrowing"]
    series = foraminal.iloc[0]["series_id"]
    for path in opened.series_dir(foraminal.iloc[0]["study_id"], series).iterdir():
        file = dcmread(path)
        for keyword, value in tags.items():
            delattr(file, keyword) if value is None else setattr(file, keyword, value)
        file.save_as(path)
    summary = pack_crops(opened, tmp_path / "crops", PARAMS)
    assert summary.crops == (opened.points["series_id"] != series).sum()
    assert all(reason in told for told in skipped(tmp_path / "crops"))


def test_a_point_that_no_image_shows_has_no_crop(dataset: Path, rsna: GradingTask, tmp_path: Path) -> None:
    opened = open_dataset(dataset, rsna)
    points = opened.points.copy()
    points.loc[points.index[:3], "x"] = [10000.0, -1e9, 1e308]
    points.loc[points.index[3], ["x", "y"]] = 0.0
    spoiled = RsnaDataset(dataset, rsna, opened.labels, opened.series, points)
    summary = pack_crops(spoiled, tmp_path / "crops", PARAMS)
    assert summary.crops == len(points) - 4
    outside, edge = skipped(tmp_path / "crops")
    assert outside.startswith("its point lies outside the image of")
    assert edge == "its point lies so near the image's edge that most of its crop shows nothing"
