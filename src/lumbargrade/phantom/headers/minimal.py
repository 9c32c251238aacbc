"""Headers that say only what places and shows an image: no weighting, no name, no scanner, no window."""

from pydicom import Dataset

from lumbargrade.phantom.headers.common import describe_plane, identify_image, mark_synthetic, set_pixels
from lumbargrade.phantom.headers.scan import Profile, Scan
from lumbargrade.phantom.study import Image


def _describe(dataset: Dataset, scan: Scan, image: Image) -> None:
    identify_image(dataset, scan, image)
    dataset.PatientID = str(scan.study.study_id)
    mark_synthetic(dataset)
    describe_plane(dataset, scan, image)
    set_pixels(dataset, image)


MINIMAL = Profile(_describe, ("explicit", "implicit"))
