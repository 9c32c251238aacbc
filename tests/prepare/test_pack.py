import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lumbargrade.dataset.layout import RsnaDataset, open_dataset
from lumbargrade.errors import InputError, LumbargradeError
from lumbargrade.params import PrepareParams
from lumbargrade.prepare.pack import PackedCrops, pack_crops
from lumbargrade.task import GradingTask

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
