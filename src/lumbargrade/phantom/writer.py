"""Writing a study in RSNA layout: DICOM MR files, and its rows of the three tables."""

from io import BytesIO
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    MRImageStorage,
    RLELossless,
    generate_uid,
)

from lumbargrade.config.task import GradingTask
from lumbargrade.data.layout import IMAGES
from lumbargrade.dicom.synthetic import SYNTHETIC
from lumbargrade.phantom.study import Image, Series, Study

TRANSFER_SYNTAXES = {
    "explicit": ExplicitVRLittleEndian,
    "implicit": ImplicitVRLittleEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
    "rle": RLELossless,
    "jpeg-ls": JPEGLSLossless,
}
_UID_PREFIX = "1.2.826.0.1.3680043.8.498."
_DAY = "20240101"


def write_study(study: Study, root: Path) -> int:
    """Writes the images of a study under ``root`` and returns how many files they are."""
    files = 0
    for number, series in enumerate(study.series, start=1):
        folder = root / IMAGES / str(study.study_id) / str(series.series_id)
        folder.mkdir(parents=True)
        for image in series.images:
            dataset = image_dataset(study, series, image, number)
            whole = BytesIO()  # pydicom hides what was wrong with the disk
            dataset.save_as(whole, enforce_file_format=True)
            (folder / f"{image.instance}.dcm").write_bytes(whole.getvalue())
            files += 1
    return files


def label_row(study: Study, task: GradingTask) -> list[str]:
    """Returns the study's row of ``train.csv``."""
    grades = [task.grades[grade] if grade >= 0 else "" for grade in study.labels.ravel()]
    return [str(study.study_id), *grades]


def series_rows(study: Study) -> list[list[str]]:
    """Returns the study's rows of ``train_series_descriptions.csv``."""
    return [[str(study.study_id), str(series.series_id), series.description] for series in study.series]


def point_rows(study: Study, task: GradingTask) -> list[list[str]]:
    """Returns the study's rows of ``train_label_coordinates.csv``."""
    return [
        [
            str(study.study_id),
            str(point.series_id),
            str(point.instance),
            task.conditions[point.condition].label,
            task.levels[point.level],
            str(point.x),
            str(point.y),
        ]
        for point in study.points
    ]


def uid(*parts: object) -> UID:
    """Returns a UID that depends on nothing but its parts."""
    return generate_uid(prefix=_UID_PREFIX, entropy_srcs=["lumbargrade phantom", *(str(part) for part in parts)])


def image_dataset(study: Study, series: Series, image: Image, number: int) -> Dataset:
    """Returns one slice as an MR Image Storage object in the series' transfer syntax.

    Args:
        number: SeriesNumber.
    """
    dataset = Dataset()
    _describe_patient(dataset, study)
    _describe_series(dataset, study, series, number)
    _describe_plane(dataset, study, series, image)
    dataset.SOPInstanceUID = uid(study.study_id, series.series_id, image.instance)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = MRImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    _set_pixels(dataset, image)
    for keyword in image.without:
        delattr(dataset, keyword)
    syntax = TRANSFER_SYNTAXES[series.transfer_syntax]
    if syntax.is_encapsulated:
        dataset.compress(syntax, generate_instance_uid=False)
    else:
        dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


def _describe_patient(dataset: Dataset, study: Study) -> None:
    dataset.PatientName = f"Phantom^{study.study_id}"
    dataset.PatientID = str(study.study_id)
    dataset.PatientBirthDate = ""
    dataset.PatientSex = ""
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = SYNTHETIC
    dataset.StudyInstanceUID = uid(study.study_id)
    dataset.StudyID = str(study.study_id)[-8:]
    dataset.StudyDate = _DAY
    dataset.StudyTime = "120000"
    dataset.StudyDescription = "MR LUMBAR SPINE (PHANTOM)"
    dataset.AccessionNumber = ""
    dataset.ReferringPhysicianName = ""


def _describe_series(dataset: Dataset, study: Study, series: Series, number: int) -> None:
    protocol = series.protocol
    dataset.SOPClassUID = MRImageStorage
    dataset.Modality = "MR"
    dataset.Manufacturer = study.station.manufacturer
    dataset.ManufacturerModelName = study.station.model
    dataset.MagneticFieldStrength = study.station.field_strength
    dataset.SeriesInstanceUID = uid(study.study_id, series.series_id)
    dataset.SeriesNumber = number
    dataset.SeriesDescription = protocol.name
    dataset.ProtocolName = protocol.name
    dataset.BodyPartExamined = protocol.body_part
    dataset.PatientPosition = "HFS"
    dataset.FrameOfReferenceUID = uid(study.study_id, "frame")
    dataset.PositionReferenceIndicator = ""
    dataset.Laterality = ""
    dataset.ScanningSequence = ["SE", "IR"] if protocol.inversion_time else "SE"
    dataset.SequenceVariant = "SK"
    dataset.ScanOptions = ""
    dataset.MRAcquisitionType = "2D"
    dataset.RepetitionTime = protocol.repetition_time
    dataset.EchoTime = protocol.echo_time
    dataset.EchoTrainLength = 5 if protocol.repetition_time < 1000 else 17
    if protocol.inversion_time:
        dataset.InversionTime = protocol.inversion_time
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", "NONE"]


def _describe_plane(dataset: Dataset, study: Study, series: Series, image: Image) -> None:
    plane = image.plane
    dataset.InstanceNumber = image.instance
    dataset.AcquisitionNumber = 1
    dataset.ImagePositionPatient = [f"{value:.4f}" for value in plane.position]
    dataset.ImageOrientationPatient = [f"{value:.8f}" for value in (*plane.row_direction, *plane.column_direction)]
    dataset.PixelSpacing = [f"{value:.4f}" for value in plane.spacing]
    dataset.SliceThickness = f"{series.protocol.thickness:g}"
    dataset.SpacingBetweenSlices = f"{series.protocol.gap:g}"
    dataset.SliceLocation = f"{plane.distance:.4f}"


def _set_pixels(dataset: Dataset, image: Image) -> None:
    pixels = image.pixels
    signed = bool(np.issubdtype(pixels.dtype, np.signedinteger))
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated = 16
    dataset.BitsStored = 16 if signed else 12
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(signed)
    slope, intercept = image.rescale or (1.0, 0.0)
    high = float(np.percentile(pixels, 99)) * slope + intercept
    dataset.WindowCenter = f"{max(high, 2.0) / 2:.0f}"
    dataset.WindowWidth = f"{max(high, 2.0):.0f}"
    if image.rescale is not None:
        dataset.RescaleSlope, dataset.RescaleIntercept = f"{slope:g}", f"{intercept:g}"
        dataset.RescaleType = "US"
    dataset.PixelData = pixels.astype("<i2" if signed else "<u2").tobytes()
    dataset["PixelData"].VR = "OW"
