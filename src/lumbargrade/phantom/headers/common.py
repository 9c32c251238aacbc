"""Tags that scanners of all makers write."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import MRImageStorage

from lumbargrade.dicom.synthetic import SYNTHETIC
from lumbargrade.phantom.headers.names import Naming
from lumbargrade.phantom.headers.scan import Scan, uid
from lumbargrade.phantom.headers.times import Times
from lumbargrade.phantom.study import Image

DAY = "20240101"


def describe_patient(dataset: Dataset, scan: Scan) -> None:
    """Says that it is nobody."""
    study_id = str(scan.study.study_id)
    dataset.PatientName = f"Phantom^{study_id}"
    dataset.PatientID = study_id
    dataset.PatientBirthDate = ""
    dataset.PatientSex = ""
    mark_synthetic(dataset)


def mark_synthetic(dataset: Dataset) -> None:
    """Marks an image as synthetic, whatever else its header says."""
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = SYNTHETIC


def describe_study(dataset: Dataset, scan: Scan, description: str) -> None:
    """Says what study it is, and when it was."""
    study_id = scan.study.study_id
    dataset.StudyInstanceUID = uid(study_id)
    dataset.StudyID = str(study_id)[-8:]
    dataset.StudyDate = DAY
    dataset.StudyTime = "120000"
    dataset.StudyDescription = description
    dataset.AccessionNumber = ""
    dataset.ReferringPhysicianName = ""


def describe_acquisition(dataset: Dataset, scan: Scan, image: Image, naming: Naming, times: Times) -> None:
    """Says what was scanned, as an MR Image Storage object of any maker does; the maker's own tags are added to it."""
    if naming.charset:
        dataset.SpecificCharacterSet = list(naming.charset) if len(naming.charset) > 1 else naming.charset[0]
    describe_patient(dataset, scan)
    dataset.PatientSex = scan.pick("sex", ("", "", "O", "U", "A"))
    describe_study(dataset, scan, naming.study)
    dataset.SOPClassUID = MRImageStorage
    dataset.SOPInstanceUID = scan.instance_uid(image)
    dataset.Modality = "MR"
    dataset.SeriesInstanceUID = uid(scan.study.study_id, scan.series.series_id)
    dataset.SeriesNumber = scan.number
    dataset.SeriesDescription = naming.of(scan.kind)
    dataset.ProtocolName = naming.of(scan.kind)
    dataset.BodyPartExamined = scan.series.protocol.body_part
    dataset.FrameOfReferenceUID = uid(scan.study.study_id, "frame")
    dataset.PositionReferenceIndicator = ""
    dataset.PatientPosition = scan.pick("position", ("HFS",) * 9 + ("FFS",))
    dataset.MRAcquisitionType = "2D"
    dataset.RepetitionTime = f"{times.repetition:g}"
    dataset.EchoTime = f"{times.echo:g}"
    dataset.EchoTrainLength = times.train
    dataset.FlipAngle = f"{times.flip:g}"
    dataset.EchoNumbers = 1
    dataset.AcquisitionNumber = 1


def describe_plane(dataset: Dataset, scan: Scan, image: Image) -> None:
    """Says how and where a slice lies."""
    plane = image.plane
    dataset.InstanceNumber = image.instance
    dataset.ImagePositionPatient = [f"{value:.4f}" for value in plane.position]
    dataset.ImageOrientationPatient = [f"{value:.8f}" for value in (*plane.row_direction, *plane.column_direction)]
    dataset.PixelSpacing = [f"{value:.4f}" for value in plane.spacing]
    dataset.SliceThickness = f"{scan.series.protocol.thickness:g}"
    dataset.SpacingBetweenSlices = f"{scan.series.protocol.gap:g}"
    dataset.SliceLocation = f"{plane.distance:.4f}"


def usual_window(image: Image) -> tuple[str, str]:
    """Centre and width by which a slice is shown well, in the values that it means."""
    slope, intercept = image.rescale or (1.0, 0.0)
    high = float(np.percentile(image.pixels, 99)) * slope + intercept
    return f"{max(high, 2.0) / 2:.0f}", f"{max(high, 2.0):.0f}"


def set_pixels(dataset: Dataset, image: Image) -> None:
    """Writes the stored values of a slice, and what they mean."""
    set_stored(dataset, image.pixels)
    if image.rescale is not None:
        slope, intercept = image.rescale
        dataset.RescaleSlope, dataset.RescaleIntercept = f"{slope:g}", f"{intercept:g}"
        dataset.RescaleType = "US"


def set_stored(dataset: Dataset, pixels: NDArray[np.integer[Any]], stored: int = 12) -> None:
    """Writes stored values, (rows, columns) or (frames, rows, columns).

    Args:
        stored: BitsStored of unsigned values.
    """
    signed = bool(np.issubdtype(pixels.dtype, np.signedinteger))
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    dataset.BitsAllocated = 16
    dataset.BitsStored = 16 if signed else stored
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(signed)
    dataset.PixelData = pixels.astype("<i2" if signed else "<u2").tobytes()
    dataset["PixelData"].VR = "OW"
