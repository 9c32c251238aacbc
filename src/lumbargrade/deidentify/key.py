"""The key behind pseudonyms: made at first use. Who has it and the original files can tell which study became which."""

import secrets
from pathlib import Path

from filelock import FileLock

from lumbargrade.config.project import current_project
from lumbargrade.errors import InputError
from lumbargrade.files import write_secret

PSEUDONYM_KEY = "pseudonym.key"
_BYTES = 32


def open_pseudonym_key(folder: Path | None = None) -> bytes:
    """Opens the key, and makes one if there is none yet.

    Args:
        folder: The project's keys if it is not given.

    Raises:
        InputError: The file is no key.
    """
    folder = folder or current_project().audit_keys
    path = folder / PSEUDONYM_KEY
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        if not path.exists():
            write_secret(path, secrets.token_hex(_BYTES).encode())
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except (OSError, ValueError):
        key = b""
    if len(key) != _BYTES:
        raise InputError(
            f"{path} is no key of {_BYTES} bytes in hexadecimal",
            "put back the one that was there",
            "pseudonym-key-unreadable",
        )
    return key
