"""What is prepared for training does not depend on the headers that a dataset's files have."""

from copy import deepcopy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lumbargrade.config.params import PrepareParams, ViewParams
from lumbargrade.config.task import GradingTask, load_task
from lumbargrade.data.layout import open_dataset
from lumbargrade.data.tables import LABELS, POINT_COLUMNS, POINTS, SERIES
from lumbargrade.data.validation.validate import check_dataset
from lumbargrade.phantom.study import Study, build_study
from lumbargrade.phantom.writer import label_row, point_rows, series_rows, set_headers, write_study
from lumbargrade.preprocessing.pack import PackedCrops, pack_crops
from lumbargrade.preprocessing.pack_views import PackedViews, pack_views

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def study() -> Study:
    return build_study(11, 0, load_task("rsna2024"))


def prepare(study: Study, headers: str, task: GradingTask, root: Path) -> tuple[PackedCrops, PackedViews]:
    """Writes the study as a dataset, which must be sound, and packs it."""
    copied = deepcopy(study)
    set_headers(copied, headers)
    write_study(copied, root)
    rows = {
        LABELS: ([label_row(copied, task)], ["study_id", *task.columns]),
        SERIES: (series_rows(copied), ["study_id", "series_id", "series_description"]),
        POINTS: (point_rows(copied, task), list(POINT_COLUMNS)),
    }
    for name, (lines, columns) in rows.items():
        pd.DataFrame(lines, columns=columns).to_csv(root / name, index=False)
    untrue = {found.kind for found in check_dataset(root, task, 1).findings} - {
        "instances_with_gaps",
        "pixels_not_square",
    }
    assert not untrue
    dataset = open_dataset(root, task)
    pack_crops(dataset, root / "crops", PrepareParams(), workers=1)
    pack_views(dataset, root / "views", PrepareParams(), ViewParams(), workers=1)
    return PackedCrops(root / "crops"), PackedViews(root / "views")


@pytest.fixture(scope="module")
def plain(study: Study, tmp_path_factory: pytest.TempPathFactory) -> tuple[PackedCrops, PackedViews]:
    return prepare(study, "plain", load_task("rsna2024"), tmp_path_factory.mktemp("plain"))


@pytest.mark.parametrize("headers", ["rsna2024", "philips", "enhanced", "minimal"])
def test_crops_and_views_are_the_same(
    headers: str, study: Study, plain: tuple[PackedCrops, PackedViews], rsna: GradingTask, tmp_path: Path
) -> None:
    crops, views = prepare(study, headers, rsna, tmp_path)
    same = ["condition", "level", "series_id", "x", "y", "grade"]
    pd.testing.assert_frame_equal(crops.index[same], plain[0].index[same])
    every = np.arange(len(crops))
    assert np.array_equal(crops.take(every), plain[0].take(every))
    for one, other in zip(views.stacks[study.study_id], plain[1].stacks[study.study_id], strict=True):
        assert (one.orientation, one.contrast, one.apart) == (other.orientation, other.contrast, other.apart)
        for index in range(len(other.slices)):
            assert np.array_equal(one.grey(index), other.grey(index))
    assert len(views.points_of(study.study_id)) == len(plain[1].points_of(study.study_id)) > 15
