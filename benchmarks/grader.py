"""Measures the grader where a locator looked: cross-validated on a dataset, or by training size on unseen phantoms.

    python benchmarks/grader.py data DATASET FOLDER --locators LOCATORS --task disc_degeneration [--seeds 3] [--set epochs=25]
    python benchmarks/grader.py ablation DATASET FOLDER --locators LOCATORS --task disc_degeneration [--only flips mixup]
    python benchmarks/grader.py phantom FOLDER --locator LOCATORS/fold-1/model.safetensors [--sizes 50 100 200 400]

LOCATORS is the folder of ``benchmarks/locator.py``, whose folds are kept, so that no study is graded where a locator looked
that was trained on it; or the file of one locator that has seen none of the studies, which are then three folds. ``data``
has a baseline without any network beside it: gradient boosting over grey values and texture. Prints JSON; what was trained
stays in FOLDER and is not trained again. Nothing else may run beside it.
"""

import argparse
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import yaml
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import stats
from skimage.feature import graycomatrix, graycoprops, hog, local_binary_pattern
from sklearn.ensemble import HistGradientBoostingClassifier

from lumbargrade.config.params import PrepareParams, TrainingParams, ViewParams
from lumbargrade.config.task import GradingTask, load_task
from lumbargrade.data.layout import RsnaDataset, open_dataset
from lumbargrade.evaluation.align import truth_table
from lumbargrade.evaluation.calibrate import calibrate_across, evaluate_calibrated, fit_calibration
from lumbargrade.evaluation.evaluate import grade_packed
from lumbargrade.evaluation.label_issues import label_suspects
from lumbargrade.evaluation.metrics import Evaluation
from lumbargrade.inference.predict import cell_codes, pool_cells
from lumbargrade.localization.localize import locate_views
from lumbargrade.models.bundle import LoadedModel
from lumbargrade.models.grader import load_grader
from lumbargrade.models.locator import Locator, load_locator
from lumbargrade.phantom import generate
from lumbargrade.preprocessing.pack import PackedCrops, pack_crops
from lumbargrade.preprocessing.pack_views import PackedViews, pack_views
from lumbargrade.training.grader.input_files import file_digests, named_files
from lumbargrade.training.jobs.devices import Device, find_devices
from lumbargrade.training.jobs.process import run_fold
from lumbargrade.training.jobs.spec import FoldSpec
from lumbargrade.training.locator.evaluate import compare_points

Measured = TypeVar("Measured")
TRAIN_SEED, TEST_SEED = 3000, 4000
"""Neither is a seed of the phantoms that ``benchmarks/locator.py`` trains on."""
COVERAGE = 0.9
KEPT = (
    "score",
    "accuracy",
    "balanced_accuracy",
    "quadratic_kappa",
    "severe_auc",
    "log_loss",
    "calibration_error",
    "calibration_error_by_chance",
)

PARTS: Mapping[str, Mapping[str, Any]] = {
    "none": {},
    "random weights": {"weights": "none"},
    "freeze": {"freeze_epochs": 2},
    "layer_decay": {"layer_decay": 0.7},
    "no augmentation": {"augmentation": 0.0},
    "augmentation 1.0": {"augmentation": 1.0},
    "style": {"style": 0.6},
    "flips": {"flips": True},
    "erase": {"erase": 2},
    "mixup": {"mixup": 0.4},
    "label_smoothing": {"label_smoothing": 0.1},
    "ema": {"ema": 0.99},
    "context": {"context": "transformer"},
    "equal grade weights": {"grade_weights": (1.0, 1.0, 1.0)},
    "suspects": {},
}
"""Each part of the recipe alone, against the parameters as told. ``suspects`` has a table a fold, see :func:`nested_suspects`."""


