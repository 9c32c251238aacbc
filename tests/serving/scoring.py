"""A scoring server as MLflow starts it, without a model: a process that waits for its worker, which answers HTTP."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psutil
import pytest

from lumbargrade.serving import kept_server as kept_module
from lumbargrade.serving.kept_server import KeptServer, kept_server
from lumbargrade.serving.mlflow_server import ScoringServer, running_server
from lumbargrade.serving.ports import free_port

LEADER = """
import subprocess, sys
worker = subprocess.Popen([sys.executable, *sys.argv[1:]])
code = worker.wait()
print(f"Exception: Command returned non zero return code. Return code = {code}", flush=True)
sys.exit(1)
"""
WORKER = """
import http.server, os, pathlib, signal, sys, time

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(b"")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if body == b"slow":
            pathlib.Path(sys.argv[2]).touch()
            time.sleep(600)
        self.answer(body)

    def answer(self, body):
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *told):
        pass

signal.signal(signal.SIGTERM, lambda *told: os._exit(0))
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


class Crew:
    """The processes of a server that is kept running, and what was said of them."""

    def __init__(self, folder: Path) -> None:
        self.said: list[str] = []
        self.servers: list[ScoringServer] = []
        self.failures: list[Exception] = []
        self._asked = folder / "asked"

    @contextmanager
    def begin(self) -> Iterator[ScoringServer]:
        if self.failures and self.servers:
            raise self.failures.pop()
        port = free_port()
        command = ["-c", LEADER, "-c", WORKER, str(port), str(self._asked)]
        with running_server(command, port, "a test") as server:
            self.servers.append(server)
            yield server

    def kept(self) -> AbstractContextManager[KeptServer]:
        return kept_server(self.begin, "version 1", self.said.append)

    def leader(self) -> psutil.Process:
        return psutil.Process(self.servers[-1].process.pid)

    def worker(self) -> psutil.Process:
        return self.leader().children()[0]

    def wait_until_asked(self) -> None:
        wait_until(self._asked.exists)


def wait_until(true: Callable[[], bool], seconds: float = 60) -> None:
    give_up = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < give_up
        time.sleep(0.02)


@pytest.fixture
def crew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Crew:
    """Kept by whoever looks often, so that tests are quick."""
    monkeypatch.setattr(kept_module, "_LOOK_SECONDS", 0.05)
    monkeypatch.setattr(kept_module, "_ANSWER_SECONDS", 1.0)
    return Crew(tmp_path)
