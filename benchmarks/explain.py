"""The pointing game: does a severe cell's heat map point to the narrowing that the phantom's anatomy put there?

    python benchmarks/explain.py models:/lumbargrade-rsna2024@champion DATASET [--jitter 6]
    python benchmarks/explain.py FOLD/model.safetensors DATASET

DATASET is a phantom that the model has not seen, without faults. Each severe cell's crop is cut twice: around its
labelled point, and around that point moved by a known offset of up to so many mm in both directions, so that the crop's
centre is not a trivial answer; ``centre`` is the score of always pointing there. A hit lies within RADII_MM of the true
place in the plane of the slice, and on its side of the spine. Prints JSON.
"""

import argparse
import json
import time
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lumbargrade.config.params import PrepareParams
from lumbargrade.config.task import Cell, GradingTask
from lumbargrade.data.layout import RsnaDataset, open_dataset
from lumbargrade.dicom.geometry import Plane
from lumbargrade.errors import InputError
from lumbargrade.inference.predict import grade_crops
from lumbargrade.models.explain import explain_crops
from lumbargrade.models.grader import Grader, load_grader
from lumbargrade.phantom.anatomy import Spine
from lumbargrade.phantom.generate import MARKER
from lumbargrade.phantom.study import draw_study, study_number, study_rng, true_point
from lumbargrade.preprocessing.crop import cut_crop, display_axes, reflects, window_around
from lumbargrade.preprocessing.series import SeriesImages, open_series
from lumbargrade.registry.resolve import load_model

RADII_MM = (10.0, 5.0)
"""Half a disc's height and width; and as near as a reader would point."""


@dataclass(frozen=True)
class Shown:
    """A severe cell's crop, and where its narrowing is.

    Attributes:
        reflected: Whether the crop's columns run against the window's.
        window: The plane of the crop as it is displayed, not mirrored.
        truth: Where the narrowing is in the patient, mm, (3,).
        side: 1 if the cell is on the patient's left, -1 on the right, 0 if it has no side.
        middle: The middle of the canal at its level, mm, (3,).
    """

    cell: Cell
    code: int
    crop: NDArray[np.uint8]
    reflected: bool
    window: Plane
    truth: NDArray[np.float64]
    side: int
    middle: NDArray[np.float64]

    def miss(self, row: float, column: float) -> float:
        """Distance of a pixel from the truth in the slice's plane, mm; infinite on the wrong side of the spine."""
        position = self.window.to_patient((column, row))
        if self.side * (position - self.middle)[0] < 0:
            return float("inf")
        across = np.array([column, row]) - self.window.to_pixel(self.truth)[:2]
        return float(np.linalg.norm(across) * self.window.spacing[0])