def main() -> None:
    """Parses the command line and prints what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    data, ablation, phantom = (kinds.add_parser(name) for name in ("data", "ablation", "phantom"))
    for each in (data, ablation):
        each.add_argument("dataset", type=Path)
        each.add_argument("folder", type=Path)
        each.add_argument("--locators", type=Path, required=True)
        each.add_argument("--task", default="rsna2024")
        each.add_argument("--seeds", type=int, default=3)
    ablation.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS))
    phantom.add_argument("folder", type=Path)
    phantom.add_argument("--locator", type=Path, required=True)
    phantom.add_argument("--sizes", type=int, nargs="+", default=[50, 100, 200, 400])
    phantom.add_argument("--test", type=int, default=100)
    for each in (data, ablation, phantom):
        each.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="fields of `training`")
    told = parser.parse_args()
    changes = {name: yaml.safe_load(value) for name, value in (each.split("=", 1) for each in told.set)}
    training = TrainingParams.model_validate(changes)
    measured = {"data": measure_data, "ablation": measure_parts, "phantom": measure_phantom}[told.kind](told, training)
    print(json.dumps(measured, indent=2))


def measure_data(told: argparse.Namespace, training: TrainingParams) -> dict[str, object]:
    """Cross-validates network and baseline, studies kept together, with several seeds."""
    task, crops, split = packed_data(told)
    networks = each_seed(
        told.seeds,
        lambda seed: evaluate(task, crops, cross_validated(task, crops, split, training, seed, told.folder / "data")),
    )
    baseline = evaluate(task, crops, boosted(task, crops, split)).flat()
    return {
        "cells": networks[0].cells,
        "accuracy_majority": networks[0].accuracy_majority,
        "network": summary(networks),
        "baseline": {key: round(baseline[key], 4) for key in KEPT},
        "sets": [each.sets.model_dump() for each in networks if each.sets],
    }


def measure_parts(told: argparse.Namespace, training: TrainingParams) -> dict[str, object]:
    """Cross-validates with each part of the recipe alone; each seed is compared with the same seed without any part."""
    task, crops, split = packed_data(told)
    without: list[dict[str, float]] = []
    table: dict[str, object] = {}
    for name in ["none", *(name for name in told.only if name != "none")]:
        changed = TrainingParams.model_validate(training.model_dump() | PARTS[name])
        folder = told.folder / "parts" / name.replace(" ", "-")

        def measure(
            seed: int, name: str = name, changed: TrainingParams = changed, folder: Path = folder
        ) -> dict[str, float]:
            tables = nested_suspects(task, crops, split, training, seed, folder) if name == "suspects" else {}
            return evaluate(task, crops, cross_validated(task, crops, split, changed, seed, folder, tables)).flat()

        flat = each_seed(told.seeds, measure)
        without = without or flat
        table[name] = {
            key: spread(
                [
                    now[key] - before[key] if name != "none" else now[key]
                    for now, before in zip(flat, without, strict=True)
                ]
            )
            for key in KEPT
        }
        print(json.dumps({name: table[name]}), flush=True)
    return table


def measure_phantom(told: argparse.Namespace, training: TrainingParams) -> dict[str, object]:
    """Trains on more and more phantoms and grades others, all of them where the locator looks."""
    task = load_task("rsna2024")
    locator = load_locator(told.locator)
    train = phantom_crops(told.folder / "train", max(told.sizes), TRAIN_SEED, locator, task)
    test = phantom_crops(told.folder / "test", told.test, TEST_SEED, locator, task)
    truth = truth_table(PackedCrops(test / "labelled").index)
    known = truth_table(PackedCrops(train / "labelled").index)
    studies = known["study_id"].unique()
    table = {}
    for size in sorted(told.sizes):
        folder = told.folder / f"size-{size}"
        split = thirds(studies[:size], folder / "split.csv")
        predictions = cross_validated(task, train, split, training, 0, folder)
        graders = [load_grader(folder / f"seed-0-fold-{fold}" / "model.safetensors") for fold in range(3)]
        calibration = fit_calibration(task, known, predictions, COVERAGE)
        graded = grade_packed(LoadedModel(graders, [locator], "", calibration), test / "located", truth)
        table[size] = graded.evaluation.flat()
        print(json.dumps({str(size): {key: round(table[size][key], 3) for key in KEPT}}), flush=True)
    prior = evaluate_calibrated(
        task, truth, prior_per_cell(task, known, truth), np.ones((len(truth), len(task.grades)), dtype=bool), COVERAGE
    )
    learning_curve({size: each["score"] for size, each in table.items()}, prior.score).savefig(
        told.folder / "learning_curve.png", dpi=110
    )
    return {"prior_per_cell": prior.score, "by_size": table}


def phantom_crops(folder: Path, studies: int, seed: int, locator: Locator, task: GradingTask) -> Path:
    """Makes phantoms and packs their crops, where they are labelled and where the locator looked, once."""
    if not (folder / "located").is_dir():
        generate(folder / "phantom", studies, seed, False)
        locate_all(open_dataset(folder / "phantom", task), folder, locator)
    return folder


def locate_all(dataset: RsnaDataset, folder: Path, locator: Locator) -> None:
    """Packs the crops of studies that a locator has not seen, where they are labelled and where it looks."""
    pack_views(dataset, folder / "views", PrepareParams(), ViewParams())
    packed = PackedViews(folder / "views")
    found = [locate_views([locator], study, packed.stacks[study]) for study in packed.studies]
    pack_both(dataset, folder, compare_points(pd.concat(found, ignore_index=True), packed, dataset.task))


def thirds(studies: Sequence[int], path: Path) -> Path:
    """Writes studies as three folds, one after another."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame({"study_id": studies, "fold": np.arange(len(studies)) % 3}).to_csv(path, index=False)
    return path


