"""The figures of an evaluation that are kept with a model for whoever reads its grades."""

from lumbargrade.config.task import GradingTask
from lumbargrade.evaluation.metrics import Evaluation
from lumbargrade.models.trained_on import Performance


def summarize_performance(evaluation: Evaluation, task: GradingTask) -> Performance:
    """Recall of the worst grade, and accuracy beside that of always answering the commonest grade."""
    confusion = evaluation.likeliest.confusion
    by_grade = [sum(row) for row in confusion]
    return Performance(
        studies=evaluation.studies,
        cells=evaluation.cells,
        accuracy=evaluation.accuracy,
        accuracy_majority=evaluation.accuracy_majority,
        majority=task.grades[by_grade.index(max(by_grade))],
        worst=task.grades[-1],
        worst_found=confusion[-1][-1],
        worst_cells=by_grade[-1],
    )
