"""Measures the locator: on unseen phantoms with the real dataset's faults, or cross-validated on a dataset.

    python benchmarks/locator.py phantom FOLDER [--train 200] [--test 60] [--epochs 12]
    python benchmarks/locator.py data DATASET FOLDER --task disc_degeneration [--folds 5] [--epochs 12]

The phantom's truth is its anatomy, not its tables, some of which are wrong on purpose. Prints JSON; pictures of the farthest
points lie in FOLDER. Nothing else may run beside it if its times are to mean anything.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from lumbargrade.config.params import LocatorParams, PrepareParams, ViewParams
from lumbargrade.config.task import GradingTask, load_task
from lumbargrade.data.layout import open_dataset
from lumbargrade.localization.localize import LocatedStudy, locate_study, located_table
from lumbargrade.models.locator import Locator, load_locator
from lumbargrade.phantom import generate
from lumbargrade.phantom.faults import PAIRS, apply_faults
from lumbargrade.phantom.study import build_study, true_point
from lumbargrade.preprocessing.pack_views import PackedViews, pack_views
from lumbargrade.training.jobs.spec import LocatorSpec, read_result
from lumbargrade.training.locator.evaluate import compare_points, locator_metrics, worst_figure
from lumbargrade.training.locator.fit import train_locator

TRAIN_SEED, TEST_SEED = 1000, 2000
NO_TRUTH = {"cervical series", "no orientation", "no spacing"}
"""Faults after which points of a series have no place in the patient that could be compared."""


def main() -> None:
    """Parses the command line and prints what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    phantom = kinds.add_parser("phantom")
    phantom.add_argument("folder", type=Path)
    phantom.add_argument("--train", type=int, default=200)
    phantom.add_argument("--test", type=int, default=60)
    data = kinds.add_parser("data")
    data.add_argument("dataset", type=Path)
    data.add_argument("folder", type=Path)
    data.add_argument("--task", default="rsna2024")
    data.add_argument("--folds", type=int, default=5)
    for each in (phantom, data):
        each.add_argument("--epochs", type=int, default=12)
        each.add_argument("--width", type=int, default=LocatorParams().width)
        each.add_argument("--slices", type=int, default=640)
        each.add_argument("--augmentation", type=float, default=1.0)
        each.add_argument("--seed", type=int, default=0, help="of the training")
    told = parser.parse_args()
    torch.set_num_threads(torch.get_num_threads())
    training = LocatorParams(
        epochs=told.epochs, width=told.width, epoch_slices=told.slices, augmentation=told.augmentation
    )
    measured = measure_phantom(told, training) if told.kind == "phantom" else measure_data(told, training)
    print(json.dumps(measured, indent=2))


def measure_phantom(told: argparse.Namespace, training: LocatorParams) -> dict[str, object]:
    """Trains on clean phantoms and locates faulty ones of another seed."""
    task = load_task("rsna2024")
    train = packed_views(told.folder / "train", told.train, TRAIN_SEED, False, task)
    test = packed_views(told.folder / "test", told.test, TEST_SEED, True, task)
    split = pd.DataFrame({"study_id": train.studies, "fold": [int(n % 20 == 0) for n in range(len(train.studies))]})
    locator = trained(told.folder, task, training, told.folder / "train" / "views", split, 1, told.seed)
    started = time.monotonic()
    found = {study: locate_study([locator], test.stacks[study]) for study in test.studies}
    seconds = (time.monotonic() - started) / len(found)
    rows = [row for index in range(told.test) for row in phantom_rows(index, found, task)]
    table = pd.DataFrame(rows, columns=["study", "turn", "group", "cell", "side_right", "error_mm"])
    table.to_csv(told.folder / "points.csv", index=False)
    seen = table[np.isfinite(table["error_mm"])]
    spinal = seen[seen["group"] == "spinal"]
    right = (spinal["error_mm"] <= 15).groupby(spinal["study"]).all()
    groups = seen.groupby("group")["error_mm"]
    return {
        "studies": len(found),
        "points": len(table),
        "located": float(np.isfinite(table["error_mm"]).mean()),
        "within_5_mm_of_located": float((seen["error_mm"] <= 5).mean()),
        "within_5_mm_of_all": float((table["error_mm"] <= 5).mean()),
        "median_mm": {str(group): float(value) for group, value in groups.median().items()},
        "p95_mm": {str(group): float(value) for group, value in groups.quantile(0.95).items()},
        "studies_with_all_levels_right": float(right.mean()),
        "wrong_studies": right.index[~right].tolist(),
        "sides_swapped": int((~seen["side_right"]).sum()),
        "notes": {
            str(study): [note.text for note in located.notes] for study, located in found.items() if located.notes
        },
        "locate_seconds_a_study": round(seconds, 2),
    }


