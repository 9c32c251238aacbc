"""A search on a clock that is only counted: the real one, with its study and its runs; only training is left out.

A fold takes an hour on average, now more, now less, and its studies' losses vary as in trained trials (see
``benchmarks/pruning.py``).
"""

import zlib
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import numpy as np
import pandas as pd

from lumbargrade.config.params import Params
from lumbargrade.config.task import load_task
from lumbargrade.search.plan import SearchPlan
from lumbargrade.search.run import run_search
from lumbargrade.tracking.mlflow_tracker import Tracker
from lumbargrade.training.jobs.executor import FoldFuture, FoldPool
from lumbargrade.training.jobs.process import OnEpoch
from lumbargrade.training.jobs.spec import PREDICTIONS, RESULT, AnySpec, FoldResult, FoldSpec

STUDIES = 100
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class _Fold:
    """A fold that trains until an hour of the clock."""

    spec: FoldSpec
    device: int
    began: float
    ends: float
    future: "Future[FoldResult]"


class SimulatedPool(FoldPool):
    """Trains nothing: a fold ends when the clock has come to its hour.

    Attributes:
        clock: Hours since the first fold began.
        busy: Hours that the devices have trained, together.
        ended: Folds that were trained to their ends.
    """

    def __init__(self, places: int, seed: int) -> None:
        super().__init__(self._begin, places)
        self.clock = self.busy = 0.0
        self.ended = 0
        self._seed = seed
        self._training: list[_Fold] = []

    def stop(self, spec: AnySpec) -> None:
        """Ends a fold now."""
        super().stop(spec)
        for fold in [each for each in self._training if each.spec.folder == spec.folder]:
            fold.ends = self.clock

    def next(self) -> tuple[AnySpec, FoldFuture | None]:
        """Turns the clock on to the end of the next fold."""
        fold = min(self._training, key=lambda each: each.ends)
        self._training.remove(fold)
        self.clock = fold.ends
        self.busy += fold.ends - fold.began
        fold.future.set_result(self._result(fold))
        ended = super().next()
        self.ended += ended[1] is not None
        return ended

    def _begin(self, spec: AnySpec, on_epoch: OnEpoch, stop: Event) -> FoldFuture:
        assert isinstance(spec, FoldSpec)
        device = min(set(range(self.places)) - {fold.device for fold in self._training})
        hours = self._draw(spec).uniform(0.6, 1.4)
        future: Future[FoldResult] = Future()
        self._training.append(_Fold(spec, device, self.clock, self.clock + hours, future))
        return future

    def _draw(self, spec: FoldSpec) -> np.random.Generator:
        told = f"{self._seed} {spec.folder.parent.name} {spec.fold}"
        return np.random.default_rng(zlib.crc32(told.encode()))

    def _result(self, fold: _Fold) -> FoldResult:
        """Writes predictions: the nearer a trial's learning rate is to 0.001, the more cells are right, but for chance."""
        spec, draw = fold.spec, self._draw(fold.spec)
        split = pd.read_csv(spec.split)
        index = pd.read_parquet(spec.crops / "index.parquet")
        mine = index[index["study_id"].isin(split.loc[split["fold"] == spec.fold, "study_id"])]
        right = 0.85 - 0.2 * abs(np.log10(spec.training.learning_rate / 1e-3)) + 0.02 * draw.standard_normal()
        told = (mine["grade"] + np.where(draw.random(len(mine)) < right, 0, draw.integers(1, 3, len(mine)))) % 3
        table = mine[["study_id", "condition", "level"]].assign(points="labelled")
        for grade, column in enumerate(spec.task.grade_columns):
            table[column] = np.where(told == grade, 0.7, 0.15)
        spec.folder.mkdir(parents=True, exist_ok=True)
        table.to_parquet(spec.folder / PREDICTIONS)
        result = FoldResult(
            fold=spec.fold,
            folder=spec.folder,
            epoch=1,
            epochs=1,
            validation_loss=1.0,
            host="simulated",
            device=f"cuda:{fold.device}",
            began=BEGIN + timedelta(hours=fold.began),
            ended=BEGIN + timedelta(hours=fold.ends),
            precision="fp32",
            threads=1,
            images_per_second=1.0,
            seconds=3600 * (fold.ends - fold.began),
        )
        (spec.folder / RESULT).write_text(result.model_dump_json())
        return result


def make_plan(folder: Path, trials: int, folds: int, pruning: str, seed: int) -> SearchPlan:
    """A search over made-up labels."""
    task, draw = load_task("disc_degeneration"), np.random.default_rng(seed)
    columns = ["study_id", "condition", "level", "grade"]
    rows = [(study, "disc_degeneration", level, draw.integers(3)) for study in range(STUDIES) for level in task.levels]
    index = pd.DataFrame(rows, columns=columns).astype({"grade": "Int8"})
    (folder / "crops").mkdir(parents=True)
    index.assign(series_id=1, instance_number=1, group="disc", x=0.0, y=0.0, error_mm=np.nan).to_parquet(
        folder / "crops/index.parquet"
    )
    side = PARAMS.prepare.crop_pixels
    np.save(folder / "crops/crops-000.npy", np.zeros((len(index), 3, side, side), np.uint8))
    pd.DataFrame({"study_id": range(STUDIES), "fold": [study % folds for study in range(STUDIES)]}).to_csv(
        folder / "split.csv", index=False
    )
    search = {"trials": trials, "pruning": pruning, "seed": seed, "space": SPACE}
    params = Params.model_validate({**PARAMS.model_dump(), "split": {"folds": folds}, "search": search})
    return SearchPlan(params, task, {"seed": str(seed)}, folder / "crops", folder / "split.csv", folder / "runs")


SPACE = {"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}, "drop_rate": {"low": 0.0, "high": 0.4}}
PARAMS = Params.model_validate(
    {"task": "disc_degeneration", "prepare": {"crop_mm": 44.0, "pixel_mm": 2.0}, "training": {"learning_rate": 3e-3}}
)


def simulate(folder: Path, devices: int, trials: int, folds: int, pruning: str, seed: int) -> dict[str, float]:
    """Runs a search of so many trials in a folder, and tells how busy it kept the devices and what it took."""
    plan = make_plan(folder, trials, folds, pruning, seed)
    with SimulatedPool(devices, seed) as pool:
        outcome = run_search(plan, Tracker(f"occupancy {folder.name}"), pool, lambda line: None)
    return {
        "busy": pool.busy / (devices * pool.clock),
        "hours": pool.clock,
        "device_hours": pool.busy,
        "folds": pool.ended,
        "score": outcome.evaluation.score,
    }
