"""The real HTTP server, and the command that starts it."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask

from lumbargrade.errors import InputError
from lumbargrade.serving.ports import listening
from lumbargrade.viewer.http.server import running
from lumbargrade.viewer.settings import Access

from ..reading import MakeApp, ModelServer

pytestmark = pytest.mark.slow


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def csrf(session: requests.Session, address: str) -> dict[str, str]:
    return {"X-CSRF-Token": session.get(f"{address}/api/session").json()["csrf_token"]}


def read_events(session: requests.Session, address: str, study_id: str) -> list[dict[str, Any]]:
    with session.get(f"{address}/api/studies/{study_id}/events", stream=True, timeout=300) as response:
        assert response.headers["Content-Type"].startswith("text/event-stream")
        return [json.loads(line[6:]) for line in response.iter_lines() if line.startswith(b"data: ")]


def test_a_study_over_the_wire(app: Flask, zipped: bytes) -> None:
    with (
        listening("127.0.0.1", 0) as listener,
        running(app, Access(), listener) as address,
        requests.Session() as session,
    ):
        headers = csrf(session, address)
        posted = session.post(f"{address}/api/studies", files={"file": ("x.zip", zipped)}, headers=headers)
        events = read_events(session, address, posted.json()["id"])
        assert events[-1]["stage"] == "done"
        answer = session.get(f"{address}/api/studies/{posted.json()['id']}").json()
        series = answer["series"][0]
        values = session.get(f"{address}/api/studies/{answer['id']}/series/{series['id']}/slices/0").content
        assert len(values) == series["rows"] * series["columns"] * 2


def test_a_body_above_the_limit_is_refused_before_it_is_received(make_app: MakeApp) -> None:
    app = make_app(max_bytes=1 << 20)
    with (
        listening("127.0.0.1", 0) as listener,
        running(app, Access(), listener),
        socket.create_connection(listener.getsockname(), timeout=30) as client,
    ):
        client.sendall(b"POST /api/studies HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9000000000\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 413 ")


def test_a_port_in_use_is_told(model_server: ModelServer) -> None:
    taken = model_server.server.server_port
    message = r"cannot be listened at \(Address already in use\); give another --port"
    with pytest.raises(InputError, match=message), listening("127.0.0.1", taken):
        pass


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "from lumbargrade.cli import main; main()", "serve", *arguments]


@pytest.fixture
def short() -> Iterator[Path]:
    """A temporary folder for the command: the path of a socket in it may have a hundred characters at most."""
    with tempfile.TemporaryDirectory(prefix="t-", dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture
def started(model_server: ModelServer, tmp_path: Path, short: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    process = subprocess.Popen(
        command("--with-model-url", model_server.url, "--port", str(free_port()), "--data", str(tmp_path / "served")),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(short)},
        cwd=tmp_path,
    )
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    assert address, process.communicate()[1]
    yield process, address
    if process.poll() is None:
        process.kill()
    process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_starts_says_where_and_ends_clean(
    started: tuple[subprocess.Popen[str], str], number: signal.Signals, short: Path, zipped: bytes
) -> None:
    process, address = started
    assert requests.get(f"{address}/readyz", timeout=10).status_code == 200
    with requests.Session() as session:
        posted = session.post(
            f"{address}/api/studies", files={"file": ("x.zip", zipped)}, headers=csrf(session, address)
        )
        assert read_events(session, address, posted.json()["id"])[-1]["stage"] == "done"
    process.send_signal(number)
    _, told = process.communicate(timeout=300)
    assert process.returncode == 0
    assert "Traceback" not in told
    assert "Warning" not in told
    assert left_in(short) == []


def left_in(folder: Path) -> list[str]:
    """Files in the scratch folders of some temporary folder, but for the locks that order their use."""
    return [path.name for path in folder.glob("lumbargrade-*/*/**/*") if path.is_file()]


def test_a_killed_page_leaves_nothing_behind_its_next_start(
    started: tuple[subprocess.Popen[str], str], short: Path, zipped: bytes, model_server: ModelServer, tmp_path: Path
) -> None:
    process, address = started
    with requests.Session() as session:
        posted = session.post(
            f"{address}/api/studies", files={"file": ("x.zip", zipped)}, headers=csrf(session, address)
        )
        assert read_events(session, address, posted.json()["id"])[-1]["stage"] == "done"
    process.kill()
    process.wait()
    assert {"upload.zip", "s0.u16"} <= set(left_in(short))
    with subprocess.Popen(
        command("--with-model-url", model_server.url, "--port", str(free_port()), "--data", str(tmp_path / "served")),
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(short)},
        cwd=tmp_path,
    ) as again:
        assert again.stdout is not None
        assert again.stdout.readline().startswith("http://")
        assert set(left_in(short)) <= {".lock"}
        again.terminate()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--host", "0.0.0.0", "--with-model-url", "http://127.0.0.1:1"], "0.0.0.0 can be reached from other machines"),
        (["--with-model-url", "127.0.0.1:5001"], "is no address; give http://host:port"),
        (["--token-file", "nowhere", "--with-model-url", "http://127.0.0.1:1"], "token file nowhere cannot be read"),
        (["--model", "champion"], "champion names no registered model; give models:/<name>@champion"),
        (["--model", "models:/none@champion"], "model models:/none@champion is not in sqlite:///"),
    ],
)
def test_a_mistake_is_one_sentence(arguments: list[str], message: str, tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"}
    done = subprocess.run(
        command(*arguments), capture_output=True, text=True, check=False, cwd=tmp_path, timeout=300, env=environment
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
