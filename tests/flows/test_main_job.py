"""The main job as users run it: the command, Prefect, DVC, git, MLflow and its scoring server, all real and small."""

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion

from lumbargrade.data.study_zip import zip_study
from lumbargrade.inference.grade import grade_study
from lumbargrade.inference.study import open_study
from lumbargrade.models.grader import load_grader
from lumbargrade.models.locator import load_locator
from lumbargrade.models.trained_on import statement_of
from lumbargrade.phantom import generate
from lumbargrade.preprocessing.split.split import HOLDOUT, in_holdout
from lumbargrade.registry.resolve import load_model
from lumbargrade.registry.tags import facts_of_tags
from lumbargrade.serving.mlflow_server import ask
from lumbargrade.serving.records.prediction_log import ServingLog
from tests.served import served_model

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parents[2]
SMALL = (
    "training.epochs=2",
    "training.image_pixels=32",
    "split.folds=2",
    "search.trials=2",
    "training.threads=1",  # several threads slow each other down many times over where other tests run beside
    "locator.threads=1",
)
STUDIES = 14
STORE = "sqlite:///mlruns/mlflow.db"
MODEL = "lumbargrade-rsna2024"


@dataclass(frozen=True)
class Job:
    """A project in which the main job has run."""

    folder: Path
    summary: dict
    story: str

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(tracking_uri=STORE)

    @property
    def version(self) -> ModelVersion:
        return self.client.get_model_version(MODEL, self.summary["version"])

    def runs(self, kind: str) -> list[Run]:
        experiments = [found.experiment_id for found in self.client.search_experiments()]
        return self.client.search_runs(experiments, f"tags.`lumbargrade.kind` = '{kind}'")


def lumbargrade(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).parent / "lumbargrade"), *arguments],
        cwd=folder,
        env={**os.environ, "PREFECT_HOME": str(folder.parent / "prefect"), "MLFLOW_TRACKING_URI": ""},
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )


def run_small(folder: Path, data: Path, *more: str) -> subprocess.CompletedProcess[str]:
    settings = [word for value in SMALL for word in ("--set", value)]
    return lumbargrade(folder, "run", "--data", str(data), "--json", *settings, *more)


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As few phantom studies as teach the locator anything."""
    folder = tmp_path_factory.mktemp("cohort") / "phantom"
    generate(folder, studies=STUDIES, seed=11)
    return folder


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory, cohort: Path) -> Job:
    """A clone of the project's files with a git history of its own, where the main job has run once."""
    folder = tmp_path_factory.mktemp("project")
    for name in git(PROJECT, "ls-files", "--cached", "--others", "--exclude-standard").splitlines():
        is_pointer = name.endswith(".dvc") or name == "dvc.lock"  # of data that `make run` made here
        if (PROJECT / name).is_file() and not is_pointer:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, folder / name)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "config", "user.name", "Tester")
    git(folder, "config", "user.email", "tester@example.org")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "the project")
    done = run_small(folder, cohort)
    assert done.returncode == 0, done.stderr
    return Job(folder, json.loads(done.stdout), done.stderr)


