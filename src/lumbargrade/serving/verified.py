"""Serves registered versions, once it is certain that they are what was signed."""

from collections.abc import Iterator
from contextlib import contextmanager

from lumbargrade.audit.log import AuditLog
from lumbargrade.errors import InputError
from lumbargrade.registry.contract import registered_name
from lumbargrade.registry.evidence.verify import check_servable
from lumbargrade.registry.models import champion_version
from lumbargrade.registry.versions import open_registry
from lumbargrade.serving.server import served_model
from lumbargrade.task import GradingTask

SERVE_START = "serve start"
"""Kind of an entry in the audit log."""


def champion_to_serve(task: GradingTask) -> str:
    """Returns the version that is champion.

    Raises:
        InputError: There is none.
    """
    version = champion_version(open_registry(task), task)
    if version is None:
        raise InputError(
            f"{registered_name(task)} has no champion; make a version champion with `lumbargrade models approve`"
        )
    return version


@contextmanager
def served_version(
    task: GradingTask, version: str, as_champion: bool = False, port: int | None = None
) -> Iterator[str]:
    """Serves a version on this machine as long as the context lasts; yields the server's address.

    Args:
        as_champion: Whether it serves because it is champion.

    Raises:
        InputError: There is no such version, or it is not what was signed.
        LumbargradeError: The server did not start.
    """
    log = AuditLog()
    check_servable(open_registry(task), task, log, version, as_champion)
    uri = f"models:/{registered_name(task)}/{version}"
    log.append(SERVE_START, uri, {})
    with served_model(uri, port) as address:
        yield address
