"""Ports to listen at: whether one is free, and one that is held."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from lumbargrade.errors import InputError


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """Holds a port as long as the context lasts.

    Raises:
        InputError: Nothing can listen there.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise InputError(
                f"{host}:{port} cannot be listened at ({error.strerror})", "give another --port", "port-taken"
            ) from error
        yield listener


def port_fault(port: int) -> str | None:
    """What the system says against listening at a port of this machine; None if it says nothing."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return error.strerror or type(error).__name__
    return None


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with listening("127.0.0.1", 0) as listener:
        port: int = listener.getsockname()[1]
        return port
