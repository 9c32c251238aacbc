"""Runs all checks side by side, each for itself: one that fails or hangs is a finding, and the others are shown."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from queue import Empty, SimpleQueue

from lumbargrade.errors import LumbargradeError
from lumbargrade.operations.doctor.decoders import check_decoders
from lumbargrade.operations.doctor.disks import check_disks, check_temporary_folder
from lumbargrade.operations.doctor.dvc_data import check_cache, check_remote_reachable, check_sources
from lumbargrade.operations.doctor.file_systems import check_links, check_locks
from lumbargrade.operations.doctor.findings import Examination, Finding
from lumbargrade.operations.doctor.gpus import check_gpus
from lumbargrade.operations.doctor.keys import check_keys
from lumbargrade.operations.doctor.network import check_ports, check_proxies
from lumbargrade.operations.doctor.programs import check_git, check_page, check_project
from lumbargrade.operations.doctor.resources import check_cores, check_memory
from lumbargrade.operations.doctor.stores import check_mlflow, check_prefect

Check = Callable[[], Iterable[Finding]]

CHECKS: Mapping[str, Check] = {
    "project": check_project,
    "disks": check_disks,
    "temporary folder": check_temporary_folder,
    "memory": check_memory,
    "cores": check_cores,
    "locks": check_locks,
    "links": check_links,
    "ports": check_ports,
    "proxies": check_proxies,
    "decoders": check_decoders,
    "GPUs": check_gpus,
    "MLflow's store": check_mlflow,
    "Prefect's database": check_prefect,
    "DVC's cache": check_cache,
    "DVC's remote": check_remote_reachable,
    "sources of datasets": check_sources,
    "keys": check_keys,
    "git": check_git,
    "page": check_page,
}
_SECONDS = 8.0
"""All checks have ended, or are given up, by then; a disk that does not answer would hold one for ever."""


def examine(checks: Mapping[str, Check] = CHECKS, seconds: float = _SECONDS) -> Examination:
    """Examines the machine and the current project.

    Args:
        seconds: Checks that take longer are given up, and named.
    """
    results: SimpleQueue[tuple[str, list[Finding]]] = SimpleQueue()
    for name, check in checks.items():
        threading.Thread(target=_run, args=(name, check, results), daemon=True).start()
    found: dict[str, list[Finding]] = {}
    give_up = time.monotonic() + seconds
    while len(found) < len(checks):
        try:
            name, findings = results.get(timeout=max(give_up - time.monotonic(), 0))
        except Empty:
            break
        found[name] = findings
    every = (finding for name in checks for finding in found.get(name, [_too_slow(name, seconds)]))
    return Examination(findings=tuple(dict.fromkeys(every)))  # several checks may meet the same fault


def _run(name: str, check: Check, results: "SimpleQueue[tuple[str, list[Finding]]]") -> None:
    found: list[Finding] = []
    try:
        found.extend(check())  # one after the other: what was found before a fault stays
    except LumbargradeError as error:
        found.append(Finding.of(error))
    except Exception as error:  # whatever is broken here must not hide the rest
        words = str(error).strip().splitlines() or [""]
        what = f"{name} could not be checked ({type(error).__name__}{': ' if words[0] else ''}{words[0][:200]})"
        found.append(Finding.problem("not-checked", what, "mend this, and run `lumbargrade doctor` again"))
    results.put((name, found))


def _too_slow(name: str, seconds: float) -> Finding:
    return Finding.problem(
        "check-hangs",
        f"{name} could not be checked within {seconds:g} s",
        "see whether a disk or a server that it needs does not answer",
    )
