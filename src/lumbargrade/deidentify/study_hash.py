"""By what a study is known once it is forgotten: a salted hash, from which nobody without the salt can tell the study."""

import hashlib
import hmac
import secrets
from pathlib import Path

from filelock import FileLock

from lumbargrade.files import write_secret

SALT = "salt"


class StudyHasher:
    """Hashes studies with the salt of a data folder, which is made at first use, for its owner only.

    Args:
        folder: The data folder.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._salt = _read_salt(folder / SALT)

    def __call__(self, told: str | bytes) -> str:
        """Hash of a StudyInstanceUID, or of what was sent, in hexadecimal."""
        return study_hash(self._salt, told)


def study_hash(salt: bytes, told: str | bytes) -> str:
    """Hash of a StudyInstanceUID, or of what was sent (HMAC with SHA-256), in hexadecimal."""
    return hmac.new(salt, told.encode() if isinstance(told, str) else told, hashlib.sha256).hexdigest()


def study_number(hashed: str) -> int:
    """A hash as a study_id of RSNA's tables, which has up to 18 digits."""
    return int(hashed, 16) % 10**18


def _read_salt(path: Path) -> bytes:
    if not path.exists():
        with FileLock(path.with_name(f".{SALT}.lock"), is_singleton=False):  # another process may be making it
            if not path.exists():
                write_secret(path, secrets.token_hex(32).encode())
    return path.read_bytes()
