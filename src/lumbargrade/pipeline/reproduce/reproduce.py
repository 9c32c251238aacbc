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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from lumbargrade.audit.log import AuditLog
from lumbargrade.config.params import Params
from lumbargrade.config.project import current_project
from lumbargrade.config.task import GradingTask
from lumbargrade.data.versioning.integrity import restore_object
from lumbargrade.errors import InputError, LumbargradeError
from lumbargrade.frozen import Frozen
from lumbargrade.git import GitError, run_git
from lumbargrade.pipeline.reproduce.comparison import (
    OWN,
    Compared,
    Verdict,
    compare_records,
    environment_differences,
    score_difference,
    verdict_of,
)
from lumbargrade.pipeline.reproduce.spot_check import recorded_folds, run_code, spot_check
from lumbargrade.registry.lineage.bundle import PATCH, Evidence, required_evidence
from lumbargrade.registry.lineage.code import source_sha256
from lumbargrade.registry.lineage.dependencies import DATASET, Json, read_dependencies
from lumbargrade.registry.lineage.environment import installed_packages
from lumbargrade.registry.lineage.verify import version_problems
from lumbargrade.registry.names import registered_name, version_uri
from lumbargrade.registry.versions import get_version
from lumbargrade.serving.mlflow_server import COMMAND
from lumbargrade.tracking.mlflow_tracker import Tracker

REPRODUCED = "reproduced"
"""Kind of an entry in the audit log."""


class Reproduction(Frozen):
    """What came out.

    Attributes:
        verdict: As :func:`lumbargrade.pipeline.reproduce.comparison.verdict_of` says it.
        environment: Packages that are not as they were: name, then, now.
        score_difference: Of the official score, cross-validated or on the holdout, whichever is farther off; None for a
            spot check.
    """

    version: str
    verdict: Verdict
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
        folds: Only so many folds of the grader, and with all of them their student, from the recorded crops; everything if
            not given.
        tolerance: How far the score may be off where bits differ, as on a GPU.
        tell: Told what is done.

    Raises:
        InputError: The version, its evidence, its commit or its data cannot be had as they were.
        LumbargradeError: The run failed.
    """
    found = get_version(tracker, task, version)
    with required_evidence(found) as evidence:
        problems = version_problems(tracker, task, log, version)
        if problems:
            raise InputError(
                f"version {version} of {registered_name(task)} is not made again, as it is not what was signed: "
                f"{problems[0].problem}",
                "`lumbargrade audit verify` names all that was altered, put it back from a copy",
                "version-altered",
            )
        record = evidence.record
        known = recorded_folds(record)
        if folds is not None and not 1 <= folds <= len(known):
            raise InputError(f"--folds is {folds}", f"version {version} has {len(known)} folds", "folds-out-of-range")
        environment = tuple(environment_differences(record, installed_packages()))
        tell(f"environment: {len(environment)} packages differ" if environment else "environment: the same packages")
        with _checked_out(record, evidence) as project:
            if folds is None:
                made = _whole(record, project, task, tell)
                compared, difference = compare_records(record, made), score_difference(record, made)
            else:
                compared, difference = spot_check(record, folds, project, task, tell), None
    result = Reproduction(
        version=version,
        verdict=verdict_of(compared, difference, tolerance),
        folds=folds,
        environment=environment,
        compared=tuple(compared),
        score_difference=difference,
        tolerance=tolerance,
    )
    details = result.model_dump(mode="json", include={"verdict", "folds", "environment", "score_difference"})
    log.append(REPRODUCED, version_uri(registered_name(task), version), details)
    return result


@contextmanager
def _checked_out(record: Json, evidence: Evidence) -> Iterator[Path]:
    """The recorded code, in a worktree as long as the context lasts."""
    code = read_dependencies(record).code
    commit = code["digest"]["gitCommit"]
    with tempfile.TemporaryDirectory(prefix=".reproduce-", dir=current_project().root) as name:
        project = (Path(name) / "project").resolve()
        _git("worktree", "add", "--quiet", "--detach", str(project), commit)
        try:
            if code["annotations"]["dirty"]:
                _git("apply", str((evidence.folder / PATCH).resolve()), within=project)
            if source_sha256(project / "src" / OWN) != code["digest"]["sha256"]:
                raise InputError(
                    f"the package that made the version was not that of commit {commit}: it was installed from "
                    "elsewhere",
                    "check that code out and install it, then reproduce",
                    "package-of-another-commit",
                )
            yield project
        finally:
            _git("worktree", "remove", "--force", str(project))


def _whole(record: Json, project: Path, task: GradingTask, tell: Callable[[str], None]) -> Json:
    """Runs the main job again, on the dataset alone, with the best trial as its only one; returns what it recorded."""
    build = record["predicate"]["buildDefinition"]
    dataset = read_dependencies(record).dataset
    name = dataset["name"].removeprefix(DATASET)
    data = project / "data" / name
    shutil.rmtree(data, ignore_errors=True)
    data.with_name(f"{name}.dvc").unlink(missing_ok=True)
    restore_object(dataset["digest"]["md5"], data)
    tell(f"restored {name}, {dataset['annotations']['files']:,} files, each with the hash that was recorded")
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
    made: Json = json.loads(_command(project, "audit", "show", "1", "--json", "--task", again["task"]))
    return made


def _write_yaml(path: Path, content: Json) -> None:
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def _command(project: Path, *arguments: str) -> str:
    """Runs the project's own `lumbargrade`, with stores of its own; its story goes to the terminal."""
    environment = {**os.environ, **run_code(project), "MLFLOW_TRACKING_URI": ""}
    done = subprocess.run(
        [sys.executable, *COMMAND, *arguments],
        cwd=project,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise LumbargradeError(
            f"`lumbargrade {arguments[0]}` of the recorded code failed",
            "its last words stand above",
            "recorded-command-failed",
        )
    return done.stdout


def _git(*arguments: str, within: Path | None = None) -> None:
    try:
        run_git(within or current_project().root, *arguments)
    except GitError as error:
        raise InputError(error.what, error.remedy or "fetch the recorded commit and try again", error.code) from error
