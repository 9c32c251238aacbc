"""What the locator is taught: points of one series count for the others; where names disagree, the proper series counts."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lumbargrade.config.params import PrepareParams, ViewParams
from lumbargrade.config.task import GradingTask, load_task
from lumbargrade.data.layout import open_dataset
from lumbargrade.preprocessing.pack_views import POINTS, PackedViews, pack_views
from lumbargrade.training.locator.targets import learn_shape, slice_targets


@pytest.fixture(scope="module")
def views(phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("targets") / "views"
    dataset = open_dataset(phantom, load_task("rsna2024"))
    pack_views(dataset, folder, PrepareParams(), ViewParams(pixels=64), workers=1)
    return folder


def test_a_series_that_names_levels_otherwise_is_named_anew(views: Path, rsna: GradingTask, tmp_path: Path) -> None:
    """Points of the midline on T1, each with the name of the level above, teach what those on T2 say."""
    shutil.copytree(views, tmp_path / "views")
    study = PackedViews(views).studies[0]
    points = pd.read_parquet(views / POINTS)
    ours = points[points["study_id"] == study]
    shifted = ours[(ours["condition"] == "spinal_canal_stenosis") & (ours["level"] != "L1/L2")].copy()
    shifted["series_id"] = ours.loc[ours["condition"].str.contains("foraminal"), "series_id"].iloc[0]
    shifted["level"] = [rsna.levels[rsna.levels.index(level) - 1] for level in shifted["level"]]
    pd.concat([points, shifted]).to_parquet(tmp_path / "views" / POINTS)
    usual, otherwise = (
        slice_targets(PackedViews(folder), rsna, "sagittal", [study]) for folder in (views, tmp_path / "views")
    )
    np.testing.assert_array_equal(usual.present[:, :5], otherwise.present[:, :5])
    np.testing.assert_array_equal(usual.places[:, :5], otherwise.places[:, :5])


def test_steps_are_those_of_spines_of_one_size(views: Path, rsna: GradingTask, tmp_path: Path) -> None:
    """Nominal spacing makes some spines larger; what is learned of how discs follow each other stays narrow."""
    shutil.copytree(views, tmp_path / "views")
    points = pd.read_parquet(views / POINTS)
    sizes = {study: 1.0 + 0.3 * (place % 2) for place, study in enumerate(sorted(set(points["study_id"])))}
    points["position"] = [p * sizes[s] for s, p in zip(points["study_id"], points["position"], strict=True)]
    points.to_parquet(tmp_path / "views" / POINTS)
    usual, mixed = (learn_shape(PackedViews(f), rsna, list(sizes)).steps for f in (views, tmp_path / "views"))
    spread = [np.sqrt(np.linalg.inv(np.array(steps.precision))[:, 2, 2]) for steps in (usual, mixed)]
    assert (spread[1] < 1.5 * spread[0]).all()
