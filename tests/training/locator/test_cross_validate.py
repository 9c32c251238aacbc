"""Cross-validated locating: what was located once is what later runs go on with."""

import shutil
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from threading import Event
from typing import Any

import pandas as pd
import pytest

from lumbargrade.config.params import Params
from lumbargrade.config.task import GradingTask
from lumbargrade.data.layout import open_dataset
from lumbargrade.models.locator import Locator
from lumbargrade.preprocessing.pack_views import PackedViews, pack_views
from lumbargrade.preprocessing.split.split import HOLDOUT
from lumbargrade.tracking.mlflow_tracker import Tracker
from lumbargrade.training.jobs.executor import FoldPool
from lumbargrade.training.jobs.process import OnEpoch, begin_fold
from lumbargrade.training.jobs.spec import MODEL, PREDICTIONS, AnySpec, FoldResult, LocatorSpec, read_result
from lumbargrade.training.locator import cross_validate as locating
from lumbargrade.training.locator.cross_validate import LocatorPlan, train_locators
from lumbargrade.training.locator.fit import train_locator
from tests.views import labelled_points

pytestmark = pytest.mark.slow


@pytest.fixture
def plan(phantom: Path, rsna: GradingTask, empty_project: Path, monkeypatch: pytest.MonkeyPatch) -> LocatorPlan:
    """Two folds of two studies, and two studies of a holdout.

    The networks are trained for an epoch and find nothing; so the labels are said to be found, and in the holdout at other
    last digits each time, as with another number of threads.
    """
    tmp_path = empty_project
    locator = {"width": 8, "epochs": 1, "epoch_slices": 48, "batch_size": 8, "threads": 1}
    params = Params.model_validate({"views": {"pixels": 64}, "split": {"folds": 2}, "locator": locator})
    pack_views(open_dataset(phantom, rsna), tmp_path / "views", params.prepare, params.views, workers=1)
    packed = PackedViews(tmp_path / "views")
    folds = [(study, place % 3 if place % 3 < 2 else HOLDOUT) for place, study in enumerate(packed.studies)]
    pd.DataFrame(folds, columns=["study_id", "fold"]).to_csv(tmp_path / "split.csv", index=False)
    calls = iter(range(100))

    def locate(locators: Sequence[Locator], study: int, stacks: Any) -> pd.DataFrame:
        assert len(locators) == 2
        found = labelled_points(packed, rsna, study)
        return found.assign(x_mm=found["x_mm"] + 0.01 * next(calls))

    monkeypatch.setattr(locating, "locate_views", locate)
    return LocatorPlan(params, rsna, {"name": "phantom"}, tmp_path / "views", tmp_path / "split.csv", tmp_path / "runs")


def located_holdout(plan: LocatorPlan) -> pd.DataFrame:
    """Of a run in which what is trained is not trained again."""

    def begin(spec: AnySpec, on_epoch: OnEpoch, stop: Event) -> Future[FoldResult]:
        assert isinstance(spec, LocatorSpec)
        if read_result(spec.folder) is None:
            begin_fold(spec)
            train_locator(spec)
            packed = PackedViews(plan.views)
            split = pd.read_csv(plan.split)
            studies = split.loc[split["fold"] == spec.fold, "study_id"]
            found = pd.concat([labelled_points(packed, plan.task, study) for study in studies])
            found.to_parquet(spec.folder / PREDICTIONS, index=False)
        future: Future[FoldResult] = Future()
        future.set_result(read_result(spec.folder))
        return future

    with FoldPool(begin, 1) as pool:
        located = train_locators(plan, Tracker("locating"), pool, lambda line: None).located
    held = located[located["fold"] == HOLDOUT].reset_index(drop=True)
    assert held["study_id"].nunique() == 2
    return held


def test_the_holdout_is_located_once_by_the_same_networks(plan: LocatorPlan) -> None:
    """Or a search, which is known by what was located, would begin anew on another number of threads."""
    first = located_holdout(plan)
    pd.testing.assert_frame_equal(located_holdout(plan), first)


def test_other_networks_locate_the_holdout_anew(plan: LocatorPlan) -> None:
    first = located_holdout(plan)
    one, other = (spec.folder / MODEL for spec in plan.specs())
    shutil.copy(other, one)
    assert not located_holdout(plan)["x_mm"].equals(first["x_mm"])
