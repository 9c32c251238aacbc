"""The evidence of a version: a signed folder beside its model, in MLflow's run of the search that gave it."""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import mlflow
import pandas as pd
import yaml
from mlflow.entities.model_registry import ModelVersion
from pydantic import TypeAdapter

from lumbargrade.audit.keys import SigningKey
from lumbargrade.audit.signature import sign_folder
from lumbargrade.config.project import current_project
from lumbargrade.errors import InputError
from lumbargrade.files import file_sha256
from lumbargrade.preprocessing.pack import SKIPPED
from lumbargrade.registry.artifacts import fetch_artifact, read_artifact, temporary_folder
from lumbargrade.registry.candidate import Candidate
from lumbargrade.registry.lineage.card import card_html
from lumbargrade.registry.lineage.dependencies import Json
from lumbargrade.registry.lineage.environment import installed_packages
from lumbargrade.registry.lineage.page import record_html
from lumbargrade.registry.lineage.record import NewVersion, file_digests, make_record, manifest
from lumbargrade.registry.lineage.runs import RunFacts, read_runs
from lumbargrade.registry.lineage.sbom import sbom_json
from lumbargrade.registry.names import MODEL_META, registered_name, version_uri
from lumbargrade.tracking.mlflow_tracker import Tracker, tracking_uri

RECORD, PAGE, CARD, SBOM, RUNS = "lineage.json", "lineage.html", "card.html", "sbom.json", "runs.json"
PARAMS, TASK, LOCK, SPLIT, PATCH = "params.yaml", "task.yaml", "dvc.lock", "split.csv", "code.patch"
FILES, LEFT_OUT, REPORT = "dataset.sha256", "left_out.csv", "report.html"
REFERENCE = "reference.jsonl"
"""What the version answers to held-out studies; the watch compares what is served with it."""

FOLDER, EVIDENCE_SIGNATURE, MODEL_SIGNATURE = "files", "evidence.sig", "model.sig"

_RUNS = TypeAdapter(dict[str, RunFacts])


@dataclass(frozen=True)
class Evidence:
    """A version's evidence and model, brought here to be read.

    Attributes:
        folder: The signed files.
        signature: Of these files.
        model: The model's files, as MLflow has them now.
        model_signature: Of the model's files, made when it was registered.
    """

    folder: Path
    signature: Path
    model: Path
    model_signature: Path

    @property
    def record(self) -> Json:
        """The lineage record."""
        record: Json = json.loads((self.folder / RECORD).read_text(encoding="utf-8"))
        return record

    @property
    def runs(self) -> dict[str, RunFacts]:
        """MLflow's rows as they were."""
        return _RUNS.validate_json((self.folder / RUNS).read_text(encoding="utf-8"))


def write_evidence(
    tracker: Tracker, candidate: Candidate, version: NewVersion, key: SigningKey, tell: Callable[[str], None]
) -> dict[str, str]:
    """Writes down where a version came from, signs that and the model, and stores both signatures.

    Args:
        version: What became of the candidate.

    Returns:
        SHA-256 of the signatures, for the audit log.
    """
    name = registered_name(candidate.task)
    tell(f"writing the evidence of {name} version {version.number}")
    with tempfile.TemporaryDirectory(prefix="lumbargrade-") as folder:
        place = Path(folder)
        model = _fetch_model(name, version.number, place / "fetched")
        _write_files(place / FOLDER, tracker, candidate, version, model)
        sign_folder(place / FOLDER, place / EVIDENCE_SIGNATURE, key)
        sign_folder(model, place / MODEL_SIGNATURE, key, but=[MODEL_META])
        shutil.rmtree(place / "fetched")
        tracker.client.log_artifacts(candidate.search_run_id, str(place), _place(version.number))
        return {file: file_sha256(place / file) for file in (EVIDENCE_SIGNATURE, MODEL_SIGNATURE)}


@contextmanager
def fetched_evidence(found: ModelVersion) -> Iterator[Evidence | None]:
    """Brings a version's evidence here for a while; None if a store that could be read does not have it.

    A model that such a store does not have is an empty folder.

    Raises:
        CannotVerifyError: The store, or the folder for temporary files, was in the way.
    """
    with temporary_folder() as here:
        folder = fetch_artifact(f"runs:/{found.run_id}/{_place(str(found.version))}", here)
        if folder is None:
            yield None
            return
        (here / "fetched").mkdir()
        model = fetch_artifact(version_uri(found.name, str(found.version)), here / "fetched") or here / "fetched"
        yield Evidence(folder / FOLDER, folder / EVIDENCE_SIGNATURE, model, folder / MODEL_SIGNATURE)


@contextmanager
def required_evidence(found: ModelVersion) -> Iterator[Evidence]:
    """Brings a version's evidence here for a while.

    Raises:
        InputError: It has none.
        CannotVerifyError: The store, or the folder for temporary files, was in the way.
    """
    with fetched_evidence(found) as evidence:
        if evidence is None:
            raise InputError(
                f"version {found.version} has no evidence",
                "versions that `lumbargrade run` registers have it",
                "version-without-evidence",
            )
        yield evidence


def read_evidence(found: ModelVersion, name: str) -> str | None:
    """A text file of a version's evidence; None if it has none. Whether it was altered, `audit verify` tells.

    Raises:
        CannotVerifyError: The store, or the folder for temporary files, was in the way.
    """
    return read_artifact(f"runs:/{found.run_id}/{_place(str(found.version))}/{FOLDER}/{name}")


def _fetch_model(name: str, version: str, folder: Path) -> Path:
    """A copy of a registered model as MLflow has it now."""
    mlflow.set_tracking_uri(tracking_uri())
    folder.mkdir()
    return Path(mlflow.artifacts.download_artifacts(artifact_uri=version_uri(name, version), dst_path=str(folder)))


def _place(version: str) -> str:
    return f"evidence/{version}"


def _write_files(folder: Path, tracker: Tracker, candidate: Candidate, version: NewVersion, model: Path) -> None:
    folder.mkdir()
    listing = file_digests(candidate.dataset.root)
    left_out = _left_out(candidate)
    record = make_record(candidate, version, file_digests(model), listing, left_out)
    texts = {
        RECORD: json.dumps(record, indent=2),
        PAGE: record_html(record, []),
        CARD: card_html(record),
        SBOM: sbom_json(registered_name(candidate.task), version.number, installed_packages()),
        RUNS: _RUNS.dump_json(read_runs(tracker, candidate.run_ids), indent=2).decode(),
        REPORT: candidate.report,
        PARAMS: yaml.safe_dump(candidate.params.model_dump(mode="json"), sort_keys=False),
        TASK: yaml.safe_dump(candidate.task.model_dump(mode="json"), sort_keys=False),
        FILES: manifest(listing),
        LEFT_OUT: left_out.to_csv(index=False),
        REFERENCE: version.reference,
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    shutil.copyfile(candidate.split, folder / SPLIT)
    shutil.copyfile(current_project().dvc_lock, folder / LOCK)
    if version.code.diff:
        (folder / PATCH).write_bytes(version.code.diff)


def _left_out(candidate: Candidate) -> pd.DataFrame:
    """The cells without a crop, at the labelled points and where the locator looked."""
    folders = {"labelled": candidate.crops, "located": candidate.located}
    parts = [pd.read_parquet(folder / SKIPPED).assign(points=points) for points, folder in folders.items() if folder]
    return pd.concat(parts, ignore_index=True)
