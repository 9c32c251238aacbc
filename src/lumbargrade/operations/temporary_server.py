"""Prefect's temporary server, which a flow outside of ``lumbargrade server`` starts for itself."""

import subprocess
from typing import Any

from prefect.server.api.server import SubprocessASGIServer

from lumbargrade.processes import guard_process


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
