"""Headers as Toshiba's and Canon's scanners write them: other alphabets, and windows that show nothing or are not there.

Times: fast advanced spin echoes at 1.5 T.
"""

from pydicom import Dataset

from lumbargrade.phantom.headers.common import describe_acquisition, describe_plane, set_pixels, usual_window
from lumbargrade.phantom.headers.names import CHINESE, JAPANESE, Naming
from lumbargrade.phantom.headers.private import fill_group
from lumbargrade.phantom.headers.profile import Profile
from lumbargrade.phantom.headers.scan import Kind, Scan
from lumbargrade.phantom.headers.times import Timing, draw_times
from lumbargrade.phantom.study import Image

_NAMES = Naming("T1 FSE Sag", "T2 FSE Sag", "FatSAT STIR Sag", "T2 FSE Ax", "L-Spine", ())
_MODELS = (("TOSHIBA", "Titan"), ("TOSHIBA", "MRT200SP5"), ("CANON_MEC", "Vantage Orian"))
_TIMES: dict[Kind, Timing] = {
    "T1": Timing((450, 650), (10, 15), 3),
    "T2": Timing((3000, 4200), (90, 120), 21),
    "STIR": Timing((3500, 4500), (60, 80), 15, (130, 160)),
    "axial": Timing((3500, 5500), (90, 120), 21),
}


def _describe(dataset: Dataset, scan: Scan, image: Image) -> None:
    maker, model = scan.pick("model", _MODELS)
    times = draw_times(scan, _TIMES)
    describe_acquisition(dataset, scan, image, scan.pick("names", (_NAMES, JAPANESE, CHINESE)), times)
    dataset.Manufacturer, dataset.ManufacturerModelName = maker, model
    dataset.MagneticFieldStrength = "1.5"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
    dataset.ScanningSequence = ["SE", "IR"] if times.inversion else "SE"
    dataset.SequenceVariant = "SK"
    if times.inversion:
        dataset.InversionTime = f"{times.inversion:g}"
    describe_plane(dataset, scan, image)
    set_pixels(dataset, image)
    window = scan.pick("window", (usual_window(image), ("0", "0"), ("-2000", "1"), None), each_series=True)
    if window is not None:
        dataset.WindowCenter, dataset.WindowWidth = window
    fill_group(dataset, 0x700D, "TOSHIBA_MEC_MR3", 40)


CANON = Profile(_describe, ("explicit", "implicit", "deflated", "jpeg-lossless", "rle"))
