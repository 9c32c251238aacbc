"""Scores a model on labelled studies: the frozen holdout, or another dataset."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from lumbargrade.config.task import series_kind
from lumbargrade.data.layout import RsnaDataset
from lumbargrade.errors import InputError
from lumbargrade.evaluation.align import truth_table
from lumbargrade.evaluation.calibrate import evaluate_calibrated
from lumbargrade.evaluation.metrics import Evaluation
from lumbargrade.inference.predict import predict_studies
from lumbargrade.localization.localize import locate_views
from lumbargrade.models.bundle import LoadedModel
from lumbargrade.models.locator import Locator
from lumbargrade.preprocessing.pack import PackedCrops, pack_crops
from lumbargrade.preprocessing.series import open_series
from lumbargrade.preprocessing.views import StackView, view_series
from lumbargrade.scratch import scratch_folder


@contextmanager
def cut_for(
    model: LoadedModel,
    dataset: RsnaDataset,
    studies: Sequence[int] | None = None,
    progress: Callable[[int, int], None] | None = None,
    labelled_points: bool = False,
) -> Iterator[tuple[Path, pd.DataFrame]]:
    """Cuts crops the way a model was trained to see them, where its own locators look, into a folder for a while.

    Args:
        studies: Only these; all if not given.
        labelled_points: Whether to look at the labelled points, which real studies do not have.

    Yields:
        The folder, and the labelled cells: the same whatever is located, those with a labelled point.
    """
    if studies is not None:
        labels, points = (table[table["study_id"].isin(studies)] for table in (dataset.labels, dataset.points))
        dataset = replace(dataset, labels=labels, points=points)
    with scratch_folder("crops") as folder:
        pack_crops(dataset, folder / "labelled", model.config.prepare)
        truth = truth_table(PackedCrops(folder / "labelled").index)
        if labelled_points or not model.locators:
            yield folder / "labelled", truth
            return
        points = locate_dataset(model.locators, dataset, progress)
        pack_crops(replace(dataset, points=points), folder / "located", model.config.prepare)
        yield folder / "located", truth


def locate_dataset(
    locators: Sequence[Locator], dataset: RsnaDataset, progress: Callable[[int, int], None] | None = None
) -> pd.DataFrame:
    """Locates the cells of a dataset's studies: a table of :data:`lumbargrade.localization.localize.POINT_COLUMNS`."""
    config = locators[0].config
    studies = sorted(dataset.labels["study_id"].tolist())
    tables = []
    for done, study in enumerate(studies, start=1):
        described = dataset.series[dataset.series["study_id"] == study]
        stacks: list[StackView] = []
        for series, description in zip(described["series_id"], described["series_description"], strict=True):
            with suppress(InputError, ValueError):  # neither readable nor a kind of series that is used
                kind = series_kind(description)
                images = open_series(dataset.series_dir(study, int(series)), config.prepare.percentiles)
                stacks += view_series(str(series), images, kind.contrast, config.views)
        tables.append(locate_views(locators, study, stacks))
        if progress is not None:
            progress(done, len(studies))
    return pd.concat(tables, ignore_index=True)


@dataclass(frozen=True, eq=False)
class GradedStudies:
    """What a model says of labelled studies.

    Attributes:
        calibrated: study_id, condition, level and the grades' probabilities, of labelled and of other cells.
    """

    evaluation: Evaluation
    truth: pd.DataFrame
    calibrated: pd.DataFrame


def grade_packed(
    model: LoadedModel,
    crops: Path,
    truth: pd.DataFrame,
    subgroups: Mapping[str, Mapping[int, str]] | None = None,
) -> GradedStudies:
    """Grades packed crops that were cut the way a model was trained to see them, and scores what it says.

    Args:
        truth: The labelled cells; one without a crop counts as unknown.
    """
    task = model.config.task
    packed = PackedCrops(crops)
    rows = np.flatnonzero(packed.index["study_id"].isin(truth["study_id"]))
    calibrated = model.calibration.apply(task, predict_studies(model.graders, packed, rows, task))
    sets = model.calibration.sets(task, calibrated)
    evaluation = evaluate_calibrated(task, truth, calibrated, sets, model.calibration.coverage, subgroups)
    return GradedStudies(evaluation, truth, calibrated)
