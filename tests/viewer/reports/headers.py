"""Tiny MR images with headers as scanners and anonymisers leave them, and reports on them."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from lumbargrade.config.task import GradingTask
from lumbargrade.models.trained_on import ModelFacts, state
from lumbargrade.serving.records.corrections import ServedVersion
from lumbargrade.viewer.reports.dicom_sr import build_report, write_report
from lumbargrade.viewer.reports.evidence import Evidence
from lumbargrade.viewer.schemas import Cell, Place, StudyReport

USUAL: dict[str, Any] = {
    "SpecificCharacterSet": "ISO_IR 100",
    "SOPClassUID": MRImageStorage, "SOPInstanceUID": "1.2.3.4.5", "SeriesInstanceUID": "1.2.3.4",
    "StudyInstanceUID": "1.2.3", "StudyDate": "20260102", "StudyTime": "101112", "AccessionNumber": "A1",
    "ReferringPhysicianName": "Curie^Marie", "StudyID": "7", "StudyDescription": "MR LWS",
    "PatientName": "Meyer^Anna", "PatientID": "P1", "PatientBirthDate": "19500131", "PatientSex": "F",
    "PatientAge": "076Y", "Modality": "MR", "Rows": 4, "Columns": 4, "SamplesPerPixel": 1, "BitsAllocated": 16,
    "BitsStored": 16, "HighBit": 15, "PixelRepresentation": 0, "PhotometricInterpretation": "MONOCHROME2",
    "PixelData": np.arange(16, dtype="<u2").tobytes(),
}  # fmt: skip


def write_image(path: Path, bytes_instead: tuple[bytes, bytes] | None = None, **tags: Any) -> Path:
    """Writes an image with other tags, valid or not; None removes one.

    Args:
        bytes_instead: Bytes of the file, and others of the same number that stand there instead.
    """
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    with disable_value_validation():
        dataset.file_meta.MediaStorageSOPClassUID = tags.pop("meta_class", MRImageStorage)
        for keyword, value in (USUAL | tags).items():
            if keyword.startswith("x"):
                dataset.add_new(int(keyword[1:], 16), "UN", value)
            elif value is not None:
                setattr(dataset, keyword, value)
        buffer = io.BytesIO(b"")
        dataset.save_as(buffer, enforce_file_format=False)
    data = buffer.getvalue()
    if not data.startswith(b"\0" * 128 + b"DICM"):
        data = b"\0" * 128 + b"DICM" + data
    if bytes_instead is not None:
        assert data.count(bytes_instead[0]) == 1
        data = data.replace(*bytes_instead)
    path.write_bytes(data)
    return path


def report_on(evidence: Evidence, task: GradingTask, facts: ModelFacts | None = None) -> bytes:
    """The report of a study all of whose places lie on the first image."""
    place = Place(series_id="s0", slice=0, x=1, y=2, mm=(0, 0, 0), confidence=0.5)
    cells = tuple(
        Cell(
            condition=cell.condition.name, level=cell.level, grade="Severe", probabilities=None,
            possible_grades=("Severe",), reason=None, correction=None, place=place,
        )
        for cell in task.cells
    )  # fmt: skip
    report = StudyReport(
        research_strip="Not for clinical use", trained_on=state(facts), request_id="r", task=task.title,
        model=ServedVersion(name="m", version="1"), graded_at="2026-01-01T00:00:00+00:00", study_hash="h",
        flags=(), sentences=(), cells=cells, identifiers=None,
    )  # fmt: skip
    image = next(iter(evidence.images), "")
    places: Mapping[str, tuple[str, None]] = {f"{cell.condition} {cell.level}": (image, None) for cell in cells}
    return write_report(build_report(report, evidence, places, task))


def comments_of(document: pydicom.Dataset) -> list[str]:
    """The sentences of a report."""
    return [item.TextValue for item in document.ContentSequence if item.ValueType == "TEXT"]
