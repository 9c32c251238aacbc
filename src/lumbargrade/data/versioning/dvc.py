"""Versions of the data, kept by DVC: which bytes a dataset was, and which crops and folds were made of it.

DVC allows one writer at a time, so nothing here is called in parallel.
"""

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.scm import SCMError
from filelock import FileLock

from lumbargrade.config.project import check_folder_name, current_project
from lumbargrade.data.names import check_name, project_name
from lumbargrade.data.versioning.configuration import check_remote
from lumbargrade.errors import InputError, LumbargradeError
from lumbargrade.files import exchange_folder, new_folder, recover_folder, write_text
from lumbargrade.git import author_settings, run_git
from lumbargrade.tree import check_whole, file_sizes, has_linked_folders, link_tree, remove_tree

POINTERS = ("*.dvc", "dvc.lock", "data/datasets.yaml", "data/.gitignore")
"""What DVC has git keep (pathspecs): the data's pointers, as against code and parameters."""


_ALL_FILES = {"core.excludesFile": os.devnull}
"""A user's own list of what git never sees may name pointers too; the project's counts."""


@dataclass(frozen=True)
class DatasetVersion:
    """What DVC calls a dataset.

    Attributes:
        name: Its folder in ``data/``.
        md5: DVC's hash of all its files; ends in ``.dir``.
        size: Bytes.
        remote: The remote that holds it, if one is configured.
    """

    name: str
    md5: str
    size: int
    files: int
    remote: str | None

    @property
    def folder(self) -> Path:
        """Where it lies in the project."""
        return current_project().datasets / self.name


def version_dataset(source: Path) -> DatasetVersion:
    """Puts a dataset under DVC and pushes it to the default remote, if there is one.

    A folder in ``data/`` is tracked where it is; one from elsewhere is brought to ``data/<its name>``, and brought again
    when it has changed there. What was brought and then changed in ``data/`` is the project's own from then on. DVC sees no
    file behind a linked folder: in ``data/`` such a folder becomes one of links to its files, elsewhere it is refused.

    Raises:
        InputError: The project is no DVC repository, another folder of the same name is tracked already, the name has letters
            that a name in the project may not have, or the folder has links that DVC does not follow.
        LumbargradeError: DVC failed.
    """
    folder = dataset_folder(source)
    check_remote()
    with _repository(f"version {source}") as repo:
        if folder.resolve() == source.resolve():
            _replace_linked_folders(folder)
            repo.add([str(folder)])
            _own_if_changed(folder)
        elif has_linked_folders(source):
            raise InputError(
                f"{source} holds folders that are links, which DVC does not follow, so that their files would be "
                "missing",
                f"copy it with what they lead to (cp -rL) into {current_project().datasets}/ and give that copy",
                "dataset-with-linked-folders",
            )
        elif not pointer_of(folder).is_file():
            repo.imp_url(str(source.resolve()), out=str(folder))
        else:
            _check_origin(folder, source)
            repo.update([str(pointer_of(folder))])
            repo.checkout([str(pointer_of(folder))])
        remote = repo.config["core"].get("remote")
        if remote:
            repo.push([str(pointer_of(folder))])
    _register(folder.name)
    return read_version(folder, remote)


def dataset_folder(source: Path) -> Path:
    """Returns where a dataset lies, or will lie, in the project: ``data/<name>``.

    Raises:
        InputError: It lies in ``data/`` under a name that the project's datasets may not have.
    """
    given = Path(os.path.abspath(source))  # noqa: PTH100  # a link in data/ has its own name, not that of what it leads to
    if given.parent.resolve() != current_project().datasets.resolve():
        return current_project().datasets / project_name(source.resolve())
    check_name(given.name)
    return current_project().datasets / given.name


def read_version(folder: Path, remote: str | None = None) -> DatasetVersion:
    """Returns the version that a tracked dataset's pointer records.

    Raises:
        InputError: The folder is not under DVC.
    """
    pointer = pointer_of(folder)
    if not pointer.is_file():
        raise InputError(
            f"{folder} is not under DVC",
            f"version it with `lumbargrade dataset version {folder}`",
            "dataset-not-under-dvc",
        )
    out = yaml.safe_load(pointer.read_text(encoding="utf-8"))["outs"][0]
    return DatasetVersion(name=folder.name, md5=out["md5"], size=out["size"], files=out["nfiles"], remote=remote)


def versioned_bytes(folder: Path) -> int:
    """Returns the size of the dataset that a pointer records, bytes; 0 if the folder is not under DVC."""
    return read_version(folder).size if pointer_of(folder).is_file() else 0


def fetch_dataset(folder: Path) -> bool:
    """Brings a tracked dataset that is not in the workspace out of DVC's cache or remote; tells whether it could."""
    if folder.exists() or not pointer_of(folder).is_file():
        return folder.exists()
    with _repository(f"pull {folder}") as repo:
        repo.pull([str(pointer_of(folder))])
    return folder.exists()


