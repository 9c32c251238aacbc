"""A task's registered versions, and one of them by its number."""

from datetime import UTC, datetime
from typing import Any

from mlflow.entities.model_registry import ModelVersion

from lumbargrade.config.task import GradingTask
from lumbargrade.errors import InputError
from lumbargrade.frozen import Frozen
from lumbargrade.registry.artifacts import reading
from lumbargrade.registry.names import registered_name
from lumbargrade.registry.resolve import champion_version
from lumbargrade.registry.tags import APPROVAL_BY, CV_SCORE, GATE_DECISION, GATE_REASON, HOLDOUT_SCORE
from lumbargrade.tracking.mlflow_tracker import Tracker, has_store, tracking_uri


class VersionSummary(Frozen):
    """A registered version in short.

    Attributes:
        time: When it was registered; UTC, ISO 8601.
        decision: The gate's; None if its registration was cut off.
        approved_by: Who made it champion; None if no person did.
    """

    version: str
    time: str
    is_champion: bool
    decision: str | None
    reason: str | None
    cv_score: float | None
    holdout_score: float | None
    approved_by: str | None


def open_registry(task: GradingTask) -> Tracker:
    """Opens the store that is there; none is made.

    Raises:
        InputError: There is none, or it holds no model of the task.
        StoreError: It cannot be reached or opened.
        CannotVerifyError: It cannot say which versions there are.
    """
    name = registered_name(task)
    if not has_store():
        raise InputError(
            "there is no store of models here",
            "run in the project's folder, or give MLFLOW_TRACKING_URI",
            "store-missing",
        )
    tracker = Tracker(f"lumbargrade-{task.name}")
    if not all_versions(tracker, task):
        raise InputError(
            f"{tracking_uri()} holds no version of {name}",
            "make one with `lumbargrade run`, or give --task",
            "no-version-registered",
        )
    return tracker


def get_version(tracker: Tracker, task: GradingTask, version: str) -> ModelVersion:
    """Returns a registered version.

    Raises:
        InputError: There is none of this number; the sentence names those that there are.
    """
    known = {str(found.version): found for found in all_versions(tracker, task)}
    if version not in known:
        numbers = ", ".join(sorted(known, key=int)) or "none"
        raise InputError(
            f"{registered_name(task)} has no version {version}", f"registered: {numbers}", "version-not-registered"
        )
    return known[version]


def version_that_answered(tracker: Tracker, task: GradingTask, model: str) -> str:
    """Returns the version that an answer names.

    Args:
        model: Registered name and version; or MLflow's id, where a model was served without them.

    Raises:
        InputError: It is no version of the task's model.
    """
    name, _, version = model.partition("/")
    if version and name != registered_name(task):
        raise InputError(
            f"the answer was given by {model}, a model of another task",
            "give that task with --task",
            "answer-of-another-task",
        )
    made = [str(found.version) for found in all_versions(tracker, task) if found.source == f"models:/{model}"]
    if not version and not made:
        raise InputError(
            f"the answer was given by {f'model {model}' if model else 'a model without a name'}, which is no version "
            f"of {registered_name(task)} in {tracking_uri()}",
            "give the --task and the MLFLOW_TRACKING_URI it was served from, and serve with `lumbargrade models "
            "serve`, so that answers name their version",
            "answer-of-unknown-model",
        )
    return version or made[-1]


def list_versions(tracker: Tracker, task: GradingTask) -> list[VersionSummary]:
    """The registered versions, the first one first."""
    champion = champion_version(tracker, task)
    found = sorted(all_versions(tracker, task), key=lambda one: int(one.version))
    return [_summary(one, str(one.version) == champion) for one in found]


def all_versions(tracker: Tracker, task: GradingTask) -> list[ModelVersion]:
    """A task's registered versions as MLflow has them.

    Raises:
        CannotVerifyError: The store cannot say; that is not the same as none.
    """
    found: list[ModelVersion] = []
    token: str | None = None
    while True:
        with reading("the list of registered versions"):
            page: Any = tracker.client.search_model_versions(f"name='{registered_name(task)}'", page_token=token)
        found += page
        token = page.token
        if not token:
            return found


def _summary(found: ModelVersion, is_champion: bool) -> VersionSummary:
    tags = found.tags
    return VersionSummary(
        version=str(found.version),
        time=datetime.fromtimestamp(found.creation_timestamp / 1000, UTC).isoformat(timespec="seconds"),
        is_champion=is_champion,
        decision=tags.get(GATE_DECISION),
        reason=tags.get(GATE_REASON),
        cv_score=_number(tags.get(CV_SCORE)),
        holdout_score=_number(tags.get(HOLDOUT_SCORE)),
        approved_by=tags.get(APPROVAL_BY),
    )


def _number(text: str | None) -> float | None:
    return float(text) if text else None
