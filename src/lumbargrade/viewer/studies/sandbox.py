"""Runs a function on untrusted files in a process of its own, with limits of memory, time and file size.

The process is forked from one that has the imports already, so that it starts at once; it leads a process group, which
is killed as a whole. What it returns comes as JSON, never as a pickle.
"""

import errno
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
from lumbargrade.process_groups import end_group
from lumbargrade.scratch import ScratchError
from lumbargrade.socket_folder import shorten_socket_paths

_LARGEST_ANSWER = 64 << 20
_START_SECONDS = 300
_SEND_FEWER = "send fewer images, or tell whoever runs the server"
_CONTEXT = multiprocessing.get_context("forkserver")
_PRELOADED = ["__main__", "lumbargrade.viewer.studies.decode", "lumbargrade.viewer.reports.dicom_sr"]

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
    """The process died, was killed, ran out of its limits, or raised what it should not; the sentence says which."""


_NO_SPACE = GuardError("the server's disk is full, or cannot be written", "tell whoever runs it", "disk-full")


def start_guard() -> None:
    """Starts the process that others are forked from, and waits until it has its imports: no upload waits for them."""
    _CONTEXT.set_forkserver_preload(_PRELOADED)
    run_guarded(_nothing, limits=Limits(_START_SECONDS, 4 << 30))


def run_guarded(
    function: Callable[..., Any],
    *arguments: Any,
    limits: Limits,
    on_progress: OnProgress | None = None,
    doing: str = "reading the study's files",
) -> Any:
    """Calls a function of a module in a guarded process and returns its result, which must be JSON.

    Args:
        function: Called with the arguments and, last, a function that takes progress.
        on_progress: Gets what is done, and what there is to do.
        doing: What the function does, for messages.

    Raises:
        InputError: The function raised it.
        GuardError: Anything else went wrong.
    """
    shorten_socket_paths()
    ours, theirs = _CONTEXT.Pipe(duplex=False)
    process = _CONTEXT.Process(target=_guarded, args=(theirs, limits, doing, function, arguments))
    process.start()
    theirs.close()
    late = threading.Event()

    def end() -> None:
        late.set()
        _kill(process)

    deadline = threading.Timer(limits.seconds, end)
    deadline.start()
    try:
        return _result(ours, doing, on_progress or (lambda done, total: None))
    except EOFError:
        process.join(1)
        raise _death(process.exitcode, late.is_set(), doing, limits) from None
    finally:
        deadline.cancel()
        _kill(process)
        process.join()
        ours.close()


def _nothing(tell: OnProgress) -> None:
    """What is run to see that processes start."""


def _death(status: int | None, late: bool, doing: str, limits: Limits) -> GuardError:
    """Why a process ended without an answer."""
    if late or status == -signal.SIGXCPU:
        return GuardError(f"{doing} took longer than {limits.seconds:g} s", _SEND_FEWER, "study-took-too-long")
    if status == -signal.SIGKILL:
        return GuardError(
            f"{doing} was stopped by the server's system, which may be short of memory",
            "try again later",
            "process-killed",
        )
    if status is not None and status < 0:
        return GuardError(
            f"{doing} crashed ({signal.Signals(-status).name}): the files are damaged",
            "export the study again",
            "process-crashed",
        )
    return GuardError(
        f"{doing} ended without an answer", "try again, and tell whoever runs the server", "process-without-answer"
    )


def _fault(error: Exception, doing: str) -> GuardError:
    """What was raised, without its words: they may quote a patient's name."""
    if isinstance(error, MemoryError):
        return GuardError(
            f"{doing} took more memory than the server allows", _SEND_FEWER, "study-takes-too-much-memory"
        )
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return GuardError(f"{doing} stopped as the server's disk is full", "tell whoever runs the server", "disk-full")
    if isinstance(error, OSError) and error.errno == errno.EFBIG:
        return GuardError(f"{doing} wrote a larger file than the server allows", _SEND_FEWER, "study-writes-too-much")
    return GuardError(
        f"{doing} failed by a fault of the server ({type(error).__name__})", "tell whoever runs it", "unexpected-fault"
    )


def _result(pipe: Connection, doing: str, on_progress: OnProgress) -> Any:
    while True:
        try:
            message = json.loads(pipe.recv_bytes(_LARGEST_ANSWER))
        except (OSError, ValueError) as error:
            raise EOFError from error
        if "progress" in message:
            on_progress(*message["progress"])
        elif "input_error" in message:
            raise InputError(**message["input_error"])
        elif "error" in message:
            raise GuardError(**message["error"])
        else:
            return message["result"]


def _kill(process: BaseProcess) -> None:
    if process.pid is not None:
        end_group(process.pid, 0)
        with suppress(ProcessLookupError):  # it may not lead its group yet
            process.kill()


def _guarded(
    pipe: Connection, limits: Limits, doing: str, function: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
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
        message = {"input_error": error.parts}
    except StudyTimeoutError as error:
        message = {"error": error.parts}
    except ScratchError:
        message = {"error": _NO_SPACE.parts}
    except Exception as error:  # a study's file may hold anything
        message = {"error": _fault(error, doing).parts}
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
