"""What the registry says of the model that serves.

Nothing here imports torch, which the model server alone needs: it would take 600 MB in the reading room's process.
"""

import json
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from safetensors import SafetensorError, safe_open

from lumbargrade.config.task import GradingTask
from lumbargrade.errors import InputError
from lumbargrade.models.bundle import GRADER
from lumbargrade.models.trained_on import state
from lumbargrade.registry.artifacts import ABSENT, fetch_artifact, reading
from lumbargrade.registry.names import parse_address
from lumbargrade.registry.tags import HOLDOUT_ACCURACY, HOLDOUT_SCORE, facts_of_tags
from lumbargrade.tracking.mlflow_tracker import check_reachable, tracking_uri
from lumbargrade.viewer.schemas import ModelPage

_PAGES = {"card": ("card.html", "report.html"), "lineage": ("lineage.html",)}


@dataclass(frozen=True)
class RegisteredModel:
    """A registered version.

    Attributes:
        uri: Its address by number, so that an alias that moves does not change what serves.
        page: What the page tells of it.
        pages: HTML of its card and lineage, where there are any.
    """

    uri: str
    page: ModelPage
    pages: dict[str, str] = field(default_factory=dict)

    def read_task(self) -> GradingTask:
        """Reads what it grades from a grader's file; no network is loaded.

        Raises:
            InputError: It holds no graders of this version of Lumbargrade.
            CannotVerifyError: The store, or the folder for temporary files, was in the way.
        """
        try:
            folder = fetch_artifact(self.uri)
            if folder is None:
                raise ValueError
            file = min((folder / "artifacts").glob(f"**/{GRADER}*"))
            with safe_open(file, framework="numpy") as grader:
                return GradingTask.model_validate(json.loads(grader.metadata()["config"])["task"])
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{self.uri} holds no graders of this version of Lumbargrade", "train a model again", "model-unreadable"
            ) from error


def find_model(uri: str) -> RegisteredModel:
    """Looks a version up.

    Args:
        uri: ``models:/<name>@champion`` or ``models:/<name>/<version>``.

    Raises:
        InputError: There is none, or the store cannot be reached.
        CannotVerifyError: The store, or the folder for temporary files, was in the way.
    """
    address = parse_address(uri)
    if address is None:
        raise InputError(
            f"{uri} names no registered model",
            "give models:/<name>@champion or models:/<name>/<version>",
            "model-uri-invalid",
        )
    check_reachable(tracking_uri())
    client = MlflowClient(tracking_uri=tracking_uri())
    name, version, alias = address.name, address.version, address.alias
    with reading(uri):
        try:
            if version is None:
                version = str(client.get_model_version_by_alias(name, str(alias)).version)
            found = client.get_model_version(name, version)
        except MlflowException as error:
            if error.error_code not in ABSENT:
                raise
            raise InputError(
                f"model {uri} is not in {tracking_uri()}",
                "check its name, and that MLFLOW_TRACKING_URI is the store that has it",
                "model-not-registered",
            ) from error
        pages = _pages(found)
    return RegisteredModel(f"models:/{name}/{version}", _page(client, found, alias, set(pages)), pages)


def _page(client: MlflowClient, found: ModelVersion, alias: str | None, pages: set[str]) -> ModelPage:
    tags = found.tags
    metrics = client.get_run(found.run_id).data.metrics if found.run_id else {}
    interval = (metrics["score_low"], metrics["score_high"]) if "score_low" in metrics else None
    made = datetime.fromtimestamp(found.creation_timestamp / 1000, UTC) if found.creation_timestamp else None
    return ModelPage(
        name=found.name,
        version=str(found.version),
        alias=alias,
        run_id=found.run_id,
        registered_at=made.isoformat(timespec="seconds") if made else None,
        trained_on=state(facts_of_tags(tags)),
        score_on="cross-validation" if "score" in metrics else None,
        score_interval=interval,
        **{
            name: metrics.get(name)
            for name in ("score", "accuracy", "accuracy_majority", "severe_auc", "calibration_error")
        },
        studies=_count(metrics.get("studies")),
        cells=_count(metrics.get("cells")),
        holdout_score=_number(tags.get(HOLDOUT_SCORE)),
        holdout_accuracy=_number(tags.get(HOLDOUT_ACCURACY)),
        card_html="/api/model/card" if "card" in pages else None,
        lineage_html="/api/model/lineage" if "lineage" in pages else None,
    )


def _pages(found: ModelVersion) -> dict[str, str]:
    """The version's own pages: among its evidence, or with the run that it came from."""
    pages: dict[str, str] = {}
    mlflow.set_tracking_uri(tracking_uri())
    if not found.run_id:
        return pages
    client = MlflowClient(tracking_uri=tracking_uri())
    there = {
        file.path
        for folder in ("", f"evidence/{found.version}/files")
        for file in client.list_artifacts(found.run_id, folder)
    }
    with tempfile.TemporaryDirectory(prefix="lumbargrade-") as folder:
        for page, names in _PAGES.items():
            paths = [
                path for name in names for path in (f"evidence/{found.version}/files/{name}", name) if path in there
            ]
            if paths:
                fetched = mlflow.artifacts.download_artifacts(
                    run_id=found.run_id, artifact_path=paths[0], dst_path=folder
                )
                pages[page] = Path(fetched).read_text(encoding="utf-8")
    return pages


def _number(text: str | None) -> float | None:
    return None if text is None else float(text)


def _count(value: float | None) -> int | None:
    return None if value is None else int(value)
