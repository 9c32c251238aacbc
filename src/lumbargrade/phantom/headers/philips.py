"""Headers as Philips scanners write them: a slope for display in the public tags, that of the measured values in private ones.

Stored values are twice what they mean, so that with RescaleSlope 0.5 all mean what they mean with other headers. Times: turbo
spin echoes at 1.5 and 3 T.
"""

from pydicom import Dataset

from lumbargrade.phantom.headers.common import describe_acquisition, fill_group, set_stored
from lumbargrade.phantom.headers.names import DUTCH, ITALIAN, RUSSIAN, Naming
from lumbargrade.phantom.headers.scan import Kind, Profile, Scan, TimeRanges, draw_times
from lumbargrade.phantom.study import Image

_TSE = Naming("T1W_TSE SAG", "T2W_TSE SAG", "STIR_longTE SAG", "T2W_TSE TRA", "MRI L-spine", ())
_TERSE = Naming("sT1W_TSE", "sT2W_TSE", "STIR_TSE", "T2W_TSE_ax", "LWK", ())
_MODELS = ((1.5, "Ingenia"), (1.5, "Achieva"), (3.0, "Ingenia Elition X"))
_TIMES: dict[Kind, TimeRanges] = {
    "T1": TimeRanges((400, 650), (7, 10), 4),
    "T2": TimeRanges((2500, 4000), (100, 120), 20),
    "STIR": TimeRanges((2500, 4500), (60, 80), 16, (160, 220)),
    "axial": TimeRanges((2800, 5000), (100, 120), 20),
}


def _describe(dataset: Dataset, scan: Scan, image: Image) -> None:
    field, model = scan.pick("model", _MODELS)
    times = draw_times(scan, _TIMES)
    naming = scan.pick("names", (_TSE, _TSE, _TERSE, DUTCH, ITALIAN, RUSSIAN))
    describe_acquisition(dataset, scan, image, naming, times, "Philips Medical Systems", field)
    dataset.ManufacturerModelName = model
    sequence = "IR" if times.inversion else "SE"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", f"M_{sequence}", "M", sequence]
    dataset.ScanningSequence = sequence
    dataset.SequenceVariant = "SK"
    dataset.ScanOptions = "OTHER"
    if image.rescale is None:
        set_stored(dataset, (image.pixels * 2).astype(image.pixels.dtype), stored=16)
        dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = "0.5", "0", "normalized"
    shown = dataset.private_block(0x2001, "Philips Imaging DD 001", create=True)
    shown.add_new(0x0A, "IS", str(image.instance))
    shown.add_new(0x0B, "CS", "TRANSVERSAL" if scan.kind == "axial" else "SAGITTAL")
    measured = dataset.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
    measured.add_new(0x0D, "FL", 0.0)
    measured.add_new(0x0E, "FL", scan.draw("scale slope", 0.005, 0.9))
    fill_group(dataset, 0x2005, "Philips MR Imaging DD 005", 60)


PHILIPS = Profile(_describe, ("explicit", "implicit", "jpeg-2000", "rle", "jpeg-ls"))
