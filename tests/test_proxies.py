"""A proxy that refuses everything, as a hospital's does with this machine's own addresses."""

import asyncio
import json
import os
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests

from lumbargrade.errors import LumbargradeError
from lumbargrade.notifications.message import make_notice
from lumbargrade.notifications.settings import Webhook
from lumbargrade.notifications.webhook import post
from lumbargrade.operations.addresses import Addresses, write_addresses
from lumbargrade.proxies import exempt_loopback
from lumbargrade.serving.mlflow_server import running_server
from lumbargrade.serving.ports import free_port

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "WS_PROXY")
SERVER = "import http.server as h, sys; h.test(h.SimpleHTTPRequestHandler, port=int(sys.argv[1]), bind='127.0.0.1')"


class Listener(ThreadingHTTPServer):
    """Answers everything with one status, and writes down what was asked."""

    daemon_threads = True

    def __init__(self, status: int) -> None:
        self.asked: list[str] = []
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                listener.asked.append(self.path)
                self.send_response(status)
                self.send_header("content-length", "4")
                self.end_headers()
                self.wfile.write(b"true")

            do_GET = do_POST = do_CONNECT = answer  # noqa: N815

            def log_message(self, *told: object) -> None: ...

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def ours() -> Iterator[Listener]:
    with Listener(200) as listener:
        yield listener
        listener.shutdown()


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    """Every variable there is names it, and nothing is exempt."""
    with Listener(502) as listener:
        for name in VARIABLES:
            monkeypatch.setenv(name, listener.address)
            monkeypatch.setenv(name.lower(), listener.address)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.setenv(name, "")  # so that it is put back, whatever the test sets
            monkeypatch.delenv(name)
        yield listener
        listener.shutdown()


def ask_by_urllib(address: str) -> int:
    with urllib.request.build_opener().open(address) as answer:
        return int(answer.status)


async def ask_by_httpx(address: str) -> int:
    async with httpx.AsyncClient() as client:
        return (await client.get(address)).status_code


async def ask_by_aiohttp(address: str) -> int:
    aiohttp: Any = pytest.importorskip("aiohttp")
    async with aiohttp.ClientSession(trust_env=True) as session, session.get(address) as answer:
        return int(answer.status)


def ask_by_prefect(address: str) -> int:
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: address}), get_client(sync_client=True) as client:
        return 502 if client.api_healthcheck() else 200


def ask_by_mlflow(address: str) -> int:
    from mlflow.utils.rest_utils import MlflowHostCreds, http_request

    return int(http_request(MlflowHostCreds(address), "/health", "GET", max_retries=0, timeout=5).status_code)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize(
    "ask",
    [
        lambda address: requests.get(address, timeout=5).status_code,
        lambda address: httpx.get(address).status_code,
        lambda address: asyncio.run(ask_by_httpx(address)),
        lambda address: asyncio.run(ask_by_aiohttp(address)),
        ask_by_urllib,
        ask_by_prefect,
        ask_by_mlflow,
    ],
    ids=["requests", "httpx", "httpx async", "aiohttp", "urllib", "prefect", "mlflow"],
)
def test_no_client_asks_a_proxy_for_this_machine(
    ask: Callable[[str], int], host: str, proxy: Listener, ours: Listener
) -> None:
    exempt_loopback(os.environ)
    assert ask(f"http://{host}:{ours.server_port}/") == 200
    assert not proxy.asked and ours.asked


def test_others_are_asked_by_the_proxy_as_before(proxy: Listener) -> None:
    exempt_loopback(os.environ)
    with pytest.raises(LumbargradeError, match=r"hospital\.example: it is busy"):
        post(make_notice("1", "lumbargrade.test", "", {}), Webhook("http://hospital.example/hook", "secret"), ())
    assert proxy.asked == ["http://hospital.example/hook"]


def test_a_server_that_is_started_here_is_asked_directly(
    proxy: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what it starts is told the same: it asks parts of ours, too."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ping").touch()
    says = f"import os; print(os.environ['no_proxy'], os.environ['NO_PROXY'], flush=True); {SERVER}"
    port = free_port()
    with running_server(["-c", says, str(port)], port, "a test") as server:
        assert os.pread(server.log, 1000, 0).startswith(b"localhost,127.0.0.1,::1 localhost,127.0.0.1,::1\n")
    assert not proxy.asked


@pytest.mark.slow
def test_a_command_asks_the_parts_directly(proxy: Listener, ours: Listener, empty_project: Path) -> None:
    write_addresses(Addresses(prefect=f"{ours.address}/api", mlflow=ours.address, model=ours.address))
    command = [sys.executable, "-c", "from lumbargrade.cli import main; main()", "status", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not proxy.asked
    assert {"/api/health", "/health", "/ping"} <= set(ours.asked), done.stderr


@pytest.mark.parametrize(
    ("given", "lower", "upper"),
    [
        ({}, "localhost,127.0.0.1,::1", "localhost,127.0.0.1,::1"),
        ({"NO_PROXY": "pacs.example"}, "pacs.example,localhost,127.0.0.1,::1", "pacs.example,localhost,127.0.0.1,::1"),
        (
            {"no_proxy": "a, 127.0.0.1 ", "NO_PROXY": "b"},
            "a,127.0.0.1,localhost,::1",
            "b,localhost,127.0.0.1,::1",
        ),
        ({"no_proxy": "", "NO_PROXY": "b"}, "b,localhost,127.0.0.1,::1", "b,localhost,127.0.0.1,::1"),
        ({"NO_PROXY": "*"}, "*", "*"),
    ],
)
def test_what_the_user_exempts_stays_exempt(given: dict[str, str], lower: str, upper: str) -> None:
    for name in (*VARIABLES, *(name.lower() for name in VARIABLES)):
        environment = {name: "http://proxy:3128", **given}
        for _ in range(2):
            exempt_loopback(environment)
            assert (environment["no_proxy"], environment["NO_PROXY"]) == (lower, upper)


@pytest.mark.parametrize("address", ["socks4://proxy:1080", "http://proxy:port", "ftp://proxy", "http://", "://"])
def test_a_proxy_that_no_client_can_use_stops_none(
    address: str, ours: Listener, proxy: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """httpx, and Prefect with it, refuses to ask anybody while a variable names a proxy of a kind that it does not know."""
    monkeypatch.setenv("ALL_PROXY", address)
    monkeypatch.setenv("all_proxy", address)
    exempt_loopback(os.environ)
    assert httpx.get(ours.address).status_code == 200
    assert ask_by_prefect(ours.address) == 200
    assert "ALL_PROXY" not in os.environ and os.environ["HTTP_PROXY"] == proxy.address


def test_without_a_proxy_nothing_is_set() -> None:
    for environment in ({}, {"NO_PROXY": "a"}, {"HTTP_PROXY": ""}):
        before = json.dumps(environment)
        exempt_loopback(environment)
        assert json.dumps(environment) == before
