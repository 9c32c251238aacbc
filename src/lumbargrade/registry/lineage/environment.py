"""What a model was made with: the installed distributions and the machine."""

import hashlib
import platform
from importlib.metadata import Distribution, distributions
from pathlib import Path

import torch

from lumbargrade.frozen import Frozen
from lumbargrade.machine import count_cores, memory_bytes


class Package(Frozen):
    """An installed distribution.

    Attributes:
        sha256: Hash of its RECORD, which holds the hashes of its files; empty for one that has none.
    """

    name: str
    version: str
    sha256: str


class Machine(Frozen):
    """Where something was computed.

    Attributes:
        threads: Threads that torch uses in one process.
        devices: Names of the GPUs.
    """

    system: str
    python: str
    processor: str
    cores: int
    threads: int
    memory_bytes: int
    devices: tuple[str, ...]


def installed_packages() -> list[Package]:
    """The distributions of this environment, by name; a folder that a broken installation left has none."""
    found: dict[str, Package] = {}
    for distribution in distributions():
        name = _name(distribution)
        if not name:
            continue
        listing = distribution.read_text("RECORD")
        sha256 = hashlib.sha256(listing.encode()).hexdigest() if listing else ""
        found.setdefault(name.lower(), Package(name=name, version=distribution.version, sha256=sha256))
    return [found[name] for name in sorted(found)]


def _name(distribution: Distribution) -> str:
    try:
        return distribution.metadata["Name"] or ""
    except (KeyError, FileNotFoundError):  # by the version of importlib.metadata, if there is no METADATA
        return ""


def this_machine() -> Machine:
    """Describes the machine; without its name and its owner."""
    return Machine(
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        processor=_processor(),
        cores=count_cores(),
        threads=torch.get_num_threads(),
        memory_bytes=memory_bytes(),
        devices=tuple(torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())),
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
