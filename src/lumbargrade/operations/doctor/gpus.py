"""GPUs, their driver, and what torch was built for; none at all is no fault."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from lumbargrade.operations.doctor.findings import Finding

_SECONDS = 5
_OLDEST_DRIVERS = {11: (450, 80), 12: (525, 60), 13: (580, 65)}
"""The oldest driver for a version of CUDA: NVIDIA, CUDA Compatibility, "minor version compatibility", Linux."""
_QUERY = ("--query-gpu=driver_version,name", "--format=csv,noheader")


def check_gpus() -> Iterator[Finding]:
    """Whether torch can use the GPUs that the driver names."""
    program = shutil.which("nvidia-smi")
    if program is None:
        yield Finding.ok("gpu-none", "there is no NVIDIA GPU here, or no driver for one; the processor computes")
        return
    try:
        done = subprocess.run([program, *_QUERY], capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        yield _broken(f"does not answer ({type(error).__name__})")
        return
    rows = [line.split(",", 1) for line in done.stdout.splitlines() if "," in line]
    if done.returncode != 0 or not rows:
        words = (done.stdout + done.stderr).strip().splitlines() or ["it said nothing"]
        yield _broken(f"names no GPU ({words[0][:120]})")
        return
    yield _judge(rows[0][0].strip(), [name.strip() for _, name in rows], _built_for())


def _judge(driver: str, names: list[str], cuda: str | None) -> Finding:
    """What a driver's version and torch's CUDA version mean together."""
    found = f"{len(names)} x {names[0]}, driver {driver}"
    if cuda is None:
        return Finding.note(
            "gpu-unused",
            f"torch was built without CUDA, so that the GPUs are not used ({found})",
            "install a torch for CUDA to use them",
        )
    numbers = [int(number) for number in re.findall(r"\d+", driver)[:2]]
    oldest = _OLDEST_DRIVERS.get(int(cuda.split(".")[0]))
    if oldest is not None and tuple(numbers) < oldest:
        return Finding.problem(
            "gpu-driver-old",
            f"torch was built for CUDA {cuda}, which wants a driver from {oldest[0]}.{oldest[1]} on ({found})",
            "update the driver, or install a torch for an older CUDA",
        )
    return Finding.ok("gpu", f"{found}, torch for CUDA {cuda}")


def _built_for() -> str | None:
    """Version of CUDA that torch was built for, read from its file: to import torch takes seconds."""
    spec = find_spec("torch")
    path = Path(spec.origin).with_name("version.py") if spec is not None and spec.origin else None
    found = re.search(r"^cuda.*=\s*'([\d.]+)'", path.read_text(encoding="utf-8"), re.MULTILINE) if path else None
    return found[1] if found else None


def _broken(what: str) -> Finding:
    return Finding.problem(
        "gpu-driver-broken",
        f"the GPU's driver {what}",
        "install the driver again, or restart the machine after an update",
    )
