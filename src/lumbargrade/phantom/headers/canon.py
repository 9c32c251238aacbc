"""Headers as Toshiba's and Canon's scanners write them: other alphabets, and windows that show nothing or are not there.

Times: fast advanced spin echoes at 1.5 T.
"""

from pydicom import Dataset

from lumbargrade.phantom.headers.common import describe_acquisition, fill_group, usual_window
from lumbargrade.phantom.headers.names import CHINESE, JAPANESE, Naming
from lumbargrade.phantom.headers.scan import Kind, Profile, Scan, TimeRanges, draw_times
from lumbargrade.phantom.study import Image

_NAMES = Naming("T1 FSE Sag", "T2 FSE Sag", "FatSAT STIR Sag", "T2 FSE Ax", "L-Spine", ())
_MODELS = (("TOSHIBA", "Titan"), ("TOSHIBA", "MRT200SP5"), ("CANON_MEC", "Vantage Orian"))
_TIMES: dict[Kind, TimeRanges] = {
    "T1": TimeRanges((450, 650), (10, 15), 3),
    "T2": TimeRanges((3000, 4200), (90, 120), 21),
    "STIR": TimeRanges((3500, 4500), (60, 80), 15, (130, 160)),
    "axial": TimeRanges((3500, 5500), (90, 120), 21),
}


def _describe(dataset: Dataset, scan: Scan, image: Image) -> None:
    maker, model = scan.pick("model", _MODELS)
    times = draw_times(scan, _TIMES)
    describe_acquisition(dataset, scan, image, scan.pick("names", (_NAMES, JAPANESE, CHINESE)), times, maker, 1.5)
    dataset.ManufacturerModelName = model
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
    dataset.ScanningSequence = ["SE", "IR"] if times.inversion else "SE"
    dataset.SequenceVariant = "SK"
    window = scan.pick("window", (usual_window(image), ("0", "0"), ("-2000", "1"), None), each_series=True)
    if window is None:
        del dataset.WindowCenter, dataset.WindowWidth
    else:
        dataset.WindowCenter, dataset.WindowWidth = window
    fill_group(dataset, 0x700D, "TOSHIBA_MEC_MR3", 40)


CANON = Profile(_describe, ("explicit", "implicit", "deflated", "jpeg-lossless", "rle"))
