"""DVC's cache and remote, and the places that datasets were brought from."""

import socket
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from lumbargrade.config.project import current_project
from lumbargrade.data.versioning.configuration import cache_folder, check_remote, default_remote
from lumbargrade.operations.doctor.findings import Finding

_SECONDS = 3
_PORTS = {"http": 80, "https": 443, "ssh": 22, "webdav": 80, "webdavs": 443}
_PLUGINS = {
    "s3": "dvc_s3",
    "gs": "dvc_gs",
    "azure": "dvc_azure",
    "ssh": "dvc_ssh",
    "webdav": "dvc_webdav",
    "gdrive": "dvc_gdrive",
}


def check_cache() -> Iterator[Finding]:
    """Whether DVC's cache is there if anything is versioned."""
    cache = cache_folder()
    if not _pointers():
        yield Finding.ok("dvc-cache", "no dataset is versioned here yet")
    elif not (cache / "files/md5").is_dir():
        yield Finding.problem(
            "dvc-cache-missing",
            f"datasets are versioned, and DVC's cache {cache} is not there",
            "mount it, or bring it with `dvc pull` if a remote has it",
        )
    else:
        yield Finding.ok("dvc-cache", f"DVC's cache is {cache}")


def check_remote_reachable() -> Iterator[Finding]:
    """Whether the default remote can be reached."""
    check_remote()
    address = default_remote()
    if address is None:
        yield Finding.note(
            "dvc-remote-none",
            "DVC has no default remote: datasets are in this machine's cache alone",
            "name one with `dvc remote add --default NAME ADDRESS`",
        )
        return
    parts = urlsplit(address)
    if not parts.scheme:
        yield _folder(Path(address))
        return
    plugin = _PLUGINS.get(parts.scheme)
    if plugin is not None and find_spec(plugin) is None:
        yield Finding.problem(
            "dvc-remote-plugin-missing",
            f"DVC's remote is {parts.scheme}://..., for which DVC has no plugin here",
            f"`pip install 'dvc[{parts.scheme}]'`",
        )
    elif parts.scheme in _PORTS and parts.hostname:
        yield _host(parts.hostname, parts.port or _PORTS[parts.scheme])
    else:
        yield Finding.ok("dvc-remote", f"DVC's remote is {parts.scheme}://...; whether it answers was not tried")


def check_sources() -> Iterator[Finding]:
    """Whether the places that datasets were brought from are still there."""
    for pointer in _pointers():
        try:
            stage: Any = yaml.safe_load(pointer.read_text(encoding="utf-8"))
            places = [pointer.parent / dep["path"] for dep in stage.get("deps", []) if "://" not in dep["path"]]
        except (yaml.YAMLError, AttributeError, KeyError, TypeError):
            yield Finding.problem(
                "dvc-pointer-unreadable",
                f"{pointer} is not as DVC writes it",
                "take it from git, or version the data again",
            )
            continue
        for place in places:
            if not place.exists():
                yield Finding.note(
                    "dataset-source-missing",
                    f"dataset {pointer.stem} was brought from {place}, which is not there now; its files are in data/",
                    "mount it again, or give its new place to `lumbargrade dataset version`",
                )


def _pointers() -> list[Path]:
    return sorted(current_project().datasets.glob("*.dvc"))


def _folder(folder: Path) -> Finding:
    if folder.is_dir():
        return Finding.ok("dvc-remote", f"DVC's remote is {folder}")
    if not _pointers():
        return Finding.ok("dvc-remote", f"DVC's remote {folder} is made with the first version")
    return Finding.problem(
        "dvc-remote-missing",
        f"DVC's remote {folder} is not there",
        "mount it, or restore it: it is the copy of the data",
    )


def _host(host: str, port: int) -> Finding:
    try:
        socket.create_connection((host, port), timeout=_SECONDS).close()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        return Finding.problem(
            "dvc-remote-not-reached",
            f"DVC's remote at {host}:{port} does not answer ({reason})",
            "check the network and the server; versions stay here until it does",
        )
    return Finding.ok("dvc-remote", f"DVC's remote at {host}:{port} answers")
