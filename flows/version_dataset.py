"""Versions a dataset: DVC tracks it and pushes it to the default remote. Says what git does not have yet."""

from pathlib import Path

from prefect import flow

from lumbargrade.data.versioning.dvc import commit_pointers, uncommitted_pointers
from lumbargrade.pipeline.version_dataset import VersionSummary, version_and_log


@flow(name="version-dataset")
def version_dataset_flow(directory: Path, commit: bool = False) -> VersionSummary:
    """Versions a dataset folder and records its hash, size and number of files."""
    version = version_and_log(directory)
    made = commit_pointers(f"Version dataset {version.name} ({version.md5})") if commit else None
    return VersionSummary(
        name=version.name,
        md5=version.md5,
        size=version.size,
        files=version.files,
        remote=version.remote,
        commit=made,
        uncommitted=uncommitted_pointers(),
    )
