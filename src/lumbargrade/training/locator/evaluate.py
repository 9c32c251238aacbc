"""How far located points are from the labelled ones, in numbers and pictures."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lumbargrade.config.task import GradingTask
from lumbargrade.models.locator import column_group
from lumbargrade.preprocessing.pack_views import PackedViews

_RIGHT_LEVEL_MM = 15.0
"""Half the distance of two levels: what is farther away is nearer to another level."""
_PICTURES = 12


def compare_points(located: pd.DataFrame, packed: PackedViews, task: GradingTask) -> pd.DataFrame:
    """Adds ``error_mm``: the distance of each located point from the nearest labelled one of its cell, in the patient.

    It is missing where the cell has no labelled point.
    """
    errors = []
    for row in located.to_dict("records"):
        truths = [
            p for p in packed.points_of(int(row["study_id"])) if _cell(task, p) == (row["condition"], row["level"])
        ]
        same = [point for point in truths if point["series_id"] == row["series_id"]] or truths
        here = np.array([row["x_mm"], row["y_mm"], row["z_mm"]])
        errors.append(min((float(np.linalg.norm(here - point["position"])) for point in same), default=np.nan))
    return located.assign(error_mm=errors)


def _cell(task: GradingTask, point: dict[str, Any]) -> tuple[str, str]:
    return task.condition(point["condition"]).name, point["level"]


def locator_metrics(
    located: pd.DataFrame, packed: PackedViews, task: GradingTask, studies: Iterable[int]
) -> dict[str, float]:
    """Errors over all labelled points of some studies; a point that is not found counts as off.

    Returns:
        ``error_mm.median``, ``error_mm.p95`` (of those found), ``found``, ``within_5_mm`` and ``within_6_mm``, each also by
        group; ``levels_right`` (of the points in the midline) and ``studies_right`` (all of them).
    """
    group = {condition.name: condition.group for condition in task.conditions}
    wanted = {(study, *_cell(task, point)) for study in studies for point in packed.points_of(study)}
    shows = {c.name: c.series for c in task.conditions}
    labelled = pd.DataFrame(sorted(wanted), columns=["study_id", "condition", "level"])
    labelled = labelled[labelled["condition"].isin(shows)]
    table = labelled.merge(located, on=["study_id", "condition", "level"], how="left")
    table["group"] = table["condition"].map(group)
    error = table["error_mm"].fillna(np.inf)
    metrics: dict[str, float] = {}
    for name, some in [("", error), *((f".{g}", error[(table["group"] == g).to_numpy()]) for g in task.groups)]:
        finite = some[np.isfinite(some)]
        if not len(finite):
            continue
        metrics[f"error_mm.median{name}"] = float(finite.median())
        metrics[f"error_mm.p95{name}"] = float(finite.quantile(0.95))
        metrics[f"found{name}"] = float(np.isfinite(some).mean())
        metrics[f"within_5_mm{name}"] = float((some <= 5).mean())
        metrics[f"within_6_mm{name}"] = float((some <= 6).mean())
    middle = table[table["group"] == column_group(task)]
    right = middle["error_mm"].fillna(np.inf) <= _RIGHT_LEVEL_MM
    metrics["levels_right"] = float(right.mean())
    metrics["studies_right"] = float(right.groupby(middle["study_id"]).all().mean())
    return metrics


def worst_figure(located: pd.DataFrame, packed: PackedViews, task: GradingTask) -> Figure:
    """Draws the twelve points that are farthest off: a cross where the label is, a circle where the locator looked."""
    worst = located.dropna(subset="error_mm").nlargest(_PICTURES, "error_mm")
    figure = Figure(figsize=(12, 9.5), layout="constrained")
    axes = figure.subplots(3, 4).ravel()
    for axis in axes:
        axis.set_axis_off()
    for axis, row in zip(axes, worst.to_dict("records"), strict=False):
        image, looked, truth = _scene(row, packed, task)
        axis.imshow(image, cmap="gray", vmin=0, vmax=255)
        axis.plot(*looked, "o", markersize=9, markerfacecolor="none", markeredgecolor="tab:orange")
        if truth is not None:
            axis.plot(*truth, "+", markersize=10, color="tab:cyan")
        title = f"{task.condition(str(row['condition'])).label}\n{row['level']}, {row['error_mm']:.0f} mm off"
        axis.set_title(title, fontsize=8)
    figure.suptitle("Farthest from the label: cross where it is, circle where the locator looked", fontsize=10)
    return figure


def _scene(
    row: dict[Any, Any], packed: PackedViews, task: GradingTask
) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.float64] | None]:
    study = int(row["study_id"])
    stacks = [stack for stack in packed.stacks[study] if stack.series == str(row["series_id"])]
    stack, index = next(
        (stack, index)
        for stack in stacks
        for index, piece in enumerate(stack.slices)
        if piece.instance == row["instance_number"]
    )
    view = stack.slices[index].view
    looked = view.to_pixel(np.array([row["x_mm"], row["y_mm"], row["z_mm"]]))[:2]
    points = packed.points_of(study)
    same = [
        p for p in points if _cell(task, p) == (row["condition"], row["level"]) and p["series_id"] == row["series_id"]
    ]
    truth = view.to_pixel(same[0]["position"])[:2] if same else None
    return stack.grey(index), looked, truth
