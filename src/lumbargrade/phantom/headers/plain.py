"""Headers that say all there is to say, in English and the plainest way."""

from pydicom import Dataset
from pydicom.uid import MRImageStorage

from lumbargrade.phantom.headers.common import (
    describe_patient,
    describe_plane,
    describe_study,
    set_pixels,
    usual_window,
)
from lumbargrade.phantom.headers.profile import Profile
from lumbargrade.phantom.headers.scan import Scan, uid
from lumbargrade.phantom.study import Image


def _describe(dataset: Dataset, scan: Scan, image: Image) -> None:
    describe_patient(dataset, scan)
    describe_study(dataset, scan, "MR LUMBAR SPINE (PHANTOM)")
    _describe_series(dataset, scan)
    describe_plane(dataset, scan, image)
    dataset.AcquisitionNumber = 1
    dataset.SOPInstanceUID = scan.instance_uid(image)
    set_pixels(dataset, image)
    dataset.WindowCenter, dataset.WindowWidth = usual_window(image)


def _describe_series(dataset: Dataset, scan: Scan) -> None:
    station, protocol = scan.study.station, scan.series.protocol
    dataset.SOPClassUID = MRImageStorage
    dataset.Modality = "MR"
    dataset.Manufacturer = station.manufacturer
    dataset.ManufacturerModelName = station.model
    dataset.MagneticFieldStrength = station.field_strength
    dataset.SeriesInstanceUID = uid(scan.study.study_id, scan.series.series_id)
    dataset.SeriesNumber = scan.number
    dataset.SeriesDescription = protocol.name
    dataset.ProtocolName = protocol.name
    dataset.BodyPartExamined = protocol.body_part
    dataset.PatientPosition = "HFS"
    dataset.FrameOfReferenceUID = uid(scan.study.study_id, "frame")
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


PLAIN = Profile(_describe)
