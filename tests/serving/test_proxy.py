"""One address while the model behind it changes: nothing is lost, and what cannot be served is not."""

import http.server
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
import uvicorn

from lumbargrade.errors import InputError, LumbargradeError
from lumbargrade.serving.proxy import Front, serve_front

from .scoring import Crew, crew

__all__ = ["crew"]


@dataclass
class Started:
    """A server, and whether it is up."""

    address: str
    is_up: bool = True


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers with its version, slowly; refuses a body that says so and repeats it, as MLflow does."""

    version = ""

    def do_GET(self) -> None:
        self.answer(200, b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if body == b"dies":
            self.connection.close()
            return
        time.sleep(0.05)
        self.answer(400 if body == b"PATIENT^NAME" else 200, body + self.version.encode())

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *told: object) -> None:
        pass


class Models:
    """Model servers that are real HTTP servers, and who is champion."""

    def __init__(self) -> None:
        self.champion = "1"
        self.running: set[str] = set()
        self.said: list[str] = []
        self.started: list[Started] = []
        self.failures = 0
        self.error: Exception = LumbargradeError("no memory", "", "no-memory")
        self.starting = threading.Event()

    @contextmanager
    def serve(self, version: str) -> Iterator[Started]:
        if version == "altered":
            raise InputError("its weights were altered", "", "version-altered")
        if version == "broken":
            raise sqlite3.OperationalError("database is locked")
        if self.failures:
            self.failures -= 1
            raise self.error
        if version == "slow":
            self.starting.set()
            time.sleep(0.5)
        kind = type("Versioned", (Handler,), {"version": version})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        self.running.add(version)
        try:
            self.started.append(Started(f"http://127.0.0.1:{server.server_port}"))
            yield self.started[-1]
        finally:
            self.running.remove(version)
            server.shutdown()
            thread.join()
            server.server_close()

    def front(self, wanted: Callable[[], str] | None = None) -> Front:
        return Front(wanted or (lambda: self.champion), self.serve, self.said.append, seconds=0.05)


@pytest.fixture
def models() -> Models:
    return Models()


@contextmanager
def served(front: Front) -> Iterator[str]:
    """The front behind a real server, on a port of its own."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(front.app(), log_level="critical"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            until(lambda: server.started)
            yield "http://127.0.0.1:{1}".format(*listener.getsockname())
        finally:
            server.should_exit = True
            thread.join()
            front.close()


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_new_champion_takes_over_and_no_request_is_lost(models: Models) -> None:
    answers: list[tuple[int, bytes, str]] = []
    with served(models.front()) as address:
        stop = threading.Event()

        def load() -> None:
            while not stop.is_set():
                told = requests.post(f"{address}/invocations", data=b"study ", timeout=60)
                answers.append((told.status_code, told.content, told.headers["x-model-version"]))

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        until(lambda: len(answers) > 8)
        models.champion = "2"
        until(lambda: models.running == {"2"})
        after = len(answers)
        until(lambda: len(answers) > after + 8)
        stop.set()
        for thread in threads:
            thread.join()
    assert {status for status, _, _ in answers} == {200}
    assert {(body, version) for _, body, version in answers} == {(b"study 1", "1"), (b"study 2", "2")}
    assert models.said == ["version 1 answers", "version 2 has taken over from version 1"]
    assert models.running == set()


def test_a_champion_that_cannot_be_served_leaves_the_one_before(models: Models) -> None:
    with served(models.front()) as address:
        models.champion = "altered"
        until(lambda: len(models.said) > 1)
        assert requests.post(f"{address}/invocations", data=b"study ", timeout=60).content == b"study 1"
        models.champion = "3"
        until(lambda: models.running == {"3"})
        assert requests.get(f"{address}/ping", timeout=60).status_code == 200
    assert models.said[1] == (
        "version altered cannot be served, and version 1 goes on: its weights were altered; it is tried again in 0.05 s"
    )
    assert models.said[-1] == "version 3 has taken over from version 1"


