"""Headers as Hitachi's open low-field scanners write them: few tags, InversionTime 0 where there is no inversion.

The tags and times are those of a real study at 0.3 T (AIRIS Vento; repository mapconcierge/taichi2018Jan_mri05tesla_wakasa):
STIR has TI 110 ms and T1 a TE of 25 ms.
"""

from pydicom import Dataset

from lumbargrade.phantom.headers.common import describe_acquisition, describe_plane, set_pixels, usual_window
from lumbargrade.phantom.headers.names import Naming
from lumbargrade.phantom.headers.profile import Profile
from lumbargrade.phantom.headers.scan import Kind, Scan
from lumbargrade.phantom.headers.times import Timing, draw_times
from lumbargrade.phantom.study import Image

_NAMES = Naming("T1 SAG", "T2 SAG", "STIR SAG", "T2 AX", "L-SPINE", ())
_TERSE = Naming("T1", "T2", "IR", "T2 AX", "LUMBAR", ())
_TIMES: dict[Kind, Timing] = {
    "T1": Timing((450, 570), (20, 25), 1),
    "T2": Timing((3000, 3400), (100, 120), 11),
    "STIR": Timing((3000, 3500), (60, 80), 8, (100, 115)),
    "axial": Timing((4000, 4600), (90, 110), 12),
}


def _describe(dataset: Dataset, scan: Scan, image: Image) -> None:
    times = draw_times(scan, _TIMES)
    describe_acquisition(dataset, scan, image, scan.pick("names", (_NAMES, _NAMES, _TERSE)), times)
    for keyword in (
        "ProtocolName",
        "PositionReferenceIndicator",
        "EchoNumbers",
        "StudyDescription",
        "AcquisitionNumber",
    ):
        delattr(dataset, keyword)
    if times.train == 1:
        del dataset.EchoTrainLength
    dataset.Manufacturer = "Hitachi Medical Corporation"
    dataset.MagneticFieldStrength = "0.3"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
    dataset.ScanningSequence = "IR" if times.inversion else "SE"
    dataset.SequenceVariant = "OSP" if times.train == 1 else ["OSP", "SK"]
    dataset.InversionTime = f"{times.inversion or 0:g}"
    describe_plane(dataset, scan, image)
    set_pixels(dataset, image)
    dataset.WindowCenter, dataset.WindowWidth = usual_window(image)


HITACHI = Profile(_describe, ("explicit", "jpeg-ls", "implicit"))
