from io import BytesIO

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from lumbargrade.config.task import load_task
from lumbargrade.evaluation.metrics import evaluate_predictions
from lumbargrade.evaluation.plots import confusion_figure

RSNA = load_task("rsna2024")


def test_confusion_figure_has_a_panel_a_group() -> None:
    cells = [(1, cell.condition.name, cell.level) for cell in RSNA.cells if cell.condition.group != "foraminal"]
    keys = pd.DataFrame(cells, columns=["study_id", "condition", "level"])
    probabilities = keys.assign(normal_mild=0.2, moderate=0.7, severe=0.1)
    evaluation = evaluate_predictions(RSNA, keys.assign(grade=np.arange(len(keys)) % 3), probabilities)
    figure = confusion_figure(evaluation, RSNA)
    assert [axes.get_title() for axes in figure.axes] == ["spinal", "subarticular"]
    written = [text.get_text() for text in figure.axes[0].texts]
    assert written == ["0\n0%", "2\n100%", "0\n0%", "0\n0%", "2\n100%", "0\n0%", "0\n0%", "1\n100%", "0\n0%"]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == list(RSNA.grades)
    png = BytesIO()
    figure.savefig(png)
    assert png.getvalue().startswith(b"\x89PNG")
    assert plt.get_fignums() == []
