"""Headers that say only what places and shows an image: no weighting, no name, no scanner, no window."""

from pydicom import Dataset
from pydicom.uid import MRImageStorage

from lumbargrade.phantom.headers.common import describe_plane, mark_synthetic, set_pixels
from lumbargrade.phantom.headers.profile import Profile
from lumbargrade.phantom.headers.scan import Scan, uid
from lumbargrade.phantom.study import Image


def _describe(dataset: Dataset, scan: Scan, image: Image) -> None:
    dataset.SOPClassUID = MRImageStorage
    dataset.SOPInstanceUID = scan.instance_uid(image)
    dataset.StudyInstanceUID = uid(scan.study.study_id)
    dataset.SeriesInstanceUID = uid(scan.study.study_id, scan.series.series_id)
    dataset.FrameOfReferenceUID = uid(scan.study.study_id, "frame")
    dataset.Modality = "MR"
    dataset.PatientID = str(scan.study.study_id)
    mark_synthetic(dataset)
    describe_plane(dataset, scan, image)
    set_pixels(dataset, image)


MINIMAL = Profile(_describe, ("explicit", "implicit"))
