"""Whose images they are, only to see whether two files are of one person. What is read here is never shown."""

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.tag import Tag

IDENTITY_TAGS = [Tag(keyword) for keyword in ("PatientID", "PatientName", "PatientBirthDate")]

_NOBODY = frozenset(
    {"", "0", "anonymous", "anonymized", "anonymised", "anon", "unknown", "none", "null", "na", "patient"}
)
"""What stands for a patient's number where there is none, without its punctuation and leading zeros."""

_KEY = secrets.token_bytes(16)
"""Of this process: a digest is worth nothing outside it."""


@dataclass(frozen=True, repr=False)
class PatientMark:
    """By what one patient is told from another within this process.

    Attributes:
        number: Digest of the PatientID; empty if the header has none, or a word that stands for none.
        person: Digest of name and day of birth; empty if the header does not have both.
    """

    number: str = ""
    person: str = ""


def read_identity(header: Dataset) -> tuple[str, ...]:
    """Number of a patient, or name and day of birth; empty if the header does not tell.

    Who issued the number does not count: not every file says so, and two patients taken for one cost less than one patient
    taken for two, who would be on both sides of the split.
    """
    number, name, born = (_plain(header, keyword) for keyword in ("PatientID", "PatientName", "PatientBirthDate"))
    if _bare(number) not in _NOBODY:
        return ("number", number)
    return ("name", name, born) if born and _bare(name) not in _NOBODY else ()


def mark_patient(header: Dataset) -> PatientMark:
    """Marks a header's patient; case, spaces, punctuation and leading zeros make no other one."""
    number, name, born = (
        _bare(_plain(header, keyword)) for keyword in ("PatientID", "PatientName", "PatientBirthDate")
    )
    return PatientMark(
        number="" if number in _NOBODY else _digest(number),
        person=_digest(f"{name} {born}") if born and name not in _NOBODY else "",
    )


def count_patients(marks: Collection[PatientMark]) -> int:
    """Counts the patients of some files: by number, and by name and day of birth where no file has a number."""
    numbers = {mark.number for mark in marks} - {""}
    return len(numbers or {mark.person for mark in marks} - {""})


def _plain(header: Dataset, keyword: str) -> str:
    return " ".join(str(header.get(keyword) or "").lower().replace("^", " ").split())


def _bare(text: str) -> str:
    bare = "".join(letter for letter in text if letter.isalnum())
    return bare.lstrip("0") or bare[:1]


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), key=_KEY, digest_size=16).hexdigest()
