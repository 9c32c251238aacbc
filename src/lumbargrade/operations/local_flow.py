"""Runs a flow of the checkout in this process, as a command line does."""

import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prefect.server.api.server import SubprocessASGIServer

from lumbargrade.config.code_digest import PACKAGE
from lumbargrade.config.project import current_project
from lumbargrade.errors import InputError
from lumbargrade.process_groups import guard_process


def load_flow(entrypoint: str) -> Callable[..., Any]:
    """Loads a flow from the folder ``flows`` of this folder, or else of the checkout that the package is installed from.

    Prefect's temporary server, if the flow starts one, ends with this process.

    Args:
        entrypoint: File and function, as in ``prefect.yaml``: ``flows/retrain.py:retrain``.

    Raises:
        InputError: There is no such file, as the package was installed without its checkout.
    """
    file, _, function = entrypoint.partition(":")
    for root in (current_project().root.resolve(), PACKAGE.parents[1]):
        if (root / file).is_file():
            break
    else:
        raise InputError(
            f"there is no {file} here",
            "run the command in a checkout of Lumbargrade, which holds the flows",
            "flow-missing",
        )
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    module = importlib.import_module(".".join(Path(file).with_suffix("").parts))
    end_server_with_this_process()
    loaded: Callable[..., Any] = getattr(module, function)
    return loaded


def end_server_with_this_process() -> None:
    """Sees to it that the server that Prefect may start from now on ends with this process, even if that is killed.

    Prefect ends it by a function at exit, which a killed process does not come to.
    """
    start = SubprocessASGIServer._run_uvicorn_command
    if getattr(start, "is_guarded", False):
        return

    def start_guarded(server: SubprocessASGIServer) -> "subprocess.Popen[Any]":
        process = start(server)
        guard_process(process.pid)
        return process

    start_guarded.is_guarded = True  # type: ignore[attr-defined]
    SubprocessASGIServer._run_uvicorn_command = start_guarded  # type: ignore[method-assign,assignment]
