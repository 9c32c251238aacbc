"""Ports that the servers listen at, and the proxies of the environment."""

import os
import socket
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from lumbargrade.config.project import current_project
from lumbargrade.operations.doctor.findings import Finding
from lumbargrade.proxies import LOOPBACK, proxies_of

PORTS = {
    "prefect": (4200, "lumbargrade server --prefect-port"),
    "mlflow": (5000, "lumbargrade server --mlflow-port"),
    "model": (5001, "lumbargrade server --model-port"),
    "page": (8080, "lumbargrade serve --port"),
    "DICOM": (11112, "lumbargrade serve --dicom-port"),
}


def check_ports(ports: Mapping[str, tuple[int, str]] = PORTS) -> Iterator[Finding]:
    """Whether somebody else has the ports that the servers take if none is given."""
    taken = {name: port for name, (port, _) in ports.items() if not _is_free(port)}
    told = ", ".join(f"{port} ({name})" for name, port in taken.items())
    if not taken:
        yield Finding.ok("ports", f"ports {', '.join(str(port) for port, _ in ports.values())} are free")
    elif _server_runs():
        yield Finding.ok("ports", f"this project's server runs; ports {told} are taken")
    else:
        options = ", ".join(option for name, (_, option) in ports.items() if name in taken)
        yield Finding.note(
            "ports-taken", f"something listens at ports {told} already", f"end it, or give others: {options}"
        )


def check_proxies() -> Iterator[Finding]:
    """Proxies are for others: no part of the project is asked through one."""
    given = proxies_of(os.environ)
    if not given:
        yield Finding.ok("proxies", "no proxy is set")
    for name, address in given.items():
        parts = urlsplit(address if "://" in address else f"http://{address}")
        try:
            is_address = bool(parts.hostname) and (parts.port is None or parts.port > 0)
        except ValueError:
            is_address = False
        if not is_address:
            yield Finding.problem(
                "proxy-invalid", f"{name} is no address of a proxy", "give one like http://proxy:3128"
            )
            return
    if given:
        yield Finding.note(
            "proxies",
            f"a proxy is set ({', '.join(given)}); parts of the project on this machine are asked without it",
            f"for commands of others, such as prefect: export NO_PROXY={','.join(LOOPBACK)}",
        )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _server_runs() -> bool:
    path = current_project().server_lock
    if not path.exists():
        return False
    lock = FileLock(path, is_singleton=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False
