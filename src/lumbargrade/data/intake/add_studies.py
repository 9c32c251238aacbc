"""Adds new studies to a dataset, all at once: killed at any moment, the dataset is what it was, or has all of them.

They are de-identified beside the dataset, study by study, which is kept when the addition is killed, and checked there.
Then the dataset's files and the new ones are linked into a new folder, and the two folders change places.
"""

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import pandas as pd
from filelock import FileLock

from lumbargrade.config.task import GradingTask
from lumbargrade.data.intake.labels import Grades, LabelTable, read_label_table
from lumbargrade.data.intake.merge import merge
from lumbargrade.data.intake.plan import PlannedStudy, plan_intake
from lumbargrade.data.intake.report import AddSummary, Line, summarise
from lumbargrade.data.intake.source import Source, open_source
from lumbargrade.data.intake.staging import check_staged, rows_of, stage
from lumbargrade.data.intake.study import StagedStudy, image_digests
from lumbargrade.data.intake.tables import Rows
from lumbargrade.data.layout import IMAGES, RsnaDataset, dicom_files, open_dataset
from lumbargrade.data.patients import read_patients
from lumbargrade.data.tables import SOP_POINT_COLUMNS, read_points
from lumbargrade.deidentify.profile import SHOWS_PATIENT
from lumbargrade.deidentify.pseudonyms import Pseudonyms
from lumbargrade.dicom.errors import UnreadableFile
from lumbargrade.dicom.headers import read_headers
from lumbargrade.errors import InputError
from lumbargrade.files import new_folder, recover_folder
from lumbargrade.processes import Progress
from lumbargrade.tree import read_tree, remove_tree

Fact = TypeVar("Fact")


def _no_progress(what: str) -> Progress:
    return lambda done, total: None


@dataclass(frozen=True)
class Given:
    """What comes with a source.

    Attributes:
        labels: Table of grades: see :func:`lumbargrade.data.intake.labels.read_label_table`.
        points: Table of points on loose files.
        salt: File with the reading room's salt, for its corrections.
    """

    labels: Path | None = None
    points: Path | None = None
    salt: Path | None = None


def add_studies(
    source: Path,
    folder: Path,
    task: GradingTask,
    key: bytes,
    given: Given | None = None,
    workers: int = 0,
    show: Callable[[str], Progress] = _no_progress,
) -> tuple[AddSummary, list[Line]]:
    """Adds the studies of a source to a dataset, or changes the dataset's grades by a table.

    Args:
        source: A dataset in RSNA layout, a folder or a zip of loose DICOM files, or a CSV table of grades.
        folder: The dataset; made if it is not there.
        key: The pseudonyms' key.
        workers: Processes; 0 is one for each core that has memory, 1 is this one.
        show: Is told what is being done, and gives what is told how far.

    Returns:
        The summary, which names nobody, and a line for each study and each file that was left out, which may.

    Raises:
        InputError: Source, tables or dataset are not what they should be, or the dataset was added to with another key.
    """
    given = given or Given()
    with _opened(folder, task, Pseudonyms(key)) as intake:
        if source.is_file() and source.suffix.lower() == ".csv":
            intake.relabel(read_label_table(source, task, given.salt), source.name)
        else:
            labels = read_label_table(given.labels, task, given.salt) if given.labels else None
            points = read_points(given.points, task, SOP_POINT_COLUMNS) if given.points else None
            with open_source(source, task, _scratch(folder), show("read")) as opened:
                if points is not None and opened.dataset is not None:
                    raise InputError(f"{source} has points of its own", "leave --points out", "points-given-twice")
                intake.add(opened, labels, points, workers, show("studies de-identified"))
        return intake.finish(), intake.lines


@contextmanager
def _opened(folder: Path, task: GradingTask, pseudonyms: Pseudonyms) -> Iterator["_Intake"]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        recover_folder(new_folder(folder), folder)
        for left in (new_folder(folder), _scratch(folder)):
            remove_tree(left)
        if folder.exists() or folder.is_symlink():
            read_tree(folder)  # what cannot be read would be lost
        dataset = open_dataset(folder, task) if folder.exists() else None
        patients = read_patients(folder)
        if not patients.empty and set(patients["key"]) != {pseudonyms.fingerprint}:
            raise InputError(
                f"{folder} was added to with another pseudonym key (fingerprint {patients['key'].iloc[0]})",
                "put that one back, or patients and studies would not be recognised",
                "pseudonym-key-differs",
            )
        yield _Intake(folder, task, pseudonyms, dataset, patients)


