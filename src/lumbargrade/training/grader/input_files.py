"""Files that `training` names: they decide what a network becomes as parameters do, so that their bytes are told with these."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lumbargrade.config.params import Choices, Params, TrainingParams
from lumbargrade.config.task import GradingTask
from lumbargrade.errors import InputError
from lumbargrade.files import file_sha256
from lumbargrade.models.weights import check_weights
from lumbargrade.training.grader.label_weights import read_suspects

_FIELDS = ("weights", "suspects")
_NO_FILE = (None, "none", "imagenet")


def check_files(params: Params, task: GradingTask) -> None:
    """Checks, before a run starts, the files that any trial may need.

    Raises:
        InputError: One is missing or not what it should be; the sentence names the ways out.
    """
    for source in _values(params, "weights"):
        check_weights(source)
    for source in _values(params, "suspects"):
        if source is not None:
            read_suspects(source, task)


def named_files(training: TrainingParams) -> dict[str, str]:
    """The files that a training names, by the field."""
    return {field: getattr(training, field) for field in _FIELDS if getattr(training, field) not in _NO_FILE}


def searched_files(params: Params) -> set[str]:
    """The files that any trial of a search may name."""
    return {name for field in _FIELDS for name in _values(params, field) if name not in _NO_FILE}


def file_digests(names: Iterable[str]) -> dict[str, str]:
    """SHA-256 of some files."""
    return {name: file_sha256(Path(name)) for name in sorted(names)}


def check_unchanged(digests: Mapping[str, str]) -> None:
    """Checks that files are those which a fold was told of, as a run may take days.

    Raises:
        InputError: One is gone or has other bytes.
    """
    for name, digest in digests.items():
        if not Path(name).is_file() or file_digests([name])[name] != digest:
            raise InputError(
                f"{name} is not the file that it was when the run began",
                "put it back, or run again with what is there now",
                "input-file-changed",
            )


def _values(params: Params, field: str) -> list[Any]:
    """The values of a field of `training` that trials may have."""
    space = params.search.space.get(field)
    return [getattr(params.training, field), *(space.choices if isinstance(space, Choices) else [])]
