"""Values of headers as DICOM wants them written (PS3.5 6.2), from what scanners and anonymisers leave there.

What identifies (a patient's or a study's number) is never cut or changed, as it would name another one: it is left out.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import NamedTuple

from pydicom import Dataset
from pydicom.valuerep import DA, TM

_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_TIME = re.compile(r"\d\d([0-5]\d([0-5]\d(\.\d{1,6})?)?)?", re.ASCII)
_CANONICAL_UID = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")
_UID_LETTERS, _GROUP_LETTERS = 64, 64
_GROUPS, _COMPONENTS = 3, 5
_SEXES = {"M": "M", "F": "F", "O": "O", "MALE": "M", "FEMALE": "F", "OTHER": "O"}
_UNREADABLE = "\ufffd"


class Mended(NamedTuple):
    """A value as it can be written.

    Attributes:
        text: Empty if nothing of it can be.
        fault: 0 if it is what stood there, 1 if it was mended, 2 if it is left out.
        how: What was done to mend it.
    """

    text: str
    fault: int = 0
    how: str = ""


Form = Callable[[str], Mended]
_LEFT_OUT = Mended("", 2)


def is_uid(text: str) -> bool:
    """Whether it can be written as a UID: also with leading zeros or a root of its own, which archives have."""
    return len(text) <= _UID_LETTERS and _UID.fullmatch(text) is not None and text.strip("0.") != ""


def is_canonical_uid(text: str) -> bool:
    """Whether DICOM allows it as a UID (PS3.5 9.1)."""
    return is_uid(text) and _CANONICAL_UID.fullmatch(text) is not None


def read_text(dataset: Dataset, keyword: str) -> str:
    """An attribute's value as text, whatever it is stored as; several values have a backslash between them."""
    try:
        value = dataset.get(keyword)
    except Exception:  # pydicom raises anything where a value cannot be read as what its tag says
        return _UNREADABLE
    if isinstance(value, bytes):
        return value.decode("latin-1").strip("\0 ")
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "\\".join(map(str, value)).strip("\0 ")
    return "" if value is None else str(value).strip("\0 ")


def _number(letters: int) -> Form:
    """What identifies somebody or something, of so many letters at most."""

    def form(text: str) -> Mended:
        fits = len(text) <= letters and _clean(text) == text
        return Mended(text) if fits else _LEFT_OUT

    return form


def _words(letters: int) -> Form:
    """Free text of so many letters at most."""

    def form(text: str) -> Mended:
        clean = _clean(text)
        return _mended(text, _cut(clean, letters), cut=len(clean) > letters)

    return form


def _name(text: str) -> Mended:
    """A person's name: three groups (alphabetic, ideographic, phonetic) of five components at most."""
    groups = []
    cut = text.count("=") >= _GROUPS
    for group in _clean(text).split("=")[:_GROUPS]:
        components = group.split("^")
        cut = cut or len(group) > _GROUP_LETTERS or len(components) > _COMPONENTS
        groups.append(_cut("^".join(components[:_COMPONENTS]), _GROUP_LETTERS))
    return _mended(text, "=".join(groups), cut)


def _cut(text: str, letters: int) -> str:
    """Cuts what is too long so that it also fits where bytes are counted for letters, as some readers do."""
    return text if len(text) <= letters else text.encode()[:letters].decode(errors="ignore").rstrip()


def _mended(original: str, text: str, cut: bool) -> Mended:
    if text == original:
        return Mended(text)
    how = [*(["it was cut off"] if cut else []), *(["letters were replaced"] if _clean(original) != original else [])]
    return Mended(text, 1, " and ".join(how)) if text.strip("^= ?") else _LEFT_OUT


def _clean(text: str) -> str:
    """Without the letters that no text may have: a backslash parts values, control letters end lines and sheets."""
    plain = "".join(" " if letter == "\\" or unicodedata.category(letter) == "Cc" else letter for letter in text)
    unreadable = (letter == _UNREADABLE or unicodedata.category(letter) == "Cs" for letter in plain)
    return "".join("?" if lost else letter for lost, letter in zip(unreadable, plain, strict=True)).strip()


def _sex(text: str) -> Mended:
    sex = _SEXES.get(text.upper())
    return _LEFT_OUT if sex is None else Mended(sex)


def _date(text: str) -> Mended:
    try:
        date = DA(re.sub("[-./]", "", text))
    except ValueError:
        return _LEFT_OUT
    return _LEFT_OUT if date is None else Mended(f"{date:%Y%m%d}")


def _time(text: str) -> Mended:
    plain = text.replace(":", "")
    try:
        return Mended(plain) if _TIME.fullmatch(plain) and TM(plain) is not None else _LEFT_OUT
    except ValueError:
        return _LEFT_OUT


FORMS: dict[str, Form] = {
    "PatientName": _name,
    "PatientID": _number(64),
    "PatientBirthDate": _date,
    "PatientSex": _sex,
    "AccessionNumber": _number(16),
    "StudyID": _number(16),
    "StudyDate": _date,
    "StudyTime": _time,
    "StudyDescription": _words(64),
    "ReferringPhysicianName": _name,
}
"""The attributes of patient and study that a report repeats, and what writes each as DICOM wants it."""
