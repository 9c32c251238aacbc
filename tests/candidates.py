"""Candidates as a search would give them, without any training."""

from pathlib import Path
from typing import Any

import pandas as pd

from lumbargrade.config.params import Params
from lumbargrade.config.task import GradingTask, load_task
from lumbargrade.data.layout import RsnaDataset
from lumbargrade.registry.candidate import Candidate
from lumbargrade.training.jobs.spec import Epoch, FoldResult
from lumbargrade.training.jobs.student import Student
from lumbargrade.training.trial_record import TrialRecord
from tests.predictions import FACTS, cells, right, says

TASK = load_task("rsna2024")
TRUTH = cells(TASK, 8)


def make_candidate(task: GradingTask | None = None, **given: Any) -> Candidate:
    """Of a search with one trial and no folds, but for the fields that are given."""
    task = task or load_task("rsna2024")
    truth, empty = cells(task, 8), pd.DataFrame()
    fields: dict[str, Any] = {
        "params": Params(),
        "dataset": RsnaDataset(Path("data/phantom"), task, empty, empty, empty),
        "data": {"name": "phantom", "md5": "abc.dir"},
        "input_files": {},
        "crops": Path("crops"),
        "located": None,
        "split": Path("split.csv"),
        "subgroups": {},
        "locators": (),
        "locator_run_ids": (),
        "search_name": "s",
        "search_run_id": "r",
        "trials": (TrialRecord(number=0, state="complete", score=0.4, training={}, run_id="t"),),
        "best_trial": 0,
        "trial_run_id": "t",
        "training": Params().training,
        "folds": (),
        "fold_run_ids": ("f",),
        "calibration": Path("calibration.json"),
        "student": None,
        "evaluation": says(task, truth, right(truth, 0.8)).evaluation,
        "on_labelled": None,
        "report": "",
        "facts": FACTS,
    }
    return Candidate(**fields | given)


def make_student(folder: Path, run_id: str) -> Student:
    """One that agrees with its teachers on three of four cells."""
    folder.mkdir()
    epoch = Epoch(
        epoch=1, train_loss=0.5, validation_loss=0.125, validation_accuracy=0.75, learning_rate=0.1, seconds=1.0
    )
    (folder / "history.jsonl").write_text(f"{epoch.model_dump_json()}\n")
    result = FoldResult.model_construct(fold=2, folder=folder, epoch=1, epochs=1, validation_loss=0.125)
    return Student("distilled", result, ("one", "two"), run_id)