def reproduce(name: str, *stages: str) -> dict[str, str]:
    """Runs stages of ``dvc.yaml`` for a dataset, if they are stale, and returns the hash of each output: ``{"crops": …}``.

    Raises:
        InputError: The name has letters that a name in the project may not have: ``dvc.yaml`` hands it to a shell.
        LumbargradeError: A stage failed; its own message stands above.
    """
    check_name(name)
    with _repository(f"prepare {name}") as repo, _own_commands():
        repo.reproduce([f"{current_project().dvc_stages}:{stage}@{name}" for stage in stages])
    lock = yaml.safe_load(current_project().dvc_lock.read_text(encoding="utf-8"))
    outs = [out for stage in stages for out in lock["stages"][f"{stage}@{name}"]["outs"]]
    return {Path(out["path"]).name: out["md5"] for out in outs}


def uncommitted_pointers() -> list[str]:
    """Returns the pointers that git does not have as they are now."""
    status = ("status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--ignored=no", "--", *POINTERS)
    entries = os.fsdecode(run_git(current_project().root, *status, settings=_ALL_FILES))
    return [entry[3:] for entry in entries.split("\0") if entry]


def commit_pointers(message: str) -> str | None:
    """Commits the data's pointers, and nothing else; returns the commit, or nothing if they were committed already."""
    changed = uncommitted_pointers()
    if not changed:
        return None
    root, literally = current_project().root, "--literal-pathspecs"
    top = Path(os.fsdecode(run_git(root, "rev-parse", "--show-toplevel").removesuffix(b"\n")))  # names are told from it
    run_git(top, literally, "add", "--", *changed, settings=_ALL_FILES)
    author = author_settings(root)
    run_git(top, literally, "commit", "--quiet", "-m", message, "--", *changed, settings=_ALL_FILES | author)
    return run_git(root, "rev-parse", "HEAD").decode().strip()


def pointer_of(folder: Path) -> Path:
    """The file by which DVC records a dataset."""
    return folder.with_name(f"{folder.name}.dvc")


def _check_origin(folder: Path, source: Path) -> None:
    """Two datasets of one name must not take each other's place unseen; one whose place is mounted elsewhere now is the same."""
    pointer = yaml.safe_load(pointer_of(folder).read_text(encoding="utf-8"))
    origin = pointer.get("deps", [{}])[0].get("path")
    known = (pointer_of(folder).parent / origin).resolve() if origin else folder.resolve()
    if known == source.resolve():
        return
    if known.exists():
        raise InputError(
            f"{folder} already holds a dataset from elsewhere",
            f"rename {source.name} and run again",
            "dataset-name-taken",
        )
    if not _holds_all(source, folder, pointer["outs"][0]):
        raise InputError(
            f"{folder} was brought from {known}, which is not there any more, and {source} lacks files of it",
            f"mount it there again, or rename {source.name} if it is another dataset",
            "dataset-source-missing",
        )
    pointer["deps"][0]["path"] = str(source.resolve())
    pointer.pop("md5", None)  # of the pointer itself, which DVC makes again
    write_text(pointer_of(folder), yaml.safe_dump(pointer, sort_keys=False))


def _holds_all(source: Path, folder: Path, recorded: Mapping[str, Any]) -> bool:
    """Whether a folder has all files of the dataset, of the same sizes; it may have more by now."""
    there = file_sizes(source)
    if not folder.exists():  # not brought out of DVC here: then it must be as large
        return (len(there), sum(there.values())) == (recorded["nfiles"], recorded["size"])
    return file_sizes(folder).items() <= there.items()


def _replace_linked_folders(folder: Path) -> None:
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        new = new_folder(folder)
        recover_folder(new, folder)
        remove_tree(new)
        if not has_linked_folders(folder):
            return
        before = file_sizes(folder)
        link_tree(folder, new)
        check_whole(new, before)
        exchange_folder(new, folder)
        remove_tree(new)


def _own_if_changed(folder: Path) -> None:
    """Forgets where a dataset was brought from, or it would be brought again, without what has changed here since."""
    recorded = yaml.safe_load(pointer_of(folder).read_text(encoding="utf-8"))
    if "deps" in recorded and recorded["deps"][0]["md5"] != recorded["outs"][0]["md5"]:
        write_text(pointer_of(folder), yaml.safe_dump({"outs": recorded["outs"]}, sort_keys=False))


def _register(name: str) -> None:
    path = current_project().dataset_list
    text = path.read_text(encoding="utf-8")
    listed: list[str] = yaml.safe_load(text)["datasets"]
    if name not in listed:
        write_text(path, text.split("datasets:")[0] + yaml.safe_dump({"datasets": [*listed, name]}))


@contextmanager
def _repository(doing: str) -> Iterator[Any]:
    project = current_project()
    check_folder_name(project.root.resolve())
    if not project.dvc_stages.is_file():
        raise InputError("there is no dvc.yaml here", "run the command in the project's folder", "dvc-yaml-missing")
    logging.getLogger("dvc").setLevel(logging.WARNING)
    try:
        with redirect_stdout(sys.stderr), Repo(project.root) as repo:
            yield repo
    except (DvcException, SCMError, OSError) as error:
        raise LumbargradeError(f"DVC could not {doing}: {_last_cause(error)}", "", "dvc-failed") from error


def _last_cause(error: BaseException) -> str:
    """DVC wraps what happened; the innermost sentence says most."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).splitlines()[0] if str(error) else type(error).__name__


@contextmanager
def _own_commands() -> Iterator[None]:
    """Stages find this environment's `lumbargrade`, whether or not the environment is activated."""
    before = os.environ["PATH"]
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{before}"
    try:
        yield
    finally:
        os.environ["PATH"] = before
