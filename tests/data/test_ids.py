"""Numbers that name something, after a spreadsheet: named as what they are, and never guessed."""

from pathlib import Path

import pytest

from lumbargrade.config.task import GradingTask
from lumbargrade.data.ids import describe_name, describe_number, is_rounded, same_but_changed
from lumbargrade.data.intake.labels import LabelTable, read_label_table
from lumbargrade.data.intake.source import SourceStudy
from lumbargrade.data.tables import read_points, read_series
from lumbargrade.errors import InputError

ROUNDED, SEPARATED, PLAIN = "rounded", "separators", "leading zeros"


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("1.23457E+12", ROUNDED),
        ("1,23457E+12", ROUNDED),
        ("1e5", ROUNDED),
        ("100.206.310", SEPARATED),
        ("100,206,310", SEPARATED),
        ("100 206 310", SEPARATED),
        ("100\u202f206\u202f310", SEPARATED),
        ("100'206'310", SEPARATED),
        ("100206310.0", PLAIN),
        ("2.0", PLAIN),
        ("0012", PLAIN),
        ("-1", PLAIN),
    ],
)
def test_what_a_spreadsheet_made_of_a_number_is_named(value: str, word: str, tmp_path: Path, rsna: GradingTask) -> None:
    assert word in describe_number(value)
    table = tmp_path / "train_series_descriptions.csv"
    for row in (f'"{value}",2,Axial T2', f'1,"{value}",Axial T2'):
        table.write_text(f"study_id,series_id,series_description\n{row}\n")
        with pytest.raises(InputError, match=word) as caught:
            read_series(table, rsna)
        assert repr(value) in str(caught.value)
    points = tmp_path / "train_label_coordinates.csv"
    points.write_text(
        f'study_id,series_id,instance_number,condition,level,x,y\n1,2,"{value}",Spinal Canal Stenosis,L1/L2,1,1\n'
    )
    with pytest.raises(InputError, match=word):
        read_points(points, rsna)


def test_ids_that_became_one_by_rounding_are_not_called_a_repetition_alone(tmp_path: Path, rsna: GradingTask) -> None:
    table = tmp_path / "train_series_descriptions.csv"
    row = "123456789012345000,2,Axial T2\n"
    table.write_text(f"study_id,series_id,series_description\n{row}{row}")
    with pytest.raises(InputError, match="as if a spreadsheet had rounded them"):
        read_series(table, rsna)


@pytest.mark.parametrize("value", ["1.2.840.10008", "A12E5", "12E5", "1.2", "0012", "2.25.1E3", ""])
def test_names_that_may_be_are_let_be(value: str) -> None:
    assert describe_name(value) is None


def test_an_accession_number_that_was_rounded_is_refused(tmp_path: Path, rsna: GradingTask) -> None:
    table = tmp_path / "labels.csv"
    table.write_text(f"AccessionNumber,{','.join(rsna.columns)}\n1.23457E+12{',' * len(rsna.columns)}\n")
    with pytest.raises(InputError, match="rounded, and its digits are lost"):
        read_label_table(table, rsna)


@pytest.mark.parametrize(
    ("value", "other", "same"),
    [
        ("12", "0012", True),
        ("12.0", "12", True),
        ("1234567890123450", "1234567890123456", True),
        ("123456789012345680", "123456789012345678", True),
        ("1234567890123450", "1234567890199999", False),
        ("12", "13", False),
        ("12", "12", False),
        ("letters", "0letters", False),
    ],
)
def test_a_changed_number_is_found_again(value: str, other: str, same: bool) -> None:
    told = same_but_changed(value, ["unlike", other])
    assert (told is not None) == same
    assert not same or (told is not None and other in told)


def test_a_number_without_its_zeros_is_told_of_the_table_of_grades() -> None:
    table = LabelTable("AccessionNumber", {"12345": {}, "777": {}})
    assert table.of(SourceStudy("1.2.3", accession="0012345")) is None
    assert (table.unused, table.changed) == (2, 1)


def test_digits_that_a_spreadsheet_drops() -> None:
    assert is_rounded("123456789012345000")
    assert not is_rounded("123456789012345")
    assert not is_rounded("123456789012345678")
