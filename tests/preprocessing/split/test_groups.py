"""A patient's studies stay together, and stay where they are when another one comes."""

import pandas as pd

from lumbargrade.preprocessing.split.duplicates import COLUMNS
from lumbargrade.preprocessing.split.groups import study_groups
from lumbargrade.preprocessing.split.split import in_holdout


def pairs_of(*studies: tuple[int, int]) -> pd.DataFrame:
    return pd.DataFrame([(one, 1, other, 2, 9) for one, other in studies], columns=COLUMNS)


def patients_of(**studies: list[int]) -> pd.DataFrame:
    rows = [(study, patient) for patient, each in studies.items() for study in each]
    return pd.DataFrame(rows, columns=["study_id", "patient_id"])


def test_studies_of_one_patient_are_one_group() -> None:
    groups = study_groups(pairs_of(), patients_of(PA=[7, 3], PB=[5]))
    assert groups[7] == groups[3] != groups[5]


def test_patients_are_joined_through_near_duplicates() -> None:
    groups = study_groups(pairs_of((3, 5)), patients_of(PA=[7, 3], PB=[5, 9], PC=[11]))
    assert len({groups[study] for study in (3, 5, 7, 9)}) == 1
    assert groups[11] != groups[3]


def test_a_study_does_not_change_sides_when_its_patient_comes_again() -> None:
    for number in range(200):
        patient = f"P{number:016X}"
        alone = study_groups(pairs_of(), patients_of(**{patient: [10**11 + number]}))
        again = study_groups(pairs_of(), patients_of(**{patient: [10**11 + number, number]}))
        assert alone[10**11 + number] == again[10**11 + number] == again[number]
    sides = {in_holdout(study_groups(pairs_of(), patients_of(**{f"P{n:016X}": [n]}))[n], 0.5) for n in range(50)}
    assert sides == {True, False}


def test_a_study_of_no_known_patient_draws_its_copies_to_its_side() -> None:
    groups = study_groups(pairs_of((20, 900)), patients_of(PA=[900, 10]))
    assert groups == {20: 20, 900: 20, 10: 20}


def test_studies_without_patient_or_copy_are_in_no_group() -> None:
    assert study_groups(pairs_of(), patients_of()) == {}
