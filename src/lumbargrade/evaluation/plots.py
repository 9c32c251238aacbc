"""Pictures of an evaluation. Figures are made without pyplot: nothing is kept, nothing needs a screen."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lumbargrade.config.task import GradingTask
from lumbargrade.evaluation.agreement import Confusion
from lumbargrade.evaluation.metrics import Evaluation

_PANEL_INCHES = 3.6


def confusion_figure(evaluation: Evaluation, task: GradingTask) -> Figure:
    """Draws one confusion matrix a group, coloured by the share of each true grade's cells."""
    groups = {name: part.confusion for name, part in evaluation.parts["group"].items()}
    figure = Figure(figsize=(_PANEL_INCHES * len(groups), _PANEL_INCHES), layout="constrained")
    for axes, (group, matrix) in zip(figure.subplots(1, len(groups), squeeze=False)[0], groups.items(), strict=True):
        _draw(axes, matrix, task.grades)
        axes.set_title(group)
    return figure


def _draw(axes: Axes, matrix: Confusion, grades: tuple[str, ...]) -> None:
    counts = np.array(matrix)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (true, predicted), share in np.ndenumerate(shares):
        text = f"{counts[true, predicted]:,}\n{share:.0%}"
        axes.text(predicted, true, text, ha="center", va="center", color="white" if share > 0.5 else "black")
    axes.set_xticks(range(len(grades)), grades)
    axes.set_yticks(range(len(grades)), grades, rotation=90, va="center")
    axes.set_xlabel("Predicted")
    axes.set_ylabel("True")


def reliability_figure(evaluation: Evaluation) -> Figure:
    """Draws how often cells are right against how sure they are; the dots' sizes are numbers of cells."""
    figure = Figure(figsize=(4.6, 4.2), layout="constrained")
    axes = figure.subplots()
    bins = evaluation.reliability
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1)
    most = max(part.cells for part in bins)
    sizes = [20 + 200 * part.cells / most for part in bins]
    axes.scatter([part.confidence for part in bins], [part.accuracy for part in bins], s=sizes, alpha=0.8)
    axes.set_xlim(1 / max(len(evaluation.grades), 1) - 0.05, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel("Probability of the likeliest grade")
    axes.set_ylabel("Share that is right")
    title = f"calibration error {evaluation.calibration_error:.1%}"
    if evaluation.calibration_error_by_chance is not None:
        title += f" ({evaluation.calibration_error_by_chance:.1%} by chance alone)"
    axes.set_title(title, fontsize=10)
    return figure


def worst_cells_figure(cells: pd.DataFrame, crops: NDArray[np.uint8], task: GradingTask) -> Figure:
    """Draws the crops of the cells whose true grade was held least likely.

    Args:
        cells: condition, level, grade and ``task.grade_columns``, the worst first.
        crops: Their crops, (cells, rows, columns).
    """
    columns = 5
    rows = max(-(-len(cells) // columns), 1)
    figure = Figure(figsize=(2.3 * columns, 2.75 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels:
        axes.set_axis_off()
    for axes, crop, row in zip(panels, crops, cells.to_dict("records"), strict=False):
        probabilities = [float(row[column]) for column in task.grade_columns]
        grade = int(row["grade"])
        axes.imshow(crop, cmap="gray", vmin=0, vmax=255)
        label = task.condition(str(row["condition"])).label
        called = f"{task.grades[int(np.argmax(probabilities))]} {max(probabilities):.0%}"
        true = f"{task.grades[grade]} {probabilities[grade]:.0%}"
        axes.set_title(f"{label}\n{row['level']}: {true}\ncalled {called}", fontsize=7)
    return figure
