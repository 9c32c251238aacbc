"""A project with one registered champion: real DVC, MLflow, signatures and log; only the networks are left out."""

import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import mlflow
import pandas as pd
import pytest
import yaml
from dvc.repo import Repo

from lumbargrade.audit.keys import SIGNING_KEY
from lumbargrade.audit.log import AuditLog
from lumbargrade.config.params import Params, TrainingParams
from lumbargrade.config.task import GradingTask, load_task
from lumbargrade.data.layout import RsnaDataset
from lumbargrade.data.versioning.dvc import reproduce, version_dataset
from lumbargrade.models.trained_on import TrainedOn
from lumbargrade.registry import register as registering
from lumbargrade.registry.candidate import Candidate
from lumbargrade.registry.lineage.code import CodeState
from lumbargrade.registry.lineage.verify import Verification, verify
from lumbargrade.registry.package import signature
from lumbargrade.registry.promotion import gate as judgement
from lumbargrade.registry.promotion.holdout import HoldoutGrades
from lumbargrade.registry.register import Registration, register_candidate
from lumbargrade.tracking.mlflow_tracker import Tracker
from lumbargrade.training.grader.input_files import file_digests
from lumbargrade.training.jobs.spec import FoldResult
from lumbargrade.training.trial_record import TrialRecord
from tests.candidates import make_candidate
from tests.predictions import FACTS, both, cells, right

NAME = "lumbargrade-rsna2024"
Register = Callable[..., str]
MODEL = """
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

class Model(PythonModel):
    def predict(self, context, model_input: pd.DataFrame, params=None) -> pd.DataFrame:
        return model_input

set_model(Model())
"""
SUSPECTS = "suspects.csv"
"""The version was trained with a table of doubted labels."""
STAGES = {
    "vars": ["data/datasets.yaml"],
    "stages": {
        "prepare": {
            "matrix": {"dataset": "${datasets}"},
            "cmd": "cp -r data/${item.dataset} prepared/${item.dataset}/crops",
            "deps": ["data/${item.dataset}"],
            "params": [{"prepared/${item.dataset}/params.yaml": ["prepare"]}],
            "outs": ["prepared/${item.dataset}/crops"],
        },
        "split": {
            "matrix": {"dataset": "${datasets}"},
            "cmd": "cp prepared/${item.dataset}/crops/folds.csv prepared/${item.dataset}/split.csv",
            "deps": ["prepared/${item.dataset}/crops"],
            "outs": ["prepared/${item.dataset}/split.csv"],
        },
    },
}


@dataclass(frozen=True)
class Project:
    """Where a version is champion."""

    folder: Path
    tracker: Tracker
    task: GradingTask
    log: AuditLog
    candidate: Candidate

    def verify(self, version: str | None = None, key: str | None = None) -> Verification:
        return verify(self.tracker, self.task, self.log, version, key_sha256=key)

    @property
    def runs(self) -> dict[str, str]:
        """MLflow's runs by what they are."""
        found = self.tracker.client.search_runs([self.tracker.experiment_id])
        return {run.data.tags["lumbargrade.kind"]: run.info.run_id for run in found}

    @property
    def evidence(self) -> Path:
        return next((self.folder / "mlruns/artifacts").rglob("evidence/1"))

    @property
    def model(self) -> Path:
        return next((self.folder / "mlruns/artifacts").rglob("MLmodel")).parent


def make_project(folder: Path) -> Project:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.delenv(SIGNING_KEY, raising=False)
        _make_data(folder)
        tracker, log, task = Tracker(NAME), AuditLog(), load_task("rsna2024")
        candidate = _searched(folder, tracker, task)
        assert register_again(candidate, tracker, log, patch).champion == "1"
        return Project(folder, tracker, task, log, candidate)


def restore_folder(folder: Path, kept: Path) -> None:
    """Makes a folder as its copy is; files keep their place on the disk, as MLflow has its database open."""
    for path in sorted(folder.rglob("*"), reverse=True):  # what is in a folder before the folder
        if not (kept / path.relative_to(folder)).exists():
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    for path in [path for path in kept.rglob("*") if path.is_file()]:
        now = folder / path.relative_to(kept)
        now.parent.mkdir(parents=True, exist_ok=True)
        if not now.exists() or now.read_bytes() != path.read_bytes():
            now.write_bytes(path.read_bytes())


