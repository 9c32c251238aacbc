"""Whether the bytes are still those that DVC recorded. DVC itself believes its cache and the files' times.

What cannot be read raises an error, and is no difference.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from lumbargrade.config.project import current_project
from lumbargrade.data.versioning.configuration import cache_folder
from lumbargrade.data.versioning.dvc import pointer_of
from lumbargrade.errors import CannotVerifyError, InputError
from lumbargrade.processes import Progress
from lumbargrade.tree import files_below

_DIRECTORY = ".dir"


def object_problems(md5: str, what: str, progress: Progress | None = None) -> Iterator[str]:
    """Reads an object of DVC's cache, and those that it lists, and names each that is not what its name says.

    Args:
        md5: As DVC records it; ends in ``.dir`` for a folder.
        what: How messages call it.
        progress: Told the number of objects read, and of all.

    Raises:
        CannotVerifyError: DVC's cache is not there.
        OSError: Something in it cannot be read.
    """
    listing, problem = _listing(md5)
    if problem:
        yield f"{what}: {problem}"
        return
    names = listing or {"": md5}
    for done, (name, digest) in enumerate(names.items(), start=1):
        path = _object(digest)
        where = f"{what}{': ' if name else ''}{name}"
        if not path.is_file():
            yield f"{where} is not in DVC's cache ({digest}); `dvc pull` brings it, if a remote has it"
        elif file_md5(path) != digest:
            yield f"{where} was altered in DVC's cache ({path})"
        if progress is not None:
            progress(done, len(names))


def workspace_problems(progress: Progress | None = None) -> Iterator[str]:
    """Compares the files here with what ``*.dvc`` and ``dvc.lock`` record of them, and the lock with the parameters.

    Args:
        progress: Told the number of files read, and of all.

    Raises:
        CannotVerifyError: DVC's cache is not there.
        OSError: A file cannot be read.
    """
    wanted: dict[Path, str] = {}
    try:
        recorded, parameters = _recorded(), list(_parameter_problems())
    except (yaml.YAMLError, AttributeError, KeyError, TypeError):
        yield "dvc.lock, data/datasets.yaml or a .dvc file is not as DVC writes it; take it from git, or run again"
        return
    for path, md5 in recorded.items():
        listing, problem = _listing(md5)
        if problem:
            yield f"{path}: {problem}"
        elif listing is None:
            wanted[path] = md5
        else:
            wanted |= {path / name: digest for name, digest in listing.items()}
            if path.is_dir():
                extra = set(files_below(path)) - {path / name for name in listing}
                yield from (f"{file} is not in what DVC recorded of {path}" for file in sorted(extra))
    for done, (path, digest) in enumerate(wanted.items(), start=1):
        if not path.is_file():
            yield f"{path} is missing; `dvc checkout` brings it back"
        elif file_md5(path) != digest:
            yield f"{path} is not what DVC recorded; `dvc checkout` brings that back, a run makes a new version of this"
        if progress is not None:
            progress(done, len(wanted))
    yield from parameters


def file_md5(path: Path) -> str:
    """MD5 of a file, as DVC counts it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _recorded() -> dict[Path, str]:
    """What lies in the project by DVC's account: datasets, and what stages made or read of them."""
    project = current_project()
    found: dict[Path, str] = {}
    for name in _datasets():
        pointer = pointer_of(project.datasets / name)
        if pointer.is_file() and (project.datasets / name).exists():
            found[project.datasets / name] = yaml.safe_load(pointer.read_text(encoding="utf-8"))["outs"][0]["md5"]
    for stage in _stages().values():
        for part in (*stage.get("outs", []), *stage.get("deps", [])):
            path = project.root / part["path"]
            if path.is_relative_to(project.prepared) and path.exists():
                found.setdefault(path, part["md5"])
    return {path: str(md5) for path, md5 in found.items()}


def _parameter_problems() -> Iterator[str]:
    for name, stage in _stages().items():
        for file, recorded in stage.get("params", {}).items():
            path = current_project().root / file
            if path.is_file():
                now = yaml.safe_load(path.read_text(encoding="utf-8"))
                for key, value in recorded.items():
                    if _at(now, key) != value:
                        yield f"{file}: {key} is not what dvc.lock says that {name} was run with; a run makes it anew"


def _at(params: Any, key: str) -> Any:
    for part in key.split("."):
        params = params.get(part) if isinstance(params, Mapping) else None
    return params


def _datasets() -> list[str]:
    listed = current_project().dataset_list
    names: list[str] = yaml.safe_load(listed.read_text(encoding="utf-8"))["datasets"] if listed.is_file() else []
    return names


def _stages() -> dict[str, Any]:
    lock = current_project().dvc_lock
    stages: dict[str, Any] = yaml.safe_load(lock.read_text(encoding="utf-8"))["stages"] if lock.is_file() else {}
    return stages


def _listing(md5: str) -> tuple[dict[str, str] | None, str | None]:
    """The files of a folder by their hashes, or nothing for a file; and what is wrong with the list itself."""
    if not md5.endswith(_DIRECTORY):
        return None, None
    path = _object(md5)
    if not path.is_file():
        return None, f"its list of files is not in DVC's cache ({md5}); `dvc pull` brings it, if a remote has it"
    if file_md5(path) != md5.removesuffix(_DIRECTORY):
        return None, f"its list of files was altered in DVC's cache ({path})"
    return {each["relpath"]: each["md5"] for each in json.loads(path.read_bytes())}, None


def _object(md5: str) -> Path:
    objects = cache_folder() / "files" / "md5"
    if not objects.is_dir():
        raise CannotVerifyError(
            f"DVC's cache {objects} is not there",
            "mount it, or bring it with `dvc pull` if a remote has it, and run again",
            "dvc-cache-missing",
        )
    return objects / md5[:2] / md5[2:]


def restore_object(md5: str, target: Path) -> None:
    """Writes a file or a folder out of DVC's cache, byte by byte what its hash says.

    Raises:
        InputError: The cache does not have it, or it was altered there.
    """
    problems = list(object_problems(md5, target.name))
    if problems:
        raise InputError(problems[0], "", "data-altered")
    listing, _ = _listing(md5)
    for name, digest in (listing or {"": md5}).items():
        file = target / name if name else target
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_object(digest), file)
