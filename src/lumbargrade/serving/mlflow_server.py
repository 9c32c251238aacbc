"""Starts and asks MLflow's scoring server, a process of its own."""

import base64
import io
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from lumbargrade.config.project import current_project
from lumbargrade.config.settings import Settings
from lumbargrade.errors import InputError, LumbargradeError
from lumbargrade.inference.schema import EXPLAIN, KEPT_REQUEST, STUDY_COLUMN
from lumbargrade.process_groups import ProcessGroup, ended_words, guarded_group
from lumbargrade.serving.ports import free_port, port_fault
from lumbargrade.serving.records.prediction_log import SERVING_LOG
from lumbargrade.tracking.mlflow_tracker import tracking_uri

COMMAND = ("-c", "from lumbargrade.cli import main; main()")
"""What makes Python this package's command; the options come behind it."""

_START_SECONDS = 180
_ANSWER_SECONDS = 300
_STOP_SECONDS = 30
_PING_SECONDS = 2
_TAIL_BYTES = 4000
_ERROR = re.compile(r"[\w.]+(Error|Exception): ")
_CODE_OF_WORKER = re.compile(r"returned non zero return code\. Return code = (-?\d+)")
_PART_BYTES = 3 << 18
"""Divisible by three, so that the base64 of the parts is the base64 of the whole."""


@dataclass(frozen=True)
class ScoringServer:
    """A scoring server that was started here.

    Attributes:
        address: Where it answers.
        process: All processes that belong to it, and the one that leads them.
        log: What they have written, at an open file.
    """

    address: str
    process: ProcessGroup
    log: int

    @property
    def is_running(self) -> bool:
        """Whether its process has not ended."""
        return self.process.poll() is None

    @property
    def is_listening(self) -> bool:
        """Whether one of its processes listens at its address."""
        return self.process.is_listening(urlsplit(self.address).port or 0)

    def ended(self) -> str:
        """How its process ended; empty while it runs. Nothing of the log is repeated but the scoring process's exit code."""
        code = self.process.poll()
        if code is None:
            return ""
        tail = read_from(self.log, max(os.fstat(self.log).st_size - _TAIL_BYTES, 0))
        inner = _CODE_OF_WORKER.search(tail.decode(errors="replace"))
        return ended_words(int(inner.group(1)) if inner else code)


@contextmanager
def running_model(uri: str, port: int | None = None) -> Iterator[ScoringServer]:
    """Serves a registered model on this machine as long as the context lasts.

    Raises:
        InputError: The port is taken.
        LumbargradeError: The server did not start; the sentence ends with its last words.
    """
    port = port or free_port()
    options = [
        "-m",
        uri,
        "--env-manager",
        "local",
        "-h",
        "127.0.0.1",
        "-p",
        str(port),
        "--timeout",
        str(_ANSWER_SECONDS),
    ]
    with running_server(["-m", "mlflow", "models", "serve", *options], port, uri) as server:
        yield server


@contextmanager
def running_champion(task: str, version: str | None, port: int) -> Iterator[ScoringServer]:
    """Runs ``lumbargrade models serve`` as long as the context lasts, in a process of its own.

    Args:
        task: As the command takes it.
        version: `None` for the champion, as it moves.

    Raises:
        InputError: The port is taken.
        LumbargradeError: It did not start; the sentence ends with its last words.
    """
    start = [*COMMAND, "models", "serve", *([version] if version else [])]
    what = f"version {version}" if version else "the champion"
    with running_server([*start, "--port", str(port), "--task", task], port, what) as server:
        yield server


@contextmanager
def running_server(command: list[str], port: int, what: str) -> Iterator[ScoringServer]:
    """Runs a server as long as the context lasts, or until this process is killed.

    Args:
        command: What Python is started with.
        what: Names what is served.

    Raises:
        InputError: The port is taken.
        LumbargradeError: It did not start; the sentence ends with its last words.
    """
    _refuse_taken(port)
    address = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryFile() as log:
        process = ProcessGroup([sys.executable, *command], log, _environment())
        try:
            with guarded_group(process.pid):
                if not _answers(address, port, process):
                    words = _last_words(read_from(log.fileno(), 0).decode(errors="replace"))
                    raise LumbargradeError(
                        f"the model server for {what} did not start: {words}", "", "model-server-not-started"
                    )
                yield ScoringServer(address, process, log.fileno())
        finally:
            process.end(_STOP_SECONDS)


def read_from(file: int, start: int) -> bytes:
    """What stands in an open file from a byte on; whoever writes into it is not disturbed."""
    return os.pread(file, os.fstat(file).st_size - start, start)


