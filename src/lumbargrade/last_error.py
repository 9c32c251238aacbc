"""The error that a command ends with, as data for the process that started it."""

import json
from contextlib import suppress
from pathlib import Path

from lumbargrade.errors import LumbargradeError

ERROR_FILE = "LUMBARGRADE_ERROR_FILE"
"""Variable with the file that a command writes its error into."""


def leave_error(error: LumbargradeError) -> None:
    """Leaves an error to whoever started this process and asked for it."""
    from lumbargrade.config.settings import Settings  # a command that ends well does not need them

    if path := Settings().error_file:
        with suppress(OSError):
            path.write_text(json.dumps(error.parts), encoding="utf-8")


def read_error(path: Path) -> LumbargradeError | None:
    """The error that a command left; None if it left none."""
    try:
        return LumbargradeError(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
