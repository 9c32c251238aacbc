"""What spreadsheets make of numbers that are names: they round them, write them with E, and drop zeros at the beginning."""

import re
from collections.abc import Iterable

_DIGITS = 15
"""So many digits of a number a spreadsheet keeps."""
_NO_NUMBER = "is not a whole number; give it without a point, a sign or leading zeros"
_ROUNDED = re.compile(r"[+-]?\d+([.,]\d+)?E[+-]?\d+", re.IGNORECASE)
_SURELY_ROUNDED = re.compile(r"\d([.,]\d+)?E\+\d+")
_GROUPED = re.compile(r"\d{1,3}([.,' \u00a0\u2009\u202f\u2019]\d{3})+")
_AS_TEXT = "export the table again with this column as text"
_ROUNDED_REASON = f"is a number that a spreadsheet has rounded, and its digits are lost; {_AS_TEXT}"


def describe_number(value: str) -> str:
    """Says why a text is not the number that names something."""
    if _ROUNDED.fullmatch(value):
        return _ROUNDED_REASON
    if _GROUPED.fullmatch(value):
        return f"has separators between its digits, as a spreadsheet writes large numbers; {_AS_TEXT}"
    return _NO_NUMBER


def describe_name(value: str) -> str | None:
    """Says that a text was a name of digits once; None if it may be a name as it is."""
    return _ROUNDED_REASON if _SURELY_ROUNDED.fullmatch(value) else None


def is_rounded(value: str) -> bool:
    """Whether a number has so many digits, and zeros at its end, that a spreadsheet may have rounded it."""
    return len(value) > _DIGITS and not value[_DIGITS:].strip("0")


def same_but_changed(value: str, others: Iterable[str]) -> str | None:
    """Finds the name of digits that a spreadsheet may have made a number of.

    Returns:
        The name, and what happened to it, in words; None if there is none.
    """
    number = re.sub(r"[.,]0+$", "", value)
    if not (number.isascii() and number.isdecimal()):
        return None
    for other in others:
        if not (other.isascii() and other.isdecimal()) or other == value:
            continue
        if other.lstrip("0") == number.lstrip("0"):
            return f"{other} is there: a spreadsheet has changed how the number is written; {_AS_TEXT}"
        if len(other) == len(number) > _DIGITS and abs(int(other) - int(number)) <= 10 ** (len(number) - _DIGITS):
            return f"{other} is there, which begins with the same digits: a spreadsheet has rounded it; {_AS_TEXT}"
    return None