def prior_per_cell(task: GradingTask, known: pd.DataFrame, wanted: pd.DataFrame) -> pd.DataFrame:
    """How common each grade is for a condition at a level, as a prediction for each cell."""
    keys = ["condition", "level"]
    counts = known.groupby([*keys, "grade"]).size().unstack(fill_value=0)
    rates = counts.div(counts.sum(axis=1), axis=0).set_axis(list(task.grade_columns), axis=1).reset_index()
    return wanted[["study_id", *keys]].merge(rates, on=keys)


def packed_data(told: argparse.Namespace) -> tuple[GradingTask, Path, Path]:
    """Locates each study by a locator that has not seen it, and packs the crops, once."""
    task = load_task(told.task)
    crops = told.folder / "crops"
    if told.locators.is_file():
        if not (crops / "located").is_dir():
            locate_all(open_dataset(told.dataset, task), crops, load_locator(told.locators))
        studies = PackedCrops(crops / "labelled").index["study_id"].unique()
        return task, crops, thirds(studies, told.folder / "split.csv")
    split = told.locators / "split.csv"
    if not (crops / "located").is_dir():
        packed = PackedViews(told.locators / "views")
        found = [
            locate_views(
                [load_locator(told.locators / f"fold-{fold}" / "model.safetensors")], study, packed.stacks[study]
            )
            for study, fold in pd.read_csv(split).itertuples(index=False)
        ]
        located = compare_points(pd.concat(found, ignore_index=True), packed, task)
        pack_both(open_dataset(told.dataset, task), crops, located)
    return task, crops, split


def pack_both(dataset: RsnaDataset, folder: Path, located: pd.DataFrame) -> None:
    """Packs the crops at the labelled and at the located points."""
    pack_crops(dataset, folder / "labelled", PrepareParams())
    pack_crops(replace(dataset, points=located), folder / "located", PrepareParams())


def cross_validated(
    task: GradingTask,
    crops: Path,
    split: Path,
    training: TrainingParams,
    seed: int,
    folder: Path,
    suspects: Mapping[int, Path] = MappingProxyType({}),
) -> pd.DataFrame:
    """Trains each fold, unless it is trained, and returns what it says of its studies where the locator looked.

    Args:
        suspects: Table of labels that count less, by the fold that validates.
    """
    trainings = {
        fold: training.model_copy(update={"suspects": str(suspects[fold].resolve())} if fold in suspects else {})
        for fold in sorted(pd.read_csv(split)["fold"].unique().tolist())
    }
    specs = [
        FoldSpec(
            task=task,
            prepare=PrepareParams(),
            training=told,
            crops=(crops / "labelled").resolve(),
            located=(crops / "located").resolve(),
            split=split.resolve(),
            fold=fold,
            seed=seed,
            folder=(folder / f"seed-{seed}-fold-{fold}").resolve(),
            files=file_digests(named_files(told).values()),
        )
        for fold, told in trainings.items()
    ]
    devices = find_devices()
    if devices[0].name == "cpu":  # more processes of one thread do more together than one of several threads
        devices = tuple(Device(f"cpu:{core}", "", 1) for core in range(devices[0].threads))
    for spec in specs:
        spec.folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(len(devices)) as pool:
        results = list(pool.map(lambda spec: run_fold(spec, devices), specs))
    parts = [result.predictions().assign(fold=result.fold) for result in results]
    every = pd.concat(parts, ignore_index=True)
    return every[every["points"] == "located"].reset_index(drop=True)


def nested_suspects(
    task: GradingTask, crops: Path, split: Path, training: TrainingParams, seed: int, folder: Path
) -> dict[int, Path]:
    """Lists for each fold the doubted labels of the others, found by a cross-validation of these alone.

    So networks and calibration that doubt a label have seen neither its study nor any that validates. It takes as many
    cross-validations, each of one fold less, as there are folds.

    Returns:
        A table, as :func:`label_suspects` gives it, by the fold that validates.
    """
    folds, tables = pd.read_csv(split), {}
    truth = truth_table(PackedCrops(crops / "labelled").index)
    for fold in sorted(folds["fold"].unique().tolist()):
        inner = folder / f"seed-{seed}-without-{fold}"
        inner.mkdir(parents=True, exist_ok=True)
        folds[folds["fold"] != fold].to_csv(inner / "split.csv", index=False)
        predictions = cross_validated(task, crops, inner / "split.csv", training, seed, inner)
        calibrated, _ = calibrate_across(task, truth, predictions, COVERAGE)
        tables[fold] = inner / "suspects.csv"
        label_suspects(task, truth, calibrated).to_csv(tables[fold], index=False)
    return tables


