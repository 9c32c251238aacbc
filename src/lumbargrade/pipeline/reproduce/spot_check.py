"""Trains single folds of a version's grader again, from the recorded crops, and compares their weights.

A student depends on all of its teachers: it is trained again, from those that were trained again, where all folds are.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from lumbargrade.config.code_digest import TRAINING
from lumbargrade.config.params import Params
from lumbargrade.config.task import GradingTask
from lumbargrade.data.versioning.integrity import restore_object
from lumbargrade.files import file_sha256
from lumbargrade.pipeline.reproduce.comparison import Compared
from lumbargrade.registry.lineage.dependencies import Json, read_dependencies
from lumbargrade.search.plan import SearchPlan
from lumbargrade.training.grader.input_files import check_unchanged
from lumbargrade.training.jobs.devices import find_devices
from lumbargrade.training.jobs.process import run_fold
from lumbargrade.training.jobs.spec import FoldResult, GraderSpec


def recorded_folds(record: Json) -> list[Json]:
    """The grader's folds in their order."""
    folds = [each for each in _trained(record) if "fold" in each["annotations"]]
    return sorted(folds, key=lambda each: int(each["annotations"]["fold"]))


def recorded_student(record: Json) -> Json | None:
    """The grader that was distilled or averaged from the folds; None if they are packaged themselves."""
    return next((each for each in _trained(record) if "teachers" in each["annotations"]), None)


def spot_check(
    record: Json, folds: int, project: Path, task: GradingTask, tell: Callable[[str], None]
) -> list[Compared]:
    """Trains so many folds again; with the last of them, the student.

    Args:
        project: Folder of the recorded code; what is restored and trained comes into it.
        tell: Told what is done.

    Raises:
        InputError: A file that the parameters name is not the recorded one.
    """
    again, worker = project / "again", training_worker(project)
    plan = _plan(record, again, task)
    made_of = read_dependencies(record)
    check_unchanged({part["annotations"]["path"]: part["digest"]["sha256"] for part in made_of.input_files})
    outputs = {Path(path).name: md5 for path, md5 in made_of.outputs.items()}
    wanted = [name for name in ("crops", "located", "split.csv") if name in outputs]
    for name in wanted:
        restore_object(outputs[name], again / name)
    tell(f"restored {', '.join(wanted)} with the hashes that were recorded")
    results: list[FoldResult] = []
    compared: list[Compared] = []

    def train(spec: GraderSpec, known: Json) -> None:
        tell(f"training {spec.name} again")
        results.append(
            run_fold(spec, find_devices(known["annotations"]["threads"]), variables=run_code(project), worker=worker)
        )
        now = file_sha256(results[-1].model)
        what = spec.name.removeprefix("the ")
        compared.append(Compared(what=what, then=known["digest"]["sha256"], now=now, trained=True))

    known, student = recorded_folds(record), recorded_student(record)
    for spec, one in zip(plan.fold_specs(plan.params.training)[:folds], known, strict=False):
        train(spec, one)
    if student is not None and folds == len(known):
        train(plan.student_spec(plan.params.training, results), student)
    elif student is not None:
        tell(f"the packaged grader is not compared: it was made of {len(known)} folds; give --folds {len(known)}")
    return compared


def run_code(project: Path) -> dict[str, str]:
    """With these variables a process runs a project's code, wherever else the package is installed."""
    return {"PYTHONPATH": str(project / "src")}


def training_worker(project: Path) -> str:
    """The module that trains a fold in the project's code."""
    older = "lumbargrade.training.fold"
    return older if (project / "src" / older.replace(".", "/")).with_suffix(".py").is_file() else TRAINING


def _plan(record: Json, again: Path, task: GradingTask) -> SearchPlan:
    recorded = record["predicate"]["buildDefinition"]["externalParameters"]["params"]
    params = Params.model_validate(recorded | {"training": record["lumbargrade"]["search"]["training"]})
    located = (
        again / "located" if any(Path(path).name == "located" for path in read_dependencies(record).outputs) else None
    )
    return SearchPlan(params, task, {}, again / "crops", again / "split.csv", again / "runs", located)


def _trained(record: Json) -> Sequence[Json]:
    byproducts: Sequence[Json] = record["predicate"]["runDetails"]["byproducts"]
    return byproducts
