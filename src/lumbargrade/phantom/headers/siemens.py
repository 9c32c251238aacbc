"""Headers as Siemens scanners write them: two windows, a CSA header in private tags, names in the language of the hospital.

Times: usual for turbo spin echoes and TIRM at 1.5 and 3 T.
"""

from pydicom import Dataset

from lumbargrade.phantom.headers.common import describe_acquisition, fill_group, usual_window
from lumbargrade.phantom.headers.names import EVERYWHERE, GERMAN, POLISH, TURKISH, Naming
from lumbargrade.phantom.headers.scan import Kind, Profile, Scan, TimeRanges, draw_times
from lumbargrade.phantom.study import Image

_TSE = Naming("t1_tse_sag", "t2_tse_sag", "t2_tirm_sag", "t2_tse_tra_msma", "Wirbelsaeule^LWS", ())
_SHORT = Naming("T1 sag", "T2 sag", "IR sag", "T2 tra", "LWS", ())
_MODELS = ((1.5, "Aera"), (1.5, "Avanto"), (3.0, "Skyra"), (3.0, "MAGNETOM Vida"))
_TIMES: dict[Kind, TimeRanges] = {
    "T1": TimeRanges((480, 700), (9, 13), 3, flip=150),
    "T2": TimeRanges((3000, 4200), (85, 110), 17, flip=150),
    "STIR": TimeRanges((3500, 5000), (35, 70), 9, (150, 220), 150),
    "axial": TimeRanges((3500, 5500), (90, 115), 17, flip=150),
}


def _describe(dataset: Dataset, scan: Scan, image: Image) -> None:
    field, model = scan.pick("model", _MODELS)
    times = draw_times(scan, _TIMES)
    naming = scan.pick("names", (_TSE, _TSE, _SHORT, GERMAN, POLISH, TURKISH, EVERYWHERE))
    describe_acquisition(dataset, scan, image, naming, times, "SIEMENS", field)
    dataset.ManufacturerModelName = model
    dataset.ImagingFrequency = f"{field * 42.577:.6f}"
    dataset.SoftwareVersions = "syngo MR E11"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", *scan.pick("filter", (("ND",), ("ND", "NORM"), ("NORM", "DIS2D")))]
    dataset.ScanningSequence = "IR" if times.inversion else "SE"
    dataset.SequenceVariant = ["SK", "SP", "OSP"]
    dataset.SequenceName = f"*{'tir' if times.inversion else 'tse'}2d1_{times.train}"
    dataset.ScanOptions = "PFP"
    centre, width = usual_window(image)
    dataset.WindowCenter, dataset.WindowWidth = [centre, centre], [width, str(2 * int(width))]
    dataset.WindowCenterWidthExplanation = ["WINDOW1", "WINDOW2"]
    fill_group(dataset, 0x0019, "SIEMENS MR HEADER", 12)
    fill_group(dataset, 0x0029, "SIEMENS CSA HEADER", 4, long=True)
    fill_group(dataset, 0x0051, "SIEMENS MR HEADER", 16)


SIEMENS = Profile(_describe, ("explicit", "explicit", "jpeg-lossless", "jpeg-2000", "implicit"))
