"""Runs a function on untrusted files in a process of its own, with limits of memory, time and file size.

The process is forked from one that has the imports already, so that it starts at once; it leads a process group, which
is killed as a whole. What it returns comes as JSON, never as a pickle.
"""

import json
import multiprocessing
import os
import resource
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from lumbargrade.dicom.limits import StudyTimeoutError
from lumbargrade.errors import InputError, LumbargradeError
from lumbargrade.scratch import ScratchError, is_full

_LARGEST_ANSWER = 64 << 20
_START_SECONDS = 300
_CONTEXT = multiprocessing.get_context("forkserver")
_NO_SPACE = "the server's disk is full, or cannot be written; tell whoever runs it"
_PRELOADED = ["__main__", "lumbargrade.web.decode", "lumbargrade.web.report_sr"]

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class Limits:
    """What a guarded process may use at most.

    Attributes:
        seconds: From its start; processor time is limited to the same.
        memory_bytes: Of address space.
        file_bytes: Of each file that it writes.
    """

    seconds: float
    memory_bytes: int
    file_bytes: int = 8 << 30


class GuardError(LumbargradeError):
    """The process died, was killed, or ran out of its limits: the files are damaged, or hostile, or the disk is full."""


def start_guard() -> None:
    """Starts the process that others are forked from, and waits until it has its imports: no upload waits for them."""
    _CONTEXT.set_forkserver_preload(_PRELOADED)
    run_guarded(_nothing, limits=Limits(_START_SECONDS, 4 << 30))


def run_guarded(
    function: Callable[..., Any], *arguments: Any, limits: Limits, on_progress: OnProgress | None = None
) -> Any:
    """Calls a function of a module in a guarded process and returns its result, which must be JSON.

    Args:
        function: Called with the arguments and, last, a function to tell progress to.
        on_progress: Told what is done, and what there is to do.

    Raises:
        InputError: The function raised it.
        GuardError: Anything else went wrong.
    """
    ours, theirs = _CONTEXT.Pipe(duplex=False)
    process = _CONTEXT.Process(target=_guarded, args=(theirs, limits, function, arguments))
    process.start()
    theirs.close()
    deadline = threading.Timer(limits.seconds, _kill, (process,))
    deadline.start()
    try:
        return _result(ours, on_progress or (lambda done, total: None))
    except EOFError:
        process.join(1)
        raise GuardError(
            "the study's files could not be decoded: they are damaged, or too large; export the study again"
        ) from None
    finally:
        deadline.cancel()
        _kill(process)
        process.join()
        ours.close()


def _nothing(tell: OnProgress) -> None:
    """What is run to see that processes start."""


def _result(pipe: Connection, on_progress: OnProgress) -> Any:
    while True:
        try:
            message = json.loads(pipe.recv_bytes(_LARGEST_ANSWER))
        except (OSError, ValueError) as error:
            raise EOFError from error
        if "progress" in message:
            on_progress(*message["progress"])
        elif "input_error" in message:
            raise InputError(message["input_error"])
        elif "error" in message:
            raise GuardError(message["error"])
        else:
            return message["result"]


def _kill(process: BaseProcess) -> None:
    if process.pid is not None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        with suppress(ProcessLookupError):
            process.kill()


def _guarded(pipe: Connection, limits: Limits, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    os.setsid()
    threading.Thread(target=_end_with_asker, daemon=True).start()
    _silence()
    seconds = int(limits.seconds) + 1
    for kind, most in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))

    def tell(done: int, total: int) -> None:
        pipe.send_bytes(json.dumps({"progress": [done, total]}).encode())

    try:
        message = {"result": function(*arguments, tell)}
    except InputError as error:
        message = {"input_error": str(error)}
    except StudyTimeoutError as error:
        message = {"error": str(error)}
    except ScratchError:
        message = {"error": _NO_SPACE}
    except OSError as error:
        if not is_full(error):
            raise
        message = {"error": _NO_SPACE}
    pipe.send_bytes(json.dumps(message).encode())
    os._exit(0)


def _end_with_asker() -> None:
    """Nobody waits for the result, or removes what is written, once the process that asked is gone."""
    asker = multiprocessing.parent_process()
    if asker is not None:
        asker.join()
        os.killpg(0, signal.SIGKILL)


def _silence() -> None:
    """What libraries print of a file may quote a patient's name."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
