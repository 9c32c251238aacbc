"""Probabilities for cells: the network over crops, the mean over folds and over a cell's several crops."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from lumbargrade.config.task import GradingTask
from lumbargrade.models.grader import Grader
from lumbargrade.preprocessing.pack import PackedCrops

_BATCH = 64


def cell_codes(index: pd.DataFrame, task: GradingTask) -> NDArray[np.int64]:
    """Place in ``task.cells`` of each row of a table with condition and level."""
    place = {(cell.condition.name, cell.level): code for code, cell in enumerate(task.cells)}
    return np.array([place[key] for key in zip(index["condition"], index["level"], strict=True)], dtype=np.int64)


@torch.inference_mode()
def grade_crops(
    graders: Sequence[Grader],
    crops: NDArray[np.uint8],
    cells: NDArray[np.int64],
    studies: NDArray[np.int64] | None = None,
    seen: list[NDArray[np.float32]] | None = None,
) -> NDArray[np.float64]:
    """Returns the mean of the graders' probabilities, (crops, grades).

    Args:
        graders: In evaluation mode, on one device, with the same crop geometry.
        crops: (crops, 3, crop_pixels, crop_pixels).
        cells: Place of each crop's cell in ``task.cells``.
        studies: A number for each crop's study; one study if not given.
        seen: Takes what each grader's backbone made of the crops, (crops, features), as they were sent.
    """
    device = graders[0].mean.device
    codes = torch.from_numpy(cells).to(device)
    owners = torch.zeros_like(codes) if studies is None else torch.from_numpy(studies).to(device)
    probabilities = []
    for grader in graders:
        for turn, described in enumerate(_described(grader, crops, codes)):
            probabilities.append(torch.softmax(grader.judge(described, codes, owners).double(), 1))
            if seen is not None and turn == 0:
                seen.append(described.float().cpu().numpy())
    return torch.stack(probabilities).mean(0).cpu().numpy()


def _described(grader: Grader, crops: NDArray[np.uint8], cells: Tensor) -> Iterator[Tensor]:
    """What the backbone makes of all crops; and of the mirrored patient's, if the grader knows such."""

    def describe(mirrored: bool) -> Tensor:
        parts = []
        for start in range(0, len(crops), _BATCH):
            batch = torch.from_numpy(crops[start : start + _BATCH]).to(cells.device)
            batch = grader.mirror(batch, cells[start : start + _BATCH]) if mirrored else batch
            parts.append(grader.describe(grader.see(batch)))
        return torch.cat(parts)

    yield describe(False)
    if grader.config.flips and bool(grader.turned_over[cells].any()):
        yield describe(True)


def pool_cells(index: pd.DataFrame, probabilities: NDArray[np.float64], task: GradingTask) -> pd.DataFrame:
    """Averages the crops of each cell: a cell may have points in several series.

    Args:
        index: study_id, condition and level of each row.
        probabilities: (rows, grades).

    Returns:
        study_id, condition, level and ``task.grade_columns``, a row a cell.
    """
    columns = list(task.grade_columns)
    table = index[["study_id", "condition", "level"]].reset_index(drop=True)
    table[columns] = probabilities
    return table.groupby(["study_id", "condition", "level"], as_index=False)[columns].mean()


def predict_studies(
    graders: Sequence[Grader], packed: PackedCrops, rows: NDArray[np.int64], task: GradingTask
) -> pd.DataFrame:
    """Probabilities for the cells of some packed crops, as :func:`pool_cells` returns them."""
    index = packed.index.iloc[rows]
    studies = index["study_id"].to_numpy(np.int64)
    parts, order = [], []
    for chunk in _whole_studies(studies):
        some = packed.index.iloc[rows[chunk]]
        crops = packed.take(rows[chunk])
        parts.append(grade_crops(graders, crops, cell_codes(some, task), studies[chunk]))
        order.append(chunk)
    return pool_cells(index.iloc[np.concatenate(order)], np.concatenate(parts), task)


def _whole_studies(studies: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Rows by the batch, those of a study together."""
    order = np.argsort(studies, kind="stable")
    ends = np.flatnonzero(np.diff(studies[order], append=-1)) + 1
    start = 0
    for end, following in pairwise([*ends.tolist(), len(order) + _BATCH]):
        if following - start > _BATCH:
            yield order[start:end]
            start = end
