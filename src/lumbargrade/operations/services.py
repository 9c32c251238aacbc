"""The server of a project on one machine: Prefect's server and worker, MLflow's server, the model server, the reading room."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from filelock import FileLock, Timeout

from lumbargrade.config.project import current_project
from lumbargrade.config.settings import Settings
from lumbargrade.errors import InputError
from lumbargrade.operations.addresses import Addresses, prefect_environment, write_addresses
from lumbargrade.operations.deployments import POOL
from lumbargrade.operations.supervisor import Children, Part, end_leftovers
from lumbargrade.serving.mlflow_server import COMMAND
from lumbargrade.serving.ports import port_fault
from lumbargrade.tracking.mlflow_tracker import make_database, tracking_uri
from lumbargrade.tracking.relocate import ARTIFACTS

_LOOK_SECONDS = 0.5
_OURS = (sys.executable, *COMMAND)


@dataclass(frozen=True)
class ServerSettings:
    """Where the parts listen, all on this machine only.

    Attributes:
        reading_room_port: 0 leaves the reading room out.
    """

    task: str = "rsna2024"
    prefect_port: int = 4200
    mlflow_port: int = 5000
    model_port: int = 5001
    reading_room_port: int = 0


def run_server(settings: ServerSettings, tell: Callable[[str], None]) -> None:
    """Keeps all parts running until the process is interrupted or terminated; they end with it.

    Raises:
        InputError: The project's server runs already, or something else listens at one of the ports.
    """
    project = current_project()
    project.operations.mkdir(parents=True, exist_ok=True)
    lock = FileLock(project.server_lock, is_singleton=False)
    try:
        lock.acquire(timeout=1)  # `lumbargrade status` holds it for a moment
    except Timeout as error:
        raise InputError(
            "the server of this project runs already", "see `lumbargrade status`", "server-running"
        ) from error
    with lock:
        for name in end_leftovers(project.operations):
            tell(f"{name}: of a server that was killed, ended")
        for name in ("prefect_port", "mlflow_port", "model_port", "reading_room_port"):
            port: int = getattr(settings, name)
            if port and not (name == "mlflow_port" and Settings().mlflow_tracking_uri) and port_fault(port) is not None:
                option = f"--{name.replace('_', '-')}"
                raise InputError(
                    f"something listens at port {port} already", f"end it, or give another {option}", "port-taken"
                )
        addresses, parts = plan_parts(settings)
        write_addresses(addresses)
        children = Children(parts, project.operations, tell)
        try:
            _watch_over(children, addresses, tell)
        finally:
            tell("stopping")
            children.stop()


def _watch_over(children: Children, addresses: Addresses, tell: Callable[[str], None]) -> None:
    announced, logs = False, current_project().server_logs
    while True:
        children.look()
        if children.ready and not announced:
            announced = True
            page = addresses.prefect.removesuffix("/api")
            tell(f"all parts are ready; Prefect's page is {page}, MLflow's {addresses.mlflow}, the logs are in {logs}")
            tell(f"in other terminals: export PREFECT_API_URL={addresses.prefect}; lumbargrade status")
            tell("Ctrl-C ends it, and with it a retraining that is under way; the next one goes on from there")
        time.sleep(_LOOK_SECONDS)


def plan_parts(settings: ServerSettings) -> tuple[Addresses, list[Part]]:
    """Which processes there are, and in what order they start.

    Flows and model server use the project's own store, as commands do, so that they need no MLflow server; that is there to
    be looked at, and for other applications. With MLFLOW_TRACKING_URI all use that one, and none is started.
    """
    api = f"http://127.0.0.1:{settings.prefect_port}/api"
    environment = prefect_environment(api)
    elsewhere = Settings().mlflow_tracking_uri
    addresses = Addresses(
        prefect=api,
        mlflow=elsewhere or f"http://127.0.0.1:{settings.mlflow_port}",
        model=f"http://127.0.0.1:{settings.model_port}",
    )
    python = (sys.executable, "-m")
    listen = ("--host", "127.0.0.1", "--port")
    parts = [
        Part(
            "prefect",
            (*python, "lumbargrade.operations.prefect_server", "server", "start", *listen, str(settings.prefect_port)),
            ready=f"{api}/health",
            environment=environment,
        ),
        Part("deployments", (*_OURS, "deploy", "--if-missing"), after=("prefect",), environment=environment, once=True),
        Part(
            "model",
            (*_OURS, "models", "serve", "--port", str(settings.model_port), "--task", settings.task),
            ready=f"{addresses.model}/ping",
            after=() if elsewhere else ("mlflow",),
        ),
        Part(
            "worker",
            (*python, "prefect", "worker", "start", "--pool", POOL, "--type", "process"),
            after=("deployments",) if elsewhere else ("deployments", "mlflow"),
            environment=environment,
            adopts=True,
        ),
    ]
    if not elsewhere:
        make_database(tracking_uri())
        artifacts = str(current_project().mlflow_store / ARTIFACTS)
        store = ("--backend-store-uri", tracking_uri(), "--default-artifact-root", artifacts)
        command = (*python, "mlflow", "server", *listen, str(settings.mlflow_port), "--workers", "1", *store)
        parts.insert(1, Part("mlflow", command, ready=f"{addresses.mlflow}/health"))
    if settings.reading_room_port:
        port = str(settings.reading_room_port)
        room = (*_OURS, "serve", "--port", port, "--task", settings.task, "--with-model-url", addresses.model)
        parts.append(Part("reading-room", room, ready=f"http://127.0.0.1:{port}/healthz", after=("model",)))
    return addresses, parts