def evaluate(task: GradingTask, crops: Path, predictions: pd.DataFrame) -> Evaluation:
    """Scores out-of-fold predictions, each fold's calibrated by the others."""
    truth = truth_table(PackedCrops(crops / "labelled").index)
    calibrated, sets = calibrate_across(task, truth, predictions, COVERAGE)
    return evaluate_calibrated(task, truth, calibrated, sets, COVERAGE)


def boosted(task: GradingTask, crops: Path, split: Path) -> pd.DataFrame:
    """Out-of-fold predictions of gradient boosting over :func:`features`, trained and asked where the locator looked."""
    packed = PackedCrops(crops / "located")
    fold = packed.index["study_id"].map(pd.read_csv(split).set_index("study_id")["fold"])
    codes = cell_codes(packed.index, task)
    known = np.column_stack([codes, features(packed.take(np.arange(len(packed))))])
    graded = packed.index["grade"].notna() & ~(packed.index["error_mm"] > 10)
    parts = []
    for number in sorted(fold.unique()):
        ours, others = np.flatnonzero(fold == number), np.flatnonzero((fold != number) & graded)
        grades = packed.index["grade"].iloc[others].to_numpy(np.int64)
        model = HistGradientBoostingClassifier(max_iter=150, learning_rate=0.05, class_weight="balanced")
        model.fit(known[others], grades)
        probabilities = np.zeros((len(ours), len(task.grades)))
        probabilities[:, model.classes_] = model.predict_proba(known[ours])
        parts.append(pool_cells(packed.index.iloc[ours], probabilities, task).assign(fold=number))
    return pd.concat(parts, ignore_index=True)


def features(crops: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Grey values of parts of the middle slice, their co-occurrence, local binary patterns and gradients."""
    rows = []
    for crop in crops:
        middle = crop[1, 20:-20, 20:-20]
        inner = middle[24:-24, 24:-24]
        pairs = graycomatrix(middle // 16, [1, 3], [0, np.pi / 2], levels=16, symmetric=True, normed=True)
        texture = [graycoprops(pairs, name).ravel() for name in ("contrast", "homogeneity", "energy", "correlation")]
        patterns = np.bincount(local_binary_pattern(middle, 8, 1, "uniform").astype(int).ravel(), minlength=10)
        gradients = hog(middle, pixels_per_cell=(22, 22), cells_per_block=(2, 2))
        greys = [np.percentile(part, [5, 25, 50, 75, 95]) for part in (middle, inner)]
        rows.append(np.concatenate([*greys, [inner.mean(), inner.std()], *texture, patterns, gradients]))
    return np.stack(rows)


def each_seed(seeds: int, measure: Callable[[int], Measured]) -> list[Measured]:
    """What is measured with each seed, side by side: a core that one leaves idle trains a fold of the next."""
    with ThreadPoolExecutor(seeds) as pool:
        return list(pool.map(measure, range(seeds)))


def summary(evaluations: Iterable[Evaluation]) -> dict[str, object]:
    """Mean and spread over the seeds."""
    flat = [each.flat() for each in evaluations]
    return {key: spread([each[key] for each in flat]) for key in KEPT}


def spread(values: Sequence[float]) -> dict[str, float]:
    """Mean over the seeds, and half of its 95 % interval (Student's t)."""
    half = stats.sem(values) * stats.t.ppf(0.975, len(values) - 1) if len(values) > 1 else float("nan")
    return {"mean": round(float(np.mean(values)), 4), "+-": round(float(half), 4)}


def learning_curve(scores: Mapping[int, float], prior: float) -> Figure:
    """Draws the score by the number of studies that trained it."""
    figure = Figure(figsize=(5.4, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.plot(list(scores), list(scores.values()), "o-", label="graders")
    axes.axhline(prior, color="grey", linestyle="--", label="how common each grade is")
    axes.axhline(prior / 2, color="grey", linestyle=":", label="half of that")
    axes.set_xscale("log", base=2)
    axes.set_xticks(list(scores), [str(size) for size in scores])
    axes.set_ylim(0)
    axes.set_xlabel("Training studies")
    axes.set_ylabel("Official score (lower is better)")
    axes.legend()
    return figure


if __name__ == "__main__":
    main()
