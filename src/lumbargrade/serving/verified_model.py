"""A packaged model by its address, verified before it grades anything, as it is before it is served."""

from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from lumbargrade.errors import InputError
from lumbargrade.files import files_sha256
from lumbargrade.models.bundle import LoadedModel, read_model
from lumbargrade.registry.names import CHAMPION, parse_address, version_uri
from lumbargrade.registry.resolve import fetch_model
from lumbargrade.serving.verified_server import champion_to_serve, check_version


@dataclass(frozen=True, eq=False)
class VerifiedModel:
    """A model, and the files that it was read from.

    Attributes:
        loaded: Its networks; named by registered name and version, or by the model's folder.
        sha256: Of the files.
        abstain_above: As it is served.
    """

    loaded: LoadedModel
    files: tuple[Path, ...]
    sha256: str
    abstain_above: int

    @property
    def name(self) -> str:
        """Registered name and version, or the name of its folder."""
        return self.loaded.name


def open_model(uri: str) -> VerifiedModel:
    """Loads a model; a registered version is verified first, and the champion's alias with it.

    Args:
        uri: ``models:/<name>@champion``, ``models:/<name>/<version>``, or a folder that MLflow wrote.

    Raises:
        InputError: There is no such model, it is none of Lumbargrade's, or it is not what was signed.
        CannotVerifyError: It could not be read or checked; that says nothing of the model.
    """
    address = parse_address(uri)
    if address is None:
        return _read(Path(uri).name, fetch_model(uri))
    if address.alias not in (None, CHAMPION):
        raise InputError(
            f"{uri} names an alias that is not kept here",
            f"give @{CHAMPION}, or a version's number",
            "model-alias-unknown",
        )
    task = _read("", fetch_model(uri)).loaded.config.task
    version = address.version or champion_to_serve(task)
    check_version(task, version, as_champion=address.alias is not None)
    return _read(f"{address.name}/{version}", fetch_model(version_uri(address.name, version)))


def _read(name: str, folder: Path) -> VerifiedModel:
    files = tuple(sorted(path for path in (folder / "artifacts").glob("**/*.*") if path.is_file()))
    loaded = replace(read_model(files, name or str(folder)), name=name)
    package = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))
    config = package["flavors"]["python_function"].get("config") or {}
    return VerifiedModel(loaded, files, files_sha256(files), int(config.get("abstain_above", 0)))
