"""One multi-frame file a series: Enhanced MR Image Storage, with functional groups in place of the classic tags.

A file holds slices of one shape; those of a series that has several become files of one frame each. Times: turbo spin echoes.
"""

import numpy as np
from pydicom import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedMRImageStorage

from lumbargrade.phantom.headers.common import (
    describe_patient,
    describe_plane,
    describe_study,
    set_stored,
    usual_window,
)
from lumbargrade.phantom.headers.names import EVERYWHERE, GERMAN, Naming
from lumbargrade.phantom.headers.profile import Profile
from lumbargrade.phantom.headers.scan import Kind, Scan, uid
from lumbargrade.phantom.headers.times import Times, Timing, draw_times
from lumbargrade.phantom.study import Image, Study, renumber

_TSE = Naming("T1 TSE SAG", "T2 TSE SAG", "STIR SAG", "T2 TSE TRA", "MR L-spine", ())
_MODELS = (("Philips", "Ingenia Ambition"), ("Siemens Healthineers", "MAGNETOM Sola"), ("Philips", "Ingenia"))
_TIMES: dict[Kind, Timing] = {
    "T1": Timing((450, 650), (8, 12), 4),
    "T2": Timing((3000, 4000), (90, 115), 18),
    "STIR": Timing((3500, 5000), (50, 75), 12, (150, 220)),
    "axial": Timing((3500, 5000), (95, 115), 18),
}


def _gather(scan: Scan) -> list[tuple[str, Dataset]]:
    images = sorted(scan.series.images, key=lambda image: image.instance)
    if len({image.plane.shape for image in images}) == 1:
        return [("1.dcm", _file(scan, images))]
    return [(f"{image.instance}.dcm", _file(scan, [image])) for image in images]


def _file(scan: Scan, images: list[Image]) -> Dataset:
    dataset = Dataset()
    times = draw_times(scan, _TIMES)
    naming = scan.pick("names", (_TSE, GERMAN, EVERYWHERE))
    if naming.charset:
        dataset.SpecificCharacterSet = naming.charset[0]
    describe_patient(dataset, scan)
    describe_study(dataset, scan, naming.study)
    _describe_series(dataset, scan, images[0], naming, times)
    dataset.SharedFunctionalGroupsSequence = [_shared(scan, images[0], times)]
    dataset.PerFrameFunctionalGroupsSequence = [_frame(scan, number, image) for number, image in enumerate(images, 1)]
    dataset.NumberOfFrames = len(images)
    set_stored(dataset, np.stack([image.pixels for image in images]))
    return dataset


def _describe_series(dataset: Dataset, scan: Scan, first: Image, naming: Naming, times: Times) -> None:
    dataset.SOPClassUID = EnhancedMRImageStorage
    dataset.SOPInstanceUID = scan.instance_uid(first)
    dataset.SeriesInstanceUID = uid(scan.study.study_id, scan.series.series_id)
    dataset.FrameOfReferenceUID = uid(scan.study.study_id, "frame")
    dataset.Modality = "MR"
    dataset.Manufacturer, dataset.ManufacturerModelName = scan.pick("model", _MODELS)
    dataset.MagneticFieldStrength = 1.5
    dataset.SeriesNumber, dataset.InstanceNumber = scan.number, first.instance
    dataset.SeriesDescription = dataset.ProtocolName = naming.of(scan.kind)
    dataset.BodyPartExamined = scan.series.protocol.body_part
    dataset.PatientPosition = "HFS"
    dataset.PositionReferenceIndicator = ""
    dataset.ContentDate, dataset.ContentTime = dataset.StudyDate, dataset.StudyTime
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", "NONE"]
    dataset.PixelPresentation, dataset.VolumetricProperties = "MONOCHROME", "VOLUME"
    dataset.VolumeBasedCalculationTechnique, dataset.ComplexImageComponent = "NONE", "MAGNITUDE"
    dataset.AcquisitionContrast = "STIR" if times.inversion else "T1" if scan.kind == "T1" else "T2"
    dataset.PulseSequenceName, dataset.EchoPulseSequence = "TSE", "SPIN"
    dataset.MRAcquisitionType, dataset.ResonantNucleus = "2D", "1H"
    dataset.MultipleSpinEcho, dataset.BurnedInAnnotation = "NO", "NO"


def _shared(scan: Scan, first: Image, times: Times) -> Dataset:
    classic = Dataset()
    describe_plane(classic, scan, first)
    kind = Dataset()
    kind.FrameType = ["ORIGINAL", "PRIMARY", "M", "NONE"]
    kind.PixelPresentation, kind.VolumetricProperties = "MONOCHROME", "VOLUME"
    kind.VolumeBasedCalculationTechnique, kind.ComplexImageComponent = "NONE", "MAGNITUDE"
    timing = Dataset()
    timing.RepetitionTime, timing.FlipAngle, timing.EchoTrainLength = times.repetition, times.flip, times.train
    echo = Dataset()
    echo.EffectiveEchoTime = times.echo
    modifier = Dataset()
    modifier.InversionRecovery = "YES" if times.inversion else "NO"
    if times.inversion:
        modifier.InversionTimes = float(times.inversion)
    measures = Dataset()
    measures.PixelSpacing, measures.SliceThickness = classic.PixelSpacing, classic.SliceThickness
    measures.SpacingBetweenSlices = classic.SpacingBetweenSlices
    shared = Dataset()
    shared.MRImageFrameTypeSequence = Sequence([kind])
    shared.MRTimingAndRelatedParametersSequence = Sequence([timing])
    shared.MREchoSequence = Sequence([echo])
    shared.MRModifierSequence = Sequence([modifier])
    shared.PixelMeasuresSequence = Sequence([measures])
    return shared


def _frame(scan: Scan, number: int, image: Image) -> Dataset:
    classic = Dataset()
    describe_plane(classic, scan, image)
    content = Dataset()
    content.StackID, content.InStackPositionNumber, content.DimensionIndexValues = "1", number, [1, number]
    content.FrameAcquisitionNumber, content.TemporalPositionIndex = 1, 1
    position, orientation, values, shown = Dataset(), Dataset(), Dataset(), Dataset()
    position.ImagePositionPatient = classic.ImagePositionPatient
    orientation.ImageOrientationPatient = classic.ImageOrientationPatient
    slope, intercept = image.rescale or (1.0, 0.0)
    values.RescaleSlope, values.RescaleIntercept, values.RescaleType = f"{slope:g}", f"{intercept:g}", "US"
    shown.WindowCenter, shown.WindowWidth = usual_window(image)
    frame = Dataset()
    frame.FrameContentSequence = Sequence([content])
    frame.PlanePositionSequence = Sequence([position])
    frame.PlaneOrientationSequence = Sequence([orientation])
    frame.PixelValueTransformationSequence = Sequence([values])
    frame.FrameVOILUTSequence = Sequence([shown])
    return frame


def _number_frames(study: Study) -> None:
    """Numbers slices as their frames are: a table calls a frame by its number in its file."""
    for series in study.series:
        order = sorted(series.images, key=lambda image: image.instance)
        place = {id(image): number for number, image in enumerate(order, 1)}
        renumber(study, series, [place[id(image)] for image in series.images])


ENHANCED = Profile(
    lambda dataset, scan, image: None, ("explicit", "jpeg-2000", "jpeg-ls", "rle"), _gather, _number_frames
)
