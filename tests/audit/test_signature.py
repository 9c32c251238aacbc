"""A signed folder shows whatever is done to its files."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lumbargrade.audit.keys import SIGNING_KEY, SigningKey, open_signing_key
from lumbargrade.audit.signature import sign_folder, signature_problem


@pytest.fixture
def signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path, SigningKey]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(SIGNING_KEY, raising=False)
    folder = tmp_path / "model"
    for name in ("MLmodel", "artifacts/grader-00.safetensors", ".hidden", "code/.gitignore"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode() * 100)
    key = open_signing_key()
    sign_folder(folder, tmp_path / "audit" / "models" / "1.sig", key)
    return folder, tmp_path / "audit" / "models" / "1.sig", key


def a_byte_changed(folder: Path) -> None:
    path = folder / "artifacts/grader-00.safetensors"
    raw = bytearray(path.read_bytes())
    raw[50] ^= 1
    path.write_bytes(raw)


def hidden_changed(folder: Path) -> None:
    (folder / ".hidden").write_text("other")


def git_file_changed(folder: Path) -> None:
    (folder / "code/.gitignore").write_text("other")


def added(folder: Path) -> None:
    (folder / "code/more.py").write_text("print()")


def removed(folder: Path) -> None:
    (folder / "MLmodel").unlink()


def renamed(folder: Path) -> None:
    (folder / "MLmodel").rename(folder / "MLmodel2")


@pytest.mark.parametrize(
    ("alter", "named"),
    [
        (a_byte_changed, "grader-00.safetensors"),
        (hidden_changed, ".hidden"),
        (git_file_changed, ".gitignore"),
        (added, "more.py"),
        (removed, "MLmodel"),
        (renamed, "MLmodel2"),
    ],
)
def test_an_alteration_is_named(
    signed: tuple[Path, Path, SigningKey], alter: Callable[[Path], None], named: str
) -> None:
    folder, signature, key = signed
    assert signature_problem(folder, signature, key.public) is None
    alter(folder)
    problem = signature_problem(folder, signature, key.public)
    assert problem is not None
    assert problem.startswith(f"{folder} does not agree with its signature: ")
    assert named in problem


def test_another_key_or_another_signature_does_not_pass(signed: tuple[Path, Path, SigningKey]) -> None:
    folder, signature, key = signed
    other = open_signing_key(Path("other"))
    assert signature_problem(folder, signature, other.public) is not None
    raw = signature.read_text()
    signature.write_text(raw.replace("dsseEnvelope", "dsseEnvelopf"))
    assert signature_problem(folder, signature, key.public) is not None
    signature.unlink()
    assert signature_problem(folder, signature, key.public) == f"signature {signature} is missing"