def main() -> None:
    """Parses the command line and prints the scores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "model", help="models:/<name>@champion, models:/<name>/<version>, or a fold's model.safetensors"
    )
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--jitter", type=float, default=6.0, help="mm, in both directions")
    told = parser.parse_args()
    is_file = told.model.endswith(".safetensors")
    graders = [load_grader(Path(told.model))] if is_file else load_model(told.model).graders
    dataset = open_dataset(told.dataset, graders[0].config.task)
    measured: dict[str, object] = {}
    for name, jitter in (("around the label", 0.0), ("around a moved label", told.jitter)):
        measured[name] = play(graders, list(severe_cells(dataset, graders[0].config.prepare, jitter)))
    print(json.dumps(measured, indent=2))


def severe_cells(dataset: RsnaDataset, params: PrepareParams, jitter: float) -> Iterator[Shown]:
    """Cuts the crops of a phantom's severe cells, moved by up to ``jitter`` mm from their labelled points.

    Raises:
        InputError: The dataset is no phantom, or one with faults, whose anatomy is not what its images show.
    """
    task = dataset.task
    if not (dataset.root / MARKER).is_file():
        raise InputError(
            f"{dataset.root} is no phantom, so nobody knows the true places",
            "make one: lumbargrade phantom",
            "not-a-phantom",
        )
    made = json.loads((dataset.root / MARKER).read_text(encoding="utf-8"))["arguments"]
    if made["faults"]:
        raise InputError(f"{dataset.root} has faults", "make a phantom without --faults", "phantom-with-faults")
    labels, points = dataset.labels.set_index("study_id"), dataset.used_points()
    for index in range(made["studies"]):
        study = study_number(made["seed"], index)
        spine = draw_study(study_rng(made["seed"], index), study, task).spine
        moves = np.random.default_rng([made["seed"], index])
        for point in points[points["study_id"] == study].to_dict("records"):
            cell = Cell(task.condition(point["condition"]), point["level"])
            move = moves.uniform(-jitter, jitter, 2)
            if labels.loc[study, cell.column] == task.grades[-1]:
                images = open_series(dataset.series_dir(study, point["series_id"]), params.percentiles)
                yield show(images, point, cell, spine, move, task, params)


def show(
    images: SeriesImages,
    point: Mapping[Hashable, Any],
    cell: Cell,
    spine: Spine,
    move: NDArray[np.float64],
    task: GradingTask,
    params: PrepareParams,
) -> Shown:
    """Cuts one crop, ``move`` mm from its point along the columns and the rows of the displayed slice."""
    condition, level = cell.condition, task.levels.index(cell.level)
    stack, place = images.find(point["instance_number"])
    plane = stack.slices[place].plane
    axes = display_axes(plane, stack.orientation)
    centre = plane.to_patient((point["x"], point["y"])) + move[0] * axes[0] + move[1] * axes[1]
    x, y, _ = plane.to_pixel(centre)
    return Shown(
        cell=cell,
        code=task.cells.index(cell),
        crop=cut_crop(images, stack, place, (float(x), float(y)), condition.mirrored, params),
        reflected=reflects(stack.orientation, condition.mirrored),
        window=window_around(centre, axes, params.crop_pixels, params.pixel_mm),
        truth=true_point(spine, task.conditions.index(condition), level, task),
        side={"left": 1, "right": -1}.get(condition.side or "", 0),
        middle=spine.canal_point(level),
    )


def play(graders: list[Grader], shown: list[Shown]) -> dict[str, object]:
    """Scores the maxima of the heat maps, for the grades that the graders give."""
    crops, codes = np.stack([each.crop for each in shown]), np.array([each.code for each in shown])
    grades = grade_crops(graders, crops, codes).argmax(axis=1)
    started = time.perf_counter()
    heats = explain_crops(graders, crops, codes, grades)
    seconds = (time.perf_counter() - started) / len(shown)
    side = crops.shape[-1]
    misses = np.array([each.miss(*_peak(heat, each.reflected)) for each, heat in zip(shown, heats, strict=True)])
    centre = np.array([each.miss((side - 1) / 2, (side - 1) / 2) for each in shown])
    severe = grades == len(graders[0].config.task.grades) - 1
    groups = np.array([each.cell.condition.group for each in shown])
    return {
        "severe cells": len(shown),
        "graded severe": int(severe.sum()),
        "heat map": _scores(misses),
        "centre": _scores(centre),
        "heat map where graded severe": _scores(misses[severe]) if severe.any() else None,
        "heat map by group": {str(group): _scores(misses[groups == group]) for group in np.unique(groups)},
        "seconds a cell": round(seconds, 3),
    }


def _peak(heat: NDArray[np.float32], reflected: bool) -> tuple[float, float]:
    """Row and column of the strongest place, in the window as it is displayed."""
    row, column = np.unravel_index((heat[:, ::-1] if reflected else heat).argmax(), heat.shape)
    return float(row), float(column)


def _scores(misses: NDArray[np.float64]) -> dict[str, float | None]:
    hits: dict[str, float | None] = {
        f"within {radius:g} mm": round(float((misses <= radius).mean()), 3) for radius in RADII_MM
    }
    median = float(np.median(misses))
    return {**hits, "median mm": round(median, 2) if np.isfinite(median) else None}


if __name__ == "__main__":
    main()
