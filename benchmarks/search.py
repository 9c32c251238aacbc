"""Measures what pruning saves of a real search, and what it costs: the best score of each kind of search, over seeds.

    python benchmarks/search.py DATASET FOLDER [--task rsna2024] [--trials 12] [--seeds 3] [--set epochs=4]
    python benchmarks/search.py phantom FOLDER --studies 60

The phantom's task is the spinal canal alone. Every search is the real one on one device, trained for real at labelled points;
the folds are trained in this process. A fold of parameters that were trained before, by another kind of search with the same
seed, is replayed epoch by epoch, and counts as if it were trained. ``trained`` is the share of the epochs that all folds of all
trials have. Prints JSON; what was trained stays in FOLDER.
"""

import argparse
import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import torch
import yaml
from pydantic import ValidationError

from lumbargrade.config.params import Params, PrepareParams, SplitParams
from lumbargrade.config.task import load_task, save_task
from lumbargrade.data.layout import open_dataset
from lumbargrade.errors import StoppedError
from lumbargrade.files import write_text
from lumbargrade.phantom import generate
from lumbargrade.preprocessing.pack import PackedCrops, pack_crops
from lumbargrade.preprocessing.split.split import split_studies
from lumbargrade.search.plan import SearchPlan
from lumbargrade.search.run import run_search
from lumbargrade.tracking.mlflow_tracker import Tracker
from lumbargrade.training.grader.fit import train_fold
from lumbargrade.training.jobs.executor import FoldFuture, FoldPool
from lumbargrade.training.jobs.process import OnEpoch, begin_fold
from lumbargrade.training.jobs.spec import RESULT, SPEC, AnySpec, Epoch, FoldResult, FoldSpec, read_history, read_result

KINDS: dict[str, dict[str, Any]] = {
    "none": {"pruning": "none"},
    "wilcoxon": {"pruning": "wilcoxon"},
    "wilcoxon 0.1": {"pruning": "wilcoxon", "pruning_p": 0.1},
    "wilcoxon 0.2": {"pruning": "wilcoxon", "pruning_p": 0.2},
    "wilcoxon 0.3": {"pruning": "wilcoxon", "pruning_p": 0.3},
    "wilcoxon 0.4": {"pruning": "wilcoxon", "pruning_p": 0.4},
    "epochs 0.5": {"pruning": "none", "epoch_keep": 0.5},
    "wilcoxon, epochs 0.5": {"pruning": "wilcoxon", "epoch_keep": 0.5},
    "wilcoxon, epochs 0.25": {"pruning": "wilcoxon", "epoch_keep": 0.25},
    "wilcoxon 0.1, epochs 0.5": {"pruning": "wilcoxon", "pruning_p": 0.1, "epoch_keep": 0.5},
    "wilcoxon 0.3, epochs 0.5": {"pruning": "wilcoxon", "pruning_p": 0.3, "epoch_keep": 0.5},
    "wilcoxon 0.5, epochs 0.5": {"pruning": "wilcoxon", "pruning_p": 0.5, "epoch_keep": 0.5},
    "wilcoxon 0.1, epochs 0.25": {"pruning": "wilcoxon", "pruning_p": 0.1, "epoch_keep": 0.25},
}
FOLDS = 5
SPACE = {
    "learning_rate": {"low": 2e-5, "high": 2e-2, "log": True},
    "weight_decay": {"low": 1e-3, "high": 0.3, "log": True},
    "drop_rate": {"low": 0.0, "high": 0.5},
    "crop_mm": {"low": 30.0, "high": 60.0},
    "augmentation": {"low": 0.0, "high": 1.0},
}


class ReplayingPool(FoldPool):
    """Trains in this process, one fold at a time, and replays folds of the same parameters and seed.

    Attributes:
        epochs: Epochs that were trained, or would have been.
        folds: The same of folds, from their first epoch.
    """

    def __init__(self, kept: Path) -> None:
        super().__init__(self._begin, 1)
        self.epochs = self.folds = 0
        self._kept = kept

    def _begin(self, spec: AnySpec, on_epoch: OnEpoch, stop: Event) -> FoldFuture:
        assert isinstance(spec, FoldSpec)
        future: Future[FoldResult] = Future()
        self.folds += 1

        def each(epoch: Epoch) -> None:
            self.epochs += 1
            on_epoch(spec, epoch)
            if stop.is_set():
                raise StoppedError("stopped", "", "stopped")

        try:
            future.set_result(self._result(spec, each))
        except StoppedError as error:
            future.set_exception(error)
        return future

    def _result(self, spec: FoldSpec, each: Callable[[Epoch], None]) -> FoldResult:
        kept = self._kept / spec.folder.parent.name / spec.folder.name
        known = read_result(kept)
        if known is not None:
            for epoch in read_history(kept):
                each(epoch)
            shutil.copytree(kept, spec.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(SPEC))
            moved = known.model_copy(update={"folder": spec.folder})
            write_text(spec.folder / RESULT, moved.model_dump_json(indent=2))
            return moved
        shutil.rmtree(spec.folder, ignore_errors=True)
        begin_fold(spec)
        result = train_fold(spec, each)
        shutil.copytree(spec.folder, kept, dirs_exist_ok=True)
        return result


