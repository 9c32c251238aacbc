"""Ports that the servers listen at, and the proxies of the environment."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from lumbargrade.operations.addresses import server_runs
from lumbargrade.operations.doctor.findings import Finding
from lumbargrade.proxies import LOOPBACK, proxies_of, unusable_proxies
from lumbargrade.serving.ports import port_fault

PORTS = {
    "prefect": (4200, "lumbargrade server --prefect-port"),
    "mlflow": (5000, "lumbargrade server --mlflow-port"),
    "model": (5001, "lumbargrade server --model-port"),
    "page": (8080, "lumbargrade serve --port"),
    "DICOM": (11112, "lumbargrade serve --dicom-port"),
}


def check_ports(ports: Mapping[str, tuple[int, str]] = PORTS) -> Iterator[Finding]:
    """Whether somebody else has the ports that the servers take if none is given."""
    taken = {name: port for name, (port, _) in ports.items() if port_fault(port) is not None}
    listed = ", ".join(f"{port} ({name})" for name, port in taken.items())
    if not taken:
        yield Finding.ok("ports", f"ports {', '.join(str(port) for port, _ in ports.values())} are free")
    elif server_runs():
        yield Finding.ok("ports", f"this project's server runs; ports {listed} are taken")
    else:
        options = ", ".join(option for name, (_, option) in ports.items() if name in taken)
        yield Finding.note(
            "ports-taken", f"something listens at ports {listed} already", f"end it, or give others: {options}"
        )


def check_proxies(environment: Mapping[str, str] | None = None) -> Iterator[Finding]:
    """Proxies are for others: no part of the project is asked through one.

    Args:
        environment: The one that the command was started in, if not given: it has changed its own since.
    """
    environment = started_with() if environment is None else environment
    given, unusable = proxies_of(environment), unusable_proxies(environment)
    if unusable:
        yield Finding.note(
            "proxy-unusable",
            f"{', '.join(unusable)} {'is' if len(unusable) == 1 else 'are'} not used: no address of an HTTP proxy, and "
            "nothing here speaks another kind",
            "give one like http://proxy:3128, or for SOCKS: pip install socksio",
        )
    if not given:
        yield Finding.ok("proxies", "no proxy is set")
    elif len(given) > len(unusable):
        names = ", ".join(name for name in given if name not in unusable)
        yield Finding.note(
            "proxies",
            f"a proxy is set ({names}); parts of the project on this machine are asked without it",
            f"for commands of others, such as prefect: export NO_PROXY={','.join(LOOPBACK)}",
        )


def started_with() -> dict[str, str]:
    """The environment that this process was started with."""
    try:
        pairs = os.fsdecode(Path("/proc/self/environ").read_bytes()).split("\0")
    except OSError:  # macOS has none
        return dict(os.environ)
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)