def test_a_champion_that_could_not_be_served_is_tried_again_after_longer_and_longer_pauses(models: Models) -> None:
    with served(models.front()) as address:
        models.failures, models.champion = 3, "2"
        until(lambda: models.running == {"2"})
        assert requests.post(f"{address}/invocations", data=b"study ", timeout=60).content == b"study 2"
    told = "version 2 cannot be served, and version 1 goes on: no memory; it is tried again in"
    assert models.said[1:] == [
        f"{told} 0.05 s",
        f"{told} 0.1 s",
        f"{told} 0.2 s",
        "version 2 has taken over from version 1",
    ]


def test_a_champion_that_comes_back_is_tried_at_once(models: Models) -> None:
    looks: list[str] = []

    def wanted() -> str:
        looks.append(models.champion)
        return looks[-1]

    with served(models.front(wanted)):
        models.failures, models.champion = 1000, "2"
        until(lambda: len(models.said) > 5)
        models.champion = "1"
        until(lambda: looks[-2:] == ["1", "1"])
        tries = len(models.said)
        models.failures, models.champion = 1, "2"
        until(lambda: models.running == {"2"})
    assert models.said[tries].endswith("it is tried again in 0.05 s")


def test_an_end_during_a_change_leaves_no_server_running(models: Models) -> None:
    with served(models.front()):
        models.champion = "slow"
        assert models.starting.wait(20)
    assert models.running == set()


@pytest.mark.parametrize(
    "error",
    [LumbargradeError("the store does not answer", "", "store-not-reached"), OSError("the store does not answer")],
)
def test_a_store_that_is_away_for_a_while_stops_nothing(models: Models, error: Exception) -> None:
    away = threading.Event()

    def wanted() -> str:
        if away.is_set():
            raise error
        return models.champion

    with served(models.front(wanted)) as address:
        away.set()
        until(lambda: len(models.said) > 1)
        assert requests.post(f"{address}/invocations", data=b"study ", timeout=60).content == b"study 1"
    assert models.said[1].startswith("cannot tell which version to serve, and go on with the same: ")
    assert models.said[1].endswith("the store does not answer")


@pytest.mark.parametrize("error", [sqlite3.OperationalError("database is locked"), RuntimeError(), OSError(28, "full")])
def test_no_error_of_the_store_ends_the_following(models: Models, error: Exception) -> None:
    errors = [error]

    def wanted() -> str:
        if len(looks := models.said) and errors and looks:
            raise errors.pop()
        return models.champion

    with served(models.front(wanted)):
        until(lambda: not errors)
        models.champion = "2"
        until(lambda: models.running == {"2"})
    assert models.said[1].startswith("cannot tell which version to serve, and go on with the same: ")
    assert type(error).__name__ in models.said[1]


def test_no_error_of_a_start_ends_the_following(models: Models) -> None:
    with served(models.front()):
        models.champion = "broken"
        until(lambda: len(models.said) > 1)
        models.champion = "2"
        until(lambda: models.running == {"2"})
    assert models.said[1].startswith("version broken cannot be served, and version 1 goes on: sqlite3.") or (
        "OperationalError: database is locked" in models.said[1]
    )


def test_lines_that_nobody_can_write_down_end_nothing(models: Models) -> None:
    def tell(line: str) -> None:
        if "answers" not in line:
            raise OSError(28, "No space left on device")

    front = Front(lambda: models.champion, models.serve, tell, seconds=0.05)
    with served(front):
        models.champion = "altered"
        time.sleep(0.2)
        models.champion = "2"
        until(lambda: models.running == {"2"})


