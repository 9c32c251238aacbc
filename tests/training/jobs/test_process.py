"""Training processes for real: finished, killed, stopped, orphaned."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest

from lumbargrade.errors import DivergedError, InputError, LumbargradeError, OutOfMemoryError, TooSlowError
from lumbargrade.files import write_text
from lumbargrade.training.jobs.devices import Device
from lumbargrade.training.jobs.memory import KILLED
from lumbargrade.training.jobs.process import _environment, run_fold
from lumbargrade.training.jobs.spec import FoldSpec, read_history

pytestmark = pytest.mark.slow

CPU = (Device("cpu", "", 1),)


@pytest.fixture(autouse=True)
def own_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def slow(spec: FoldSpec, **more) -> FoldSpec:
    values = spec.model_dump()
    values["training"] |= {"epochs": 1000, **more}
    return FoldSpec.model_validate(values)


def fold_process(spec: FoldSpec) -> subprocess.Popen[bytes]:
    """Starts the fold's process as :func:`run_fold` would, which would mind its death."""
    write_text(spec.folder / "spec.json", spec.model_dump_json(indent=2))
    return subprocess.Popen(
        [sys.executable, "-m", "lumbargrade.training.worker", str(spec.folder)],
        env={**os.environ, **_environment(CPU[0])},
    )


def training_process(spec: FoldSpec) -> psutil.Process:
    """Waits until the fold's process is training and returns it."""
    for _ in range(600):
        for process in psutil.process_iter(["cmdline"]):
            if str(spec.folder) in (process.info["cmdline"] or []) and (spec.folder / "history.jsonl").is_file():
                return process
        time.sleep(0.1)
    raise AssertionError("the training process did not start")


def test_a_finished_fold_is_not_trained_again(spec: FoldSpec) -> None:
    told = []
    first = run_fold(spec, CPU, lambda _, epoch: told.append(epoch.epoch))
    written = first.model.stat().st_mtime_ns
    assert run_fold(spec, CPU, lambda _, epoch: told.append(epoch.epoch)) == first
    assert first.model.stat().st_mtime_ns == written
    assert told == [1, 2, 1, 2]


@pytest.mark.parametrize("here", [None, "/nowhere"])
def test_a_process_is_given_variables_of_its_own(
    spec: FoldSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: str | None
) -> None:
    """They go before this process's own: a reproduction runs the code that it names, whatever PYTHONPATH says here."""
    if here is None:
        monkeypatch.delenv("PYTHONPATH", raising=False)
    else:
        monkeypatch.setenv("PYTHONPATH", here)
    (tmp_path / "first").mkdir()
    seen = tmp_path / "seen"
    (tmp_path / "first/sitecustomize.py").write_text(f"open({str(seen)!r}, 'w').close()\n")
    path, before = [str(tmp_path / "first"), *sys.path], dict(os.environ)
    run_fold(spec, CPU, variables={"PYTHONPATH": os.pathsep.join(path)})
    assert seen.exists()
    assert dict(os.environ) == before


def test_a_killed_process_is_told_and_running_again_goes_on(spec: FoldSpec) -> None:
    def kill() -> None:
        training_process(slow(spec)).kill()

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(OutOfMemoryError) as caught:
        run_fold(slow(spec), CPU)
    killer.join()
    assert (caught.value.code, caught.value.what.split(", ")[0]) == (
        KILLED,
        "fold 0: its process was killed by signal 9",
    )
    assert str(caught.value).endswith("or run again if somebody killed it: it goes on")
    assert run_fold(spec, CPU).epochs == 2


@pytest.mark.long
def test_a_fold_killed_at_random_moments_ends_with_the_weights_of_an_undisturbed_one(spec: FoldSpec) -> None:
    values = spec.model_dump()
    values["training"] |= {"epochs": 8, "patience": 8, "ema": 0.9, "epoch_crops": 32}
    whole = FoldSpec.model_validate(values)
    undisturbed = run_fold(whole, CPU)
    mean_epoch = sum(epoch.seconds for epoch in undisturbed.history()) / undisturbed.epochs
    cut = FoldSpec.model_validate(values | {"folder": spec.folder.parent / "cut"})
    moments = random.Random()
    kept = []
    for _ in range(2):
        process = fold_process(cut)
        reached = len(read_history(cut.folder)) + 1
        while len(read_history(cut.folder)) < reached and process.poll() is None:
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 2 * mean_epoch))
        process.kill()
        process.wait()
        kept.append(len(read_history(cut.folder)))
    before = read_history(cut.folder)
    result = run_fold(cut, CPU)
    assert 1 <= kept[0] <= kept[1]
    assert result.history()[: len(before)] == before, "a finished epoch was trained again"
    assert result.model.read_bytes() == undisturbed.model.read_bytes()
    told = [[epoch.model_dump(exclude={"seconds"}) for epoch in each.history()] for each in (result, undisturbed)]
    assert told[0] == told[1]
    pd.testing.assert_frame_equal(result.predictions(), undisturbed.predictions())
    assert not list(cut.folder.glob("*checkpoint*"))


def test_a_stop_ends_the_process(spec: FoldSpec) -> None:
    stop = threading.Event()
    found: list[psutil.Process] = []

    def end() -> None:
        found.append(training_process(slow(spec)))
        stop.set()

    ender = threading.Thread(target=end)
    ender.start()
    with pytest.raises(LumbargradeError, match="fold 0 was stopped; run again: it goes on"):
        run_fold(slow(spec), CPU, stop=stop)
    ender.join()
    assert not found[0].is_running()


def test_a_fold_that_takes_too_long_is_stopped(spec: FoldSpec) -> None:
    with pytest.raises(TooSlowError, match=r"fold 0 was stopped after 0.01 minutes; raise training.time_limit_minutes"):
        run_fold(slow(spec, time_limit_minutes=0.01), CPU)


def test_a_users_mistake_in_the_process_stays_one(spec: FoldSpec) -> None:
    (spec.crops / "index.parquet").unlink()
    with pytest.raises(InputError, match="holds no packed crops"):
        run_fold(spec, CPU)


def test_a_loss_that_is_no_number_comes_through_as_such(spec: FoldSpec) -> None:
    with pytest.raises(DivergedError, match="fold 0: the loss is no longer a number in epoch 1"):
        run_fold(slow(spec, grade_weights=(3e38, 3e38, 3e38)), CPU)


def test_training_ends_when_its_parent_is_killed(spec: FoldSpec, tmp_path: Path) -> None:
    (spec.folder / "spec.parent.json").write_text(slow(spec).model_dump_json())
    script = (
        "import sys; from pathlib import Path\n"
        "from lumbargrade.training.jobs.process import run_fold\n"
        "from lumbargrade.training.jobs.devices import Device\n"
        "from lumbargrade.training.jobs.spec import FoldSpec\n"
        f"spec = FoldSpec.model_validate_json(Path({str(spec.folder / 'spec.parent.json')!r}).read_text())\n"
        "run_fold(spec, (Device('cpu', '', 1),))\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], env={**os.environ, "TMPDIR": str(tmp_path)})
    child = training_process(spec)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    child.wait(timeout=20)
    assert not child.is_running()
