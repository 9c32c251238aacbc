"""Folds on the machines of a Ray cluster, instead of this machine's devices: RAY_ADDRESS names it, nothing else changes.

Ray decides which machine trains a fold, and trains it on another one if that machine dies; the fold goes on from its last
epoch. All machines see the project's folder under one path: what a fold is told and what it leaves are files there, also
its epochs, which the flow reads as on one machine. So a machine needs no way to Prefect, MLflow or Optuna. This is why folds
are plain Ray tasks and not Prefect's: those would have to reach Prefect's server, and to be sent what cannot be pickled.
"""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lumbargrade.config.code_digest import TRAINING, code_digest
from lumbargrade.config.settings import Settings
from lumbargrade.errors import InputError, LumbargradeError, StoppedError
from lumbargrade.training.jobs.devices import find_devices
from lumbargrade.training.jobs.memory import killed_error
from lumbargrade.training.jobs.process import OnEpoch, begin_fold, error_of, report_epochs, run_fold
from lumbargrade.training.jobs.spec import HOST, AnySpec, FoldResult, read_result, read_spec

ADDRESS = "RAY_ADDRESS"
"""Ray's own environment variable; if it is set, folds are trained on that cluster."""

_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Cluster:
    """A Ray cluster, and what a fold takes of it.

    Attributes:
        places: Folds that it trains at once.
        cpus: Of a fold, which are also its threads.
        gpus: Of a fold; below 1 if several share one.
        per_device: Folds that may share a device.
    """

    places: int
    cpus: int
    gpus: float
    per_device: int


@dataclass(frozen=True)
class _Outcome:
    """How a fold ended on a machine of the cluster.

    Attributes:
        host: The machine.
        exit_code: Of :mod:`lumbargrade.errors`; 0 if it is trained.
        error: The parts of the error, if it is not.
    """

    host: str
    exit_code: int = 0
    error: dict[str, str] = field(default_factory=dict)


