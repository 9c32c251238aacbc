"""What came of a search, without its networks."""

from pathlib import Path

from lumbargrade.config.params import Params
from lumbargrade.config.task import load_task
from lumbargrade.search.plan import SearchOutcome, Student
from tests.predictions import cells, right, says

TASK = load_task("rsna2024")
TRUTH = cells(TASK, 8)


def made_search(trial: str, student: Student | None = None) -> SearchOutcome:
    return SearchOutcome(
        name="s",
        trials=1,
        tried=[],
        new_trials=1,
        trial=0,
        training=Params().training,
        folds=[],
        calibration=Path("c"),
        evaluation=says(TASK, TRUTH, right(TRUTH, 0.8)).evaluation,
        on_labelled=None,
        report="",
        run_id="r",
        trial_run_id=trial,
        fold_run_ids=["f"],
        student=student,
    )
