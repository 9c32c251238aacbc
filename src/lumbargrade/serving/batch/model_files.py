"""A packaged model by its address, verified before it grades a batch as it is before it is served."""

import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from lumbargrade.config.task import GradingTask
from lumbargrade.errors import InputError
from lumbargrade.files import files_sha256
from lumbargrade.models.bundle import read_model
from lumbargrade.models.trained_on import ModelFacts
from lumbargrade.registry.names import version_uri
from lumbargrade.registry.resolve import CHAMPION, fetch_model
from lumbargrade.serving.verified_server import champion_to_serve, check_version

_REGISTERED = re.compile(r"models:/(?P<name>[^/@]+)(?:/(?P<version>\d+)|@(?P<alias>[^/@]+))")


@dataclass(frozen=True)
class PackagedModel:
    """A model's files.

    Attributes:
        name: Registered name and version, or the name of its folder.
        sha256: Of the files.
        abstain_above: As it is served.
        facts: None if it was registered before they were kept.
    """

    name: str
    files: tuple[Path, ...]
    sha256: str
    task: GradingTask
    abstain_above: int
    facts: ModelFacts | None = None


def open_packaged(uri: str) -> PackagedModel:
    """Finds a model's files; a registered version is verified first, and the champion's alias with it.

    Args:
        uri: ``models:/<name>@champion``, ``models:/<name>/<version>``, or a folder that MLflow wrote.

    Raises:
        InputError: There is no such model, it is none of Lumbargrade's, or it is not what was signed.
        CannotVerifyError: It could not be read or checked; that says nothing of the model.
    """
    address = _REGISTERED.fullmatch(uri)
    if address is None:
        return _read(Path(uri).name, fetch_model(uri))
    if address["alias"] not in (None, CHAMPION):
        raise InputError(
            f"{uri} names an alias that is not kept here",
            f"give @{CHAMPION}, or a version's number",
            "model-alias-unknown",
        )
    found = _read("", fetch_model(uri))
    version = address["version"] or champion_to_serve(found.task)
    check_version(found.task, version, as_champion=address["alias"] is not None)
    return _read(f"{address['name']}/{version}", fetch_model(version_uri(address["name"], version)))


def _read(name: str, folder: Path) -> PackagedModel:
    files = tuple(sorted(path for path in (folder / "artifacts").glob("**/*.*") if path.is_file()))
    model = read_model(files, name or str(folder))
    told = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))
    config = told["flavors"]["python_function"].get("config") or {}
    abstain_above = int(config.get("abstain_above", 0))
    return PackagedModel(name, files, files_sha256(files), model.config.task, abstain_above, model.facts)