def share_out(nodes: list[dict[str, float]], threads: int = 0, per_device: int = 1) -> Cluster:
    """What a fold takes of machines with so many ``CPU`` and ``GPU``: a GPU if any has one, or else all cores of one.

    Args:
        threads: Cores of a fold; 0 divides a machine's cores among its folds.
        per_device: Folds that share a GPU, or a machine without.

    Raises:
        InputError: The machines have no cores.
    """
    with_gpu = [node for node in nodes if node.get("GPU", 0) >= 1]
    if with_gpu:
        cpus = threads or min(max(int(node["CPU"] // (node["GPU"] * per_device)), 1) for node in with_gpu)
        places = sum(min(int(node["GPU"]) * per_device, int(node["CPU"] // cpus)) for node in with_gpu)
        cluster = Cluster(places, cpus, 1 / per_device, per_device)
    else:
        cores = [int(node.get("CPU", 0)) for node in nodes if node.get("CPU", 0) >= 1]
        cpus = threads or max(min(cores, default=1) // per_device, 1)
        cluster = Cluster(sum(each // cpus for each in cores), cpus, 0, max(max(cores, default=1) // cpus, 1))
    if cluster.places < 1:
        raise InputError(
            f"no machine of the Ray cluster has {cluster.cpus} cores for a fold",
            "lower training.threads or add machines",
            "cluster-too-small",
        )
    return cluster


@contextmanager
def join_cluster(threads: int, per_device: int) -> Iterator[Cluster]:
    """Connects to the cluster that RAY_ADDRESS names.

    Raises:
        InputError: Ray is not installed, the cluster does not answer, or it has no cores.
    """
    address = str(Settings().ray_address)
    if find_spec("ray") is None:
        raise InputError(
            f"{ADDRESS} is {address}, but Ray is not installed",
            "pip install 'lumbargrade[cluster]', or unset it",
            "ray-not-installed",
        )
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    _check_reachable(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR", ignore_reinit_error=True)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise InputError(
            f"the Ray cluster {address} cannot be used ({str(error).splitlines()[0][:200]})",
            f"start it, correct {ADDRESS} or unset it to train on this machine",
            "cluster-unusable",
        ) from error
    try:
        yield share_out([node["Resources"] for node in ray.nodes() if node["Alive"]], threads, per_device)
    finally:
        ray.shutdown()


def run_on_cluster(cluster: Cluster, spec: AnySpec, on_epoch: OnEpoch | None, stop: threading.Event) -> FoldResult:
    """Trains a fold on some machine of the cluster, as :func:`run_fold` does here.

    Raises:
        InputError: The process found the user's input wrong, or a machine has other code.
        TrialError: Its parameters do not work there: the loss, the memory or the time.
        StoppedError: It was stopped.
        LumbargradeError: It failed, or too many machines died.
    """
    import ray
    from ray.exceptions import OutOfMemoryError as RayOutOfMemory
    from ray.exceptions import RayError

    finished = begin_fold(spec)
    if finished is not None:
        report_epochs(spec, 0, on_epoch)
        return finished
    remote = ray.remote(_train_here).options(
        num_cpus=cluster.cpus, num_gpus=cluster.gpus, max_retries=10, name=f"fold {spec.folder}"
    )
    task = remote.remote(str(spec.folder), cluster.cpus, cluster.per_device, _code())
    reported, ended = 0, False
    try:
        while not (ended := bool(ray.wait([task], timeout=_POLL_SECONDS)[0])):
            reported = report_epochs(spec, reported, on_epoch)
            if stop.is_set():
                raise StoppedError(f"{spec.name} was stopped", "run again: it goes on", "stopped")
        outcome = ray.get(task)
    except RayOutOfMemory as error:
        raise killed_error(spec) from error
    except RayError as error:
        raise LumbargradeError(
            f"{spec.name}: its Ray task failed ({str(error).splitlines()[0][:200]})",
            "see Ray's logs, then run again: it goes on",
            "cluster-task-failed",
        ) from error
    finally:
        if not ended:  # Ray may abort the whole process for a task that is cancelled while it ends
            ray.cancel(task, force=True)
    report_epochs(spec, reported, on_epoch)
    if outcome.exit_code:
        raise error_of(outcome.exit_code, outcome.error)
    result = read_result(spec.folder)
    if result is None:
        raise LumbargradeError(
            f"{outcome.host} has trained {spec.name}, but its result is not in {spec.folder}",
            "the project's folder must be the same on all machines of the cluster",
            "cluster-result-missing",
        )
    return result


def _train_here(folder: str, threads: int, per_device: int, code: str) -> _Outcome:
    """Runs on the cluster's machine."""
    host = _machine()
    try:
        if _code() != code:
            raise InputError(
                "this machine has another version of Lumbargrade",
                "install the one that runs the search",
                "cluster-version-differs",
            )
        if not Path(folder).is_dir():
            raise InputError(
                f"there is no folder {folder}",
                "the project's folder must be the same on all machines",
                "cluster-folder-missing",
            )
        run_fold(read_spec(Path(folder)), find_devices(threads, per_device), variables={HOST: host})
    except LumbargradeError as error:
        return _Outcome(host, error.exit_code, {**error.parts, "what": f"{host}: {error.what}"})
    return _Outcome(host)


def _machine() -> str:
    """The name that this machine was given in the cluster, or else its own."""
    import ray

    mine: dict[str, Any] = next(
        node for node in ray.nodes() if node["NodeID"] == ray.get_runtime_context().get_node_id()
    )
    named = mine.get("NodeName") or ""
    return socket.gethostname() if named in ("", mine["NodeManagerAddress"]) else named


def _code() -> str:
    return code_digest(TRAINING)


def _check_reachable(address: str) -> None:
    """Ray itself would try a dead address for minutes, with lines that nobody can read."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError as error:
        raise InputError(
            f"the Ray cluster {address} does not answer ({error.strerror or error})",
            f"start it, correct {ADDRESS} or unset it to train on this machine",
            "cluster-not-reached",
        ) from error
