import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lumbargrade.cli.app import app
from lumbargrade.errors import LumbargradeError
from lumbargrade.training.jobs.devices import Device, find_devices, lease, read_leases

FOUR = tuple(Device(f"cuda:{number}", str(number), 1) for number in range(4))


def test_a_device_that_is_shared_counts_several_times() -> None:
    shared = find_devices(per_device=2, cuda_devices=2)
    assert [device.name for device in shared] == ["cuda:0", "cuda:1", "cuda:0/2", "cuda:1/2"]
    assert [device.visible for device in shared] == ["0", "1", "0", "1"]
    cpu = find_devices(per_device=3, cuda_devices=0)
    assert [device.name for device in cpu] == ["cpu", "cpu/2", "cpu/3"]
    assert {device.threads for device in cpu} == {max(len(os.sched_getaffinity(0)) // 3, 1)}


def test_without_gpus_the_cpu_is_one_device_with_all_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    cores = len(os.sched_getaffinity(0))
    assert find_devices(cuda_devices=0) == (Device("cpu", "", cores),)
    assert find_devices(threads=3, cuda_devices=0) == (Device("cpu", "", 3),)


def test_gpus_share_the_cores_and_visible_ones_alone_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(16)))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert [device.visible for device in find_devices(cuda_devices=4)] == ["0", "1", "2", "3"]
    assert {device.threads for device in find_devices(cuda_devices=4)} == {4}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    assert find_devices(cuda_devices=2) == (Device("cuda:2", "2", 8), Device("cuda:5", "5", 8))


def test_a_device_has_one_holder_at_a_time(tmp_path: Path) -> None:
    held: list[str] = []
    most = {device.name: 0 for device in FOUR}
    guard = threading.Lock()

    def work() -> None:
        with lease(FOUR, tmp_path) as device:
            with guard:
                held.append(device.name)
                most[device.name] = max(most[device.name], held.count(device.name))
            time.sleep(0.05)
            with guard:
                held.remove(device.name)

    threads = [threading.Thread(target=work) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(most.values()) == {1}


def test_a_killed_holder_frees_its_device(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path\n"
        "from lumbargrade.training.jobs.devices import Device, lease\n"
        "with lease((Device('cuda:0', '0', 1),), Path(sys.argv[1])):\n"
        "    print('held', flush=True); time.sleep(600)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(LumbargradeError) as caught, lease(FOUR[:1], tmp_path, wait_seconds=0.5):
        pass
    assert [(held.device, held.pid) for held in read_leases(tmp_path)] == [("cuda:0", holder.pid)]
    assert str(caught.value) == "no device became free in 0.5 s (cuda:0); another training run holds them"
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    assert (tmp_path / "cuda-0.json").is_file()  # it had no time to clean up
    assert read_leases(tmp_path) == []
    with lease(FOUR[:1], tmp_path, wait_seconds=5) as device:
        assert device.name == "cuda:0"


def test_waiting_can_be_stopped(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    with (
        lease(FOUR[:1], tmp_path),
        pytest.raises(LumbargradeError, match=r"stopped while waiting for a device \(cuda:0\)"),
    ):
        lease(FOUR[:1], tmp_path, stop=stop).__enter__()


def test_the_command_shows_who_holds_what(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with lease(FOUR[1:2], work="runs/search/trial/fold-0"), lease(FOUR[3:], work="runs/other/fold-1"):
        shown = json.loads(CliRunner().invoke(app, ["devices", "--json"]).stdout)
        plain = CliRunner().invoke(app, ["devices"]).stdout
    assert [(row["device"], row["pid"], row["work"]) for row in shown] == [
        ("cuda:0", None, ""),
        ("cuda:1", os.getpid(), "runs/search/trial/fold-0"),
        ("cuda:3", os.getpid(), "runs/other/fold-1"),
    ]
    assert "free" in plain
    assert "runs/search/trial/fold-0" in plain
    assert read_leases() == []
