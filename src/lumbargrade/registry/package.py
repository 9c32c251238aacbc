"""Packages a search's best trial as an MLflow model and registers it. No pickle: safetensors and models-from-code."""

import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.utils.logging_utils import disable_logging, enable_logging

from lumbargrade.config.code_digest import PACKAGE
from lumbargrade.config.task import GradingTask
from lumbargrade.inference.schema import (
    ANSWER_HEAT,
    ANSWER_ORIGIN,
    ANSWER_PLACE,
    ANSWER_TEXTS,
    ANSWER_WORDS,
    EXPLAIN,
    KEPT_REQUEST,
    STUDY_COLUMN,
)
from lumbargrade.models.bundle import CALIBRATION_NAME, FACTS_NAME, GRADER, LOCATOR
from lumbargrade.models.trained_on import TRAINED_ON
from lumbargrade.registry.candidate import Candidate
from lumbargrade.registry.names import registered_name
from lumbargrade.registry.tags import STUDENT_RUN, TRIAL_RUN
from lumbargrade.tracking.mlflow_tracker import Tracker, tracking_uri

SERVING_REQUIREMENTS = (
    "captum", "filelock", "mlflow", "numpy", "pandas", "pandera", "pillow", "pydantic", "pydantic-settings",
    "pydicom", "pyjpegls", "pylibjpeg", "pylibjpeg-libjpeg", "pylibjpeg-openjpeg", "pylibjpeg-rle", "pyyaml",
    "safetensors", "scipy", "torch",
)  # fmt: skip
"""What the served model imports; the versions of this environment are pinned with it."""


def signature(task: GradingTask) -> ModelSignature:
    """A binary column in (a zip of the study's DICOM files), and what is asked beside it; a record for each cell out."""
    outputs: list[ColSpec | TensorSpec] = [
        ColSpec("string", name, required=name != "study_id") for name in ANSWER_TEXTS
    ]
    outputs += [ColSpec("double", name, required=False) for name in task.grade_columns]
    outputs += [ColSpec("string", name, required=False) for name in ANSWER_WORDS]
    outputs += [ColSpec("string", name) for name in ANSWER_ORIGIN]
    outputs.append(ColSpec("string", TRAINED_ON, required=False))
    outputs += [ColSpec(kind, name, required=False) for name, kind in (ANSWER_PLACE | ANSWER_HEAT).items()]
    return ModelSignature(
        inputs=Schema([ColSpec("binary", STUDY_COLUMN)]),
        outputs=Schema(outputs),
        params=ParamSchema([ParamSpec(name, "string", "") for name in (EXPLAIN, KEPT_REQUEST)]),
    )


def register_model(tracker: Tracker, candidate: Candidate, example: bytes, tags: Mapping[str, str]) -> str:
    """Logs locators and the best trial's folds, or their student, as one model under the search run; registers it.

    Returns its version.

    Args:
        example: Zip of a study that holds nobody's data; stored as the input example.
        tags: Set on the model version.
    """
    task = candidate.task
    name = registered_name(task)
    files = {f"{GRADER}{number:02d}": path for number, path in enumerate(candidate.graders)}
    files |= {f"{LOCATOR}{number:02d}": path for number, path in enumerate(candidate.locators)}
    files[CALIBRATION_NAME] = candidate.calibration
    texts = {FACTS_NAME: candidate.facts.model_dump_json(indent=2)}
    with _in_run(candidate.search_run_id), _named(files, texts) as artifacts:
        info = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(PACKAGE / "serving" / "pyfunc.py"),
            artifacts=artifacts,
            code_paths=[str(PACKAGE)],
            model_config=candidate.params.serving.model_dump(),
            signature=signature(task),
            input_example=pd.DataFrame({STUDY_COLUMN: [example]}),
            pip_requirements=[f"{package}=={version(package)}" for package in SERVING_REQUIREMENTS],
            metadata={"task": task.name},
        )
    with suppress(MlflowException):  # it is there already
        tracker.client.create_registered_model(name, description=task.title)
    made = tracker.client.create_model_version(
        name, info.model_uri, candidate.search_run_id, tags=dict(tags), model_id=info.model_id
    )
    return str(made.version)


def find_version(tracker: Tracker, candidate: Candidate, complete: Collection[str]) -> str | None:
    """Returns the version that holds a candidate's graders, or this student of theirs, if it is among the complete ones."""
    wanted = candidate.trial_run_id, candidate.student.run_id if candidate.student else None
    for found in tracker.client.search_model_versions(f"name='{registered_name(candidate.task)}'"):
        held = found.tags.get(TRIAL_RUN), found.tags.get(STUDENT_RUN)
        if held == wanted and str(found.version) in complete:
            return str(found.version)
    return None


@contextmanager
def _named(files: Mapping[str, Path], texts: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """MLflow keeps the names of files, so each gets one of its own; texts become JSON files."""
    with tempfile.TemporaryDirectory(prefix="lumbargrade-") as folder:
        named = {name: Path(folder) / f"{name}{path.suffix}" for name, path in files.items()}
        for name, path in files.items():
            shutil.copyfile(path, named[name])
        for name, text in texts.items():
            named[name] = Path(folder) / f"{name}.json"
            named[name].write_text(text, encoding="utf-8")
        yield {name: str(path) for name, path in named.items()}


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
