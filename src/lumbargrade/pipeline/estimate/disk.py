"""What a run will put on the disk, from its parameters and the dataset's counts, as if nothing of it were there yet."""

from pathlib import Path

import torch

from lumbargrade.config.params import Params
from lumbargrade.config.project import current_project
from lumbargrade.data.versioning.configuration import default_remote
from lumbargrade.data.versioning.dvc import dataset_folder, versioned_bytes
from lumbargrade.frozen import Frozen
from lumbargrade.machine import count_cores
from lumbargrade.pipeline.estimate.throughput import TrainingCost
from lumbargrade.training.jobs.devices import find_devices

_CHANNELS = 3


class DiskNeed(Frozen):
    """A thing that the run writes, its bytes, and how they are counted."""

    what: str
    bytes: int
    why: str


def disk_needs(params: Params, size: int, files: int, cells: int, costs: list[TrainingCost]) -> list[DiskNeed]:
    """Lists what a run writes.

    Args:
        size: Bytes of the dataset.
        files: Its DICOM files.
        cells: Cells to be graded in all its studies.
        costs: The networks.
    """
    crop = _CHANNELS * params.prepare.crop_pixels**2
    folds = params.split.folds
    weights = {cost.network: cost.weights * 4 for cost in costs}
    students = 0 if params.package.graders == "ensemble" else 1
    packaged = weights.get("grader", 0) * (students or folds) + weights.get("locator", 0) * folds
    copies = 4 if params.training.ema else 3
    at_once = params.folds_per_device or (1 if torch.cuda.is_available() else count_cores())
    devices = len(find_devices(per_device=at_once))
    each = f"{cells:,} x {_CHANNELS} x {params.prepare.crop_pixels}² bytes"
    needs = [*_dataset_needs(current_project().resolve_path(params.dataset.path), size)]
    needs.append(DiskNeed(what="crops at labelled points", bytes=cells * crop, why=each))
    if "locator" in weights:
        needs.append(DiskNeed(what="crops where the locator looked", bytes=cells * crop, why=each))
    return [
        *needs,
        DiskNeed(what="views", bytes=files * params.views.pixels**2, why=f"{files:,} x {params.views.pixels}² bytes"),
        DiskNeed(
            what="trained folds",
            bytes=(weights.get("grader", 0) * params.search.trials + weights.get("locator", 0)) * folds
            + weights.get("grader", 0) * students,
            why=f"{params.search.trials} trials of {folds} graders, and {folds} locators"
            + (f", and the {params.package.graders} grader" if students else ""),
        ),
        DiskNeed(
            what="checkpoints",
            bytes=copies * max(weights.values()) * devices,
            why=f"{copies} times the weights, for each of the {devices} folds that train at a time",
        ),
        DiskNeed(
            what="packaged model", bytes=packaged, why=f"{students or folds} graders and {folds} locators in MLflow"
        ),
    ]


def _dataset_needs(source: Path, size: int) -> list[DiskNeed]:
    """DVC's cache shares its bytes with the workspace by links; a dataset of this version needs nothing more."""
    if versioned_bytes(dataset_folder(source)) == size:
        return []
    needs = []
    if source.resolve().parent != current_project().datasets.resolve():
        needs.append(DiskNeed(what="dataset in data/ and DVC's cache", bytes=size, why="a copy, linked to both places"))
    remote = default_remote()
    if remote is not None and "://" not in remote:
        needs.append(DiskNeed(what="dataset in DVC's remote", bytes=size, why="the remote is a folder here"))
    return needs
