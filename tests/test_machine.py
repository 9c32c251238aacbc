"""Cores and memory as a container's control groups allow them, read from folders that look like the system's."""

import os
from pathlib import Path

import psutil
import pytest

from lumbargrade import machine
from lumbargrade.machine import count_cores, count_processes, free_memory_bytes, limit_threads, memory_bytes

GIB = 1 << 30
V2 = "30 23 0:26 {shown} /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw,nsdelegate"
V1 = (
    "33 31 0:30 {shown} /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "35 31 0:32 {shown} /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory"
)
IN_V1 = "9:name=systemd:/\n4:memory:{group}\n3:cpu,cpuacct:{group}\n0::/"
HYBRID = f"{V1}\n41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw"


@pytest.fixture(autouse=True)
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight cores and 64 GiB; the system's folders are in the test's."""
    monkeypatch.setattr(machine, "affinity", lambda: 8)
    monkeypatch.setattr(machine, "physical_bytes", lambda: 64 * GIB)
    monkeypatch.setattr(machine, "_ROOT", tmp_path)


@pytest.fixture
def tell(tmp_path: Path):
    def tell(mounts: str, groups: str, **files: str) -> None:
        for name, text in {"proc/self/mountinfo": mounts, "proc/self/cgroup": groups, **files}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n")

    return tell


def v2(folder: str, cpu: str = "max 100000", memory: str = "max") -> dict[str, str]:
    place = f"sys/fs/cgroup/{folder}".rstrip("/")
    return {f"{place}/cpu.max": cpu, f"{place}/memory.max": memory}


def v1(folder: str, quota: int = -1, memory: int = 9223372036854771712) -> dict[str, str]:
    cpu, ram = (f"sys/fs/cgroup/{name}/{folder}".rstrip("/") for name in ("cpu,cpuacct", "memory"))
    return {
        f"{cpu}/cpu.cfs_quota_us": str(quota),
        f"{cpu}/cpu.cfs_period_us": "100000",
        f"{ram}/memory.limit_in_bytes": str(memory),
    }


def test_without_control_groups_it_is_the_machine() -> None:
    assert (count_cores(), memory_bytes(), count_processes()) == (8, 64 * GIB, 8)


@pytest.mark.parametrize(
    ("mounts", "groups", "files"),
    [
        (V2.format(shown="/"), "0::/", v2("", "200000 100000", str(3 * GIB))),  # a container with its own namespace
        (V2.format(shown="/"), "0::/a/b", v2("a/b", "200000 100000", str(3 * GIB)) | v2("a")),
        (
            V2.format(shown="/"),
            "0::/a/b",
            v2("a/b") | v2("a", "200000 100000", str(3 * GIB)),
        ),  # what holds it counts too
        (V2.format(shown="/"), "0::/a/b", v2("a/b", "400000 100000", str(3 * GIB)) | v2("a", "200000 100000", "max")),
        (V2.format(shown="/docker/1f"), "0::/docker/1f/in", v2("in") | v2("", "150000 100000", str(3 * GIB))),
        (V2.format(shown="/docker/1f"), "0::/elsewhere", v2("", "200000 100000", str(3 * GIB))),
        (V2.format(shown="/"), "0::/../../x", v2("", "200000 100000", str(3 * GIB))),
        (V2.format(shown="/"), "0::/gone", v2("", "200000 100000", str(3 * GIB))),
        (V1.format(shown="/"), IN_V1.format(group="/"), v1("", 200000, 3 * GIB)),
        (V1.format(shown="/"), IN_V1.format(group="/a/b"), v1("a/b") | v1("a", 200000, 3 * GIB)),
        (V1.format(shown="/docker/1f"), IN_V1.format(group="/docker/1f"), v1("", 200000, 3 * GIB)),
        (HYBRID.format(shown="/"), IN_V1.format(group="/slurm/job"), v1("slurm/job", 200000, 3 * GIB)),
        (
            V2.format(shown="/").replace("/sys/fs/cgroup", "/sys/fs/c\\040g"),
            "0::/",
            {"sys/fs/c g/cpu.max": "200000 100000", "sys/fs/c g/memory.high": str(3 * GIB)},
        ),
    ],
)
def test_the_tightest_limit_counts(tell, mounts: str, groups: str, files: dict[str, str]) -> None:
    tell(mounts, groups, **files)
    assert (count_cores(), memory_bytes()) == (2, 3 * GIB)


@pytest.mark.parametrize(
    ("mounts", "groups", "files"),
    [
        (V2.format(shown="/"), "0::/a", v2("a")),
        (V1.format(shown="/"), IN_V1.format(group="/a"), v1("a")),
        (V2.format(shown="/"), "0::/a", v2("a", "nonsense", "")),
        (V2.format(shown="/"), "nonsense", {}),
        ("nonsense", "0::/a", v2("a", "200000 100000", "1")),
        (V1.format(shown="/"), "", v1("", 200000, 3 * GIB)),
        (V2.format(shown="/"), "0::/a", v2("a/b", "100000 100000", str(GIB))),  # another group, which is not this one's
    ],
)
def test_what_limits_nothing_changes_nothing(tell, mounts: str, groups: str, files: dict[str, str]) -> None:
    tell(mounts, groups, **files)
    assert (count_cores(), memory_bytes()) == (8, 64 * GIB)


@pytest.mark.parametrize(("quota", "cores"), [("50000", 1), ("100000", 1), ("150000", 2), ("900000", 8)])
def test_a_part_of_a_core_is_one(tell, quota: str, cores: int) -> None:
    tell(V2.format(shown="/"), "0::/", **v2("", f"{quota} 100000"))
    assert count_cores() == cores


def test_no_more_processes_than_fit_into_the_memory(tell) -> None:
    tell(V2.format(shown="/"), "0::/", **v2("", memory=str(3 * GIB)))
    assert [count_processes(), count_processes(5)] == [3, 5]
    tell(V2.format(shown="/"), "0::/", **v2("", memory=str(GIB // 2)))
    assert count_processes() == 1


def test_threads_heed_a_quota_and_the_user(tell) -> None:
    waiting = {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0"}
    given: dict[str, str] = {}
    limit_threads(given)
    assert given == waiting
    tell(V2.format(shown="/"), "0::/", **v2("", "200000 100000"))
    limit_threads(given)
    assert given == {"OMP_NUM_THREADS": "2", **waiting}
    limit_threads(theirs := {"OMP_NUM_THREADS": "5", "OMP_WAIT_POLICY": "ACTIVE"})
    assert theirs == {"OMP_NUM_THREADS": "5", "OMP_WAIT_POLICY": "ACTIVE", "KMP_BLOCKTIME": "0"}


def test_what_is_used_of_a_limit_is_not_free_but_for_kept_files(tell) -> None:
    more = {"sys/fs/cgroup/memory.current": str(2 * GIB), "sys/fs/cgroup/memory.stat": f"anon 1\ninactive_file {GIB}"}
    tell(V2.format(shown="/"), "0::/", **v2("", memory=str(3 * GIB)), **more)
    assert free_memory_bytes() == min(2 * GIB, psutil.virtual_memory().available)
    used = {
        "sys/fs/cgroup/memory/memory.usage_in_bytes": str(3 * GIB - 5),
        "sys/fs/cgroup/memory/memory.stat": "total_inactive_file 2",
    }
    tell(V1.format(shown="/"), IN_V1.format(group="/"), **v1("", memory=3 * GIB), **used)
    assert free_memory_bytes() == 7


def test_cores_where_the_system_knows_no_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    """macOS has none; from Python 3.13 on the interpreter may be told a number."""
    monkeypatch.undo()
    monkeypatch.delattr(os, "process_cpu_count", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert machine.affinity() == 2
    monkeypatch.delattr(os, "sched_getaffinity")
    assert machine.affinity() == 6
    monkeypatch.setattr(os, "process_cpu_count", lambda: 4, raising=False)
    assert machine.affinity() == 4


def test_one_place_counts_cores_and_memory() -> None:
    package = Path(machine.__file__).parent
    words = ("cpu_count(", "sched_getaffinity", "virtual_memory()")
    others = [path for path in package.rglob("*.py") if path.name != "machine.py"]
    assert not [path for path in others if any(word in path.read_text() for word in words)]
