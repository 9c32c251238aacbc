"""How cores are shared out among trainings: by what was measured, once."""

import json
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from lumbargrade.config.params import Params
from lumbargrade.pipeline.estimate import parallelism
from lumbargrade.pipeline.estimate.parallelism import Parallelism, choose_parallelism, list_options

GB = 1_000_000_000


def ways(options: list[Parallelism]) -> list[tuple[int, int]]:
    return [(each.processes, each.threads) for each in options]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LUMBARGRADE_PROJECT", str(tmp_path))
    monkeypatch.setattr(parallelism, "count_cores", lambda: 2)
    return tmp_path


@pytest.mark.parametrize(
    ("cores", "threads", "jobs", "memory", "expected"),
    [
        (1, 0, 6, 24 * GB, [(1, 1)]),
        (2, 0, 6, 24 * GB, [(1, 2), (2, 1)]),
        (16, 0, 6, 64 * GB, [(1, 16), (2, 8), (4, 4)]),
        (3, 0, 6, 24 * GB, [(1, 3), (2, 1)]),
        (2, 0, 1, 24 * GB, [(1, 2)]),
        (8, 0, 6, 4 * GB, [(1, 8), (2, 4)]),
        (8, 0, 6, GB, [(1, 8)]),
        (8, 4, 6, 24 * GB, [(2, 4)]),
        (2, 4, 6, 24 * GB, [(1, 4)]),
    ],
)
def test_options_fit_cores_trainings_and_memory(
    cores: int, threads: int, jobs: int, memory: int, expected: list[tuple[int, int]]
) -> None:
    assert ways(list_options(cores, threads, jobs, memory)) == expected


@pytest.mark.parametrize(
    ("jobs", "together", "expected"),
    [
        (6, 79.0, 2),  # three rounds of two
        (6, 58.0, 1),
        (3, 79.0, 2),  # the second round has one training alone, and still the two are faster
        (3, 75.0, 1),
    ],
)
def test_what_ends_sooner_is_chosen_and_measured_once(
    project: Path, monkeypatch: pytest.MonkeyPatch, jobs: int, together: float, expected: int
) -> None:
    paces, asked = {1: 59.0, 2: together}, []

    def measure(params: Params, network: str, options: list[Parallelism]) -> list[Parallelism]:
        asked.append(network)
        return [each.model_copy(update={"images_per_second": paces[each.processes]}) for each in options]

    monkeypatch.setattr(parallelism, "_measure", measure)
    first, again = (choose_parallelism(Params(), "grader", jobs) for _ in range(2))
    assert first == again
    assert first.chosen.processes == expected
    assert asked == ["grader"]
    choose_parallelism(Params.model_validate({"training": {"batch_size": 8}}), "grader", jobs)
    assert asked == ["grader", "grader"]


def test_a_record_that_cannot_be_read_is_measured_again(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallelism, "_measure", lambda params, network, options: options)
    choose_parallelism(Params(), "grader", 6)
    (record,) = (project / "state/parallelism").iterdir()
    record.write_text("[{]")
    assert choose_parallelism(Params(), "grader", 6).chosen.processes in (1, 2)
    assert record.read_text().startswith('[{"processes": 1')


def test_given_threads_need_no_measurement(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallelism, "_measure", lambda *_: pytest.fail("there is nothing to choose"))
    choice = choose_parallelism(Params.model_validate({"training": {"threads": 1}}), "grader", 6)
    assert choice.words() == "grader: 2 at a time with 1 thread each"


@pytest.mark.slow
@pytest.mark.parametrize("network", ["grader", "locator"])
def test_both_networks_are_measured_in_a_process_of_their_own(project: Path, network: str) -> None:
    small = {"training": {"image_pixels": 32, "batch_size": 2}, "locator": {"batch_size": 2, "width": 8}}
    choice = choose_parallelism(Params.model_validate(small), network, 6)
    assert ways(choice.measured) == [(1, 2), (2, 1)]
    assert all(each.images_per_second and each.images_per_second > 1 for each in choice.measured)
    assert choice.words().startswith(f"{network}: ")
    assert "(images/s of processes x threads: 1 x 2: " in choice.words()


def test_a_measurement_that_fails_stops_no_run_and_is_said(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallelism, "_WORKER", "lumbargrade.no_such_module")
    choice = choose_parallelism(Params(), "grader", 6)
    assert (choice.chosen.processes, choice.chosen.threads, choice.unmeasured) == (1, 2, True)
    assert "set folds_per_device" in choice.words()
    assert not (project / "state").exists(), "the next run measures again"


@pytest.mark.slow
def test_a_measurement_that_is_given_up_leaves_no_process() -> None:
    option = {"processes": 2, "threads": 1}
    question = {"params": {"training": {"image_pixels": 512}}, "network": "grader", "options": [option]}
    command = [sys.executable, "-m", parallelism._WORKER]
    with psutil.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as worker:
        assert worker.stdin is not None
        worker.stdin.write(json.dumps(question))
        worker.stdin.close()
        while len(children := worker.children()) < 2:
            assert worker.poll() is None
            time.sleep(0.05)
        worker.kill()
    assert psutil.wait_procs(children, timeout=60)[1] == []
