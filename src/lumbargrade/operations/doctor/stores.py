"""The databases of MLflow and Prefect: readable, of a version that the programs here know, and of this folder."""

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote, urlsplit

import requests

from lumbargrade.config.project import current_project
from lumbargrade.config.settings import Settings
from lumbargrade.errors import InputError
from lumbargrade.operations.doctor.findings import Finding
from lumbargrade.tracking.relocate import ARTIFACTS, DATABASE, recorded_places

_SECONDS = 3
_MIGRATIONS = {"mlflow": "store/db_migrations/versions", "prefect": "server/database/_migrations/versions/sqlite"}
_REVISION, _BELOW = re.compile(r"(?m)^revision\b.*?=(.*)$"), re.compile(r"(?m)^down_revision\b.*?=(.*)$")
_SHOWN = {"mlflow": "MLflow", "prefect": "Prefect"}
_NAME = re.compile(r"[0-9a-f]{12}")
_UNREADABLE = ("store-locked", "store-unreadable")


def check_mlflow() -> Iterator[Finding]:
    """The store of runs and models that is in use."""
    uri = Settings().mlflow_tracking_uri
    if uri and uri.startswith("http"):
        yield _server(uri)
        return
    store = current_project().mlflow_store.resolve()
    database = store / DATABASE
    if uri or not database.exists():
        yield Finding.ok(
            "store", f"MLflow's store is {_without_password(uri)}" if uri else "MLflow has no store here yet"
        )
        return
    with _opened(database) as rows:
        finding = _judge_schema(rows, "mlflow", database, f"copy it, then `mlflow db upgrade 'sqlite:///{database}'`")
        yield finding
        if finding.code in _UNREADABLE:
            return
        moved = [place for place in recorded_places(rows) if place != str(store / ARTIFACTS)]
    if not (store / ARTIFACTS).is_dir():
        yield Finding.problem(
            "artifacts-missing",
            f"MLflow's database is there, and its artifacts {store / ARTIFACTS} are not",
            "restore them from the same copy as the database",
        )
    elif moved:
        yield Finding.note(
            "project-moved",
            f"the project was moved or copied from {Path(moved[0]).parents[1]}: the next command lets its store follow",
        )


def check_prefect() -> Iterator[Finding]:
    """Prefect's database of the project's server, and the folder that its deployments run in."""
    project = current_project()
    database = project.prefect_home.resolve() / "prefect.db"
    if not database.exists():
        yield Finding.ok("prefect", "Prefect has no database here yet")
        return
    with _opened(database) as rows:
        finding = _judge_schema(rows, "prefect", database, "start `lumbargrade server`, which upgrades it")
        yield finding
        if finding.code in _UNREADABLE:
            return
        lists = [json.loads(steps) for (steps,) in rows.execute("SELECT pull_steps FROM deployment") if steps]
    steps = [inner for each in lists for step in each or [] for inner in step.values()]
    folders = {str(step["directory"]) for step in steps if "directory" in step}
    elsewhere = folders - {str(project.root.resolve())}
    if elsewhere:
        yield Finding.note(
            "deployments-moved",
            f"Prefect's deployments run in {min(elsewhere)}, where the project was before",
            "run `lumbargrade deploy` while the server runs; its next start does so too",
        )


@contextmanager
def _opened(database: Path) -> Iterator[sqlite3.Connection]:
    if not database.is_file():
        raise InputError(
            f"{database} is no file, and a database belongs there", "restore it from a copy", "store-unreadable"
        )
    address = f"file:{quote(str(database))}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, timeout=_SECONDS)) as rows:
        yield rows


def _judge_schema(rows: sqlite3.Connection, package: str, database: Path, remedy: str) -> Finding:
    try:
        found = {version for (version,) in rows.execute("SELECT version_num FROM alembic_version")}
    except sqlite3.Error as error:
        if error.sqlite_errorcode in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            remedy = "end what holds it, and look again"
            return Finding.problem(
                "store-locked", f"{_SHOWN[package]}'s database {database} is held by another process", remedy
            )
        return Finding.problem(
            "store-unreadable",
            f"{_SHOWN[package]}'s database {database} cannot be read ({error})",
            "restore it from a copy; keep the file that is there",
        )
    known, newest = _revisions(package)
    if found == newest:
        return Finding.ok(f"{package}-schema", f"{_SHOWN[package]}'s database is of the installed version")
    if found <= known:
        return Finding.problem(
            "store-schema-old", f"{_SHOWN[package]}'s database {database} is of an older version", remedy
        )
    return Finding.problem(
        "store-schema-unknown",
        f"{_SHOWN[package]}'s database {database} is of a version that the installed {_SHOWN[package]} does not know",
        f"install the {_SHOWN[package]} that wrote it, or restore the database from before",
    )


def _revisions(package: str) -> tuple[set[str], set[str]]:
    """All versions of a package's tables, and the newest, from its own files: to import it takes seconds."""
    spec = find_spec(package)
    folder = Path(str(spec.origin)).parent / _MIGRATIONS[package] if spec is not None else Path("/nowhere")
    texts = [path.read_text(encoding="utf-8") for path in folder.glob("*.py")]
    known, below = (
        {name for text in texts for line in pattern.findall(text) for name in _NAME.findall(line)}
        for pattern in (_REVISION, _BELOW)
    )
    return known, known - below


def _server(uri: str) -> Finding:
    try:
        requests.get(f"{uri.rstrip('/')}/health", timeout=_SECONDS).raise_for_status()
    except requests.RequestException as error:
        return Finding.problem(
            "store-not-reached",
            f"MLflow's server {_without_password(uri)} does not answer ({type(error).__name__})",
            "start it, or correct MLFLOW_TRACKING_URI",
        )
    return Finding.ok("store", f"MLflow's server {_without_password(uri)} answers")


def _without_password(uri: str) -> str:
    parts = urlsplit(uri)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
