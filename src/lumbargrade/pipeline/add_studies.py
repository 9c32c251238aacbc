"""Brings new studies into a dataset of the project: de-identified, checked, and as a new version.

Only versioning may be a flow. Prefect keeps the parameters and the errors of a flow, and a source's path may name a patient.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from pydantic import BaseModel

from lumbargrade.config.project import current_project
from lumbargrade.config.task import load_task
from lumbargrade.console import bars
from lumbargrade.data.intake.add_studies import Given, add_studies
from lumbargrade.data.intake.report import AddSummary, as_csv
from lumbargrade.data.names import check_name
from lumbargrade.data.versioning.dvc import fetch_dataset
from lumbargrade.deidentify.key import open_pseudonym_key
from lumbargrade.errors import InputError
from lumbargrade.files import write_secret
from lumbargrade.pipeline.version_dataset import VersionSummary


class AdditionSummary(BaseModel):
    """What was added, and the version that it made.

    Attributes:
        before: The dataset's hash before, if it was there; ``dvc checkout`` of its pointer brings it back.
        version: The version now; None if the dataset is not there, as no study could be added.
        table: The CSV with a line for each study, and for each file that was left out.
    """

    addition: AddSummary
    task: str
    before: str | None
    version: VersionSummary | None
    table: str

    def lines(self) -> list[tuple[str, str]]:
        """The summary for people."""
        pairs = self.addition.lines()
        pairs.append(("table", f"{self.table} (names files of the source; keep it with the key)"))
        if self.version is None:
            return pairs
        if self.version.md5 == self.before:
            return [*pairs, ("version", f"{self.version.md5}, as before")]
        pairs.append(("version", f"{self.version.md5}, before: {self.before or 'none'}"))
        pairs += [line for line in self.version.lines() if line[0] in ("pushed to", "committed", "uncommitted")]
        return [*pairs, ("next", f"lumbargrade run --data {self.addition.dataset} --task {self.task}")]


def add_and_version(
    source: Path,
    to: Path,
    version_dataset: Callable[[Path, bool], VersionSummary],
    task: str = "rsna2024",
    given: Given | None = None,
    table: Path | None = None,
    commit: bool = False,
    workers: int = 0,
) -> AdditionSummary:
    """Adds studies to a dataset of the project and versions it.

    Args:
        source: A dataset in RSNA layout, a folder or a zip of loose DICOM files, or a CSV table of grades.
        to: The dataset, ``data/NAME``.
        version_dataset: Versions a folder, and commits its pointers to git if that is asked for; best as a flow, which Prefect
            records.
        table: Where to write what became of each study and file.
        commit: Whether to commit the data's pointers to git.
        workers: Processes; 0 is one for each core that has memory.

    Raises:
        InputError: ``to`` is no folder of ``data/`` or has a name that a dataset may not have, or source, tables or dataset
            are not what they should be.
    """
    check_name(to.name)
    project = current_project()
    folder = project.datasets / to.name
    if to.resolve() != folder.resolve() or not project.dataset_list.is_file():
        raise InputError(
            f"{to} is no dataset of this project",
            f"give --to {folder}, in the project's folder",
            "dataset-not-of-project",
        )
    grading_task = load_task(task)
    before = None
    if folder.exists() or fetch_dataset(folder):
        before = version_dataset(folder, commit).md5  # or the state that is about to change could not be had again
    key = open_pseudonym_key(project.audit_keys)
    with bars() as show:
        addition, lines = add_studies(source, folder, grading_task, key, given, workers, show)
    table = table or _new_table(project.additions, folder.name)
    table.parent.mkdir(parents=True, exist_ok=True)
    write_secret(table, as_csv(lines).encode())
    version = version_dataset(folder, commit) if folder.exists() else None
    return AdditionSummary(addition=addition, task=task, before=before, version=version, table=str(table))


def _new_table(folder: Path, name: str) -> Path:
    """A file of its own for each addition, also when the clock was set back."""
    stem = f"{name}-{datetime.now(UTC):%Y%m%dT%H%M%S}"
    paths = (folder / f"{stem}{'' if number == 1 else f'-{number}'}.csv" for number in count(1))
    return next(path for path in paths if not path.exists())
