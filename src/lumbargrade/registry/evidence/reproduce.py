"""Makes a version again, from its commit, its data and its parameters, and compares what comes out.

It runs the recorded commit's own code, in a worktree of its own, on files out of DVC's cache whose hashes were computed
anew. Nothing that the project has prepared or trained is used, but for a spot check of single folds, which starts from
the recorded crops.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict

from lumbargrade.audit.log import AuditLog
from lumbargrade.dataset.integrity import restore_object
from lumbargrade.errors import InputError, LumbargradeError
from lumbargrade.params import Params
from lumbargrade.registry.contract import registered_name
from lumbargrade.registry.evidence.bundle import PATCH, Evidence, fetched_evidence
from lumbargrade.registry.evidence.code import source_sha256
from lumbargrade.registry.evidence.environment import installed_packages
from lumbargrade.registry.evidence.record import Json, file_sha256
from lumbargrade.registry.evidence.verify import check_servable
from lumbargrade.registry.versions import get_version
from lumbargrade.task import GradingTask
from lumbargrade.training.crossval import run_fold
from lumbargrade.training.devices import find_devices
from lumbargrade.training.spec import FoldSpec
from lumbargrade.training.tracking import Tracker

REPRODUCED = "reproduced"
"""Kind of an entry in the audit log."""

_OWN = "lumbargrade"
_COMMAND = "from lumbargrade.cli import main; main()"
_WEIGHTS = "artifacts/"


class Compared(BaseModel):
    """Something that was made again.

    Attributes:
        then: Its hash or value as it was recorded.
        now: Nothing if it was not made again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    what: str
    then: str
    now: str | None

    @property
    def same(self) -> bool:
        """Whether it came out as it was."""
        return self.then == self.now

    @property
    def words(self) -> str:
        """How it came out."""
        return "the same" if self.same else "not made" if self.now is None else "different"


