"""Writing a study in RSNA layout: DICOM MR files, and its rows of the three tables."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import EnhancedMRImageStorage

from lumbargrade.config.task import GradingTask
from lumbargrade.data.layout import IMAGES
from lumbargrade.phantom.encode import encode_pixels
from lumbargrade.phantom.headers.choose import PROFILES
from lumbargrade.phantom.headers.scan import Profile, Scan
from lumbargrade.phantom.study import Study


def write_study(study: Study, root: Path) -> int:
    """Writes the images of a study under ``root`` and returns how many files they are."""
    files, profile = 0, PROFILES[study.headers]
    for number, series in enumerate(study.series, start=1):
        folder = root / IMAGES / str(study.study_id) / str(series.series_id)
        folder.mkdir(parents=True)
        scan = Scan(study, series, number)
        for name, dataset in _series_files(scan, profile):
            (folder / name).write_bytes(_finish(dataset, scan, profile))
            files += 1
    return files


def set_headers(study: Study, headers: str) -> None:
    """Lets a study be written with the headers of a profile, whose numbers its slices and points then have.

    Args:
        headers: One of :data:`lumbargrade.phantom.headers.choose.PROFILES`.
    """
    study.headers = headers
    if (renumber := PROFILES[headers].renumber) is not None:
        renumber(study)


def label_row(study: Study, task: GradingTask) -> list[str]:
    """Returns the study's row of ``train.csv``."""
    grades = [task.grades[grade] if grade >= 0 else "" for grade in study.labels.ravel()]
    return [str(study.study_id), *grades]


def series_rows(study: Study) -> list[list[str]]:
    """Returns the study's rows of ``train_series_descriptions.csv``."""
    return [[str(study.study_id), str(series.series_id), series.description] for series in study.series]


def point_rows(study: Study, task: GradingTask) -> list[list[str]]:
    """Returns the study's rows of ``train_label_coordinates.csv``."""
    rows = []
    for point in study.points:
        condition, level = task.conditions[point.condition].label, task.levels[point.level]
        row = (study.study_id, point.series_id, point.instance, condition, level, point.x, point.y)
        rows.append([str(value) for value in row])
    return rows


def _series_files(scan: Scan, profile: Profile) -> Iterator[tuple[str, Dataset]]:
    if profile.gather is not None:
        yield from profile.gather(scan)
        return
    for image in scan.series.images:
        dataset = Dataset()
        profile.describe(dataset, scan, image)
        yield f"{image.instance}.dcm", dataset


def _finish(dataset: Dataset, scan: Scan, profile: Profile) -> bytes:
    """Leaves out what a fault takes away, encodes the pixels and makes the file."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID") or EnhancedMRImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    _leave_out(dataset, {keyword for image in scan.series.images for keyword in image.without})
    series = scan.series
    own = not profile.encodings or series.encoding_fixed
    encode_pixels(
        dataset, series.transfer_syntax if own else scan.pick("encoding", profile.encodings, each_series=True)
    )
    whole = BytesIO()  # pydicom hides what was wrong with the disk
    dataset.save_as(whole, enforce_file_format=True)
    return whole.getvalue()


def _leave_out(dataset: Dataset, keywords: set[str]) -> None:
    for element in list(dataset) if keywords else []:
        if element.keyword in keywords:
            del dataset[element.tag]
        elif element.VR == "SQ":
            for item in element.value:
                _leave_out(item, keywords)
