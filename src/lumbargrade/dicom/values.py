"""Values of tags, read with care: files hold what people and programs have written into them."""

from collections.abc import Sequence

import numpy as np
from pydicom import Dataset


def find_value(groups: Sequence[Dataset], sequence: str, keyword: str) -> object:
    """A value from the first functional group that has it, or from the top level of a classic file."""
    for group in groups:
        items = group.get(sequence)
        holder = items[0] if items else group
        value = holder.get(keyword)
        if value is not None:
            return value
    return None


def read_word(dataset: Dataset, keyword: str) -> str:
    """The text of a tag, without what fills it up; empty if there is none."""
    return str(dataset.get(keyword) or "").strip(" \0")


def read_positive(value: object) -> float | None:
    """A number above 0; None if it is none."""
    number = read_number(value)
    return number if number is not None and number > 0 else None


def read_number(value: object) -> float | None:
    """A finite number; None if it is none."""
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if np.isfinite(number) else None


def read_integer(value: object) -> int | None:
    """An integer; None if it is none."""
    try:
        return int(str(value))
    except ValueError:
        return None


def read_texts(value: object) -> tuple[str, ...]:
    """The values of a tag that has one or several."""
    if value is None or isinstance(value, str):
        return (value,) if value else ()
    try:
        return tuple(str(part) for part in value)  # type: ignore[attr-defined]
    except TypeError:
        return (str(value),)
