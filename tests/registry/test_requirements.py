"""A served model runs where nothing is installed but what it asks for."""

import os
import re
import subprocess
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import pytest

from lumbargrade.registry.package import SERVING_REQUIREMENTS

pytestmark = pytest.mark.slow

SOURCE = Path(__file__).parents[2] / "src"
SERVE = "import lumbargrade.registry.resolve, lumbargrade.inference.explain, lumbargrade.serving.records.prediction_log"


def with_their_own(names: list[str]) -> dict[str, Distribution]:
    """Distributions and all that they need without extras."""
    found: dict[str, Distribution] = {}
    while names:
        name = re.sub(r"[-_.]+", "-", names.pop()).lower()
        if name in found:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            continue
        needs = [need for need in found[name].requires or [] if "extra ==" not in need]
        names += [re.split(r"[ ;<>=!~\[(]", need)[0] for need in needs]
    return found


def test_nothing_else_is_needed(tmp_path: Path) -> None:
    for installed in with_their_own(list(SERVING_REQUIREMENTS)).values():
        for name in {file.parts[0] for file in installed.files or []} - {".."}:
            if not (tmp_path / name).exists():
                (tmp_path / name).symlink_to(installed.locate_file(name))
    assert (tmp_path / "torch").exists() and not (tmp_path / "dvc").exists()
    where = {**os.environ, "PYTHONPATH": f"{SOURCE}{os.pathsep}{tmp_path}"}
    done = subprocess.run([sys.executable, "-S", "-c", SERVE], env=where, capture_output=True, text=True, check=False)
    assert done.stderr == ""