def test_while_the_server_is_down_requests_are_told_to_come_again(models: Models) -> None:
    with served(models.front()) as address:
        models.started[0].is_up = False
        for answer in (
            requests.post(f"{address}/invocations", data=b"study ", timeout=60),
            requests.get(f"{address}/ping", timeout=60),
            requests.get(f"{address}/health", timeout=60),
        ):
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0
        models.started[0].is_up = True
        assert requests.get(f"{address}/ping", timeout=60).status_code == 200


def test_a_request_that_the_server_dies_of_is_told_to_come_again(models: Models) -> None:
    with served(models.front()) as address:
        answer = requests.post(f"{address}/invocations", data=b"dies", timeout=60)
    assert (answer.status_code, "retry-after" in answer.headers) == (503, True)


def test_a_scoring_process_that_is_killed_under_a_request_is_replaced(crew: Crew) -> None:
    answers: list[requests.Response] = []
    front = Front(lambda: "1", lambda version: crew.kept(), crew.said.append, seconds=0.05)
    with served(front) as address:

        def ask() -> None:
            answers.append(requests.post(f"{address}/invocations", data=b"slow", timeout=60))

        asking = threading.Thread(target=ask)
        asking.start()
        worker = crew.worker()
        crew.wait_until_asked()
        worker.kill()
        asking.join()
        until(lambda: requests.get(f"{address}/ping", timeout=60).status_code == 200)
        assert requests.post(f"{address}/invocations", data=b"study", timeout=60).content == b"study"
    assert answers[0].status_code == 503
    assert any("was killed by signal 9" in line for line in crew.said)


def test_a_full_disk_does_not_end_the_watch_for_the_next_champion(models: Models) -> None:
    models.error = OSError(28, "No space left on device")
    with served(models.front()) as address:
        models.failures, models.champion = 1, "2"
        until(lambda: requests.get(f"{address}/version", timeout=60).headers["x-model-version"] == "2")
    assert "No space left on device; it is tried again" in models.said[1]


def test_what_was_sent_is_never_repeated(models: Models) -> None:
    with served(models.front()) as address:
        told = requests.post(f"{address}/invocations", data=b"PATIENT^NAME", timeout=60)
    assert told.status_code == 400
    assert told.json() == {"error": "the model server refused the request; send one column `study` with a study's zip"}


def test_only_what_a_model_server_answers_is_forwarded(models: Models) -> None:
    with served(models.front()) as address:
        assert requests.get(f"{address}/anything", timeout=60).status_code == 404
        assert requests.get(f"{address}/invocations", timeout=60).status_code == 405


def test_a_first_version_that_cannot_be_served_is_an_error(models: Models) -> None:
    with pytest.raises(InputError, match=r"^its weights were altered$"):
        models.front(lambda: "altered")


def test_a_port_that_is_taken_is_told_before_anything_is_started(models: Models) -> None:
    with models.serve("1") as server:
        port = int(server.address.rsplit(":", 1)[1])
        with pytest.raises(
            InputError, match=rf"^127\.0\.0\.1:{port} cannot be listened at \(.+\); give another --port$"
        ):
            serve_front(lambda: pytest.fail("begun"), "127.0.0.1", port)


ALONE = """
import sys
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from lumbargrade.serving.proxy import Front, serve_front

@contextmanager
def serve(version):
    Path("running").touch()
    try:
        yield SimpleNamespace(address="http://127.0.0.1:9", is_up=True)
    finally:
        Path("running").unlink()

serve_front(lambda: Front(lambda: "1", serve, lambda line: print(line, flush=True)), "127.0.0.1", int(sys.argv[1]))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_no_model_server_is_left_running(number: signal.Signals, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", ALONE, str(port)]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "version 1 answers\n"
        until(lambda: answers(f"http://127.0.0.1:{port}/ping"))
        assert (tmp_path / "running").exists()
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (0, "")
    assert not (tmp_path / "running").exists()


def answers(address: str) -> bool:
    try:
        return requests.get(address, timeout=5).status_code == 503
    except requests.ConnectionError:
        return False
