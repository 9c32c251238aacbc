"""A key pair is made once, can be the organisation's, and is never mistaken for another."""

import re
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from lumbargrade.audit.keys import SIGNING_KEY, open_public_key, open_signing_key
from lumbargrade.errors import InputError


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(SIGNING_KEY, raising=False)


def save(path: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> Path:
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(pem)
    return path


def test_a_pair_is_made_once_and_only_its_owner_reads_it() -> None:
    made = open_signing_key()
    again = open_signing_key()
    assert made.public.sha256 == again.public.sha256 == open_public_key().sha256
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    signature = made.sign(b"a message")
    assert again.public.has_signed(b"a message", signature)
    assert not again.public.has_signed(b"another", signature)
    assert not open_signing_key(Path("other")).public.has_signed(b"a message", signature)


def test_the_organisations_key_signs_and_is_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(Path("theirs.pem"), ec.generate_private_key(ec.SECP384R1()))
    monkeypatch.setenv(SIGNING_KEY, str(path))
    key = open_signing_key()
    assert key.path == path
    assert key.public.has_signed(b"a", key.sign(b"a"))
    assert sorted(file.name for file in Path("audit/keys").glob("*.pem")) == ["public.pem"]
    monkeypatch.delenv(SIGNING_KEY)
    with pytest.raises(
        InputError, match=r"audit/keys/private.pem is missing beside audit/keys/public.pem; put it back"
    ):
        open_signing_key()


def test_another_key_than_before_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    open_signing_key()
    monkeypatch.setenv(SIGNING_KEY, str(save(Path("other.pem"), ec.generate_private_key(ec.SECP256R1()))))
    with pytest.raises(InputError, match=r"other\.pem is not the key whose public half is audit/keys/public.pem"):
        open_signing_key()


@pytest.mark.parametrize("kind", ["rsa", "k1", "text", "missing"])
def test_a_key_that_cannot_be_used_is_named(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path("bad.pem")
    if kind == "rsa":
        save(path, rsa.generate_private_key(65537, 2048))
    elif kind == "k1":
        save(path, ec.generate_private_key(ec.SECP256K1()))
    elif kind == "text":
        path.write_text("no key")
    monkeypatch.setenv(SIGNING_KEY, str(path))
    with pytest.raises(InputError, match=re.escape("signing key bad.pem ")):
        open_signing_key()


def test_without_a_public_key_nothing_can_be_checked() -> None:
    with pytest.raises(InputError, match=r"there is no public key audit/keys/public.pem; nothing was signed here yet"):
        open_public_key()
    open_signing_key()
    Path("audit/keys/public.pem").write_text("nonsense")
    with pytest.raises(InputError, match=r"audit/keys/public.pem is no public key in PEM form"):
        open_public_key()
