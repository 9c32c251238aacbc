"""Kills a search with ``kill -9`` at random moments, and compares what it ends with to an undisturbed one.

    python benchmarks/kills.py --kills 20

Half of the kills, by chance, hit the process that searches, the others the process that trains. Both searches train for real,
on one thread, small images of noise whose brightness is their grade. Exits with 1 if anything differs.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import psutil
from mlflow import MlflowClient
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from lumbargrade.config.params import Params
from lumbargrade.config.task import load_task
from lumbargrade.files import files_sha256
from lumbargrade.search.plan import CALIBRATION, SearchPlan
from lumbargrade.search.run import run_search
from lumbargrade.search.trials import place
from lumbargrade.tracking.mlflow_tracker import Tracker
from lumbargrade.training.jobs.devices import find_devices
from lumbargrade.training.jobs.spec import HISTORY, MODEL, read_history
from tests.local_pool import local_pool

STUDIES = 24
CLOCK = {"seconds", "images_per_second"}
"""Metrics that tell of the machine, and differ from run to run."""


def main() -> None:
    """Runs both searches and prints how they compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--trials", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seed", type=int, help="of the moments; another each time if not given")
    parser.add_argument("--folder", type=Path, help="for temporary files; that of the system if not given")
    parser.add_argument("--search", type=Path, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.search:
        os.chdir(told.search)
        with local_pool(find_devices()) as pool:
            run_search(make_plan(told.trials, told.epochs), Tracker("kills"), pool, on_trial=lambda line: None)
        return
    with tempfile.TemporaryDirectory(dir=told.folder) as folder:
        undisturbed, killed = Path(folder) / "undisturbed", Path(folder) / "killed"
        for each in (undisturbed, killed):
            make_crops(each)
        startup, seconds = run_undisturbed(undisturbed, told)
        hits, lost = run_killed(killed, told, startup, seconds)
        differing = [read.__name__ for read in (study, runs, models) if read(undisturbed) != read(killed)]
    print(json.dumps({"kills": hits, "trained_again": lost, "differing": differing}, indent=2))
    sys.exit(bool(differing or lost or sum(hits.values()) != told.kills))


def make_crops(folder: Path) -> None:
    """Packs crops for two folds and a holdout, the same each time."""
    task, params = load_task("disc_degeneration"), make_plan(1, 1).params
    draw, rows, crops = np.random.default_rng(0), [], []
    for study in range(STUDIES):
        for number, level in enumerate(task.levels):
            grade, side = (study + number) % 3, params.prepare.crop_pixels
            crops.append(np.clip(draw.normal(50 + 70 * grade, 20, (3, side, side)), 0, 255).astype(np.uint8))
            rows.append((study, 1, 1, "disc_degeneration", level, "disc", 0.0, 0.0, grade, np.nan))
    columns = ["study_id", "series_id", "instance_number", "condition", "level", "group", "x", "y", "grade", "error_mm"]
    (folder / "crops").mkdir(parents=True)
    np.save(folder / "crops/crops-000.npy", np.stack(crops))
    pd.DataFrame(rows, columns=columns).astype({"grade": "Int8"}).to_parquet(folder / "crops/index.parquet")
    folds = [(study, -1 if study % 6 == 5 else study % 2) for study in range(STUDIES)]
    pd.DataFrame(folds, columns=["study_id", "fold"]).to_csv(folder / "split.csv", index=False)


def make_plan(trials: int, epochs: int) -> SearchPlan:
    """The search, in the folder where this process is."""
    training = {
        "crop_mm": 36.0,
        "image_pixels": 32,
        "epochs": epochs,
        "batch_size": 16,
        "epoch_crops": 64,
        "threads": 1,
    }
    space = {"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}, "drop_rate": {"low": 0.0, "high": 0.4}}
    params = {
        "task": "disc_degeneration",
        "prepare": {"crop_mm": 40.0, "pixel_mm": 1.25},
        "split": {"folds": 2},
        "training": training,
        "search": {"trials": trials, "space": space},
    }
    task = load_task("disc_degeneration")
    return SearchPlan(Params.model_validate(params), task, {"md5": "kills"}, Path("crops"), Path("split.csv"))


def start(folder: Path, told: argparse.Namespace) -> subprocess.Popen[bytes]:
    """Starts the search in a folder; running it again goes on."""
    counts = ["--trials", str(told.trials), "--epochs", str(told.epochs)]
    locks = folder / "locks"
    locks.mkdir(exist_ok=True)
    with (folder / "log.txt").open("a") as log:
        return subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve()), "--search", str(folder), *counts],
            env={**os.environ, "TMPDIR": str(locks), "MLFLOW_TRACKING_URI": "", "OMP_NUM_THREADS": "1"},
            stdout=log,
            stderr=log,
        )


