"""What was appended stays, and what a killed process had begun is no line."""

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from lumbargrade.json_lines import JsonLines


class Said(BaseModel):
    model_config = ConfigDict(extra="forbid")

    words: str


@pytest.fixture
def lines(tmp_path: Path) -> JsonLines:
    return JsonLines(tmp_path / "new" / "lines.jsonl")


def words(lines: JsonLines) -> list[str]:
    return [said.words for said in lines.read(Said)]


def test_lines_are_read_in_their_order(lines: JsonLines) -> None:
    assert words(lines) == lines.whole_lines() == []
    for each in ("one", "two\nlines", "dr\N{LATIN SMALL LETTER E WITH ACUTE}i"):
        lines.append(Said(words=each))
    assert words(lines) == ["one", "two\nlines", "dr\N{LATIN SMALL LETTER E WITH ACUTE}i"]
    assert len(lines.whole_lines()) == 3


@pytest.mark.parametrize("begun", [b"{", b'{"words": "tw', b'{"wo', b"\xff"])
def test_a_line_that_was_begun_costs_no_other(lines: JsonLines, begun: bytes) -> None:
    lines.append(Said(words="one"))
    with lines.path.open("ab") as file:
        file.write(begun)
    assert words(lines) == ["one"]
    assert len(lines.whole_lines()) == 1
    lines.append(Said(words="three"))
    assert words(lines) == ["one", "three"]


def test_a_line_that_was_begun_can_be_cut_off(lines: JsonLines) -> None:
    lines.cut_torn()
    assert not lines.path.exists()
    lines.append(Said(words="one"))
    whole = lines.path.read_bytes()
    with lines.path.open("ab") as file:
        file.write(b'{"words"')
    lines.cut_torn()
    assert lines.path.read_bytes() == whole
    lines.cut_torn()
    assert lines.path.read_bytes() == whole


def test_a_file_of_one_begun_line_is_begun_anew(lines: JsonLines) -> None:
    lines.path.parent.mkdir()
    lines.path.write_bytes(b'{"wor')
    lines.cut_torn()
    lines.append(Said(words="one"))
    assert lines.path.read_bytes() == b'{"words":"one"}\n'


def test_other_lines_are_left_out(lines: JsonLines) -> None:
    lines.append(Said(words="one"))
    with lines.path.open("ab") as file:
        file.write(b'{"count": 3}\n\n')
    assert words(lines) == ["one"]
