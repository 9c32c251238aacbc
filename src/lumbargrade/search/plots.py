"""Pictures of a search: Optuna's own of how it went and what mattered, and which device trained what when."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import optuna.visualization.matplotlib as draw
from matplotlib.figure import Figure
from optuna import Study
from optuna.exceptions import ExperimentalWarning
from optuna.trial import TrialState

from lumbargrade.training.jobs.spec import FoldResult

PLOTS = "plots"
"""Folder of the pictures among the artifacts of the search's MLflow run."""

_ALL: dict[str, Callable[[Study], Any]] = {
    "history": draw.plot_optimization_history,
    "parallel_coordinates": draw.plot_parallel_coordinate,
    "slice": draw.plot_slice,
    "importances": draw.plot_param_importances,
    "timeline": draw.plot_timeline,
}
_HOUR = timedelta(hours=1)
_COMPARING = ("parallel_coordinates", "slice", "importances")
"""Need two scored trials that differ."""


def study_figures(study: Study) -> dict[str, Figure]:
    """Draws a study; pictures that compare trials are left out until there are two scores to compare."""
    values = {trial.value for trial in study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])}
    comparable = len(values) > 1 and bool(study.best_trial.params)
    plt.switch_backend("agg")  # draws without a screen, in any thread
    figures = {}
    with warnings.catch_warnings(category=ExperimentalWarning, action="ignore"):
        warnings.filterwarnings("ignore", "Attempting to set identical low and high")  # of what all scored trials share
        for name, function in _ALL.items():
            if comparable or name not in _COMPARING:
                figure = np.ravel(np.asarray(function(study)))[0].figure
                figure.set_size_inches(9, 5)
                figures[name] = figure
                plt.close(figure)  # pyplot would keep it
    return figures


@dataclass(frozen=True)
class Lane:
    """A fold of a trial, and where and when it was trained."""

    trial: int
    result: FoldResult


def lanes_figure(lanes: Sequence[Lane]) -> Figure:
    """Draws a lane for each device, and on it the folds that it trained, each with the number of its trial."""
    names = sorted({_name(lane) for lane in lanes})
    first = min(lane.result.began for lane in lanes)
    times = [[(moment - first) / _HOUR for moment in (lane.result.began, lane.result.ended)] for lane in lanes]
    last = max(ended for _, ended in times)
    unit, scale = ("hours", 1) if last > 2 else ("minutes", 60)
    figure = Figure(figsize=(9, 1.6 + 0.4 * len(names)), layout="constrained")
    axes = figure.add_subplot()
    colours = matplotlib.colormaps["tab20"](range(20))
    for lane, (began, ended) in zip(lanes, times, strict=True):
        row, length = names.index(_name(lane)), ended - began
        colour = colours[lane.trial % 20]
        axes.broken_barh([(scale * began, scale * length)], (row - 0.4, 0.8), facecolor=colour, edgecolor="white")
        if length > last / 60:
            axes.text(scale * (began + ended) / 2, row, str(lane.trial), ha="center", va="center", fontsize=8)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlim(0, scale * last)
    axes.set_xlabel(f"{unit} since the first fold began")
    axes.set_title("Which device trained folds of which trial", fontsize=10)
    return figure


def _name(lane: Lane) -> str:
    return f"{lane.result.host} {lane.result.device}"