def run_undisturbed(folder: Path, told: argparse.Namespace) -> tuple[float, float]:
    """Returns the seconds until the search had opened its study, and those until it had ended."""
    started = time.monotonic()
    search = start(folder, told)
    while search.poll() is None and not list(folder.glob("runs/*/optuna.log")):
        time.sleep(0.05)
    opened = time.monotonic() - started
    finish(search, folder)
    return opened, time.monotonic() - started


def run_killed(
    folder: Path, told: argparse.Namespace, startup: float, seconds: float
) -> tuple[dict[str, int], list[str]]:
    """Starts, kills and starts again, then lets the search end.

    Returns:
        How often each was hit; the folds that have lost an epoch that was finished before a kill.
    """
    moments = random.Random(told.seed)
    hits = {"search": 0, "training": 0}
    before: list[dict[str, list[Any]]] = []
    share = (seconds - startup) / told.kills  # so the kills spread over the search, and it does not end before the last
    for _ in range(told.kills):
        search = start(folder, told)
        try:
            search.wait(moments.uniform(0, startup + share))
            break
        except subprocess.TimeoutExpired:
            pass
        training = [child for child in psutil.Process(search.pid).children() if trains_fold(child)]
        victim = "training" if training and moments.random() < 0.5 else "search"
        (training[0] if victim == "training" else search).kill()
        search.wait()
        psutil.wait_procs(training)
        hits[victim] += 1
        before.append(histories(folder))
    finish(start(folder, told), folder)
    after = histories(folder)
    return hits, sorted({name for each in before for name, kept in each.items() if after[name][: len(kept)] != kept})


def trains_fold(process: psutil.Process) -> bool:
    """Whether it trains a fold; no longer if it has just ended, waited for by its parent or not yet."""
    try:
        return "lumbargrade.training.worker" in process.cmdline()
    except psutil.NoSuchProcess:
        return False


def finish(search: subprocess.Popen[bytes], folder: Path) -> None:
    """Waits for the end of a search that nobody disturbs."""
    if search.wait() != 0:
        sys.exit(f"the search failed: {(folder / 'log.txt').read_text()[-2000:]}")


def histories(folder: Path) -> dict[str, list[Any]]:
    """Finished epochs of each fold, with how long they took: an epoch that is trained again takes another time."""
    return {
        str(path.parent.relative_to(folder)): read_history(path.parent) for path in folder.glob(f"runs/*/*/*/{HISTORY}")
    }


def study(folder: Path) -> list[Any]:
    """What Optuna knows of the trials that have ended; those that were cut off are tried again under another number."""
    (path,) = folder.glob("runs/*/optuna.log")
    storage = JournalStorage(JournalFileBackend(str(path)))
    trials = optuna.load_study(study_name=path.parent.name, storage=storage).trials
    ended = [trial for trial in trials if trial.state is not TrialState.FAIL]
    return [
        (place(trial), trial.state, trial.params, trial.values, trial.intermediate_values, trial.user_attrs["training"])
        for trial in ended
    ]


def runs(folder: Path) -> dict[str, Any]:
    """MLflow's tree: name, parent, status, parameters, metrics of each step and names of the artifacts of each run, by key."""
    client = MlflowClient(f"sqlite:///{folder}/mlruns/mlflow.db")
    found = client.search_runs([each.experiment_id for each in client.search_experiments()])
    keys = {run.info.run_id: run.data.tags["lumbargrade.key"] for run in found}
    return {
        keys[run.info.run_id]: (
            run.info.run_name,
            keys.get(run.data.tags.get("mlflow.parentRunId", "")),
            run.info.status,
            run.data.params,
            {name: points(client, run.info.run_id, name) for name in run.data.metrics if name not in CLOCK},
            sorted(file.path for file in client.list_artifacts(run.info.run_id)),
        )
        for run in found
    }


def points(client: MlflowClient, run_id: str, metric: str) -> list[tuple[int, float]]:
    """A metric's course. What was logged just before a kill is logged again, so equal points count once."""
    return sorted({(point.step, point.value) for point in client.get_metric_history(run_id, metric)})


def models(folder: Path) -> dict[str, str]:
    """Hashes of all weights and of what calibrates the best trial."""
    files = [*folder.glob(f"runs/*/*/*/{MODEL}"), *folder.glob(f"runs/*/*/{CALIBRATION}")]
    return {str(path.relative_to(folder)): files_sha256([path]) for path in files}


if __name__ == "__main__":
    main()
