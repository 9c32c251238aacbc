"""Versions a dataset and writes it to the audit log."""

from pathlib import Path

from prefect.artifacts import create_markdown_artifact
from pydantic import BaseModel

from lumbargrade.audit.log import AuditLog
from lumbargrade.data.versioning.dvc import DatasetVersion, version_dataset

VERSIONED = "dataset version"
"""Kind of an entry in the audit log."""


class VersionSummary(BaseModel):
    """A dataset's version.

    Attributes:
        commit: The git commit that records it, if this call made one.
        uncommitted: The data's pointers that git does not have yet.
    """

    name: str
    md5: str
    size: int
    files: int
    remote: str | None
    commit: str | None
    uncommitted: list[str]

    def lines(self) -> list[tuple[str, str]]:
        """The summary for people."""
        pairs = [
            ("dataset", f"{self.name}, {self.files:,} files, {self.size / 1e6:,.1f} MB"),
            ("md5", self.md5),
            ("pushed to", self.remote or "nowhere: no default remote is configured (`dvc remote add -d`)"),
        ]
        if self.commit:
            pairs.append(("committed", self.commit))
        if self.uncommitted:
            pairs.append(("uncommitted", f"{', '.join(self.uncommitted)}; commit them, or run again with --commit"))
        return pairs


def version_and_log(directory: Path) -> DatasetVersion:
    """Versions a dataset; a version that the audit log does not have as the dataset's latest is written there."""
    version = version_dataset(directory)
    log = AuditLog()
    known = [entry for entry in log.entries(VERSIONED) if entry.subject == version.name]
    if not known or known[-1].details["md5"] != version.md5:
        log.append(VERSIONED, version.name, {"md5": version.md5, "files": version.files, "bytes": version.size})
    create_markdown_artifact(
        key="dataset-version",
        markdown=f"**{version.name}** `{version.md5}`: {version.files} files, {version.size / 1e6:,.1f} MB",
    )
    return version
