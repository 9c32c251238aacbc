"""Tags that scanners of all makers write, and private ones."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import MRImageStorage

from lumbargrade.dicom.synthetic import SYNTHETIC
from lumbargrade.phantom.headers.names import Naming
from lumbargrade.phantom.headers.scan import Scan, Times, uid
from lumbargrade.phantom.study import Image

DAY = "20240101"
_LONG = 1 << 11
"""Bytes of a long private tag."""


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


def identify_image(dataset: Dataset, scan: Scan, image: Image) -> None:
    """Gives an MR image its UIDs."""
    study_id = scan.study.study_id
    dataset.SOPClassUID = MRImageStorage
    dataset.SOPInstanceUID = scan.instance_uid(image)
    dataset.StudyInstanceUID = uid(study_id)
    dataset.SeriesInstanceUID = uid(study_id, scan.series.series_id)
    dataset.FrameOfReferenceUID = uid(study_id, "frame")
    dataset.Modality = "MR"


def describe_study(dataset: Dataset, scan: Scan, description: str) -> None:
    """Says what study it is, and when it was."""
    study_id = scan.study.study_id
    dataset.StudyID = str(study_id)[-8:]
    dataset.StudyDate = DAY
    dataset.StudyTime = "120000"
    dataset.StudyDescription = description
    dataset.AccessionNumber = ""
    dataset.ReferringPhysicianName = ""


def describe_series(dataset: Dataset, scan: Scan, name: str) -> None:
    """Says what series it is."""
    dataset.SeriesNumber = scan.number
    dataset.SeriesDescription = dataset.ProtocolName = name
    dataset.BodyPartExamined = scan.series.protocol.body_part
    dataset.PositionReferenceIndicator = ""
    dataset.MRAcquisitionType = "2D"


def describe_acquisition(
    dataset: Dataset, scan: Scan, image: Image, naming: Naming, times: Times, maker: str, field_strength: float
) -> None:
    """Says all of an image that an MR Image Storage object of any maker does; the maker's own tags are added to it."""
    if naming.charset:
        dataset.SpecificCharacterSet = list(naming.charset) if len(naming.charset) > 1 else naming.charset[0]
    describe_patient(dataset, scan)
    dataset.PatientSex = scan.pick("sex", ("", "", "O", "U", "A"))
    describe_study(dataset, scan, naming.study)
    identify_image(dataset, scan, image)
    describe_series(dataset, scan, naming.of(scan.kind))
    dataset.Manufacturer = maker
    dataset.MagneticFieldStrength = f"{field_strength:g}"
    dataset.PatientPosition = scan.pick("position", ("HFS",) * 9 + ("FFS",))
    dataset.RepetitionTime = f"{times.repetition:g}"
    dataset.EchoTime = f"{times.echo:g}"
    dataset.EchoTrainLength = times.train
    dataset.FlipAngle = f"{times.flip:g}"
    dataset.EchoNumbers = 1
    dataset.AcquisitionNumber = 1
    if times.inversion:
        dataset.InversionTime = f"{times.inversion:g}"
    describe_plane(dataset, scan, image)
    set_pixels(dataset, image)
    dataset.WindowCenter, dataset.WindowWidth = usual_window(image)


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


def fill_group(dataset: Dataset, group: int, creator: str, count: int, long: bool = False) -> None:
    """Adds so many private tags of several kinds; scanners write hundreds, and nobody else knows what they mean.

    Args:
        group: Odd.
        long: Makes some kilobytes of each.
    """
    block = dataset.private_block(group, creator, create=True)
    rng = np.random.default_rng([group, count])
    for element in range(count):
        if long:
            block.add_new(element, "OB", rng.bytes(_LONG))
        elif element % 3 == 0:
            block.add_new(element, "DS", f"{rng.uniform(0, 100):.3f}")
        elif element % 3 == 1:
            block.add_new(element, "SS", int(rng.integers(-300, 300)))
        else:
            block.add_new(element, "LO", f"value {int(rng.integers(1000))}")
