"""A study that comes back under another id is found by its images, and by nothing else."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import pytest

from lumbargrade.config.params import PrepareParams, SplitParams, ViewParams
from lumbargrade.config.task import GradingTask
from lumbargrade.data.layout import open_dataset
from lumbargrade.preprocessing.pack_views import pack_views
from lumbargrade.preprocessing.split.duplicates import COLUMNS, find_duplicates
from lumbargrade.preprocessing.split.groups import study_groups
from lumbargrade.preprocessing.split.split import HOLDOUT, check_split, in_holdout, split_studies

COPY = 999_000_001
NOBODY = pd.DataFrame(columns=["study_id", "patient_id"])


def pairs_of(*studies: tuple[int, int]) -> pd.DataFrame:
    return pd.DataFrame([(one, 1, other, 2, 9) for one, other in studies], columns=COLUMNS)


@pytest.fixture
def with_copy(phantom: Path, tmp_path: Path) -> tuple[Path, int]:
    """The phantom with its first study copied under another id, windowed and noised anew; the study's id."""
    folder = tmp_path / "dataset"
    shutil.copytree(phantom, folder)
    study = int(pd.read_csv(folder / "train.csv")["study_id"].min())
    for name in ("train.csv", "train_series_descriptions.csv", "train_label_coordinates.csv"):
        table = pd.read_csv(folder / name)
        again = table[table["study_id"] == study].assign(study_id=COPY)
        if "series_id" in again:
            again["series_id"] += 7
        pd.concat([table, again]).to_csv(folder / name, index=False)
    rng = np.random.default_rng(0)
    for series in (folder / f"train_images/{study}").iterdir():
        target = folder / f"train_images/{COPY}/{int(series.name) + 7}"
        target.mkdir(parents=True)
        for path in series.iterdir():
            header = pydicom.dcmread(path)
            pixels = header.pixel_array
            noised = pixels * 0.7 + 20 + rng.normal(0, 0.03 * pixels.max(), pixels.shape)
            header.PixelData = np.clip(noised, 0, pixels.max()).astype(pixels.dtype).tobytes()
            header.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
            header.save_as(target / path.name)
    return folder, study


def test_a_copied_study_is_found_and_kept_together(
    with_copy: tuple[Path, int], rsna: GradingTask, tmp_path: Path
) -> None:
    folder, study = with_copy
    dataset = open_dataset(folder, rsna)
    pack_views(dataset, tmp_path / "views", PrepareParams(), ViewParams(), workers=1)
    found = find_duplicates(tmp_path / "views")
    series = dataset.series.loc[dataset.series["study_id"] == study, "series_id"]
    assert {(one, other) for one, other in found[["study_id", "other_study_id"]].to_numpy()} == {(study, COPY)}
    assert {(number, number + 7) for number in series} <= set(
        found[["series_id", "other_series_id"]].itertuples(index=False, name=None)
    )
    groups = study_groups(found, NOBODY)
    assert groups == {study: study, COPY: study}
    cells = pd.DataFrame({"study_id": dataset.labels["study_id"], "group": "spinal", "grade": 0})
    split = split_studies(cells, SplitParams(holdout=0.0, folds=3), groups)
    folds = split.set_index("study_id")["fold"]
    assert folds[study] == folds[COPY]
    check_split(split, groups)


def test_real_studies_are_not_taken_for_each_other(spider: Path, disc: GradingTask, tmp_path: Path) -> None:
    pack_views(open_dataset(spider, disc), tmp_path / "views", PrepareParams(), ViewParams(), workers=1)
    assert find_duplicates(tmp_path / "views").empty
    assert find_duplicates(tmp_path / "views", limit=400)["distance"].min() > 350


def test_black_views_are_nobodys_duplicates(tmp_path: Path) -> None:
    columns = ["study_id", "series_id", "orientation", "stack", "instance_number"]
    pd.DataFrame([(1, 1, "axial", 0, 1), (2, 2, "axial", 0, 1)], columns=columns).to_parquet(
        tmp_path / "slices.parquet"
    )
    np.save(tmp_path / "views-000.npy", np.zeros((2, 64, 64), np.uint8))
    found = find_duplicates(tmp_path)
    assert found.empty
    assert list(found) == COLUMNS
    assert study_groups(found, NOBODY) == {}


def test_studies_are_joined_through_others() -> None:
    groups = study_groups(pairs_of((5, 9), (9, 12), (20, 30)), NOBODY)
    assert groups == {5: 5, 9: 5, 12: 5, 20: 20, 30: 20}


def test_a_group_goes_where_its_smallest_study_goes_and_nobody_else_moves() -> None:
    studies = list(range(1, 81))
    cells = pd.DataFrame({"study_id": studies, "group": "spinal", "grade": [study % 3 for study in studies]})
    params = SplitParams(holdout=0.3, folds=3)
    held = [study for study in studies if in_holdout(study, 0.3)]
    kept = [study for study in studies if study not in held]
    groups = study_groups(pairs_of((held[0], kept[-1]), (kept[0], held[-1])), NOBODY)
    alone = split_studies(cells, params).set_index("study_id")["fold"] == HOLDOUT
    joined = split_studies(cells, params, groups).set_index("study_id")["fold"] == HOLDOUT
    assert joined[kept[-1]]
    assert not joined[held[-1]]
    others = [study for study in studies if study not in groups]
    assert (alone[others] == joined[others]).all()
