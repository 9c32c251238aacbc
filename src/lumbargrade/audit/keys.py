"""The key that signs: made at first use, or the organisation's. Who checks needs its public half only."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from filelock import FileLock

from lumbargrade.config.project import current_project
from lumbargrade.config.settings import Settings
from lumbargrade.errors import InputError
from lumbargrade.files import write_secret, write_text

SIGNING_KEY = "LUMBARGRADE_SIGNING_KEY"
"""Environment variable with the path of the organisation's private key (PEM, elliptic curve P-256, P-384 or P-521)."""

PRIVATE, _PUBLIC = "private.pem", "public.pem"
_CURVES = ("secp256r1", "secp384r1", "secp521r1")


@dataclass(frozen=True)
class PublicKey:
    """The half that checks signatures.

    Attributes:
        path: Its PEM file.
        sha256: Fingerprint: hash of the key's DER bytes.
    """

    path: Path
    sha256: str
    key: ec.EllipticCurvePublicKey

    def has_signed(self, message: bytes, signature: bytes) -> bool:
        """Tells whether the private half has signed a message."""
        try:
            self.key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class SigningKey:
    """Both halves.

    Attributes:
        path: PEM file of the private half.
    """

    path: Path
    key: ec.EllipticCurvePrivateKey
    public: PublicKey

    def sign(self, message: bytes) -> bytes:
        """Signs a message (ECDSA over SHA-256, DER)."""
        return self.key.sign(message, ec.ECDSA(hashes.SHA256()))


def open_signing_key(folder: Path | None = None) -> SigningKey:
    """Opens the private key, and makes a pair if there is none yet.

    Args:
        folder: The project's keys if it is not given.

    Raises:
        InputError: The key cannot be used, or is not the one whose public half is in the folder.
    """
    folder = folder or current_project().audit_keys
    told = Settings().signing_key
    path = told or folder / PRIVATE
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        if not told and not path.exists():
            if (folder / _PUBLIC).exists():
                raise InputError(
                    f"{path} is missing beside {folder / _PUBLIC}",
                    f"put it back, name it in {SIGNING_KEY}, or move {folder.parent} away to begin a new log with a "
                    "new key",
                    "signing-key-missing",
                )
            _write_private(path)
        key = read_private(path)
        if not (folder / _PUBLIC).exists():
            write_text(folder / _PUBLIC, _public_pem(key.public_key()).decode())
    public = open_public_key(folder)
    if public.sha256 != public_sha256(key.public_key()):
        raise InputError(
            f"{path} is not the key whose public half is {public.path}", "sign with that one", "signing-key-is-another"
        )
    return SigningKey(path, key, public)


def open_public_key(folder: Path | None = None) -> PublicKey:
    """Opens the public key.

    Args:
        folder: The project's keys if it is not given.

    Raises:
        InputError: There is none, or it is no key of a kind that is used.
    """
    folder = folder or current_project().audit_keys
    path = folder / _PUBLIC
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except FileNotFoundError as error:
        raise InputError(
            f"there is no public key {path}", "nothing was signed here yet", "public-key-missing"
        ) from error
    except ValueError as error:
        raise InputError(
            f"{path} is no public key in PEM form", "put back the one that was there", "public-key-unreadable"
        ) from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in _CURVES:
        raise InputError(f"{path} is no elliptic curve key of P-256, P-384 or P-521", "", "key-of-unknown-curve")
    return PublicKey(path, public_sha256(key), key)


def read_private(path: Path) -> ec.EllipticCurvePrivateKey:
    """Reads a private key.

    Raises:
        InputError: It cannot be read, or is no key of a kind that is used.
    """
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            f"signing key {path} cannot be read as an unencrypted private key in PEM form", "", "signing-key-unreadable"
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name not in _CURVES:
        raise InputError(
            f"signing key {path} is no elliptic curve key of P-256, P-384 or P-521", "", "key-of-unknown-curve"
        )
    return key


def _write_private(path: Path) -> None:
    """Writes a new key that nobody else may read, whole or not at all."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    write_secret(path, pem)


def _public_pem(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def public_sha256(key: ec.EllipticCurvePublicKey) -> str:
    """Fingerprint of a public key: hash of its DER bytes."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()
