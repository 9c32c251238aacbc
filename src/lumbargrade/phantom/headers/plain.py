"""Headers that say all there is to say, in English and the plainest way."""

from pydicom import Dataset

from lumbargrade.phantom.headers.common import (
    describe_patient,
    describe_plane,
    describe_series,
    describe_study,
    identify_image,
    set_pixels,
    usual_window,
)
from lumbargrade.phantom.headers.scan import Profile, Scan
from lumbargrade.phantom.study import Image


def _describe(dataset: Dataset, scan: Scan, image: Image) -> None:
    describe_patient(dataset, scan)
    describe_study(dataset, scan, "MR LUMBAR SPINE (PHANTOM)")
    identify_image(dataset, scan, image)
    describe_plane(dataset, scan, image)
    dataset.AcquisitionNumber = 1
    set_pixels(dataset, image)
    dataset.WindowCenter, dataset.WindowWidth = usual_window(image)
    station, protocol = scan.study.station, scan.series.protocol
    describe_series(dataset, scan, protocol.name)
    dataset.Manufacturer = station.manufacturer
    dataset.ManufacturerModelName = station.model
    dataset.MagneticFieldStrength = station.field_strength
    dataset.PatientPosition = "HFS"
    dataset.Laterality = ""
    dataset.ScanningSequence = ["SE", "IR"] if protocol.inversion_time else "SE"
    dataset.SequenceVariant = "SK"
    dataset.ScanOptions = ""
    dataset.RepetitionTime = protocol.repetition_time
    dataset.EchoTime = protocol.echo_time
    dataset.EchoTrainLength = 5 if protocol.repetition_time < 1000 else 17
    if protocol.inversion_time:
        dataset.InversionTime = protocol.inversion_time
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", "NONE"]


PLAIN = Profile(_describe)