def answers(address: str) -> bool:
    """Whether an address answers well."""
    try:
        return requests.get(address, timeout=_PING_SECONDS).ok
    except requests.RequestException:
        return False


def is_ready(address: str) -> bool:
    """Whether a scoring server answers."""
    return answers(f"{address}/ping")


def ask(address: str, study: Path | bytes, explain: str = "") -> list[dict[str, Any]]:
    """Sends a study's zip to a scoring server and returns a record for each cell, with heat maps if they are asked for.

    Args:
        study: The zip's file or its bytes; a file is read while it is sent.
        explain: The cell to explain, by its column's name, or ``all``.

    Raises:
        LumbargradeError: The server answered with an error. Its body echoes what was sent, so it is not repeated.
    """
    return _post(address, _Question(study, explain))


def ask_kept(address: str, request_id: str, explain: str) -> list[dict[str, Any]]:
    """Asks for the heat map of an answer that a scoring server gave a short while ago; no study is sent.

    Returns no record if the study must be sent again: it is not kept, or the model is of a time when none was.

    Args:
        request_id: Of that answer.
        explain: The cell to explain, by its column's name, or ``all``.
    """
    asked = {EXPLAIN: explain, KEPT_REQUEST: request_id}
    question = {"dataframe_split": {"columns": [STUDY_COLUMN], "data": []}, "params": asked}
    try:
        return _post(address, json.dumps(question))
    except LumbargradeError:
        return []


def _post(address: str, question: Any) -> list[dict[str, Any]]:
    kind = {"Content-Type": "application/json"}
    try:
        answer = requests.post(f"{address}/invocations", data=question, headers=kind, timeout=_ANSWER_SECONDS)
    except requests.RequestException as error:
        raise LumbargradeError(
            f"the model server at {address} did not answer ({type(error).__name__})", "", "model-server-not-reached"
        ) from error
    if answer.status_code == requests.codes.unavailable:
        raise LumbargradeError(
            f"the model server at {address} is being started", "try again in a minute", "model-server-starting"
        )
    if answer.status_code != requests.codes.ok:
        raise LumbargradeError(
            f"the model server at {address} answered with status {answer.status_code}",
            "see its log",
            "model-server-refused",
        )
    try:
        records: list[dict[str, Any]] = answer.json()["predictions"]
    except (ValueError, KeyError, TypeError):
        raise LumbargradeError(
            f"what answers at {address} is no model server of MLflow", "give its address", "not-a-model-server"
        ) from None
    return records


class _Question:
    """A request's body, made while it is sent: neither a large study nor its base64 is ever in memory as a whole."""

    def __init__(self, study: Path | bytes, explain: str) -> None:
        before, after = json.dumps({"dataframe_split": {"columns": [STUDY_COLUMN], "data": [["|"]]}}).split("|")
        if explain:
            after = f'{after[:-1]}, "params": {json.dumps({EXPLAIN: explain})}}}'
        self._before, self._after, self._study = before.encode(), after.encode(), study
        size = study.stat().st_size if isinstance(study, Path) else len(study)
        self._length = len(self._before) + 4 * ((size + 2) // 3) + len(self._after)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        yield self._before
        with self._study.open("rb") if isinstance(self._study, Path) else io.BytesIO(self._study) as file:
            while part := file.read(_PART_BYTES):
                yield base64.b64encode(part)
        yield self._after


def _environment() -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {
        "MLFLOW_TRACKING_URI": tracking_uri(),
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "PATH": path,
        "UVICORN_ACCESS_LOG": "false",  # whether it answers is asked every second
        SERVING_LOG: str((Settings().serving_log or current_project().prediction_log).resolve()),
    }


def _last_words(text: str) -> str:
    """The last error that a server's log names, but for MLflow's own that the server ended."""
    lines = text.strip().splitlines() or ["it said nothing"]
    errors = [line for line in lines if _ERROR.match(line) and "returned non zero return code" not in line]
    return (errors or lines)[-1].removeprefix("error: ")[:300]


def _answers(address: str, port: int, process: ProcessGroup) -> bool:
    """Waits for the server; somebody else's answer at its port is not its own."""
    give_up = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < give_up:
        if is_ready(address) and process.is_listening(port):
            return True
        time.sleep(0.3)
    return False


def _refuse_taken(port: int) -> None:
    if (fault := port_fault(port)) is not None:
        raise InputError(
            f"port {port} cannot be listened at ({fault}), perhaps as an older model server has it",
            "end what listens there, or choose another port",
            "port-taken",
        )
