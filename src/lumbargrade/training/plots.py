"""Pictures of an evaluation. Figures are made without pyplot: nothing is kept, nothing needs a screen."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lumbargrade.task import GradingTask
from lumbargrade.training.agreement import Confusion
from lumbargrade.training.metrics import Evaluation

_PANEL_INCHES = 3.6


def confusion_figure(evaluation: Evaluation, task: GradingTask) -> Figure:
    """Draws one confusion matrix a group, coloured by the share of each true grade's cells."""
    groups = {name: part.confusion for name, part in evaluation.parts["group"].items()}
    figure = Figure(figsize=(_PANEL_INCHES * len(groups), _PANEL_INCHES), layout="constrained")
    for axes, (group, matrix) in zip(figure.subplots(1, len(groups), squeeze=False)[0], groups.items(), strict=True):
        _draw(axes, matrix, task.grades)
        axes.set_title(group)
    return figure


def search_figure(scores: Sequence[float]) -> Figure:
    """Draws the score of each trial and the best so far.

    Args:
        scores: In the order of the trials, lower is better.
    """
    trials = np.arange(len(scores))
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.plot(trials, scores, "o", label="trial")
    axes.step(trials, np.minimum.accumulate(np.asarray(scores, dtype=np.float64)), where="post", label="best so far")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("Trial")
    axes.set_ylabel("Score (lower is better)")
    axes.legend()
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