class Reproduction(BaseModel):
    """What came out.

    Attributes:
        verdict: ``identical`` if every byte and number is the same; ``within tolerance`` if only the weights' bytes differ and
            the scores by no more than the tolerance; else ``different``.
        environment: Packages that are not as they were: name, then, now.
        score_difference: Of the cross-validated official score; nothing for a spot check.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    verdict: Literal["identical", "within tolerance", "different"]
    folds: int | None
    environment: tuple[str, ...]
    compared: tuple[Compared, ...]
    score_difference: float | None
    tolerance: float


def reproduce(
    tracker: Tracker,
    task: GradingTask,
    log: AuditLog,
    version: str,
    folds: int | None = None,
    tolerance: float = 0.02,
    tell: Callable[[str], None] = print,
) -> Reproduction:
    """Makes a version again and compares it.

    Args:
        folds: Only so many folds of the grader, from the recorded crops; everything if not given.
        tolerance: How far the score may be off where bits differ, as on a GPU.
        tell: Told what is done.

    Raises:
        InputError: The version, its evidence, its commit or its data cannot be had as they were.
        LumbargradeError: The run failed.
    """
    found = get_version(tracker, task, version)
    check_servable(tracker, task, log, version)
    with fetched_evidence(found) as evidence:
        if evidence is None:
            raise InputError(f"version {version} has no evidence")
        record = evidence.record
        environment = tuple(_environment_differences(_parts(record)))
        tell(f"environment: {len(environment)} packages differ" if environment else "environment: the same packages")
        with _checked_out(record, evidence) as project:
            if folds is None:
                compared, difference = _whole(record, project, task, tell)
            else:
                compared, difference = _spot_check(record, project, task, folds, tell), None
    same = all(each.same for each in compared)
    close = difference is not None and abs(difference) <= tolerance
    result = Reproduction(
        version=version,
        verdict="identical" if same else "within tolerance" if close else "different",
        folds=folds,
        environment=environment,
        compared=tuple(compared),
        score_difference=difference,
        tolerance=tolerance,
    )
    told = result.model_dump(mode="json", include={"verdict", "folds", "environment", "score_difference"})
    log.append(REPRODUCED, f"models:/{registered_name(task)}/{version}", told)
    return result


@contextmanager
def _checked_out(record: Json, evidence: Evidence) -> Iterator[Path]:
    """The recorded code, in a worktree as long as the context lasts."""
    code = _parts(record)["code"]
    commit = code["digest"]["gitCommit"]
    with tempfile.TemporaryDirectory(prefix=".reproduce-", dir=Path()) as name:
        project = (Path(name) / "project").resolve()
        _git("worktree", "add", "--quiet", "--detach", str(project), commit)
        try:
            if code["annotations"]["dirty"]:
                _git("-C", str(project), "apply", str((evidence.folder / PATCH).resolve()))
            if source_sha256(project / "src" / _OWN) != code["digest"]["sha256"]:
                raise InputError(
                    f"the package that made the version was not that of commit {commit}: it was installed from elsewhere; "
                    "check that code out and install it, then reproduce"
                )
            yield project
        finally:
            _git("worktree", "remove", "--force", str(project))


def _whole(record: Json, project: Path, task: GradingTask, tell: Callable[[str], None]) -> tuple[list[Compared], float]:
    """Runs the main job again, on the dataset alone, with the best trial as its only one."""
    build = record["predicate"]["buildDefinition"]
    name, parts = _dataset(record)
    data = project / "data" / name
    shutil.rmtree(data, ignore_errors=True)
    data.with_name(f"{name}.dvc").unlink(missing_ok=True)
    restore_object(parts["digest"]["md5"], data)
    tell(f"restored {name}, {parts['annotations']['files']:,} files, each with the hash that was recorded")
    (project / "dvc.lock").unlink(missing_ok=True)
    (project / ".dvc" / "config.local").write_text("[core]\n    remote = \n", encoding="utf-8")
    params = Params.model_validate(build["externalParameters"]["params"])
    search = params.search.model_copy(update={"trials": 1, "space": {}})
    again = params.model_dump(mode="json") | {
        "search": search.model_dump(mode="json"),
        "training": record["lumbargrade"]["search"]["training"],
        "task": str(project / "reproduced-task.yaml"),
        "dataset": params.dataset.model_dump(mode="json") | {"path": f"data/{name}"},
    }
    _write_yaml(project / "reproduced-task.yaml", task.model_dump(mode="json"))
    _write_yaml(project / "reproduced-params.yaml", again)
    _command(project, "run", "--params", "reproduced-params.yaml", "--allow-dirty")
    shown = _command(project, "audit", "show", "1", "--json", "--task", again["task"])
    made: Json = json.loads(shown)
    then, now = _results(record), _results(made)
    compared = [Compared(what=what, then=value, now=now.get(what)) for what, value in then.items()]
    scores = [each["lumbargrade"]["evaluation"]["score"] for each in (made, record)]
    return compared, scores[0] - scores[1]


def _results(record: Json) -> dict[str, str]:
    """Everything that must come out the same: what was prepared, the weights, and how good they are."""
    build, story = record["predicate"]["buildDefinition"], record["lumbargrade"]
    found: dict[str, str] = {}
    for part in build["resolvedDependencies"]:
        if part["name"].startswith("dvc stage "):
            found |= part["annotations"]["outputs"]
        elif part["name"].startswith("dataset "):
            found[part["name"]] = part["digest"]["sha256"]
    for file in record["subject"]:
        if file["name"].startswith(_WEIGHTS):
            found[file["name"]] = file["digest"]["sha256"]
    found["cross-validated evaluation"] = json.dumps(story["evaluation"], sort_keys=True)
    if story["gate"]["candidate"] is not None:
        found["evaluation on the holdout"] = json.dumps(story["gate"]["candidate"], sort_keys=True)
    return found


def _spot_check(
    record: Json, project: Path, task: GradingTask, folds: int, tell: Callable[[str], None]
) -> list[Compared]:
    """Trains some folds of the grader again, from the recorded crops."""
    build = record["predicate"]["buildDefinition"]
    params = Params.model_validate(build["externalParameters"]["params"])
    outputs: dict[str, str] = {}
    for part in build["resolvedDependencies"]:
        if part["name"].startswith("dvc stage "):
            outputs |= {Path(path).name: md5 for path, md5 in part["annotations"]["outputs"].items()}
    wanted = [name for name in ("crops", "located", "split.csv") if name in outputs]
    for name in wanted:
        restore_object(outputs[name], project / "again" / name)
    tell(f"restored {', '.join(wanted)} with the hashes that were recorded")
    known = {
        each["annotations"]["fold"]: each
        for each in record["predicate"]["runDetails"]["byproducts"]
        if "fold" in each["annotations"]
    }
    if not 1 <= folds <= len(known):
        raise InputError(f"--folds is {folds}; version {record['lumbargrade']['version']} has {len(known)} folds")
    compared = []
    for fold in sorted(known)[:folds]:
        spec = FoldSpec(
            task=task,
            prepare=params.prepare,
            training=Params.model_validate(
                build["externalParameters"]["params"] | {"training": record["lumbargrade"]["search"]["training"]}
            ).training,
            crops=project / "again" / "crops",
            located=project / "again" / "located" if "located" in outputs else None,
            split=project / "again" / "split.csv",
            fold=fold,
            seed=params.seed,
            folder=project / "again" / f"fold-{fold}",
        )
        spec.folder.mkdir(parents=True)
        tell(f"training fold {fold} again")
        with _source(project):
            result = run_fold(spec, find_devices(known[fold]["annotations"]["threads"]))
        compared.append(
            Compared(what=f"fold {fold}", then=known[fold]["digest"]["sha256"], now=file_sha256(result.model))
        )
    return compared


def _environment_differences(parts: Mapping[str, Json]) -> Iterator[str]:
    """Packages that are not those with which the version was made: the hash is of all their files."""
    now = {package.name: package for package in installed_packages() if package.name.lower() != _OWN}
    then = {name: part for name, part in parts.items() if "version" in part["annotations"] and name.lower() != _OWN}
    for name in sorted({*now, *then}):
        if name not in now:
            yield f"{name} {then[name]['annotations']['version']} is not installed"
        elif name not in then:
            yield f"{name} {now[name].version} was not installed"
        elif then[name]["annotations"]["version"] != now[name].version:
            yield f"{name} is {now[name].version}; it was {then[name]['annotations']['version']}"
        elif then[name]["digest"].get("sha256", "") != now[name].sha256:
            yield f"{name} {now[name].version} has other files than it had"


def _parts(record: Json) -> dict[str, Json]:
    return {part["name"]: part for part in record["predicate"]["buildDefinition"]["resolvedDependencies"]}


def _dataset(record: Json) -> tuple[str, Json]:
    part = next(part for name, part in _parts(record).items() if name.startswith("dataset "))
    return part["name"].removeprefix("dataset "), part


def _write_yaml(path: Path, told: Json) -> None:
    path.write_text(yaml.safe_dump(told, sort_keys=False), encoding="utf-8")


@contextmanager
def _source(project: Path) -> Iterator[None]:
    """Processes that are started meanwhile run the project's code, wherever else the package is installed."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(project / "src")
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def _command(project: Path, *arguments: str) -> str:
    """Runs the project's own `lumbargrade`, with stores of its own; its story goes to the terminal."""
    environment = {**os.environ, "PYTHONPATH": str(project / "src"), "MLFLOW_TRACKING_URI": ""}
    done = subprocess.run(
        [sys.executable, "-c", _COMMAND, *arguments],
        cwd=project,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise LumbargradeError(f"`lumbargrade {arguments[0]}` of the recorded code failed; its last words stand above")
    return done.stdout


def _git(*arguments: str) -> None:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        words: Sequence[str] = done.stderr.strip().splitlines() or ["no reason given"]
        raise InputError(f"git {arguments[0]} failed: {words[-1]}; fetch the recorded commit and try again")
