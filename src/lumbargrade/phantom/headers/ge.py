"""Headers as GE scanners write them: T1 FLAIR in the place of T1, InversionTime 0 without an inversion, hundreds of private tags.

Times: fast spin echoes (FRFSE for T2) at 1.5 and 3 T; T1 FLAIR nulls fluid at 760 to 920 ms.
"""

from dataclasses import replace

from pydicom import Dataset

from lumbargrade.phantom.headers.common import describe_acquisition, fill_group
from lumbargrade.phantom.headers.names import ENGLISH, FRENCH, PORTUGUESE, SPANISH, Naming
from lumbargrade.phantom.headers.scan import Kind, Profile, Scan, TimeRanges, draw_times
from lumbargrade.phantom.study import Image

_FLAIR = Naming("Sag T1 FLAIR", "Sag T2 FRFSE", "Sag STIR", "Ax T2 FRFSE", "MRI L SPINE WO", ())
_FSE = Naming("SAG T1 FSE", "SAG T2 FRFSE", "SAG STIR", "AX T2 FRFSE", "MRI LUMBAR", ())
_MODELS = ((1.5, "SIGNA Explorer"), (1.5, "Optima MR450w"), (3.0, "DISCOVERY MR750w"))
_TIMES: dict[Kind, TimeRanges] = {
    "T1": TimeRanges((450, 700), (8, 14), 3),
    "T2": TimeRanges((2600, 4000), (98, 120), 18),
    "STIR": TimeRanges((3500, 5000), (40, 60), 9, (145, 200)),
    "axial": TimeRanges((3000, 5000), (98, 120), 18),
}
_T1_FLAIR = TimeRanges((2000, 2700), (20, 27), 7, (760, 920))


def _describe(dataset: Dataset, scan: Scan, image: Image) -> None:
    field, model = scan.pick("model", _MODELS)
    flair = scan.pick("flair", (True, False))
    names = (_FLAIR,) if flair else (_FSE, ENGLISH, FRENCH, SPANISH, PORTUGUESE)
    times = draw_times(scan, {**_TIMES, "T1": _T1_FLAIR} if flair else _TIMES)
    times = replace(times, flip=111)
    describe_acquisition(dataset, scan, image, scan.pick("names", names), times, "GE MEDICAL SYSTEMS", field)
    dataset.ManufacturerModelName = model
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
    dataset.ScanningSequence = ["SE", "IR"] if times.inversion else "SE"
    dataset.SequenceVariant = ["SK", "SP"]
    dataset.ScanOptions = ["FAST_GEMS", "NPW", "TRF_GEMS", "FILTERED_GEMS"]
    dataset.InversionTime = f"{times.inversion or 0:g}"
    fill_group(dataset, 0x0009, "GEMS_IDEN_01", 20)
    fill_group(dataset, 0x0019, "GEMS_ACQU_01", 90)
    fill_group(dataset, 0x0021, "GEMS_RELA_01", 24)
    fill_group(dataset, 0x0027, "GEMS_IMAG_01", 30)
    fill_group(dataset, 0x0043, "GEMS_PARM_01", 70)


GE = Profile(_describe, ("explicit", "implicit", "jpeg-lossless", "jpeg-2000"))
