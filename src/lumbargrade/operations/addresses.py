"""Where the parts of a project's server listen, and what they keep; one server a project."""

import os

from filelock import FileLock, Timeout
from pydantic import ValidationError

from lumbargrade.config.project import check_folder_name, current_project
from lumbargrade.config.settings import Settings
from lumbargrade.files import write_text
from lumbargrade.frozen import Frozen

DEFAULT_PREFECT = "http://127.0.0.1:4200/api"
HEARTBEAT_SECONDS = 30
"""Between two signs of life of a flow run; one that gives none for three times as long is taken for dead."""
_DATABASE = "PREFECT_SERVER_DATABASE_SQLALCHEMY_"
_CONNECTIONS = {f"{_DATABASE}POOL_SIZE": "60", f"{_DATABASE}MAX_OVERFLOW": "60"}
"""So many may wait for the database, instead of for a connection; SQLAlchemy has 5 and 10."""


class Addresses(Frozen):
    """Where the parts listen.

    Attributes:
        prefect: Address of Prefect's API.
        mlflow: Of MLflow's server, or the store of MLFLOW_TRACKING_URI if that is a server elsewhere.
        model: Of the model server.
    """

    prefect: str
    mlflow: str
    model: str


def write_addresses(addresses: Addresses) -> None:
    """Keeps the addresses for the commands that ask the server."""
    write_text(current_project().server_addresses, addresses.model_dump_json(indent=2))


def read_addresses() -> Addresses | None:
    """The addresses of the project's server, running or not; None if there was none."""
    try:
        return Addresses.model_validate_json(current_project().server_addresses.read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        return None


def server_runs() -> bool:
    """Whether ``lumbargrade server`` runs; its parts live on if it is killed, but are not started again."""
    path = current_project().server_lock
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0, is_singleton=False):
            return False
    except Timeout:
        return True


def prefect_api() -> str:
    """Address of Prefect's API: PREFECT_API_URL, or else that of the project's server."""
    addresses = read_addresses()
    return Settings().prefect_api_url or (addresses.prefect if addresses else DEFAULT_PREFECT)


def prefect_environment(api: str) -> dict[str, str]:
    """Variables of Prefect's processes, by which they keep to the project and to the server, and give signs of life.

    How many connections to its database the server may have is left as it is, if the environment says it.
    """
    check_folder_name(current_project().root.resolve())
    return {
        **{name: value for name, value in _CONNECTIONS.items() if name not in os.environ},
        "PREFECT_HOME": str(current_project().prefect_home.resolve()),
        "PREFECT_API_URL": api,
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_SECONDS),
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "INFO",
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        "PREFECT_LOGGING_INTERNAL_LEVEL": "ERROR",
        "NO_COLOR": "1",
    }