@pytest.fixture(autouse=True)
def in_project(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(job.folder)
    mlflow.set_tracking_uri(STORE)


def test_the_first_model_is_champion_and_answers_over_http(job: Job) -> None:
    assert job.summary["decision"] == "promote"
    assert job.summary["reason"] == "there was no champion"
    assert job.summary["champion"] == job.summary["version"] == "1"
    assert job.summary["answer"]["cells"] == 25
    assert job.summary["answer"]["graded"] >= 20
    assert in_holdout(int(job.summary["answer"]["study_id"]), 0.2)


def test_nothing_that_a_user_must_ignore_is_printed(job: Job) -> None:
    for word in ("warning", "traceback", "deprecat", "error"):
        assert word not in job.story.lower()


def test_every_tag_of_the_version_is_true(job: Job) -> None:
    tags = job.version.tags
    lock = yaml.safe_load(Path("dvc.lock").read_text())["stages"]
    pointer = yaml.safe_load(Path("data/phantom.dvc").read_text())["outs"][0]
    assert tags["task"] == "rsna2024"
    assert tags["dataset.name"] == "phantom"
    assert tags["dataset.md5"] == pointer["md5"] == dvc_directory_md5(Path("data/phantom"))
    assert tags["dataset.crops_md5"] == lock["prepare@phantom"]["outs"][0]["md5"]
    assert tags["dataset.split_md5"] == hashlib.md5(Path("prepared/phantom/split.csv").read_bytes()).hexdigest()
    assert tags["dataset.views_md5"] == lock["views@phantom"]["outs"][0]["md5"]
    assert tags["dataset.located_md5"] == lock["located@phantom"]["outs"][0]["md5"]
    assert tags["git.commit"] == git(job.folder, "rev-parse", "HEAD")
    assert tags["git.dirty"] == "false"
    assert tags["git.diff_sha256"] == hashlib.sha256(b"").hexdigest()
    assert tags["code.sha256"] == package_sha256(PROJECT / "src/lumbargrade")
    trial = self_and_parent(job, tags["search.trial_run_id"], "trial", tags["search.run_id"])
    folds = [self_and_parent(job, fold, "fold", trial.info.run_id) for fold in tags["search.fold_run_ids"].split(",")]
    assert len(folds) == 2
    assert float(tags["cv.score"]) == pytest.approx(trial.data.metrics["score"], abs=1e-6)
    assert float(tags["cv.score"]) == pytest.approx(
        min(run.data.metrics["score"] for run in job.runs("trial")), abs=1e-6
    )
    assert float(tags["cv.accuracy"]) == pytest.approx(trial.data.metrics["accuracy"], abs=1e-6)
    assert tags["search.trials"] == "2"
    assert tags["gate.decision"] == "promote"
    trained_on = sum(fold != HOLDOUT for fold in pd.read_csv("prepared/phantom/split.csv")["fold"])
    assert tags["trained_on"].startswith(f"This model was trained on synthetic spines only ({trained_on} studies).")
    facts = facts_of_tags(tags)
    assert facts is not None and facts.holdout is not None
    assert facts.cross_validation.accuracy == pytest.approx(trial.data.metrics["accuracy"], abs=1e-6)
    assert str(facts.holdout.accuracy) == tags["holdout.accuracy"]
    from lumbargrade.config.loading import load_params

    assert tags["params.sha256"] == load_params(Path("prepared/phantom/params.yaml")).digest()


def self_and_parent(job: Job, run_id: str, kind: str, parent: str) -> Run:
    run = job.client.get_run(run_id)
    assert run.data.tags["lumbargrade.kind"] == kind
    assert run.data.tags["mlflow.parentRunId"] == parent
    assert run.info.status == "FINISHED"
    return run


def dvc_directory_md5(folder: Path) -> str:
    """DVC's hash of a folder, computed by us: the md5 of the JSON list of its files and their md5."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    entries = [
        {"md5": hashlib.md5(path.read_bytes()).hexdigest(), "relpath": path.relative_to(folder).as_posix()}
        for path in files
    ]
    entries.sort(key=lambda entry: entry["relpath"].split("/"))
    return hashlib.md5(json.dumps(entries, sort_keys=True).encode()).hexdigest() + ".dir"


def package_sha256(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(
        path for path in folder.rglob("*") if path.is_file() and not {"__pycache__", "page"} & set(path.parts)
    ):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def test_runs_show_curves_and_pictures(job: Job) -> None:
    (search,) = job.runs("search")
    pictures = {file.path for file in job.client.list_artifacts(search.info.run_id)}
    assert {"confusion.png", "plots"} <= pictures
    for fold in job.runs("fold"):
        history = job.client.get_metric_history(fold.info.run_id, "validation_loss")
        assert [point.step for point in history] == [1, 2]


def test_the_model_is_whole_and_holds_no_pickle(job: Job) -> None:
    folder = Path(mlflow.artifacts.download_artifacts(artifact_uri=f"models:/{MODEL}/1"))
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert not [path for path in files if path.suffix in {".pkl", ".pickle", ".pt", ".pth", ".pt2"}]
    graders = [load_grader(path) for path in sorted((folder / "artifacts").rglob("grader-*.safetensors"))]
    locators = [load_locator(path) for path in sorted((folder / "artifacts").rglob("locator-*.safetensors"))]
    assert len(graders) == len(locators) == 2
    requirements = (folder / "requirements.txt").read_text()
    assert "torch==" in requirements
    assert "mlflow==" in requirements
    model = mlflow.models.Model.load(str(folder))
    assert model.signature is not None
    assert model.signature.inputs.input_names() == ["study"]


def test_the_server_grades_refuses_and_says_why(job: Job) -> None:
    split = pd.read_csv("prepared/phantom/split.csv")
    study = int(split.loc[split["fold"] == HOLDOUT, "study_id"].iloc[0])
    with served_model(f"models:/{MODEL}@champion") as address:
        graded = ask(address, zip_study(Path("data/phantom"), study))
        refused = ask(address, b"this is no zip")
    assert len(graded) == len(refused) == 25
    assert {record["study_id"] for record in graded} == {str(study)}
    assert {statement_of(record).synthetic for record in (*graded, *refused)} == {True}
    for record in graded:
        if record["reason"] is None:
            assert record["normal_mild"] + record["moderate"] + record["severe"] == pytest.approx(1)
            assert record["grade"] in {"Normal/Mild", "Moderate", "Severe"}
    assert {record["reason"] for record in refused} == {
        "the study is not a zip file that can be unpacked; send a zip of its DICOM files"
    }
    assert {record["grade"] for record in refused} == {None}


def test_names_folders_and_other_files_of_a_zip_do_not_matter(job: Job) -> None:
    study = int(pd.read_csv("prepared/phantom/split.csv")["study_id"].iloc[0])
    plain = zip_study(Path("data/phantom"), study, with_points=False)
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(plain)) as archive, zipfile.ZipFile(buffer, "w") as messy:
        names = archive.namelist()
        for number, name in enumerate(np.random.default_rng(0).permutation(names)):
            messy.writestr(f"CD/{number % 3}/{number % 2}/IM{number:05d}", archive.read(str(name)))
        messy.writestr("CD/README.TXT", "no image")
        messy.writestr("CD/photo.jpg", b"\xff\xd8\xff\xe0 no image either")
        messy.writestr("DICOMDIR", b"\0" * 128 + b"DICM")
    loaded = load_model(f"models:/{MODEL}@champion")
    answers = []
    for source in (plain, buffer.getvalue()):
        with open_study(source, loaded.config.task) as opened:
            answers.append(grade_study(loaded, opened))
    same = [
        "condition",
        "level",
        "normal_mild",
        "grade",
        "reason",
        "sop_instance_uid",
        "x_mm",
        "y_mm",
        "z_mm",
        "confidence",
    ]
    pd.testing.assert_frame_equal(answers[0][same], answers[1][same])
    assert answers[0]["grade"].notna().any()


def test_nothing_was_altered_and_an_answer_is_traced_back(job: Job) -> None:
    verified = lumbargrade(job.folder, "audit", "verify", "--json")
    assert verified.returncode == 0, verified.stdout
    assert json.loads(verified.stdout)["versions"] == ["1"]
    first = next(ServingLog().answers())
    traced = lumbargrade(job.folder, "audit", "trace", first.request_id, "--json")
    assert traced.returncode == 0, traced.stderr
    told = json.loads(traced.stdout)
    assert told["answer"]["model"] == f"{MODEL}/1"
    code = next(
        part
        for part in told["lineage"]["predicate"]["buildDefinition"]["resolvedDependencies"]
        if part["name"] == "code"
    )
    assert code["digest"]["gitCommit"] == git(job.folder, "rev-parse", "HEAD")
    for study in pd.read_csv("prepared/phantom/split.csv")["study_id"]:
        assert str(study) not in ServingLog().path.read_text()


def test_a_fold_comes_out_again_bit_for_bit(job: Job) -> None:
    again = lumbargrade(job.folder, "audit", "reproduce", "1", "--folds", "1", "--json")
    assert again.returncode == 0, again.stderr
    told = json.loads(again.stdout)
    assert (told["verdict"], [each["what"] for each in told["compared"]]) == ("identical", ["fold 0"])
    assert told["environment"] == []
    assert len(git(job.folder, "worktree", "list").splitlines()) == 1


def test_a_tree_that_git_does_not_have_is_refused(job: Job, cohort: Path) -> None:
    Path("params.yaml").write_text(Path("params.yaml").read_text() + "# changed\n")
    done = run_small(job.folder, cohort)
    git(job.folder, "checkout", "params.yaml")
    assert done.returncode == 2
    assert done.stderr.startswith("error: git does not have params.yaml as here, so that no commit would tell what")
    assert len(done.stderr.strip().splitlines()) == 1


def take_few(dataset: Path, target: Path, count: int) -> None:
    """A dataset of some of a dataset's studies."""
    studies = sorted((dataset / "train_images").iterdir())[:count]
    for study in studies:
        shutil.copytree(study, target / "train_images" / study.name)
    for path in dataset.glob("*.csv"):
        table = pd.read_csv(path)
        table[table["study_id"].isin([int(study.name) for study in studies])].to_csv(target / path.name, index=False)


def test_evaluate_and_grade_agree_with_the_run(job: Job, tmp_path: Path) -> None:
    take_few(Path("data/phantom"), tmp_path / "few", 3)
    evaluate = ("evaluate", "--data", str(tmp_path / "few"), "--model", f"models:/{MODEL}/1", "--json")
    evaluated = lumbargrade(job.folder, *evaluate)
    assert evaluated.returncode == 0, evaluated.stderr
    assert json.loads(evaluated.stdout)["studies"] == 3
    study = next(Path("data/phantom/train_images").iterdir())
    Path("study.zip").write_bytes(zip_study(Path("data/phantom"), int(study.name)))
    graded = lumbargrade(job.folder, "grade", "study.zip", "--json")
    assert graded.returncode == 0, graded.stderr
    assert {record["study_id"] for record in json.loads(graded.stdout)} == {study.name}
    read = lumbargrade(job.folder, "grade", "study.zip", "--model", f"models:/{MODEL}@champion")
    assert read.stdout.startswith("NOT FOR CLINICAL USE.\nThis model was trained on synthetic spines only")
    assert f"Model  {MODEL}/1" in read.stdout.splitlines()
    assert max(map(len, read.stdout.splitlines())) <= 80
    Path("study.zip").unlink()


def test_running_again_does_nothing_anew(job: Job, cohort: Path) -> None:
    before = {run.info.run_id: run.info.end_time for run in job.runs("fold")}
    done = run_small(job.folder, cohort)
    assert done.returncode == 0, done.stderr
    again = json.loads(done.stdout)
    assert again["new_trials"] == 0
    assert again["version"] == "1"
    assert again["answer"] is None
    assert {run.info.run_id: run.info.end_time for run in job.runs("fold")} == before
    assert {key: again[key] for key in ("score", "champion", "holdout_score")} == {
        key: job.summary[key] for key in ("score", "champion", "holdout_score")
    }


def test_mistakes_are_one_sentence_and_exit_code_two(job: Job, tmp_path: Path) -> None:
    cases = {
        ("run", "--data", "nowhere"): "dataset folder nowhere does not exist; give a folder in RSNA layout with --data",
        ("run", "--set", "training.epoch=2"): "parameter training.epoch is unknown; did you mean epochs?",
        ("grade", "nothing.zip"): "study nothing.zip does not exist",
        ("grade", "data/phantom", "--model", "models:/none@champion"): "model models:/none@champion is not there",
    }
    for arguments, message in cases.items():
        done = lumbargrade(job.folder, *arguments)
        assert done.returncode == 2, done.stderr
        assert message in done.stderr
        assert "Traceback" not in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.long
def test_the_folds_are_distilled_into_another_version_with_one_grader(job: Job, cohort: Path) -> None:
    done = run_small(job.folder, cohort, "--set", "package.graders=distilled")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["new_trials"], told["version"]) == (0, "2")
    assert told["packaged"].startswith("one grader, distilled from 2 folds; it gives the same likeliest grade")
    assert (told["answer"]["cells"], told["answer"]["graded"] >= 20) == (25, True)
    tags = job.client.get_model_version(MODEL, "2").tags
    assert (tags["package.graders"], job.version.tags["package.graders"]) == ("distilled", "ensemble")
    assert tags["search.trial_run_id"] == job.version.tags["search.trial_run_id"]
    student = self_and_parent(job, tags["student.run_id"], "student", tags["search.run_id"])
    assert float(tags["student.teachers_same_grade"]) == student.data.metrics["teachers.same_grade"]
    folder = Path(mlflow.artifacts.download_artifacts(artifact_uri=f"models:/{MODEL}/2"))
    (grader,) = (folder / "artifacts").rglob("grader-*.safetensors")
    first = Path(mlflow.artifacts.download_artifacts(artifact_uri=f"models:/{MODEL}/1"))
    assert grader.read_bytes() not in [path.read_bytes() for path in (first / "artifacts").rglob("grader-*")]
    verified = lumbargrade(job.folder, "audit", "verify", "--json")
    assert verified.returncode == 0, verified.stdout
    assert json.loads(verified.stdout)["versions"] == ["1", "2"]
    again = lumbargrade(job.folder, "audit", "reproduce", "2", "--folds", "2", "--json")
    assert again.returncode == 0, again.stderr
    compared = [each["what"] for each in json.loads(again.stdout)["compared"]]
    assert (json.loads(again.stdout)["verdict"], compared) == ("identical", ["fold 0", "fold 1", "student"])
