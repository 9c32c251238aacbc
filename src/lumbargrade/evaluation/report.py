"""An evaluation as one page that needs nothing else: no server, no network, no patient's data."""

from collections.abc import Mapping

import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from lumbargrade.config.task import GradingTask
from lumbargrade.evaluation.agreement import RESAMPLES, Agreement, Interval
from lumbargrade.evaluation.align import CELL
from lumbargrade.evaluation.compare import Difference
from lumbargrade.evaluation.metrics import Evaluation
from lumbargrade.evaluation.pages import encode_figure, render_page
from lumbargrade.evaluation.plots import confusion_figure, reliability_figure, worst_cells_figure
from lumbargrade.preprocessing.pack import PackedCrops

_WORST = 20


def report_html(
    title: str,
    task: GradingTask,
    evaluation: Evaluation,
    pictures: Mapping[str, Figure],
    against: Mapping[str, Difference] | None = None,
    against_name: str = "",
) -> str:
    """Writes the page.

    Args:
        pictures: By what they show.
        against: Differences from another model, which is called ``against_name``.
    """
    return render_page(
        "lumbargrade.evaluation",
        "report.html.j2",
        title=title,
        evaluation=evaluation,
        pictures={name: encode_figure(figure) for name, figure in pictures.items()},
        against=against,
        against_name=against_name,
        weights=[f"{weight:g}" for weight in task.grade_weights],
        resamples=f"{RESAMPLES:,}",
        number=_number,
        share=_share,
        bounds=_bounds,
        table=lambda parts: _table(parts, task),
    )


def report_pictures(
    task: GradingTask, evaluation: Evaluation, truth: pd.DataFrame, calibrated: pd.DataFrame, packed: PackedCrops
) -> dict[str, Figure]:
    """The pictures of a report.

    Args:
        packed: The crops that were graded.
    """
    pictures = {
        "Confusion": confusion_figure(evaluation, task),
        "Reliability": reliability_figure(evaluation),
    }
    cells = truth.merge(calibrated, on=CELL)
    likelihood = cells[list(task.grade_columns)].to_numpy()[range(len(cells)), cells["grade"].to_numpy()]
    worst = cells.assign(likelihood=likelihood).nsmallest(_WORST, "likelihood", keep="first")
    rows = packed.index.reset_index(names="row").drop_duplicates(CELL).merge(worst[CELL].reset_index(), on=CELL)
    order = rows.set_index("index").loc[worst.index, "row"].to_numpy()
    if len(worst):
        crops = packed.take(order)
        name = f"The {len(worst)} cells whose true grade was held least likely (right sides are mirrored)"
        pictures[name] = worst_cells_figure(worst, crops[:, crops.shape[1] // 2], task)
    return pictures


def _table(parts: Mapping[str, Agreement], task: GradingTask) -> Markup:
    heads = ["", "cells", "accuracy", "majority", "balanced", "quadratic kappa", "macro F1"]
    heads += [f"recall {grade}" for grade in task.grades]
    rows = [Markup("<tr>") + Markup("").join(Markup("<th>{}</th>").format(head) for head in heads) + Markup("</tr>")]
    for name, part in parts.items():
        shown = [f"{part.cells:,}", _share(part.accuracy) + " " + _bounds(part.intervals.get("accuracy"), 100)]
        shown += [_share(part.accuracy_majority), _share(part.balanced_accuracy)]
        shown += [_number(part.quadratic_kappa) + " " + _bounds(part.intervals.get("quadratic_kappa"))]
        shown += [_number(part.macro_f1), *(_share(recall) for recall in part.recall)]
        cells = [Markup("<td>{}</td>").format(value) for value in (name.replace("_", " "), *shown)]
        rows.append(Markup("<tr>") + Markup("").join(cells) + Markup("</tr>"))
    return Markup("<table>") + Markup("\n").join(rows) + Markup("</table>")


def _number(value: float | None, digits: int = 3) -> Markup:
    return Markup("&ndash;") if value is None else Markup(f"{value:.{digits}f}")


def _share(value: float | None) -> Markup:
    return Markup("&ndash;") if value is None else Markup(f"{value:.1%}")


def _bounds(interval: Interval | None, factor: float = 1) -> Markup:
    if interval is None:
        return Markup("")
    digits = 3 if factor == 1 else 1
    return Markup(f"<small>{interval[0] * factor:.{digits}f} to {interval[1] * factor:.{digits}f}</small>")
