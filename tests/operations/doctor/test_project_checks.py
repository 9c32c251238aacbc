"""Each check of the project's stores, data and keys, with what it is for made wrong."""

import shutil
import socket
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from lumbargrade.audit.keys import open_signing_key
from lumbargrade.audit.log import AuditLog
from lumbargrade.deidentify.key import open_pseudonym_key
from lumbargrade.operations.doctor.dvc_data import check_cache, check_remote_reachable, check_sources
from lumbargrade.operations.doctor.examine import examine
from lumbargrade.operations.doctor.keys import check_keys
from lumbargrade.operations.doctor.stores import _revisions, check_mlflow, check_prefect


def told(check) -> list[tuple[str, str]]:
    return [(finding.state, finding.code) for finding in check()]


@pytest.fixture
def store(folder: Path, empty_store: Path) -> Path:
    (folder / "mlruns/artifacts").mkdir(parents=True)
    return Path(shutil.copy(empty_store, folder / "mlruns/mlflow.db"))


def change(database: Path, *statements: str) -> None:
    database.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(database)) as rows, rows:
        for statement in statements:
            rows.execute(statement)


def test_a_store_of_the_installed_version(store: Path) -> None:
    """What the check reads of MLflow's files is what MLflow itself makes."""
    assert told(check_mlflow) == [("ok", "mlflow-schema")]


def test_a_store_that_is_older_newer_broken_or_without_its_artifacts(store: Path) -> None:
    known, newest = _revisions("mlflow")
    change(store, f"UPDATE alembic_version SET version_num = '{min(known - newest)}'")
    assert told(check_mlflow) == [("problem", "store-schema-old")]
    change(store, "UPDATE alembic_version SET version_num = 'ffffffffffff'")
    assert told(check_mlflow) == [("problem", "store-schema-unknown")]
    (store.parent / "artifacts").rmdir()
    assert told(check_mlflow)[-1] == ("problem", "artifacts-missing")
    store.write_bytes(b"no database" * 100)
    assert told(check_mlflow) == [("problem", "store-unreadable")]


