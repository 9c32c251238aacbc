"""The locator's training: its targets are where the points are, also after augmentation; a fold leaves everything behind."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lumbargrade.config.params import LocatorParams, PrepareParams, ViewParams
from lumbargrade.config.task import GradingTask, load_task
from lumbargrade.data.layout import open_dataset
from lumbargrade.errors import InputError
from lumbargrade.models.locator import load_locator
from lumbargrade.preprocessing.pack_views import PackedViews, pack_views
from lumbargrade.training.jobs.spec import Epoch, LocatorSpec, read_history, read_result, read_spec
from lumbargrade.training.locator.evaluate import compare_points, locator_metrics, worst_figure
from lumbargrade.training.locator.fit import cut_off, fold_studies, moved_places, target_maps, train_locator, turned
from lumbargrade.training.loop.augment import random_transforms
from lumbargrade.training.loop.checkpoint import Checkpoint
from tests.views import labelled_points

VIEWS = ViewParams(pixels=64)


@pytest.fixture(scope="module")
def views(phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("views")
    pack_views(open_dataset(phantom, load_task("rsna2024")), folder / "views", PrepareParams(), VIEWS, workers=1)
    studies = PackedViews(folder / "views").studies
    folds = [(study, -1 if place == 5 else place % 2) for place, study in enumerate(studies)]
    pd.DataFrame(folds, columns=["study_id", "fold"]).to_csv(folder / "split.csv", index=False)
    return folder


def spec(views: Path, task: GradingTask, folder: Path) -> LocatorSpec:
    training = LocatorParams(width=8, epochs=2, epoch_slices=48, batch_size=8, threads=1)
    return LocatorSpec(
        task=task,
        prepare=PrepareParams(),
        views=VIEWS,
        training=training,
        packed=views / "views",
        split=views / "split.csv",
        fold=0,
        seed=0,
        folder=folder,
    )


def test_a_fold_leaves_everything_behind(views: Path, rsna: GradingTask, tmp_path: Path) -> None:
    told = spec(views, rsna, tmp_path)
    (tmp_path / "spec.json").write_text(told.model_dump_json())
    assert read_spec(tmp_path) == told
    result = train_locator(told)
    assert read_result(tmp_path) == result
    assert [epoch.epoch for epoch in read_history(tmp_path)] == [1, 2]
    assert load_locator(result.model).config.task == rsna
    packed = PackedViews(views / "views")
    unseen = fold_studies(packed, pd.read_csv(views / "split.csv"), 0)[1]
    assert set(result.predictions()["study_id"]) <= set(unseen)


def test_the_same_seed_gives_the_same_weights(views: Path, rsna: GradingTask, tmp_path: Path) -> None:
    weights = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        weights.append(load_locator(train_locator(spec(views, rsna, tmp_path / name)).model).state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_a_fold_without_studies_is_told(views: Path) -> None:
    with pytest.raises(InputError, match="fold 7 has 5 studies to train the locator on and 0 to locate"):
        fold_studies(PackedViews(views / "views"), pd.read_csv(views / "split.csv"), 7)


@given(st.integers(0, 10**6), st.floats(20, 107), st.floats(20, 107))
@settings(max_examples=30, deadline=None)
def test_places_move_with_the_image(seed: int, x: float, y: float) -> None:
    """A bright dot is found, after augmentation, where its place was moved."""
    down, across = torch.meshgrid(torch.arange(128.0), torch.arange(128.0), indexing="ij")
    image = torch.exp(-((across - x) ** 2 + (down - y) ** 2) / 18)[None, None].expand(1, 3, 128, 128) * 255
    transforms = random_transforms(1, 1.0, torch.Generator().manual_seed(seed), 0.2, 0.15)
    seen = turned(image, transforms)[0, 0]
    places, present = moved_places(np.array([[[x, y]]], np.float32), np.array([[1.0]], np.float32), transforms, 128)
    moved_x, moved_y = places[0, 0].tolist()
    if present[0, 0] > 0 and 8 < moved_x < 119 and 8 < moved_y < 119:
        centre = [float((seen * axis).sum() / seen.sum()) for axis in (across, down)]
        assert centre == pytest.approx([moved_x, moved_y], abs=0.3)


def test_what_lies_below_the_end_of_an_image_is_absent() -> None:
    images = torch.full((200, 3, 64, 64), 9.0)
    places = torch.tensor([[[30.0, 10.0], [30.0, 25.0], [30.0, 40.0]]]).expand(200, 3, 2)
    present = torch.tensor([[1.0, 0.8, -1.0]]).expand(200, 3).clone()
    present[0] = 0
    seen, left = cut_off(images, places, present, 0.5, torch.Generator().manual_seed(0))
    heights = (seen[:, 0, :, 0] > 0).sum(dim=1)
    assert heights[0] == 64, "an image without marks has no place to end"
    assert 60 < int((heights < 64).sum()) < 140
    assert heights.min() >= 18
    assert torch.equal(seen > 0, (torch.arange(64) < heights[:, None])[:, None, :, None].expand(seen.shape))
    assert torch.equal(left[1:, 0], present[1:, 0]), "the highest mark stays"
    assert torch.equal(left[:, 1] == 0, (heights <= 25) | (present[:, 1] == 0))
    assert torch.equal(left[:, 2], present[:, 2]), "what is unknown stays unknown"
    same, all_there = cut_off(images, places, present, 0.0, torch.Generator().manual_seed(0))
    assert torch.equal(same, images)
    assert torch.equal(all_there, present)


@given(st.floats(0, 63), st.floats(0, 63), st.floats(0, 1))
@settings(deadline=None)
def test_targets_are_probabilities_around_the_place(x: float, y: float, present: float) -> None:
    maps = target_maps(torch.tensor([[[x, y]]]), torch.tensor([[present]]), 32)[0, 0]
    assert float(maps.sum()) == pytest.approx(1, abs=1e-4)
    assert float(maps[-1]) == pytest.approx(1 - present, abs=1e-6)
    if present > 0.01:
        best = int(maps[:-1].argmax())
        assert abs(best % 32 - ((x + 0.5) / 2 - 0.5)) <= 0.51
        assert abs(best // 32 - ((y + 0.5) / 2 - 0.5)) <= 0.51


def test_the_report_counts_what_is_missing_as_off(views: Path, rsna: GradingTask) -> None:
    packed = PackedViews(views / "views")
    study = packed.studies[0]
    table = labelled_points(packed, rsna, study)
    table.loc[table["condition"] == "spinal_canal_stenosis", "z_mm"] += 4.0
    compared = compare_points(table, packed, rsna)
    whole = locator_metrics(compared, packed, rsna, [study])
    assert whole["error_mm.median.spinal"] == pytest.approx(4)
    assert whole["within_5_mm"] == whole["studies_right"] == 1.0
    half = locator_metrics(compared[compared["level"] != "L4/L5"], packed, rsna, [study])
    assert half["studies_right"] == 0.0
    assert half["found"] == pytest.approx(0.8, abs=0.05)
    assert worst_figure(compared, packed, rsna).axes


def test_a_killed_run_goes_on_to_the_same_weights(views: Path, rsna: GradingTask, tmp_path: Path) -> None:
    whole = train_locator(spec(views, rsna, tmp_path / "whole"))
    cut = spec(views, rsna, tmp_path / "cut")
    save, saved = Checkpoint.save, []

    def save_and_die(self: Checkpoint, history: list[Epoch], seconds: float) -> None:
        save(self, history, seconds)
        saved.append(len(history))
        if len(saved) == 1:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoint, "save", save_and_die)
        with pytest.raises(KeyboardInterrupt):
            train_locator(cut)
        again = train_locator(cut)
    assert saved == [1, 2]
    assert again.model.read_bytes() == whole.model.read_bytes()
    assert [e.train_loss for e in again.history()] == [e.train_loss for e in whole.history()]
    pd.testing.assert_frame_equal(again.predictions(), whole.predictions())
    assert not (tmp_path / "cut/checkpoint.pt").exists()
