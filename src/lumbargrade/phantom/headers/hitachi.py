"""Headers as Hitachi's open low-field scanners write them: few tags, InversionTime 0 where there is no inversion.

The tags and times are those of a real study at 0.3 T (AIRIS Vento; repository mapconcierge/taichi2018Jan_mri05tesla_wakasa):
STIR has TI 110 ms and T1 a TE of 25 ms.
"""

from pydicom import Dataset

from lumbargrade.phantom.headers.common import describe_acquisition
from lumbargrade.phantom.headers.names import Naming
from lumbargrade.phantom.headers.scan import Kind, Profile, Scan, TimeRanges, draw_times
from lumbargrade.phantom.study import Image

_NAMES = Naming("T1 SAG", "T2 SAG", "STIR SAG", "T2 AX", "L-SPINE", ())
_TERSE = Naming("T1", "T2", "IR", "T2 AX", "LUMBAR", ())
_TIMES: dict[Kind, TimeRanges] = {
    "T1": TimeRanges((450, 570), (20, 25), 1),
    "T2": TimeRanges((3000, 3400), (100, 120), 11),
    "STIR": TimeRanges((3000, 3500), (60, 80), 8, (100, 115)),
    "axial": TimeRanges((4000, 4600), (90, 110), 12),
}


def _describe(dataset: Dataset, scan: Scan, image: Image) -> None:
    times = draw_times(scan, _TIMES)
    naming = scan.pick("names", (_NAMES, _NAMES, _TERSE))
    describe_acquisition(dataset, scan, image, naming, times, "Hitachi Medical Corporation", 0.3)
    del dataset.ProtocolName, dataset.StudyDescription, dataset.PositionReferenceIndicator
    del dataset.EchoNumbers, dataset.AcquisitionNumber
    if times.train == 1:
        del dataset.EchoTrainLength
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
    dataset.ScanningSequence = "IR" if times.inversion else "SE"
    dataset.SequenceVariant = "OSP" if times.train == 1 else ["OSP", "SK"]
    dataset.InversionTime = f"{times.inversion or 0:g}"


HITACHI = Profile(_describe, ("explicit", "jpeg-ls", "implicit"))