def _make_data(folder: Path) -> None:
    Repo.init(no_scm=True).close()
    (folder / "data/tiny/1/2").mkdir(parents=True)
    (folder / "data/datasets.yaml").write_text("datasets: []\n")
    for number in range(3):
        (folder / f"data/tiny/1/2/{number}.dcm").write_bytes(bytes([number]) * 200)
    table = pd.DataFrame({"study_id": range(8), "fold": [0, 1, 0, 1, 0, 1, -1, -1]})
    table.to_csv(folder / "data/tiny/folds.csv", index=False)
    lost = pd.DataFrame(
        [[1, 2, "a", "l1_l2", "the slice is missing"]],
        columns=["study_id", "series_id", "condition", "level", "reason"],
    )
    lost.to_parquet(folder / "data/tiny/skipped.parquet", index=False)
    (folder / "dvc.yaml").write_text(yaml.safe_dump(STAGES))
    (folder / "prepared/tiny").mkdir(parents=True)
    (folder / "prepared/tiny/params.yaml").write_text(yaml.safe_dump(Params().model_dump(mode="json")))
    version_dataset(folder / "data/tiny")
    reproduce("tiny", "prepare", "split")


def _searched(folder: Path, tracker: Tracker, task: GradingTask) -> Candidate:
    runs = {}
    for kind in ("search", "trial", "fold", "locator"):
        runs[kind] = tracker.start_run(kind, kind, tags={"lumbargrade.kind": kind})
        tracker.log_params(runs[kind], {"seed": 0})
        tracker.log_metrics(runs[kind], {"score": 0.5, "severe_auc": float("nan")})
        tracker.log_metrics(runs[kind], {"score": 0.4}, step=1)
        tracker.end_run(runs[kind])
    fold = folder / "runs/s/t/fold-0"
    fold.mkdir(parents=True)
    (fold / "model.safetensors").write_bytes(b"weights" * 50)
    (folder / "calibration.json").write_text("{}")
    data = {"name": "tiny", "md5": "of the data", "split_md5": "of the split"}
    (folder / SUSPECTS).write_text("study_id,condition,level\n")
    params = Params(training=TrainingParams(suspects=SUSPECTS))
    empty = pd.DataFrame()
    result = FoldResult(
        fold=0, folder=fold, epoch=1, epochs=1, validation_loss=0.4, precision="fp32", threads=1,
        host="here", device="cpu", began=datetime.now(UTC), ended=datetime.now(UTC),
        images_per_second=1.0, seconds=1.0,
    )  # fmt: skip
    trained_on = TrainedOn(datasets=("tiny",), task=task.name, studies=6, synthetic_studies=0, unknown_studies=6)
    return make_candidate(
        task,
        params=params,
        dataset=RsnaDataset(Path("data/tiny"), task, empty, empty, empty),
        data=data,
        input_files=file_digests([SUSPECTS]),
        crops=Path("prepared/tiny/crops"),
        split=Path("prepared/tiny/split.csv"),
        locator_run_ids=(runs["locator"],),
        search_run_id=runs["search"],
        trials=(TrialRecord(number=0, state="complete", score=0.4, training={}, run_id=runs["trial"]),),
        trial_run_id=runs["trial"],
        training=params.training,
        folds=(result,),
        fold_run_ids=(runs["fold"],),
        calibration=folder / "calibration.json",
        report="<p>report</p>",
        facts=FACTS.model_copy(update={"trained_on": trained_on}),
    )


@pytest.mark.filterwarnings
def log_small_model(tracker: Tracker, candidate: Candidate, example: bytes, tags: dict[str, str]) -> str:
    """Registers a model that MLflow could serve, without networks."""
    Path("model.py").write_text(MODEL)
    weights = Path("grader-00.safetensors")
    shutil.copyfile(candidate.graders[0], weights)
    Path("facts.json").write_text(candidate.facts.model_dump_json())
    mlflow.set_tracking_uri(f"sqlite:///{Path('mlruns').resolve()}/mlflow.db")
    with mlflow.start_run(run_id=candidate.search_run_id), warnings.catch_warnings(action="ignore"):
        info = mlflow.pyfunc.log_model(
            name="model",
            python_model="model.py",
            artifacts={"grader-00": str(weights), "facts": "facts.json"},
            pip_requirements=["mlflow"],
            signature=signature(candidate.task),
        )
    if not tracker.client.search_registered_models():
        tracker.client.create_registered_model(NAME)
    made = tracker.client.create_model_version(
        NAME, info.model_uri, candidate.search_run_id, tags=tags, model_id=info.model_id
    )
    return str(made.version)


def register_again(candidate: Candidate, tracker: Tracker, log: AuditLog, patch: pytest.MonkeyPatch) -> Registration:
    """Registers as the main job would, but for the networks."""
    truth = cells(candidate.task, 8)
    grades: HoldoutGrades = both(candidate.task, truth, right(truth, 0.8), None)
    patch.setattr(registering, "read_code_state", lambda project: CodeState("c0ffee", "of the package"))
    patch.setattr(registering, "example_study", lambda: b"")
    patch.setattr(registering, "register_model", log_small_model)

    patch.setattr(judgement, "_load", lambda *told: None)
    patch.setattr(judgement, "_load_champion", lambda *told: (None, None))
    patch.setattr(judgement, "grade_planned", lambda *told: grades)
    return register_candidate(candidate, tracker, "flow", log, lambda line: None, lambda uri: f"answered by {uri}")
