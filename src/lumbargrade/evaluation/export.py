"""The evaluation of a registered model on a dataset, as files for people and for programs."""

from pathlib import Path

import pandas as pd

from lumbargrade.data.layout import RsnaDataset
from lumbargrade.evaluation.align import complete_cells
from lumbargrade.evaluation.compare import Difference, compare_predictions
from lumbargrade.evaluation.evaluate import GradedStudies, cut_for, grade_packed
from lumbargrade.evaluation.label_issues import label_suspects
from lumbargrade.evaluation.report import report_html, report_pictures
from lumbargrade.evaluation.submission import submission_table
from lumbargrade.files import replaced_file, write_text
from lumbargrade.models.bundle import LoadedModel
from lumbargrade.preprocessing.pack import PackedCrops

REPORT, EVALUATION, PREDICTIONS = "report.html", "evaluation.json", "predictions.parquet"
SUBMISSION, SUSPECTS = "submission.csv", "suspects.csv"


def compare_model(
    graded: GradedStudies, other: LoadedModel, dataset: RsnaDataset, labelled_points: bool
) -> dict[str, Difference]:
    """How a model differs from another one on the same cells, each where its own locators look."""
    task = other.config.task
    with cut_for(other, dataset, labelled_points=labelled_points) as (crops, truth):
        theirs = grade_packed(other, crops, truth).calibrated
    ours, theirs = (complete_cells(graded.truth, table, task) for table in (graded.calibrated, theirs))
    return compare_predictions(task, graded.truth, ours, theirs)


def write_report(
    folder: Path,
    name: str,
    model: LoadedModel,
    graded: GradedStudies,
    crops: Path,
    against: dict[str, Difference] | None,
    against_name: str,
) -> None:
    """Writes the page, the evaluation as JSON, the predictions, RSNA's submission, and labels to look at again.

    Args:
        name: How the page calls the model.
        crops: The crops that were graded.
    """
    task = model.config.task
    folder.mkdir(parents=True, exist_ok=True)
    pictures = report_pictures(task, graded.evaluation, graded.truth, graded.calibrated, PackedCrops(crops))
    write_text(folder / REPORT, report_html(name, task, graded.evaluation, pictures, against, against_name))
    write_text(folder / EVALUATION, graded.evaluation.model_dump_json(indent=2))
    studies = sorted(set(graded.truth["study_id"]) | set(graded.calibrated["study_id"]))
    write_text(folder / SUBMISSION, submission_table(task, graded.calibrated, studies).to_csv(index=False))
    write_text(folder / SUSPECTS, label_suspects(task, graded.truth, graded.calibrated).to_csv(index=False))
    with replaced_file(folder / PREDICTIONS) as temporary:
        pd.DataFrame(graded.calibrated).to_parquet(temporary, index=False)
