"""What a dataset may be called in a project: letters that mean nothing to a shell, git, DVC, YAML, a pattern or an address."""

import hashlib
import os
import re
import unicodedata
from pathlib import Path

from lumbargrade.errors import InputError

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_WORDS = "up to 64 letters a to z (large or small), digits, '.', '-' and '_', and begins with a letter or a digit"
_POINTERS = (".dvc", ".yaml")
"""Ends of the names of the files that lie beside the datasets."""


def check_name(name: str) -> None:
    """Checks what a dataset of the project is called.

    Raises:
        InputError: The name has other letters; the sentence says what it may have, and proposes one.
    """
    if not _is_safe(name):
        raise InputError(
            f"{name!r} cannot be a dataset's name in a project: a name has {_WORDS}, and does not end in "
            f"{' or '.join(_POINTERS)}",
            f"call it {_fold(name)} for example",
            "dataset-name-invalid",
        )


def project_name(folder: Path) -> str:
    """What a folder from elsewhere is called in the project: its own name, or one of safe letters with a hash of its own.

    Raises:
        InputError: DVC cannot write down where the folder lies.
    """
    name = folder.name
    if name.endswith(".dvc") or _is_no_text(str(folder)):
        raise InputError(
            f"DVC cannot record a dataset's place as {str(folder)!r}",
            "rename what ends in .dvc, or is not written in UTF-8",
            "dataset-path-unrecordable",
        )
    if _is_safe(name):
        return name
    return f"{_fold(name)[:48]}-{hashlib.sha256(os.fsencode(name)).hexdigest()[:8]}"


def _is_no_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return True
    return False


def _is_safe(name: str) -> bool:
    return _SAFE.fullmatch(name) is not None and not name.lower().endswith(_POINTERS)


def _fold(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name.replace("ß", "ss")).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9_]+", "-", plain).strip("-_") or "dataset"
