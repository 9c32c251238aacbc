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
    describe_series,
    describe_study,
    identify_image,
    set_stored,
    usual_window,
)
from lumbargrade.phantom.headers.names import EVERYWHERE, GERMAN, Naming
from lumbargrade.phantom.headers.scan import Kind, Profile, Scan, TimeRanges, Times, draw_times
from lumbargrade.phantom.study import Image, Study, renumber

_TSE = Naming("T1 TSE SAG", "T2 TSE SAG", "STIR SAG", "T2 TSE TRA", "MR L-spine", ())
_MODELS = (("Philips", "Ingenia Ambition"), ("Siemens Healthineers", "MAGNETOM Sola"), ("Philips", "Ingenia"))
_TIMES: dict[Kind, TimeRanges] = {
    "T1": TimeRanges((450, 650), (8, 12), 4),
    "T2": TimeRanges((3000, 4000), (90, 115), 18),
    "STIR": TimeRanges((3500, 5000), (50, 75), 12, (150, 220)),
    "axial": TimeRanges((3500, 5000), (95, 115), 18),
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
    identify_image(dataset, scan, first)
    dataset.SOPClassUID = EnhancedMRImageStorage
    describe_series(dataset, scan, naming.of(scan.kind))
    dataset.Manufacturer, dataset.ManufacturerModelName = scan.pick("model", _MODELS)
    dataset.MagneticFieldStrength = 1.5
    dataset.InstanceNumber = first.instance
    dataset.PatientPosition = "HFS"
    dataset.ContentDate, dataset.ContentTime = dataset.StudyDate, dataset.StudyTime
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", "NONE"]
    dataset.PixelPresentation, dataset.VolumetricProperties = "MONOCHROME", "VOLUME"
    dataset.VolumeBasedCalculationTechnique, dataset.ComplexImageComponent = "NONE", "MAGNITUDE"
    dataset.AcquisitionContrast = "STIR" if times.inversion else "T1" if scan.kind == "T1" else "T2"
    dataset.PulseSequenceName, dataset.EchoPulseSequence = "TSE", "SPIN"
    dataset.ResonantNucleus = "1H"
    dataset.MultipleSpinEcho, dataset.BurnedInAnnotation = "NO", "NO"


def _shared(scan: Scan, first: Image, times: Times) -> Dataset:
    classic = Dataset()
    describe_plane(classic, scan, first)
    inversion = {"InversionTimes": float(times.inversion)} if times.inversion else {}
    shared = Dataset()
    shared.MRImageFrameTypeSequence = _item(
        FrameType=["ORIGINAL", "PRIMARY", "M", "NONE"],
        PixelPresentation="MONOCHROME",
        VolumetricProperties="VOLUME",
        VolumeBasedCalculationTechnique="NONE",
        ComplexImageComponent="MAGNITUDE",
    )
    shared.MRTimingAndRelatedParametersSequence = _item(
        RepetitionTime=times.repetition, FlipAngle=times.flip, EchoTrainLength=times.train
    )
    shared.MREchoSequence = _item(EffectiveEchoTime=times.echo)
    shared.MRModifierSequence = _item(InversionRecovery="YES" if times.inversion else "NO", **inversion)
    measures = ("PixelSpacing", "SliceThickness", "SpacingBetweenSlices")
    shared.PixelMeasuresSequence = _item(**{keyword: classic.get(keyword) for keyword in measures})
    return shared


def _frame(scan: Scan, number: int, image: Image) -> Dataset:
    classic = Dataset()
    describe_plane(classic, scan, image)
    slope, intercept = image.rescale or (1.0, 0.0)
    centre, width = usual_window(image)
    frame = Dataset()
    frame.FrameContentSequence = _item(
        StackID="1",
        InStackPositionNumber=number,
        DimensionIndexValues=[1, number],
        FrameAcquisitionNumber=1,
        TemporalPositionIndex=1,
    )
    frame.PlanePositionSequence = _item(ImagePositionPatient=classic.ImagePositionPatient)
    frame.PlaneOrientationSequence = _item(ImageOrientationPatient=classic.ImageOrientationPatient)
    frame.PixelValueTransformationSequence = _item(
        RescaleSlope=f"{slope:g}", RescaleIntercept=f"{intercept:g}", RescaleType="US"
    )
    frame.FrameVOILUTSequence = _item(WindowCenter=centre, WindowWidth=width)
    return frame


def _item(**values: object) -> Sequence:
    """A sequence of one item."""
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return Sequence([item])


def _number_frames(study: Study) -> None:
    """Numbers slices as their frames are: a table calls a frame by its number in its file."""
    for series in study.series:
        order = sorted(series.images, key=lambda image: image.instance)
        place = {id(image): number for number, image in enumerate(order, 1)}
        renumber(study, series, [place[id(image)] for image in series.images])


ENHANCED = Profile(
    lambda dataset, scan, image: None, ("explicit", "jpeg-2000", "jpeg-ls", "rle"), _gather, _number_frames
)