def test_a_store_that_is_held_by_another_process(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lumbargrade.operations.doctor.stores._SECONDS", 0.1)
    with closing(sqlite3.connect(store)) as rows:
        rows.execute("BEGIN EXCLUSIVE")
        assert told(check_mlflow) == [("problem", "store-locked")]


def test_a_project_that_was_moved(store: Path) -> None:
    change(
        store,
        "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage) "
        "VALUES (7, 'lumbargrade-rsna2024', '/before/project/mlruns/artifacts', 'active')",
    )
    (_, found) = check_mlflow()
    assert (found.state, found.code) == ("note", "project-moved") and "/before/project" in found.what


def test_a_store_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    (found,) = check_mlflow()
    assert (found.state, found.code) == ("problem", "store-not-reached") and "secret" not in found.what
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://me:secret@db/mlflow")
    (found,) = check_mlflow()
    assert (found.state, found.what) == ("ok", "MLflow's store is postgresql://db/mlflow")


def test_prefects_database(folder: Path) -> None:
    database = folder / "state/operations/prefect/prefect.db"
    known, newest = _revisions("prefect")
    assert len(known) > 50 and len(newest) == 1
    assert told(check_prefect) == [("ok", "prefect")]
    steps = '[{"prefect.deployments.steps.set_working_directory": {"directory": "DIRECTORY"}}]'
    change(
        database,
        "CREATE TABLE alembic_version (version_num)",
        f"INSERT INTO alembic_version VALUES ('{min(newest)}')",
        "CREATE TABLE deployment (pull_steps)",
        f"INSERT INTO deployment VALUES ('{steps.replace('DIRECTORY', str(folder))}'), (NULL), ('null')",
    )
    assert told(check_prefect) == [("ok", "prefect-schema")]
    change(database, f"INSERT INTO deployment VALUES ('{steps.replace('DIRECTORY', '/before')}')")
    assert told(check_prefect)[-1] == ("note", "deployments-moved")
    change(database, f"UPDATE alembic_version SET version_num = '{min(known - newest)}'")
    assert told(check_prefect)[0] == ("problem", "store-schema-old")
    database.write_bytes(b"")
    assert told(check_prefect) == [("problem", "store-unreadable")]
    database.unlink()
    database.mkdir()
    (found,) = examine({"Prefect's database": check_prefect}).findings
    assert (found.state, found.code) == ("problem", "store-unreadable")


def point(folder: Path, name: str = "hospital", source: str | None = None) -> Path:
    deps = {"deps": [{"md5": "a.dir", "path": source}]} if source else {}
    path = folder / f"data/{name}.dvc"
    path.write_text(yaml.safe_dump({**deps, "outs": [{"md5": "a.dir", "path": name}]}))
    return path


def test_dvcs_cache(folder: Path) -> None:
    assert told(check_cache) == [("ok", "dvc-cache")]
    point(folder)
    assert told(check_cache) == [("problem", "dvc-cache-missing")]
    (folder / ".dvc/cache/files/md5").mkdir(parents=True)
    assert told(check_cache) == [("ok", "dvc-cache")]


def set_remote(folder: Path, address: str) -> None:
    (folder / ".dvc/config").write_text(f"[core]\n remote = far\n['remote \"far\"']\n url = {address}\n")


def test_dvcs_remote(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(check_remote_reachable) == [("ok", "dvc-remote")]
    point(folder)
    assert told(check_remote_reachable) == [("problem", "dvc-remote-missing")]
    (folder / ".dvc-store").mkdir()
    assert told(check_remote_reachable) == [("ok", "dvc-remote")]
    (folder / ".dvc/config").write_text("")
    assert told(check_remote_reachable) == [("note", "dvc-remote-none")]
    set_remote(folder, "gs://bucket/data")
    monkeypatch.setattr("lumbargrade.operations.doctor.dvc_data.find_spec", lambda name: None)
    assert told(check_remote_reachable) == [("problem", "dvc-remote-plugin-missing")]


def test_a_remote_server(folder: Path) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        set_remote(folder, f"http://127.0.0.1:{port}/data")
        assert told(check_remote_reachable) == [("ok", "dvc-remote")]
    assert told(check_remote_reachable) == [("problem", "dvc-remote-not-reached")]


def test_sources_of_datasets(folder: Path, tmp_path: Path) -> None:
    point(folder, "here", str(tmp_path))
    assert told(check_sources) == []
    point(folder, "gone", "/mnt/nas/hospital")
    (found,) = check_sources()
    assert (found.state, found.code) == ("note", "dataset-source-missing") and "/mnt/nas/hospital" in found.what
    (folder / "data/odd.dvc").write_text("deps: [1")
    assert ("problem", "dvc-pointer-unreadable") in told(check_sources)


def test_keys(folder: Path) -> None:
    assert told(check_keys) == [("ok", "signing-key")]
    AuditLog().append("dataset version", "hospital", {})
    open_pseudonym_key()
    assert told(check_keys) == [("ok", "signing-key")]
    private = folder / "audit/keys/private.pem"
    for key in (private, folder / "audit/keys/pseudonym.key"):
        key.chmod(0o644)
    assert told(check_keys) == [("problem", "key-readable-by-others")] * 2 + [("ok", "signing-key")]
    private.chmod(0o600)
    private.rename(folder / "kept")
    assert told(check_keys)[-1] == ("problem", "signing-key-missing")
    other = open_signing_key(folder / "others/keys")
    shutil.copy(other.path, private)
    assert told(check_keys)[-1] == ("problem", "signing-key-is-another")
    private.write_text("no key")
    assert told(check_keys)[-1] == ("problem", "signing-key-unreadable")


def test_a_key_that_the_environment_names(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUMBARGRADE_SIGNING_KEY", str(folder / "organisation.pem"))
    assert told(check_keys) == [("problem", "signing-key-missing")]


@pytest.mark.parametrize(
    ("days", "found"), [(-1, ("problem", "certificate-expired")), (9, ("note", "certificate-expires"))]
)
def test_a_certificate_beside_the_key(folder: Path, days: int, found: tuple[str, str]) -> None:
    key = open_signing_key()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hospital")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(
            name, name, key.key.public_key(), 1, now - timedelta(days=99), now + timedelta(days=days)
        )
        .sign(key.key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    with key.path.open("ab") as file:
        file.write(certificate)
    assert told(check_keys) == [found, ("ok", "signing-key")]
