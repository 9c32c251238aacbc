"""A view lies where its slice lies, and is packed and read back as it was."""

from pathlib import Path

import numpy as np
import pytest

from lumbargrade.config.params import PrepareParams, ViewParams
from lumbargrade.config.task import GradingTask
from lumbargrade.data.layout import open_dataset
from lumbargrade.errors import InputError
from lumbargrade.preprocessing.pack_views import PackedViews, pack_views
from lumbargrade.preprocessing.series import open_series
from lumbargrade.preprocessing.views import view_series

VIEWS = ViewParams(pixels=64)


@pytest.fixture(scope="module")
def packed(phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> PackedViews:
    from lumbargrade.config.task import load_task

    folder = tmp_path_factory.mktemp("views") / "views"
    pack_views(open_dataset(phantom, load_task("rsna2024")), folder, PrepareParams(), VIEWS, workers=1)
    return PackedViews(folder)


def test_packed_views_are_those_that_serving_sees(packed: PackedViews, phantom: Path, rsna: GradingTask) -> None:
    dataset = open_dataset(phantom, rsna)
    study = packed.studies[0]
    for stack in packed.stacks[study]:
        images = open_series(dataset.series_dir(study, int(stack.series)), PrepareParams().percentiles)
        fresh = [
            s for s in view_series(stack.series, images, stack.contrast, VIEWS) if len(s.slices) == len(stack.slices)
        ]
        same = next(s for s in fresh if s.slices[0].instance == stack.slices[0].instance)
        middle = len(stack.slices) // 2
        np.testing.assert_array_equal(stack.image(middle), same.image(middle))
        np.testing.assert_allclose(stack.slices[middle].view.position, same.slices[middle].view.position)


def test_a_view_lies_in_its_slice_and_is_upright(packed: PackedViews) -> None:
    for stack in packed.stacks[packed.studies[0]]:
        for piece in stack.slices:
            corners = piece.view.to_patient(np.array([[0, 0], [63, 0], [0, 63], [63, 63]]))
            assert np.abs(piece.source.to_pixel(corners)[:, 2]).max() < 1e-6
            right, down = piece.view.row_direction, piece.view.column_direction
            if stack.orientation == "sagittal":
                assert right[1] > 0.9
                assert down[2] < -0.7
            else:
                assert right[0] > 0.9
                assert down[1] > 0.7
        assert stack.slices[0].view.spacing[0] == VIEWS.side_mm(stack.orientation) / 64


def test_an_image_larger_than_its_view_is_seen_whole_too(phantom: Path, rsna: GradingTask) -> None:
    dataset = open_dataset(phantom, rsna)
    sagittal = dataset.series[dataset.series["series_description"] == "Sagittal T1"].iloc[0]
    images = open_series(dataset.series_dir(sagittal["study_id"], sagittal["series_id"]), PrepareParams().percentiles)
    reach = max(images.stacks[0].slices[0].plane.extent)
    near, far = view_series("1", images, "T1", ViewParams(pixels=64, sagittal_mm=0.6 * reach))
    assert [stack.slices[0].view.spacing[0] * 64 for stack in (near, far)] == pytest.approx([0.6 * reach, reach])
    for piece in far.slices:
        rows, columns = piece.source.shape
        corners = piece.source.to_patient(np.array([[0, 0], [columns - 1, rows - 1]]))
        inside = piece.view.to_pixel(corners)[:, :2]
        assert (inside >= -0.5).all()
        assert (inside <= 63.5).all()
        assert not near.slices[0].view.shows(corners).any()
    assert len(list(view_series("1", images, "T1", ViewParams(pixels=64, sagittal_mm=reach)))) == 1


def test_points_are_on_their_slices(packed: PackedViews) -> None:
    for study in packed.studies:
        pieces = {(stack.series, piece.instance): piece for stack in packed.stacks[study] for piece in stack.slices}
        for point in packed.points_of(study):
            piece = pieces[str(point["series_id"]), point["instance_number"]]
            x, y, off = piece.view.to_pixel(point["position"])
            assert abs(off) < 1e-6
            assert 0 <= x < 64
            assert 0 <= y < 64


def test_no_views_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no packed views; run `lumbargrade run` or `dvc repro` first"):
        PackedViews(tmp_path)