def _scratch(folder: Path) -> Path:
    """Where a zip is unpacked: always the same place, so that nobody's images outlive a killed addition unseen."""
    return folder.with_name(f".{folder.name}-unpacked")


@dataclass
class _Intake:
    """An addition under way."""

    folder: Path
    task: GradingTask
    pseudonyms: Pseudonyms
    dataset: RsnaDataset | None
    patients: pd.DataFrame
    lines: list[Line] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    accepted: list[int] = field(default_factory=list)
    files: int = 0
    rows: Rows = field(default_factory=lambda: Rows([], [], [], []))
    changed: dict[int, Grades] = field(default_factory=dict)

    def relabel(self, table: LabelTable, name: str) -> None:
        """Takes grades of studies that are there."""
        if table.key != "study_id":
            raise InputError(
                f"{name} names studies by {table.key}, which a de-identified dataset does not have",
                "name them by study_id, or give the studies, and this table with --labels",
                "studies-named-by-missing-key",
            )
        if self.dataset is None:
            raise InputError(
                f"{self.folder} does not exist",
                "a table of grades changes those of studies that are there",
                "dataset-folder-missing",
            )
        for study in self.dataset.labels["study_id"].tolist():
            uid = _study_uid(self.dataset, study) if table.salt is not None else ""
            self._change(study, table.of_number(study, uid))
        self._warn_unused(table)

    def add(
        self, source: Source, labels: LabelTable | None, points: pd.DataFrame | None, workers: int, progress: Progress
    ) -> None:
        """Prepares the studies of a source, and takes those that are sound."""
        plan = plan_intake(source, self.task, self.pseudonyms, self.patients, self._taken())
        staged, lines = stage(self._staging, source, plan.studies, self.pseudonyms, workers, progress)
        self.lines += [*source.lines, *plan.lines, *lines]
        own = None if source.dataset is None else _filled(source.dataset)
        grades = {study.job.study_id: _grades(own, labels, study) for study in plan.studies}
        rows, lost = rows_of(source, plan.studies, staged, grades, points, self.task, self.pseudonyms)
        faults = check_staged(self._staging, self.task, rows, workers)
        accepted = [study for study in plan.studies if study.job.study_id in staged.keys() - faults.keys()]
        self._list_studies(source, plan.studies, faults, {study.job.study_id for study in accepted})
        for study, number in plan.existing:
            name = source.name(study.files[0].path.parent)
            self.lines.append(Line(name, number, "already there", "the same study was added before", is_study=True))
            if labels is not None:
                self._change(number, labels.of(study))
        self.accepted = sorted(study.job.study_id for study in accepted)
        self.files = sum(staged[study].files for study in self.accepted)
        self.rows = _only(rows, set(self.accepted))
        self._warn(accepted, staged, lost)
        if labels is not None:
            self._warn_unused(labels)

    def finish(self) -> AddSummary:
        """Writes what is new, if anything is."""
        if self.accepted or self.changed:
            merge(self._staging, self.folder, self.task, self.accepted, self.rows, self.changed)
        shutil.rmtree(self._staging, ignore_errors=True)
        labelled = sum(len(row) > 1 for row in self.rows.labels)
        return summarise(str(self.folder), self.lines, labelled, self.files, self.warnings)

    @property
    def _staging(self) -> Path:
        return self.folder.with_name(f".{self.folder.name}-adding")

    def _taken(self) -> set[int]:
        if self.dataset is None:
            return set()
        return {
            *self.dataset.labels["study_id"].tolist(),
            *self.dataset.series[["study_id", "series_id"]].to_numpy().ravel().tolist(),
        }

    @cached_property
    def _now(self) -> dict[int, Grades]:
        return {} if self.dataset is None else _filled(self.dataset)

    def _change(self, study: int, grades: Grades | None) -> None:
        other = {column: grade for column, grade in (grades or {}).items() if self._now[study].get(column) != grade}
        if other:
            self.changed[study] = other
            reason = f"{len(other)} cell{'s' if len(other) > 1 else ''}"
            self.lines.append(Line("", study, "grades changed", reason, is_study=True))

    def _list_studies(
        self, source: Source, studies: list[PlannedStudy], faults: Mapping[int, str], accepted: set[int]
    ) -> None:
        for study in studies:
            name = source.name(study.source.files[0].path.parent)
            number = study.job.study_id
            if number in faults:
                self.lines.append(Line(name, None, "left out", faults[number], is_study=True))
            elif number in accepted:
                self.lines.append(Line(name, number, "added", "", is_study=True))

    def _warn(self, accepted: list[PlannedStudy], staged: Mapping[int, StagedStudy], lost: int) -> None:
        nameless = sum(study.nameless for study in accepted)
        if nameless:
            self.warnings.append(f"{nameless} studies do not say whose they are; each counts as a patient of its own")
        if lost:
            self.warnings.append(
                f"{lost} points lie on images that did not come along, or on no one frame; they were left out"
            )
        for study in self.accepted:
            if staged[study].lettered:
                self.warnings.append(
                    f"study {study}: {staged[study].lettered} images look as if text were burned in; look at them before "
                    "anybody else does"
                )
        declared = sum(line.code in SHOWS_PATIENT for line in self.lines)
        if declared:
            self.warnings.append(f"{declared} files were left out because their images may show who the patient is")
        for one, other in self._same_images(staged):
            self.warnings.append(
                f"study {one} shows images of study {other} under other ids; remove one if they are one"
            )

    def _same_images(self, staged: Mapping[int, StagedStudy]) -> list[tuple[int, int]]:
        """Pairs of a new study and an older one of which an image is the same, pixel by pixel."""
        owners: dict[str, set[int]] = defaultdict(set)
        for study in self.accepted:
            for digest in staged[study].digests:
                owners[digest].add(study)
        pairs = {(max(found), other) for found in owners.values() for other in found - {max(found)}}
        if self.dataset is not None and owners:
            for study in self.dataset.labels["study_id"].tolist():
                digests = next(
                    _of_some_image(self.dataset, study, image_digests), []
                )  # one image's tell it from all others
                pairs |= {(new, study) for digest in digests for new in owners.get(digest, ())}
        return sorted(pairs)

    def _warn_unused(self, table: LabelTable) -> None:
        if table.unused:
            self.warnings.append(f"{table.unused} rows of the table of grades name no study that is here")
        if table.changed:
            self.warnings.append(
                f"{table.changed} of them would, had a spreadsheet not changed the number (rounded it, or taken the zeros at "
                "its beginning); export the table again with this column as text"
            )


