"""Pseudonyms: the same for the same, different for different, nothing without the key."""

import re

from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import UID

from lumbargrade.deidentify.pseudonyms import Pseudonyms

KEY = Pseudonyms(b"k" * 32)
uids = st.from_regex(r"[0-2](\.(0|[1-9][0-9]{0,11})){1,9}", fullmatch=True)


@given(st.lists(uids, min_size=2, max_size=30, unique=True))
def test_uids_are_valid_and_as_different_as_they_were(originals: list[str]) -> None:
    made = [KEY.uid(original) for original in originals]
    assert len(set(made)) == len(originals)
    assert not set(made) & set(originals)
    assert all(UID(uid).is_valid and len(uid) <= 64 for uid in made)
    assert made == [KEY.uid(original) for original in originals]
    assert not set(made) & {Pseudonyms(b"x" * 32).uid(original) for original in originals}


@given(st.text(), st.text())
def test_patients_are_told_apart_by_each_part(name: str, born: str) -> None:
    patient = KEY.patient(name, born)
    assert re.fullmatch(r"P[0-9A-F]{16}", patient)
    assert patient == KEY.patient(name, born)
    assert patient != KEY.patient(name + born, "") or not born
    assert 365 <= KEY.days(patient) <= 3650


def test_numbers_have_twelve_digits_and_differ_by_attempt() -> None:
    numbers = {KEY.number("study", "1.2.3", str(attempt)) for attempt in range(50)}
    assert len(numbers) == 50
    assert all(10**11 <= number < 10**12 for number in numbers)


def test_what_pseudonyms_are_of_keeps_them_apart() -> None:
    assert KEY.fingerprint != Pseudonyms(b"x" * 32).fingerprint
    assert KEY.number("study", "1.2.3") != KEY.number("series", "1.2.3")