def prepare(told: argparse.Namespace) -> str:
    """Packs the crops of the dataset and splits its studies, once; returns the task, of the phantom's canal alone."""
    source, task = Path(told.dataset), load_task(told.task)
    dataset = None
    if told.dataset == "phantom":
        source = told.folder / "phantom"
        if not source.is_dir():
            generate(source, told.studies, 6000)
        canal = task.model_copy(update={"name": "canal", "conditions": task.conditions[:1]})
        dataset = open_dataset(source, task)
        points = dataset.points[dataset.points["condition"] == canal.conditions[0].name]
        dataset = replace(dataset, task=canal, points=points)
        task = canal
    save_task(task, told.folder / "task.yaml")
    crops = told.folder / "crops"
    if not crops.is_dir():
        pack_crops(dataset or open_dataset(source, task), crops, PrepareParams())
    split_studies(PackedCrops(crops).index, SplitParams(folds=FOLDS)).to_csv(told.folder / "split.csv", index=False)
    return str(told.folder / "task.yaml")


def search(told: argparse.Namespace, kind: str, seed: int, params: Params) -> dict[str, float]:
    """One search."""
    changed = params.search.model_dump() | KINDS[kind] | {"seed": seed}
    mine = Params.model_validate(params.model_dump() | {"search": changed, "seed": seed})
    folder = told.folder / kind.replace(" ", "-").replace(",", "") / str(seed)
    plan = SearchPlan(
        mine, load_task(mine.task), {"seed": str(seed)}, told.folder / "crops", told.folder / "split.csv", folder
    )
    shutil.rmtree(folder, ignore_errors=True)
    with ReplayingPool(told.folder / "kept" / str(seed)) as pool:
        outcome = run_search(plan, Tracker(f"{kind} {seed}"), pool, lambda line: print(line, flush=True))
    states = [trial.state for trial in outcome.tried]
    return {
        "score": outcome.evaluation.score,
        "epochs": pool.epochs,
        "folds": pool.folds,
        "complete": states.count("complete"),
        "best": outcome.trial,
    }


def main() -> None:
    """Runs the searches, and prints a row for each kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", help="a folder in RSNA layout, or phantom")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--task", default="rsna2024")
    parser.add_argument("--studies", type=int, default=60)
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="fields of `training`")
    told = parser.parse_args()
    torch.set_num_threads(told.threads)
    training = {"learning_rate": 1e-3, "image_pixels": 32, "epochs": 4, "batch_size": 16, "epoch_crops": 192}
    training |= {name: yaml.safe_load(value) for name, value in (each.split("=", 1) for each in told.set)}
    told.folder = told.folder.resolve()
    told.folder.mkdir(parents=True, exist_ok=True)
    asked = {"split": {"folds": FOLDS}, "training": training, "search": {"trials": told.trials, "space": SPACE}}
    try:
        params = Params.model_validate(asked)
    except ValidationError as error:
        parser.error(f"--set: {error}")
    params = params.model_copy(update={"task": prepare(told)})
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{told.folder}/mlflow.db"
    rows = []
    whole = told.trials * params.split.folds * params.training.epochs
    for kind in told.kinds:
        each = [search(told, kind, seed, params) for seed in range(told.seeds)]
        scores = [one["score"] for one in each]
        rows.append(
            {
                "kind": kind,
                "trained": round(float(np.mean([one["epochs"] for one in each])) / whole, 3),
                "best": [round(score, 4) for score in scores],
                "mean_best": round(float(np.mean(scores)), 4),
                "complete": [one["complete"] for one in each],
                "best_trial": [one["best"] for one in each],
            }
        )
        print(json.dumps(rows[-1]), flush=True)
    print(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
