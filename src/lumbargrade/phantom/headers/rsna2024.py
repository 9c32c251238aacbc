"""Headers as the files of the RSNA 2024 challenge have them: about thirty tags, and nothing that names a scanner.

There is neither Modality nor SOPClassUID, the file meta says Enhanced MR of single-frame files, UIDs are short numbers, and
SeriesDescription says T1 or T2 and nothing else. Instance numbers have gaps in some series.
"""

import numpy as np
from pydicom import Dataset

from lumbargrade.phantom.headers.common import DAY, describe_plane, mark_synthetic, set_pixels, usual_window
from lumbargrade.phantom.headers.scan import Profile, Scan
from lumbargrade.phantom.study import Image, Study, renumber

_GAPS = 0.1
"""Share of series whose instance numbers have gaps, do not begin at 1, or both."""


def _describe(dataset: Dataset, scan: Scan, image: Image) -> None:
    study = str(scan.study.study_id)
    dataset.SOPInstanceUID = f"{study}.{scan.number}.{image.instance}"
    dataset.ContentDate, dataset.ContentTime = DAY, "120000.000000"
    dataset.SeriesDescription = "T1" if scan.kind == "T1" else "T2"
    dataset.PatientID = study
    mark_synthetic(dataset)
    dataset.PatientPosition = scan.pick("position", ("HFS",) * 4 + ("FFS",))
    dataset.StudyInstanceUID = study
    dataset.SeriesInstanceUID = f"{study}.{scan.number}"
    describe_plane(dataset, scan, image)
    set_pixels(dataset, image)
    if scan.pick("window", (True, True, True, False), each_series=True):
        dataset.WindowCenter, dataset.WindowWidth = usual_window(image)


def _leave_gaps(study: Study) -> None:
    for series in study.series:
        rng = np.random.default_rng([series.series_id, 2024])
        if rng.random() < _GAPS:
            steps = rng.choice([1, 1, 1, 2, 6], len(series.images))
            numbers = int(rng.choice([0, 0, 3, 40])) + np.cumsum(steps)
            renumber(study, series, [int(number) for number in numbers])


RSNA2024 = Profile(_describe, ("rle",), renumber=_leave_gaps)
