"""Tables and pairs at any width: words stay whole, nothing is lost."""

import pytest
from rich.text import Text

from lumbargrade.cli.output import print_result, print_table
from lumbargrade.cli.tables import pair_lines, table_lines

HEADS = ("version", "registered", "gate", "why")
WHY = (
    "it is better on the holdout beyond chance and breaks no guard rail, and somebody has looked at every picture of it"
)
ROWS = [["1", "2026-03-31 12:00:00", "promoted", WHY], ["12", "2026-04-01 09:30:00", "kept", None], ["13", "2026"]]


def plain(lines: object) -> list[str]:
    return [line.plain for line in lines if isinstance(line, Text)]  # type: ignore[attr-defined]


def test_a_table_that_fits_has_its_columns_beside_each_other() -> None:
    lines = plain(table_lines(HEADS, ROWS, 200))
    assert len(lines) == 1 + len(ROWS)
    assert lines[0].split() == list(HEADS)
    assert lines[1].endswith(WHY)
    assert lines[1].index("2026") == lines[2].index("2026") == lines[0].index("registered")


@pytest.mark.parametrize("width", [120, 80, 60, 40])
def test_what_does_not_fit_stands_below_its_row(width: int) -> None:
    lines = plain(table_lines(HEADS, ROWS, width))
    assert max(map(len, lines)) <= width
    assert lines[0].split()[0] == "version"
    assert "why" not in lines[0]
    assert f"why: {WHY}" in " ".join(" ".join(lines).split())
    assert "\n".join(lines).count("why:") == 1


def test_numbers_end_at_one_line() -> None:
    one, two = plain(table_lines(("cells", "Severe"), [["canal", "1,234"], ["foramen", "7"]], 80))[1:]
    assert len(one) == len(two)


def test_pairs_go_on_below_their_values() -> None:
    first, second, command = plain(
        pair_lines([("why", "a b " * 20), ("to do", f"lumbargrade approve {'x ' * 60}")], 50)
    )[:3]
    assert first.startswith("why    a b")
    assert second.startswith("       a b") or second.startswith("       b")
    assert command
    assert plain(pair_lines([("to do", f"lumbargrade approve {'x ' * 60}")], 50)) == [
        f"to do  lumbargrade approve {'x ' * 60}".rstrip()
    ]


def test_a_file_gets_whole_lines_and_a_terminal_gets_its_width(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    print_result(None, False, [("why", WHY)])
    assert capsys.readouterr().out == f"why  {WHY}\n"
    print_table(HEADS, ROWS)
    assert WHY in capsys.readouterr().out
    monkeypatch.setenv("COLUMNS", "70")
    print_result(None, False, [("why", WHY)])
    print_table(HEADS, ROWS)
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 70
    assert " ".join(out.split()).count(WHY) == 2
