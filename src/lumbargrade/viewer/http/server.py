"""Starts the model server and the page together, and stops both."""

import logging
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import waitress
from flask import Flask
from waitress import wasyncore

from lumbargrade.errors import LumbargradeError
from lumbargrade.viewer.http.routes import MOST_STREAMS, MULTIPART_OVERHEAD
from lumbargrade.viewer.settings import Access
from lumbargrade.viewer.studies.service import ReadingRoom

_THREADS = MOST_STREAMS + 16
_CONNECTIONS = 500
_STOP_SECONDS = 5
_READY_SECONDS = 30
_STOPS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def running(app: Flask, access: Access, listener: socket.socket) -> Iterator[str]:
    """Answers HTTP as long as the context lasts; yields the address."""
    room: ReadingRoom = app.extensions["reading_room"]
    logging.getLogger("waitress").setLevel(logging.CRITICAL)  # it would log the address of a study
    channels: dict[int, object] = {}
    server = waitress.create_server(
        app,
        map=channels,
        sockets=[listener],
        threads=_THREADS,
        connection_limit=_CONNECTIONS,
        max_request_body_size=room.settings.max_bytes + MULTIPART_OVERHEAD,
        ident="lumbargrade",
        **_proxy(access),
    )
    thread = threading.Thread(target=server.run, name="http", daemon=True)
    thread.start()
    host = f"[{access.host}]" if ":" in access.host else access.host
    try:
        yield f"http://{host}:{listener.getsockname()[1]}"
    finally:
        room.close()
        server.task_dispatcher.shutdown(timeout=_STOP_SECONDS)
        server.trigger.pull_trigger(lambda: wasyncore.close_all(channels))  # on its own thread, which waits on them
        thread.join(timeout=_STOP_SECONDS)


@contextmanager
def until_stopped() -> Iterator[None]:
    """Ends the block at Ctrl-C or SIGTERM, whatever it waits for; what it opened is closed without being cut off."""

    def stop(number: int, frame: FrameType | None) -> None:
        for each in _STOPS:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in _STOPS}
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def wait_until_ready(app: Flask) -> None:
    """Waits until the model server answers.

    Raises:
        LumbargradeError: It does not.
    """
    room: ReadingRoom = app.extensions["reading_room"]
    give_up = time.monotonic() + _READY_SECONDS
    while not room.model_is_ready():
        if time.monotonic() > give_up:
            raise LumbargradeError(
                f"the model server at {room.settings.model_url} does not answer",
                "check its address",
                "model-server-not-reached",
            )
        time.sleep(0.5)


def _proxy(access: Access) -> dict[str, object]:
    """The proxy's word on whether the browser came by TLS is believed, nobody else's."""
    if access.proxy_address is None:
        return {}
    return {
        "trusted_proxy": access.proxy_address,
        "trusted_proxy_headers": {"x-forwarded-proto"},
        "clear_untrusted_proxy_headers": True,
    }
