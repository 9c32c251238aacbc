"""Optuna's own pictures of a search: how it went, what mattered, and when each trial ran."""

import warnings
from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import optuna.visualization.matplotlib as draw
from matplotlib.figure import Figure
from optuna import Study
from optuna.exceptions import ExperimentalWarning
from optuna.trial import TrialState

PLOTS = "plots"
"""Folder of the pictures among the artifacts of the search's MLflow run."""

_ALL: dict[str, Callable[[Study], Any]] = {
    "history": draw.plot_optimization_history,
    "parallel_coordinates": draw.plot_parallel_coordinate,
    "slice": draw.plot_slice,
    "importances": draw.plot_param_importances,
    "timeline": draw.plot_timeline,
}
_COMPARING = ("parallel_coordinates", "slice", "importances")
"""Need two scored trials that differ."""


def study_figures(study: Study) -> dict[str, Figure]:
    """Draws a study; pictures that compare trials are left out until there are two scores to compare."""
    values = {trial.value for trial in study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])}
    comparable = len(values) > 1 and bool(study.best_trial.params)
    plt.switch_backend("agg")  # draws without a screen, in any thread
    figures = {}
    with warnings.catch_warnings(category=ExperimentalWarning, action="ignore"):
        for name, function in _ALL.items():
            if comparable or name not in _COMPARING:
                figure = np.ravel(np.asarray(function(study)))[0].figure
                figure.set_size_inches(9, 5)
                figures[name] = figure
                plt.close(figure)  # pyplot would keep it
    return figures
