"""What this process may use of the machine: cores and memory, as the system, the container or the batch queue allows."""

import math
import os
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import NamedTuple

_ROOT = Path("/")
_PROCESS_BYTES = 1 << 30
"""What a process of ours takes that reads studies: Python, its libraries, and a study's images."""
_ESCAPES = (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\"))
"""How mountinfo writes what would part its columns (proc(5)); the backslash last."""


class _Mount(NamedTuple):
    """A hierarchy of control groups, as it is mounted here.

    Attributes:
        root: The group that the mount point shows.
        controllers: Of version 1; empty for version 2.
    """

    point: Path
    root: str
    controllers: frozenset[str]


def count_cores() -> int:
    """Cores that this process may use: its affinity, and the processor quota of its control groups, rounded up."""
    quota = min(_quotas(_ROOT), default=math.inf)
    return max(min(affinity(), math.ceil(quota) if quota < math.inf else affinity()), 1)


def memory_bytes() -> int:
    """Memory that this process may use: the machine's, or less where a control group has a limit."""
    return min([physical_bytes(), *(limit for limit, _ in _memory_groups(_ROOT))])


def free_memory_bytes() -> int:
    """What of the memory nobody uses; files that the system only keeps for later count as free."""
    import psutil  # a served model has none

    groups = [limit - used for limit, used in _memory_groups(_ROOT)]
    return max(min([psutil.virtual_memory().available, *groups]), 0)


def count_processes(asked: int = 0) -> int:
    """Processes that may read studies side by side.

    Args:
        asked: So many; 0 is one for each core, but no more than fit into the memory.
    """
    return asked or max(min(count_cores(), memory_bytes() // _PROCESS_BYTES), 1)


def limit_threads(environment: MutableMapping[str, str]) -> None:
    """Has libraries that compute in threads share the machine: they heed a container's quota, and waiting threads sleep.

    They know the affinity, but not a quota. A thread of OpenMP that waits for the others spins, unless it is told not to:
    where another program needs the core, all threads then wait for the one that was put off, at each step again.

    Args:
        environment: Of a process that has not loaded them yet; what the user set stays.
    """
    cores = count_cores()
    environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    environment.setdefault("KMP_BLOCKTIME", "0")  # of Intel's OpenMP, which conda's torch has
    if cores < affinity():
        environment.setdefault("OMP_NUM_THREADS", str(cores))


def affinity() -> int:
    """Cores that the system lets this process run on; a quota of processor time is no part of it."""
    if hasattr(os, "process_cpu_count"):  # from Python 3.13 on; heeds PYTHON_CPU_COUNT as well
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def physical_bytes() -> int:
    """Memory of the machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _quotas(root: Path) -> Iterator[float]:
    """Cores that each control group of this process allows, in which it is or which hold these.

    Args:
        root: Where the system's folders are.
    """
    for group in _groups(root, "cpu"):
        quota = _numbers(group / "cpu.max", 2)
        quota = quota or (*_numbers(group / "cpu.cfs_quota_us", 1), *_numbers(group / "cpu.cfs_period_us", 1))
        if (
            len(quota) == 2 and min(quota) > 0
        ):  # without a quota version 1 says -1, and version 2 "max", which is no number
            yield quota[0] / quota[1]


def _memory_groups(root: Path) -> Iterator[tuple[int, int]]:
    """Bytes that each control group of this process allows, and those that are used of them."""
    for group in _groups(root, "memory"):
        used = (*_numbers(group / "memory.current", 1), *_numbers(group / "memory.usage_in_bytes", 1), 0)[0]
        statistics = dict(line.split()[:2] for line in _lines(group / "memory.stat") if len(line.split()) == 2)
        idle = int(statistics.get("total_inactive_file") or statistics.get("inactive_file") or 0)
        for name in ("memory.max", "memory.high", "memory.limit_in_bytes"):
            yield from ((limit, used - idle) for limit in _numbers(group / name, 1) if limit > 0)


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """Folders of the control groups that a controller limits this process by, of both versions, the innermost first."""
    paths = dict(_group_paths(root))
    for mount in _mounts(root):
        group = paths.get(controller if mount.controllers else "")
        if group is None or (mount.controllers and controller not in mount.controllers):
            continue
        folder = root / mount.point.relative_to("/")
        inside = _below(group, mount.root)
        yield from (folder / "/".join(inside[:depth]) for depth in range(len(inside), -1, -1))


def _below(group: str, shown: str) -> list[str]:
    """Where a group lies in what a mount shows: a container's own group is all that its mount shows, whatever its name."""
    names, above = group.strip("/").split("/"), [name for name in shown.split("/") if name]
    if names[: len(above)] != above or ".." in names:
        return []
    return [name for name in names[len(above) :] if name]


def _group_paths(root: Path) -> Iterator[tuple[str, str]]:
    """Controller and group, as /proc/self/cgroup has them (cgroups(7)); version 2 has no controller's name."""
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        yield from ((name, path) for name in controllers.split(","))


def _mounts(root: Path) -> Iterator[_Mount]:
    for line in _lines(root / "proc/self/mountinfo"):
        before, _, after = line.partition(" - ")
        fields, (kind, _, options) = before.split(), (*after.split(), "", "", "")[:3]
        if kind not in ("cgroup", "cgroup2") or len(fields) < 5:
            continue
        shown, point = _unescape(fields[3]), Path(_unescape(fields[4]))
        yield _Mount(point, shown, frozenset(options.split(",")) if kind == "cgroup" else frozenset())


def _unescape(text: str) -> str:
    for written, meant in _ESCAPES:
        text = text.replace(written, meant)
    return text


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _numbers(path: Path, count: int) -> tuple[int, ...]:
    """The numbers of a file; empty if it is not there, cannot be read, or says something else."""
    try:
        words = path.read_text(encoding="ascii").split()
        return tuple(int(word) for word in words) if len(words) == count else ()
    except (OSError, ValueError):
        return ()
