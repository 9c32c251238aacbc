"""What a dataset counts: enough to notice half a download before its files are read."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from lumbargrade.config.params import ExpectedDataset
from lumbargrade.data.layout import IMAGES, RsnaDataset
from lumbargrade.errors import InputError
from lumbargrade.tree import files_below


class DatasetCounts(BaseModel):
    """What a dataset counts.

    Attributes:
        studies: Rows of ``train.csv``.
        series: Rows of ``train_series_descriptions.csv``, by description.
        files: DICOM files under ``train_images``.
        bytes: Their size.
        points: Rows of ``train_label_coordinates.csv`` that can be used.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    studies: int
    series: dict[str, int]
    files: int
    bytes: int
    points: int


def count_dataset(dataset: RsnaDataset) -> DatasetCounts:
    """Counts a dataset; files are not opened."""
    sizes = _sizes(dataset.root / IMAGES)
    series = dataset.series["series_description"].value_counts().sort_index()
    return DatasetCounts(
        studies=len(dataset.labels),
        series={str(name): int(number) for name, number in series.items()},
        files=len(sizes),
        bytes=sum(sizes),
        points=len(dataset.used_points()),
    )


def check_counts(root: Path, counts: DatasetCounts, expected: ExpectedDataset) -> None:
    """Checks that a dataset is whole.

    Raises:
        InputError: It counts otherwise; the sentence names each count that differs.
    """
    wanted = {"studies": expected.studies, "files": expected.files}
    found = {"studies": counts.studies, "files": counts.files}
    for name, number in expected.series.items():
        wanted[f"series {name}"], found[f"series {name}"] = number, counts.series.get(name, 0)
    wrong = [
        f"{found[name]:,} {name} where {number:,} are expected"
        for name, number in wanted.items()
        if number is not None and found[name] != number
    ]
    if wrong:
        raise InputError(
            f"{root} has {', '.join(wrong)}",
            "complete the download, or give --set dataset.expected=null if the dataset is meant to be so",
            "dataset-incomplete",
        )


def _sizes(images: Path) -> list[int]:
    """Sizes of the DICOM files, bytes; hidden files do not count, as :func:`lumbargrade.data.layout.dicom_files` says."""
    dicom = [path for path in files_below(images) if path.name[0] != "." and path.suffix.lower() == ".dcm"]
    return [path.stat().st_size for path in dicom]
