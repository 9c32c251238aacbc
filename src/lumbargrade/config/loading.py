"""Reads and writes parameter files: ``params.yaml``, recipes laid over it, and ``--set section.key=value``."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from lumbargrade.config.params import Params, did_you_mean
from lumbargrade.config.project import current_project
from lumbargrade.errors import InputError
from lumbargrade.files import write_text


def load_params(
    path: Path | None = None,
    recipe: Path | None = None,
    overrides: Iterable[str] = (),
    given: Mapping[str, Any] | None = None,
) -> Params:
    """Reads parameters: the file, then a recipe laid over it, then what is given, then ``section.key=value`` overrides.

    Args:
        path: The project's parameter file if not given.
        given: Values by ``section.key``, taken as they are: a folder may be called ``1e3`` or ``a: b``.

    Raises:
        InputError: A file is missing or no YAML, or a parameter is unknown, of the wrong type or out of range.
    """
    values = _read_yaml(path or current_project().params)
    if recipe is not None:
        values = _overlay(values, _read_yaml(recipe))
    for name, value in (given or {}).items():
        values = _overlay(values, _nested(name, value))
    for override in overrides:
        values = _overlay(values, _parse_override(override))
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        raise InputError(_explain(error), "", "params-invalid") from error


def save_params(params: Params, path: Path) -> None:
    """Writes parameters as YAML, in full; an unchanged file is not touched."""
    text = yaml.safe_dump(params.model_dump(mode="json"), sort_keys=False)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)


def _read_yaml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(
            f"parameter file {path} does not exist",
            "run in the project's folder or give --params",
            "params-file-missing",
        )
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise InputError(
            f"parameter file {path} is not YAML: {str(error).splitlines()[0]}", "", "params-not-yaml"
        ) from error
    if not isinstance(values, dict):
        raise InputError(
            f"parameter file {path} must hold sections such as training:, not {type(values).__name__}",
            "",
            "params-without-sections",
        )
    return values


def _parse_override(override: str) -> dict[str, Any]:
    name, separator, text = override.partition("=")
    if not separator or not name:
        raise InputError(
            f"--set {override!r} is not of the form section.key=value, such as training.epochs=20",
            "",
            "override-malformed",
        )
    try:
        value: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"--set {name}: {text!r} is not a YAML value", "", "override-not-yaml") from error
    if isinstance(value, str):
        value = _as_number(value)
    return _nested(name, value)


def _nested(name: str, value: Any) -> dict[str, Any]:
    for key in reversed(name.split(".")):
        value = {key: value}
    return dict(value)


def _as_number(text: str) -> str | float:
    """YAML reads ``1e-3`` as text; people mean the number."""
    try:
        return float(text)
    except ValueError:
        return text


def _overlay(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    """Lays sections over sections; an entry of the search space, and an empty section, takes the whole place."""
    merged = dict(base)
    for key, value in top.items():
        below = merged.get(key)
        replaces = isinstance(value, dict) and (not value or "choices" in value or "low" in value)
        if isinstance(value, dict) and isinstance(below, dict) and not replaces:
            merged[key] = _overlay(below, value)
        else:
            merged[key] = value
    return merged


def _explain(error: ValidationError) -> str:
    problems: dict[str, str] = {}
    for problem in error.errors():
        # A union reports each of its kinds: the first one says enough.
        where = [
            str(part) for part in problem["loc"] if not str(part).startswith(("FloatRange", "Choices", "function-"))
        ]
        section = ".".join(where[:3])
        problems.setdefault(section, _explain_one(where, problem["type"], problem["msg"], problem["input"]))
    return "; ".join(problems.values())


def _explain_one(where: list[str], kind: str, message: str, value: Any) -> str:
    name = ".".join(where)
    if kind == "extra_forbidden":
        return f"parameter {name} is unknown{did_you_mean(where[-1], _section_fields(where[:-1]))}"
    if kind == "value_error":
        text = message.removeprefix("Value error, ")
        return f"{name}: {text}" if name else text
    return f"parameter {name} is wrong: {message[0].lower()}{message[1:]}, not {value!r}"


def _section_fields(where: list[str]) -> list[str]:
    section: Any = Params
    for part in where:
        section = section.model_fields[part].annotation if part in getattr(section, "model_fields", {}) else None
    return list(getattr(section, "model_fields", {}))
