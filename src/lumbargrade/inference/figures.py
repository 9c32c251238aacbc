"""Pictures of where the graders looked: the crop in grey, what spoke for the grade laid over it. Nobody's name in it."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lumbargrade.config.task import CellKey, GradingTask
from lumbargrade.files import replaced_file
from lumbargrade.inference.explain import Look

CAUTION = "explanation, not evidence"
_MOST_OPAQUE = 0.6
_INCHES, _DPI = 3.6, 120


def save_looks(looks: Mapping[CellKey, Look], answer: pd.DataFrame, task: GradingTask, folder: Path) -> list[Path]:
    """Writes one PNG a graded cell, each whole or not there: ``<condition>_<level>.png``, its ``/`` replaced by ``_``.

    Args:
        looks: By condition and level.
        answer: What :func:`lumbargrade.inference.grade.grade_study` returns.

    Returns:
        The files, in the task's order.
    """
    columns = dict(zip(task.grades, task.grade_columns, strict=True))
    paths = []
    for record in answer.to_dict("records"):
        condition, level, grade = (str(record[name]) for name in ("condition", "level", "grade"))
        if (condition, level) not in looks:
            continue
        title = f"{condition.replace('_', ' ')} {level}\n{grade}, {float(record[columns[grade]]):.2f}"
        path = folder / f"{condition}_{level}.png".replace("/", "_")
        with replaced_file(path) as temporary:
            look_figure(looks[condition, level], title).savefig(temporary, dpi=_DPI)
        paths.append(path)
    return paths


def look_figure(look: Look, title: str) -> Figure:
    """Draws a crop as the slice is displayed; the heat's colour is the more opaque the stronger it is."""
    figure = Figure(figsize=(_INCHES, _INCHES * 1.2), layout="constrained")
    axes = figure.subplots()
    axes.imshow(look.grey, cmap="gray", vmin=0, vmax=255)
    axes.imshow(look.heat, cmap="inferno", vmin=0, vmax=1, alpha=np.asarray(_MOST_OPAQUE * look.heat))
    axes.set_title(title, fontsize=9)
    axes.text(0.5, -0.03, CAUTION, transform=axes.transAxes, ha="center", va="top", fontsize=8)
    axes.set_axis_off()
    return figure
