"""Serves registered versions, once it is certain that they are what was signed."""

from collections.abc import Iterator
from contextlib import contextmanager

from lumbargrade.audit.log import AuditLog
from lumbargrade.config.task import GradingTask
from lumbargrade.errors import CannotVerifyError, InputError
from lumbargrade.registry.lineage.verify import LOG_PART, Problem, version_problems
from lumbargrade.registry.names import registered_name, version_uri
from lumbargrade.registry.resolve import champion_version
from lumbargrade.registry.versions import get_version, open_registry
from lumbargrade.serving.mlflow_server import ScoringServer, running_model

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
            f"{registered_name(task)} has no champion",
            "make a version champion with `lumbargrade models approve`",
            "no-champion",
        )
    return version


def check_version(task: GradingTask, version: str, as_champion: bool = False) -> None:
    """Checks a version before it grades anything.

    Args:
        as_champion: Whether it grades because it is champion.

    Raises:
        InputError: There is no such version, or it is not what was signed.
        CannotVerifyError: It could not be checked, which says nothing against it.
    """
    tracker = open_registry(task)
    get_version(tracker, task, version)
    try:
        problems = version_problems(tracker, task, AuditLog(), version, as_champion)
    except CannotVerifyError as error:
        raise CannotVerifyError(
            f"version {version} of {registered_name(task)} could not be checked, and grades nothing until it is: {error.what}",
            error.remedy,
            error.code,
        ) from error
    if problems:
        raise _refusal(registered_name(task), version, problems[0], as_champion)


@contextmanager
def served_version(task: GradingTask, version: str, as_champion: bool = False) -> Iterator[ScoringServer]:
    """Serves a version on this machine as long as the context lasts.

    Args:
        as_champion: Whether it serves because it is champion.

    Raises:
        InputError: There is no such version, or it is not what was signed.
        CannotVerifyError: It could not be checked, which says nothing against it.
        LumbargradeError: The server did not start.
    """
    check_version(task, version, as_champion)
    uri = version_uri(registered_name(task), version)
    AuditLog().append(SERVE_START, uri, {})
    with running_model(uri) as server:
        yield server


def _refusal(name: str, version: str, problem: Problem, as_champion: bool) -> InputError:
    if problem.part == LOG_PART:
        remedy = "put the folder audit back from a copy"
    elif as_champion:
        remedy = "`lumbargrade models rollback` serves the champion before"
    else:
        remedy = "`lumbargrade models list` names the other versions"
    return InputError(
        f"version {version} of {name} is not served, as it is not what was signed: {problem.problem}",
        f"`lumbargrade audit verify` names all that was altered, {remedy}",
        "version-altered",
    )