def _filled(dataset: RsnaDataset) -> dict[int, Grades]:
    """The cells that have a grade, by study."""
    rows = dataset.labels.set_index("study_id").to_dict("index")
    return {
        int(str(study)): {str(column): str(grade) for column, grade in row.items() if pd.notna(grade)}
        for study, row in rows.items()
    }


def _grades(own: Mapping[int, Grades] | None, labels: LabelTable | None, study: PlannedStudy) -> Grades:
    """The grades that the given table has for a study, else its source's own."""
    given = labels.of(study.source) if labels is not None else None
    if given is not None or own is None or study.source.study_id is None:
        return given or {}
    return own.get(study.source.study_id, {})


def _only(rows: Rows, studies: set[int]) -> Rows:
    return Rows(*([row for row in table if row["study_id"] in studies] for table in rows))


def _study_uid(dataset: RsnaDataset, study: int) -> str:
    """The StudyInstanceUID in a study's files; empty if they have none."""
    return next(_of_some_image(dataset, study, lambda path: read_headers(path)[0].study_uid), "")


def _of_some_image(dataset: RsnaDataset, study: int, read: Callable[[Path], Fact]) -> Iterator[Fact]:
    """What the image in the middle of each series of a study tells; images that cannot be read tell nothing."""
    for series in sorted((dataset.root / IMAGES / str(study)).glob("*")):
        files = dicom_files(series)
        if files:
            with suppress(UnreadableFile):
                yield read(files[len(files) // 2])
