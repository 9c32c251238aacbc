"""De-identifies one study into the folder where an addition is prepared, as a worker process does it."""

import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lumbargrade.config.task import series_kind
from lumbargrade.data.intake.source import without_name
from lumbargrade.data.layout import IMAGES, dicom_files
from lumbargrade.deidentify.burned_in import looks_lettered
from lumbargrade.deidentify.profile import HEADER_TAGS, Person, deidentify
from lumbargrade.deidentify.pseudonyms import Pseudonyms
from lumbargrade.dicom.errors import UnreadableFile
from lumbargrade.dicom.headers import SliceHeader, read_headers
from lumbargrade.dicom.parse import parsing, read_file
from lumbargrade.dicom.pixels import read_stored
from lumbargrade.dicom.stacks import group_stacks
from lumbargrade.files import replaced_folder, write_text

RECORDS = "records"
_DIGITS = 16


@dataclass(frozen=True)
class FileJob:
    """A file, and the number that it gets in its series."""

    path: str
    number: int


@dataclass(frozen=True)
class SeriesJob:
    """A series, its number in the dataset, and its description where the source tells it."""

    series_id: int
    description: str | None
    files: tuple[FileJob, ...]


@dataclass(frozen=True)
class StudyJob:
    """A study to be de-identified.

    Attributes:
        wanted: Descriptions of the series that the task uses; of loose files only those come along.
    """

    study_id: int
    study_uid: str
    patient: str
    words: tuple[str, ...]
    wanted: tuple[str, ...]
    series: tuple[SeriesJob, ...]

    def digest(self, key: bytes) -> str:
        """Hash of what is to be done and of the files' sizes, by which a killed addition is gone on with."""
        sizes = [Path(file.path).stat().st_size for series in self.series for file in series.files]
        content = json.dumps([asdict(self), sizes], sort_keys=True)
        return Pseudonyms(key).digest(content)


@dataclass
class StagedStudy:
    """What was made of a study.

    Attributes:
        digest: Of its job.
        series: Numbers and descriptions of the series that came along.
        files: Images that came along.
        left_out: Series number, file number and reason of each file that did not.
        digests: Of its images' pixels.
        lettered: Images that look as if text were burned in.
    """

    digest: str
    series: dict[int, str] = field(default_factory=dict)
    files: int = 0
    left_out: list[tuple[int, int, str]] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    lettered: int = 0


def stage_study(staging: Path, key: bytes, job: StudyJob) -> StagedStudy:
    """De-identifies a study into ``<staging>/train_images``; one that is there already is not made again."""
    record = staging / RECORDS / f"{job.study_id}.json"
    digest = job.digest(key)
    known = _read_record(record)
    if known is not None and known.digest == digest:
        return known
    record.unlink(missing_ok=True)
    staged = StagedStudy(digest)
    person = Person(job.patient, frozenset(job.words))
    with replaced_folder(staging / IMAGES / str(job.study_id)) as folder:
        for series in job.series:
            _stage_series(folder / str(series.series_id), series, job.wanted, staged, Pseudonyms(key), person)
    write_text(record, json.dumps(asdict(staged)))
    return staged


def image_digests(path: Path) -> list[str]:
    """Digests of the stored pixels of a file's images; none of images that are all of one grey.

    Raises:
        UnreadableFile: It cannot be read.
    """
    return _digests([read_stored(header) for header in read_headers(path)])


def _read_record(path: Path) -> StagedStudy | None:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    record["series"] = {int(number): description for number, description in record["series"].items()}
    record["left_out"] = [(series, number, reason) for series, number, reason in record["left_out"]]
    return StagedStudy(**record)


def _stage_series(
    folder: Path,
    series: SeriesJob,
    wanted: tuple[str, ...],
    staged: StagedStudy,
    pseudonyms: Pseudonyms,
    person: Person,
) -> None:
    headers: dict[FileJob, list[SliceHeader]] = {}
    for file in series.files:
        try:
            headers[file] = read_headers(Path(file.path))
        except UnreadableFile as error:
            staged.left_out.append((series.series_id, file.number, without_name(error, Path(file.path))))
    slices = [header for each in headers.values() for header in each]
    description = series.description or _description(slices, wanted)
    if description is None:
        reason = _undescribed_reason(slices)
        staged.left_out += [(series.series_id, file.number, reason) for file in headers]
        return
    for file, slices in headers.items():
        try:
            _stage_file(folder, file, slices, staged, pseudonyms, person)
        except UnreadableFile as error:
            staged.left_out.append((series.series_id, file.number, without_name(error, Path(file.path))))
    if dicom_files(folder):
        staged.series[series.series_id] = description


def _stage_file(
    folder: Path, file: FileJob, slices: list[SliceHeader], staged: StagedStudy, pseudonyms: Pseudonyms, person: Person
) -> None:
    path = Path(file.path)
    images = [read_stored(header) for header in slices]
    pixels = images[0] if slices[0].frame is None else np.stack(images)
    with parsing(path):
        clean = deidentify(read_file(path, HEADER_TAGS), pixels, pseudonyms, person)
        whole = BytesIO()  # pydicom hides what was wrong with the disk
        clean.save_as(whole, enforce_file_format=True)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{file.number}.dcm").write_bytes(whole.getvalue())
    staged.files += 1
    staged.digests += _digests(images)
    staged.lettered += any(looks_lettered(image) for image in images)


def _digests(images: list[NDArray[np.int64]]) -> list[str]:
    return [
        hashlib.sha256(str(image.shape).encode() + image.astype("<i8").tobytes()).hexdigest()[:_DIGITS]
        for image in images
        if image.min() < image.max()
    ]


def _description(headers: list[SliceHeader], wanted: tuple[str, ...]) -> str | None:
    """The task's description of a series of loose files, by how most of its slices lie and how they are weighted."""
    stacks = group_stacks(header for header in headers if header.plane_known)
    weightings = Counter(header.kind.gradable for header in headers if header.kind.gradable is not None)
    if not stacks or not weightings:
        return None
    kind = (stacks[0].orientation, weightings.most_common(1)[0][0])
    return next((description for description in wanted if tuple(series_kind(description)) == kind), None)


def _undescribed_reason(headers: list[SliceHeader]) -> str:
    """Why a series of loose files has no description of the task."""
    if all(header.kind.gradable is None for header in headers):
        return "its series is left out: its headers do not say whether it is T1 or T2"
    stacks = group_stacks(headers)
    faults = [fault for stack in stacks if (fault := stack.size_fault or stack.placement_fault)]
    if len(faults) == len(stacks) and faults:
        return f"its series is left out: {faults[0]}"
    return "its series shows no condition of the task"
