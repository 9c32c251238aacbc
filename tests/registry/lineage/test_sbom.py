import json
import sys
from pathlib import Path

import pytest

from lumbargrade.registry.lineage.environment import Package, installed_packages, this_machine
from lumbargrade.registry.lineage.sbom import sbom_json


def test_what_is_installed_is_listed_once_with_its_hash() -> None:
    packages = installed_packages()
    names = [package.name.lower() for package in packages]
    assert names == sorted(set(names))
    torch = next(package for package in packages if package.name == "torch")
    assert len(torch.sha256) == 64
    assert torch.version.startswith("2.")


def test_what_no_installer_recorded_has_no_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So are Debian's packages of Python, and the folders that a broken installation leaves."""
    (tmp_path / "debians.egg-info").mkdir()
    (tmp_path / "debians.egg-info" / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: debians\nVersion: 1.0\n")
    (tmp_path / "~roken-2.0.dist-info").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    packages = installed_packages()
    assert Package(name="debians", version="1.0", sha256="") in packages
    assert all(package.name for package in packages)


def test_the_machine_is_described_without_its_name() -> None:
    import socket

    told = this_machine().model_dump_json()
    assert socket.gethostname() not in told
    assert this_machine().cores > 0


def test_the_bill_names_model_and_packages() -> None:
    packages = [
        Package(name="Pillow", version="12.0", sha256=""),
        Package(name="torch", version="2.1", sha256="a" * 64),
    ]
    told = json.loads(sbom_json("lumbargrade-rsna2024", "3", packages))
    assert told["bomFormat"] == "CycloneDX"
    assert told["metadata"]["component"]["name"] == "lumbargrade-rsna2024"
    assert told["metadata"]["component"]["type"] == "machine-learning-model"
    assert {part["purl"] for part in told["components"]} == {"pkg:pypi/pillow@12.0", "pkg:pypi/torch@2.1"}
