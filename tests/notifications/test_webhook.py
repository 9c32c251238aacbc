import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from lumbargrade.errors import LumbargradeError
from lumbargrade.notifications.message import make_notice
from lumbargrade.notifications.settings import Webhook
from lumbargrade.notifications.webhook import NUMBER, SIGNATURE, post

NOTICE = make_notice("7", "lumbargrade.gate", "lumbargrade-rsna2024", {"version": "2", "decision": "needs approval"})


@contextmanager
def receiver(*statuses: int) -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """Answers with one status after another; what was sent is kept."""
    taken: list[tuple[dict[str, str], bytes]] = []
    left = list(statuses)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            taken.append((dict(self.headers), body))
            self.send_response(left.pop(0))
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/notices", taken
        finally:
            server.shutdown()
            thread.join()


def is_genuine(header: str, body: bytes, secret: str, now: float) -> bool:
    """As docs/operations.md tells receivers to verify a notice."""
    told = dict(part.split("=", 1) for part in header.split(","))
    wanted = hmac.new(secret.encode(), f"{told['t']}.".encode() + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(wanted, told["v1"]) and abs(now - int(told["t"])) < 300


def test_a_receiver_can_verify_what_it_gets() -> None:
    with receiver(200) as (address, taken):
        post(NOTICE, Webhook(address, "s3cret"))
    headers, body = taken[0]
    seconds = int(headers[SIGNATURE].split(",")[0][2:])
    assert is_genuine(headers[SIGNATURE], body, "s3cret", seconds + 10)
    assert not is_genuine(headers[SIGNATURE], body, "another", seconds + 10)
    assert not is_genuine(headers[SIGNATURE], body + b" ", "s3cret", seconds + 10)
    assert not is_genuine(headers[SIGNATURE], body, "s3cret", seconds + 1000)
    told = json.loads(body)
    assert told["title"] == "lumbargrade-rsna2024 version 2 waits for a person's approval"
    assert told["facts"] == {"version": "2", "decision": "needs approval"}


def test_a_busy_receiver_is_asked_again_with_the_same_number() -> None:
    with receiver(503, 429, 204) as (address, taken):
        post(NOTICE, Webhook(address, "s3cret"), pauses=(0, 0, 0))
    assert [headers[NUMBER] for headers, _ in taken] == ["7", "7", "7"]


def test_a_refusal_is_not_repeated() -> None:
    with receiver(401) as (address, taken), pytest.raises(LumbargradeError) as error:
        post(NOTICE, Webhook(address, "s3cret"), pauses=(0, 0))
    assert str(error.value) == "the notice was not taken by 127.0.0.1: refused (status 401)"
    assert len(taken) == 1


def test_nobody_there() -> None:
    with receiver(200) as (address, _):
        pass
    with pytest.raises(LumbargradeError, match=r"not taken by 127.0.0.1: it did not answer \(ConnectError\)"):
        post(NOTICE, Webhook(address, "s3cret"), pauses=(0,))
