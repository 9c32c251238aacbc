"""What may be altered in a project, or be missing, and what is said of it."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.projects import NAME, Project


def sql(statement: str, *values: str) -> None:
    with sqlite3.connect("mlruns/mlflow.db") as store:
        assert store.execute(statement, values).rowcount > 0
    store.close()


def flip(path: Path, place: int = 10) -> None:
    raw = bytearray(path.read_bytes())
    raw[place] ^= 1
    path.chmod(0o644)
    path.write_bytes(raw)


def a_byte_of_the_weights(project: Project) -> str:
    flip(next(project.model.rglob("grader-00.safetensors")))
    return "version 1: the model's file artifacts/grader-00.safetensors was altered"


def a_tag(project: Project) -> str:
    sql("UPDATE model_version_tags SET value = '0.1' WHERE key = 'holdout.score'")
    return "version 1: its tag holdout.score is 0.1; it was "


def a_version_from_elsewhere(project: Project) -> str:
    project.tracker.client.create_model_version(NAME, str(project.model), project.runs["search"])
    return "version 2: MLflow has it, and the log does not say that it was registered"


@contextmanager
def artifacts_that_are_not_mounted(project: Project) -> Iterator[str]:
    artifacts = project.folder / "mlruns/artifacts"
    artifacts.rename(project.folder / "aside")
    try:
        yield f"keeps its files in {artifacts}, where nothing is"
    finally:
        (project.folder / "aside").rename(artifacts)
