"""What the locator is taught: points of one series count for the others, but labels that contradict each other do not."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lumbargrade.dataset.layout import open_dataset
from lumbargrade.params import PrepareParams, ViewParams
from lumbargrade.prepare.pack_views import POINTS, PackedViews, pack_views
from lumbargrade.task import GradingTask, load_task
from lumbargrade.training.locator_targets import SliceTargets, learn_shape, slice_targets


@pytest.fixture(scope="module")
def views(phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("targets") / "views"
    dataset = open_dataset(phantom, load_task("rsna2024"))
    pack_views(dataset, folder, PrepareParams(), ViewParams(pixels=64), workers=1)
    return folder


def on_t1(targets: SliceTargets) -> np.ndarray:
    """How much of the midline's marks is in the slices of T1."""
    rows = [row for row, (stack, _) in enumerate(targets.stacks) if stack.contrast == "T1"]
    return np.asarray(targets.present[rows][:, :5])


@pytest.mark.parametrize(("up_mm", "taught"), [(0.0, True), (35.0, False)])
def test_a_series_whose_levels_contradict_the_others_teaches_nothing(
    views: Path, rsna: GradingTask, tmp_path: Path, up_mm: float, taught: bool
) -> None:
    shutil.copytree(views, tmp_path / "views")
    study = PackedViews(views).studies[0]
    points = pd.read_parquet(views / POINTS)
    ours = points[points["study_id"] == study]
    again = ours[ours["condition"] == "spinal_canal_stenosis"].copy()
    again["series_id"] = ours.loc[ours["condition"].str.contains("foraminal"), "series_id"].iloc[0]
    again["position"] = [position + np.array([0.0, 0.0, up_mm]) for position in again["position"]]
    pd.concat([points, again]).to_parquet(tmp_path / "views" / POINTS)
    targets = slice_targets(PackedViews(tmp_path / "views"), rsna, "sagittal", [study])
    assert bool((on_t1(targets) > 0.5).any()) is taught
    assert bool((on_t1(targets) == -1).all()) is not taught
    assert (targets.present[[stack.contrast == "T2" for stack, _ in targets.stacks]] > 0.5).any()


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
