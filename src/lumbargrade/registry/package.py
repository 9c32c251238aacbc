"""Packages a search's best trial as an MLflow model and registers it. No pickle: safetensors and models-from-code."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.utils.logging_utils import disable_logging, enable_logging

from lumbargrade.registry.lineage import PACKAGE
from lumbargrade.task import GradingTask
from lumbargrade.training.plan import SearchOutcome, SearchPlan
from lumbargrade.training.tracking import Tracker, tracking_uri

SERVING_REQUIREMENTS = (
    "captum", "mlflow", "numpy", "pandas", "pandera", "pillow", "pydantic", "pydicom", "pyjpegls", "pylibjpeg",
    "pylibjpeg-libjpeg", "pylibjpeg-openjpeg", "pylibjpeg-rle", "pyyaml", "safetensors", "scipy", "torch", "torchvision",
)  # fmt: skip
"""What the served model imports; the versions of this environment are pinned with it."""

STUDY_COLUMN = "study"
EXPLAIN = "explain"
"""The parameter that asks for heat maps; without it there are none, and an answer stays quick."""

GRADER, LOCATOR = "grader-", "locator-"
"""How the networks' files begin in a packaged model."""

ANSWER_TEXTS = ("study_id", "condition", "level")
ANSWER_PLACE = {
    "series": "string", "instance_number": "long", "sop_instance_uid": "string", "x": "double", "y": "double",
    "x_mm": "double", "y_mm": "double", "z_mm": "double", "confidence": "double",
}  # fmt: skip
ANSWER_WORDS = ("grade", "reason", "notes")
"""Columns of an answer beside the grades' probabilities; those of the place are null where nothing was graded."""
ANSWER_HEAT = {"heat_map": "string", "heat_map_mm": "double"}
"""Columns of an answer if :data:`EXPLAIN` is asked for; absent if not."""


def registered_name(task: GradingTask) -> str:
    """Name under which a task's models are registered."""
    return f"lumbargrade-{task.name.replace('_', '-')}"


def signature(task: GradingTask) -> ModelSignature:
    """A binary column in (a zip of the study's DICOM files), and a switch; a record for each cell out."""
    outputs: list[ColSpec | TensorSpec] = [
        ColSpec("string", name, required=name != "study_id") for name in ANSWER_TEXTS
    ]
    outputs += [ColSpec("double", name, required=False) for name in task.grade_columns]
    outputs += [ColSpec("string", name, required=False) for name in ANSWER_WORDS]
    outputs += [ColSpec(kind, name, required=False) for name, kind in (ANSWER_PLACE | ANSWER_HEAT).items()]
    return ModelSignature(
        inputs=Schema([ColSpec("binary", STUDY_COLUMN)]),
        outputs=Schema(outputs),
        params=ParamSchema([ParamSpec(EXPLAIN, "boolean", False)]),
    )


def register_model(
    tracker: Tracker, plan: SearchPlan, outcome: SearchOutcome, example: bytes, tags: Mapping[str, str]
) -> str:
    """Logs locators and the best trial's folds as one model under the search run, registers it, and returns its version.

    Args:
        example: Zip of a study that holds nobody's data; stored as the input example.
        tags: Set on the model version.
    """
    task = plan.task
    name = registered_name(task)
    networks = {f"{GRADER}{fold.fold:02d}": fold.model for fold in outcome.folds}
    networks |= {f"{LOCATOR}{number:02d}": path for number, path in enumerate(plan.locators)}
    with _in_run(outcome.run_id), _named(networks) as artifacts:
        info = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(PACKAGE / "serving" / "model.py"),
            artifacts=artifacts,
            code_paths=[str(PACKAGE)],
            model_config={"threads": plan.params.serving.threads},
            signature=signature(task),
            input_example=pd.DataFrame({STUDY_COLUMN: [example]}),
            pip_requirements=[f"{package}=={version(package)}" for package in SERVING_REQUIREMENTS],
            metadata={"task": task.name},
        )
    with suppress(MlflowException):  # it is there already
        tracker.client.create_registered_model(name, description=task.title)
    made = tracker.client.create_model_version(
        name, info.model_uri, outcome.run_id, tags=dict(tags), model_id=info.model_id
    )
    return str(made.version)


def find_version(tracker: Tracker, task: GradingTask, trial_run_id: str) -> str | None:
    """Returns the version that was registered from a trial, if there is one and it is complete."""
    found = tracker.client.search_model_versions(f"name='{registered_name(task)}'")
    for candidate in found:
        if candidate.tags.get("search.trial_run_id") == trial_run_id and "gate.decision" in candidate.tags:
            return str(candidate.version)
    return None


@contextmanager
def _named(networks: Mapping[str, Path]) -> Iterator[dict[str, str]]:
    """MLflow keeps the names of files, so each network gets a file of its own name."""
    with tempfile.TemporaryDirectory(prefix="lumbargrade-") as folder:
        for name, path in networks.items():
            shutil.copyfile(path, Path(folder) / f"{name}.safetensors")
        yield {name: str(Path(folder) / f"{name}.safetensors") for name in networks}


@contextmanager
def _in_run(run_id: str) -> Iterator[None]:
    """MLflow's log_model works on the active run only; its remarks are not for the user."""
    mlflow.set_tracking_uri(tracking_uri())
    disable_logging()  # type: ignore[no-untyped-call]
    try:
        with mlflow.start_run(run_id=run_id):
            yield
    finally:
        enable_logging()  # type: ignore[no-untyped-call]