def phantom_rows(index: int, found: dict[int, LocatedStudy], task: GradingTask) -> list[tuple[object, ...]]:
    """How far each cell of a study is off from the anatomy; cells that its faults make impossible are left out."""
    study = build_study(TEST_SEED, index, task)
    apply_faults(study, TEST_SEED, index, task)
    turn = index % (len(PAIRS) + 1)
    kinds = {kind: series for kind, series, _ in study.faults}
    located = found[study.study_id]
    rows: list[tuple[object, ...]] = []
    for number, condition in enumerate(task.conditions):
        there = study.described(condition.series)
        if not there or {series.series_id for series in there} & {kinds[k] for k in kinds if k in NO_TRUTH}:
            continue
        for level, name in enumerate(task.levels):
            truth = true_point(study.spine, number, level, task)
            place = located.places.get((condition.name, name))
            error = float("inf") if place is None else through_slice(place.position, truth)
            side = {"left": 1, "right": -1}.get(condition.side or "", 0)
            middle = study.spine.canal_point(level)[0]
            right = place is None or side == 0 or side * (place.position[0] - middle) > 0
            rows.append((study.study_id, turn, condition.group, f"{condition.name} {name}", right, error))
    return rows


def through_slice(position: np.ndarray, truth: np.ndarray) -> float:
    """Distance in the patient, mm: across slices too, whose centres lie up to half a gap from the truth."""
    return float(np.linalg.norm(position - truth))


def packed_views(folder: Path, studies: int, seed: int, faults: bool, task: GradingTask) -> PackedViews:
    """Makes phantoms and packs their views, once."""
    if not (folder / "views").is_dir():
        generate(folder / "phantom", studies, seed, faults)
        pack_views(open_dataset(folder / "phantom", task), folder / "views", PrepareParams(), ViewParams())
    return PackedViews(folder / "views")


def measure_data(told: argparse.Namespace, training: LocatorParams) -> dict[str, object]:
    """Cross-validates on a dataset, studies kept together."""
    task = load_task(told.task)
    if not (told.folder / "views").is_dir():
        pack_views(open_dataset(told.dataset, task), told.folder / "views", PrepareParams(), ViewParams())
    packed = PackedViews(told.folder / "views")
    order = np.random.default_rng(0).permutation(packed.studies)
    split = pd.DataFrame({"study_id": order, "fold": np.arange(len(order)) % told.folds})
    tables, notes = [], {}
    for fold in range(told.folds):
        locator = trained(told.folder, task, training, told.folder / "views", split, fold, told.seed)
        for study in split.loc[split["fold"] == fold, "study_id"]:
            located = locate_study([locator], packed.stacks[int(study)])
            tables.append(located_table(located, int(study)))
            if located.notes:
                notes[str(study)] = [note.text for note in located.notes]
    table = compare_points(pd.concat(tables, ignore_index=True), packed, task)
    worst_figure(table, packed, task).savefig(told.folder / "worst.png", dpi=90)
    doubts = {study: doubtful_labels(packed, study) for study in packed.studies}
    table["doubt"] = [
        doubts[study].get((series, level), "")
        for study, series, level in zip(table["study_id"], table["series_id"], table["level"], strict=True)
    ]
    sound = table[table["doubt"] == ""]
    misses = table[table["error_mm"] > 6][["study_id", "level", "error_mm", "doubt"]].round(1).to_dict("records")
    return {
        **locator_metrics(table, packed, task, packed.studies),
        "within_6_mm_of_located_with_sound_labels": float((sound["error_mm"] <= 6).mean()),
        "located_with_sound_labels": len(sound),
        "notes": notes,
        "misses": misses,
    }


def doubtful_labels(packed: PackedViews, study: int) -> dict[tuple[int, str], str]:
    """Why some labels, by series and level, cannot be right, whatever was located."""
    planes = {stack.series: stack.slices[0].source for stack in packed.stacks[study]}
    points = packed.points_of(study)
    doubts = {}
    for point in points:
        plane = planes[str(point["series_id"])]
        if not plane.shows(point["position"]):
            doubts[point["series_id"], point["level"]] = "the label lies outside the image"
        for other in points:
            near = np.linalg.norm(other["position"] - point["position"]) <= 12
            if other["level"] != point["level"] and near:
                doubts[point["series_id"], point["level"]] = f"another series has the label {other['level']} here"
    return doubts


def trained(
    folder: Path, task: GradingTask, training: LocatorParams, views: Path, split: pd.DataFrame, fold: int, seed: int
) -> Locator:
    """Trains a locator in this process, unless it is trained."""
    place = folder / f"fold-{fold}"
    place.mkdir(parents=True, exist_ok=True)
    split.to_csv(folder / "split.csv", index=False)
    result = read_result(place) or train_locator(
        LocatorSpec(
            task=task,
            prepare=PrepareParams(),
            views=ViewParams(),
            training=training,
            packed=views,
            split=folder / "split.csv",
            fold=fold,
            seed=seed,
            folder=place,
        )
    )
    return load_locator(result.model)


if __name__ == "__main__":
    main()
