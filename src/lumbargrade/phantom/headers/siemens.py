"""Headers as Siemens scanners write them: two windows, a CSA header in private tags, names in the language of the hospital.

Times: usual for turbo spin echoes and TIRM at 1.5 and 3 T.
"""

from pydicom import Dataset

from lumbargrade.phantom.headers.common import describe_acquisition, describe_plane, set_pixels, usual_window
from lumbargrade.phantom.headers.names import EVERYWHERE, GERMAN, POLISH, TURKISH, Naming
from lumbargrade.phantom.headers.private import fill_group
from lumbargrade.phantom.headers.profile import Profile
from lumbargrade.phantom.headers.scan import Kind, Scan
from lumbargrade.phantom.headers.times import Timing, draw_times
from lumbargrade.phantom.study import Image

_TSE = Naming("t1_tse_sag", "t2_tse_sag", "t2_tirm_sag", "t2_tse_tra_msma", "Wirbelsaeule^LWS", ())
_SHORT = Naming("T1 sag", "T2 sag", "IR sag", "T2 tra", "LWS", ())
_MODELS = ((1.5, "Aera"), (1.5, "Avanto"), (3.0, "Skyra"), (3.0, "MAGNETOM Vida"))
_TIMES: dict[Kind, Timing] = {
    "T1": Timing((480, 700), (9, 13), 3, flip=150),
    "T2": Timing((3000, 4200), (85, 110), 17, flip=150),
    "STIR": Timing((3500, 5000), (35, 70), 9, (150, 220), 150),
    "axial": Timing((3500, 5500), (90, 115), 17, flip=150),
}


def _describe(dataset: Dataset, scan: Scan, image: Image) -> None:
    field, model = scan.pick("model", _MODELS)
    times = draw_times(scan, _TIMES)
    describe_acquisition(
        dataset, scan, image, scan.pick("names", (_TSE, _TSE, _SHORT, GERMAN, POLISH, TURKISH, EVERYWHERE)), times
    )
    dataset.Manufacturer, dataset.ManufacturerModelName = "SIEMENS", model
    dataset.MagneticFieldStrength = f"{field:g}"
    dataset.ImagingFrequency = f"{field * 42.577:.6f}"
    dataset.SoftwareVersions = "syngo MR E11"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", *scan.pick("filter", (("ND",), ("ND", "NORM"), ("NORM", "DIS2D")))]
    dataset.ScanningSequence = "IR" if times.inversion else "SE"
    dataset.SequenceVariant = ["SK", "SP", "OSP"]
    dataset.SequenceName = f"*{'tir' if times.inversion else 'tse'}2d1_{times.train}"
    dataset.ScanOptions = "PFP"
    if times.inversion:
        dataset.InversionTime = f"{times.inversion:g}"
    describe_plane(dataset, scan, image)
    set_pixels(dataset, image)
    centre, width = usual_window(image)
    dataset.WindowCenter, dataset.WindowWidth = [centre, centre], [width, str(2 * int(width))]
    dataset.WindowCenterWidthExplanation = ["WINDOW1", "WINDOW2"]
    fill_group(dataset, 0x0019, "SIEMENS MR HEADER", 12)
    fill_group(dataset, 0x0029, "SIEMENS CSA HEADER", 4, long=True)
    fill_group(dataset, 0x0051, "SIEMENS MR HEADER", 16)


SIEMENS = Profile(_describe, ("explicit", "explicit", "jpeg-lossless", "jpeg-2000", "implicit"))
