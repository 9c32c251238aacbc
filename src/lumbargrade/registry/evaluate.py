"""Scores a model on labelled studies: the frozen holdout, or another dataset."""

import tempfile
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lumbargrade.dataset.layout import RsnaDataset
from lumbargrade.prepare.pack import PackedCrops, pack_crops
from lumbargrade.prepare.split import HOLDOUT
from lumbargrade.registry.models import LoadedModel
from lumbargrade.training.metrics import Evaluation, evaluate_predictions
from lumbargrade.training.predict import predict_studies, truth_table


def evaluate_model(
    model: LoadedModel,
    dataset: RsnaDataset,
    studies: Collection[int] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Scores a model on the labelled cells of a dataset.

    The crops are cut anew, the way the model was trained to see them.

    Args:
        studies: Only these; all if not given.
    """
    if studies is not None:
        chosen = list(studies)
        dataset = replace(
            dataset,
            labels=dataset.labels[dataset.labels["study_id"].isin(chosen)],
            points=dataset.points[dataset.points["study_id"].isin(chosen)],
        )
    with tempfile.TemporaryDirectory(prefix="lumbargrade-") as folder:
        crops = Path(folder) / "crops"
        pack_crops(dataset, crops, model.config.prepare, progress)
        packed = PackedCrops(crops)
        return evaluate_packed(model, packed, np.arange(len(packed)))


def evaluate_packed(model: LoadedModel, packed: PackedCrops, rows: NDArray[np.int64]) -> Evaluation:
    """Scores a model on packed crops that were cut the way it was trained to see them."""
    task = model.config.task
    truth = truth_table(packed.index.iloc[rows])
    return evaluate_predictions(task, truth, predict_studies(model.graders, packed, rows, task))


def holdout_rows(packed: PackedCrops, split: pd.DataFrame) -> NDArray[np.int64]:
    """Rows of the packed crops whose study is in the frozen holdout."""
    folds = packed.index["study_id"].map(split.set_index("study_id")["fold"])
    return np.flatnonzero(folds == HOLDOUT)
