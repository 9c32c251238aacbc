"""A study as somebody exports it: files with names, which a fault can change, and the zip or folder that they make."""

import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom import Dataset

from lumbargrade.config.task import GradingTask
from lumbargrade.dicom.geometry import Plane
from lumbargrade.phantom.anatomy import Vector
from lumbargrade.phantom.generate import generate
from lumbargrade.phantom.study import draw_study, study_number, study_rng, true_point

CellKey = tuple[str, str]
KINDS = ("Sagittal T1", "Sagittal T2/STIR", "Axial T2")


@dataclass
class Image:
    """One file of an export.

    Attributes:
        kind: ``Sagittal T1``, ``Sagittal T2/STIR``, ``Axial T2`` or anything else.
        name: Where it lies in the export.
        dataset: Its content; None for a file that is not DICOM, or not any longer.
        raw: The bytes, if they are not those of ``dataset``.
    """

    kind: str
    name: str
    dataset: Dataset | None = None
    raw: bytes | None = None

    def content(self) -> bytes:
        """The bytes of the file."""
        if self.raw is not None:
            return self.raw
        assert self.dataset is not None
        buffer = io.BytesIO()
        self.dataset.save_as(buffer)
        return buffer.getvalue()

    @property
    def tags(self) -> Dataset:
        """The content of a DICOM file."""
        assert self.dataset is not None
        return self.dataset

    @property
    def spacing_known(self) -> bool:
        """Whether the tags say how large a pixel is."""
        return bool(self.tags.get("PixelSpacing")) and float(self.tags.PixelSpacing[0]) > 0

    @property
    def plane(self) -> Plane:
        """Where it lies in the patient, by its tags."""
        tags = self.tags
        cosines = np.array([float(value) for value in tags.ImageOrientationPatient])
        spacing = tags.PixelSpacing
        return Plane(
            np.array([float(value) for value in tags.ImagePositionPatient]),
            cosines[:3],
            cosines[3:],
            (float(spacing[0]), float(spacing[1])),
            (int(tags.Rows), int(tags.Columns)),
        )


@dataclass
class Export:
    """A study's files, and where its cells truly are.

    Attributes:
        study_uid: Of the study that is meant, whatever a fault adds to it.
        truth: Patient coordinates of every cell, mm.
        images: In the order in which they are written.
        kinds: Of each SOP instance, as it was before any fault.
    """

    study_id: int
    study_uid: str
    truth: dict[CellKey, Vector]
    images: list[Image]
    kinds: dict[str, str] = field(default_factory=dict)

    def of(self, kind: str) -> list[Image]:
        """The images of a kind of series, sagittal ones from right to left, axial ones from foot to head."""
        axis = 2 if kind.startswith("Axial") else 0
        found = [image for image in self.images if image.kind == kind and image.dataset is not None]
        return sorted(found, key=lambda image: float(image.tags.ImagePositionPatient[axis]))

    def edit(self, kind: str, change: Callable[[Dataset, int], object]) -> None:
        """Changes the tags of each image of a kind; the second argument is its number in the series, from 0."""
        for number, image in enumerate(self.of(kind)):
            change(image.tags, number)

    def zipped(self) -> bytes:
        """The export as a zip."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for image in self.images:
                archive.writestr(image.name, image.content())
        return buffer.getvalue()

    def write(self, folder: Path) -> Path:
        """The export as a folder."""
        for image in self.images:
            path = folder / image.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(image.content())
        return folder


def make_dataset(folder: Path, seed: int, studies: int) -> None:
    """Makes the phantoms that :func:`open_export` opens."""
    generate(folder, studies=studies, seed=seed, workers=1)


def open_export(dataset: Path, seed: int, index: int, task: GradingTask) -> Export:
    """Opens a phantom as an export without tables: loose files below folders with numbers."""
    study_id = study_number(seed, index)
    spine = draw_study(study_rng(seed, index), study_id, task).spine
    truth = {
        (condition.name, level): true_point(spine, number, row, task)
        for number, condition in enumerate(task.conditions)
        for row, level in enumerate(task.levels)
    }
    images = list(_images(dataset, study_id))
    kinds = {str(image.tags.SOPInstanceUID): image.kind for image in images}
    return Export(study_id, str(images[0].tags.StudyInstanceUID), truth, images, kinds)


def _images(dataset: Path, study_id: int) -> Iterator[Image]:
    folder = dataset / "train_images" / str(study_id)
    kinds: dict[str, str] = {}
    for line in (dataset / "train_series_descriptions.csv").read_text().splitlines()[1:]:
        study, series, kind = line.split(",")
        if study == str(study_id):
            kinds[series] = kind
    for path in sorted(folder.glob("*/*.dcm")):
        tags = pydicom.dcmread(path)
        if tags.file_meta.TransferSyntaxUID.is_compressed:
            tags.decompress()
        yield Image(kinds[path.parent.name], path.relative_to(folder).as_posix(), tags)


def copy_tags(tags: Dataset, **changes: Any) -> Dataset:
    """A copy of a file's content with other tags."""
    buffer = io.BytesIO()
    tags.save_as(buffer)
    copied = pydicom.dcmread(io.BytesIO(buffer.getvalue()))
    for keyword, value in changes.items():
        setattr(copied, keyword, value)
    if "SOPInstanceUID" in changes:
        copied.file_meta.MediaStorageSOPInstanceUID = changes["SOPInstanceUID"]
    return copied
