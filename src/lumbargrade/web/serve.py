"""Starts the model server and the page together, and stops both."""

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import waitress
from flask import Flask

from lumbargrade.errors import InputError, LumbargradeError
from lumbargrade.web.room import ReadingRoom
from lumbargrade.web.routes import MOST_STREAMS, MULTIPART_OVERHEAD
from lumbargrade.web.settings import Access

_THREADS = MOST_STREAMS + 16
_CONNECTIONS = 500


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """Holds a port as long as the context lasts.

    Raises:
        InputError: Nothing can listen there.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise InputError(f"{host}:{port} cannot be listened at ({error.strerror}); give another --port") from error
        yield listener


@contextmanager
def running(app: Flask, access: Access, listener: socket.socket) -> Iterator[str]:
    """Answers HTTP as long as the context lasts; yields the address."""
    room: ReadingRoom = app.extensions["reading_room"]
    server = waitress.create_server(
        app,
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
        server.close()
        thread.join(timeout=5)


@contextmanager
def stop_signals() -> Iterator[Callable[[float], bool]]:
    """Yields a function that waits, so many seconds at most, for Ctrl-C or SIGTERM, and tells whether one came."""
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop.wait
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def wait_until_ready(app: Flask, stopped: Callable[[float], bool], seconds: float = 30) -> None:
    """Waits until the model server answers.

    Raises:
        LumbargradeError: It does not.
    """
    room: ReadingRoom = app.extensions["reading_room"]
    for _ in range(int(seconds / 0.5)):
        if room.model_is_ready() or stopped(0.5):
            return
    raise LumbargradeError(f"the model server at {room.settings.model_url} does not answer; check its address")


def _proxy(access: Access) -> dict[str, object]:
    """The proxy's word on whether the browser came by TLS is believed, nobody else's."""
    if access.proxy_address is None:
        return {}
    return {
        "trusted_proxy": access.proxy_address,
        "trusted_proxy_headers": {"x-forwarded-proto"},
        "clear_untrusted_proxy_headers": True,
    }
