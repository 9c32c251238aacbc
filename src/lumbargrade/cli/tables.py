"""Tables that are read at any width: words stay whole, nothing is cut off, and what does not fit stands below its row."""

import re
import textwrap
from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.text import Text

_GAP = 2
_NUMBER = re.compile(r"[-+]?[\d,. ]+ ?%?")

Row = Sequence[str | None]


def table_lines(heads: Sequence[str], rows: Sequence[Row], width: int) -> Iterator[Text]:
    """A table of so many letters at most, if its words allow it.

    While it is too wide, the widest column leaves it: its cells stand below their rows, after the column's head.
    """
    texts = [[cell or "" for cell in (*row, *[None] * (len(heads) - len(row)))] for row in rows]
    columns = list(zip(heads, *texts, strict=True))
    widths = [max(map(cell_len, column)) for column in columns]
    beside = list(range(len(heads)))
    while len(beside) > 1 and sum(widths[at] + _GAP for at in beside) - _GAP > width:
        beside.remove(max(beside[1:], key=lambda at: widths[at]))
    right = {at for at in beside[1:] if all(_NUMBER.fullmatch(text) for text in columns[at][1:] if text)}
    below = [at for at in range(len(heads)) if at not in beside]
    yield Text(_aligned([heads[at] for at in beside], beside, widths, right), style="bold")
    for row in texts:
        line = _aligned([row[at] for at in beside], beside, widths, right)
        yield from wrap_text(line, width, "  ") if len(beside) == 1 else [Text(line)]
        for at in below:
            if row[at]:
                yield from wrap_text(f"  {heads[at]}: {row[at]}", width, "    ")


def _aligned(cells: Sequence[str], columns: Sequence[int], widths: Sequence[int], right: set[int]) -> str:
    parts = []
    for cell, column in zip(cells, columns, strict=True):
        space = " " * (widths[column] - cell_len(cell))
        parts.append(space + cell if column in right else cell + space)
    return (" " * _GAP).join(parts).rstrip()


def wrap_text(text: str, width: int, indent: str = "", style: str = "") -> Iterator[Text]:
    """Lines of whole words; the lines of a text stay apart. Commands are not broken: they are there to be copied.

    Args:
        indent: Stands before each line but the first one of the text.
    """
    for number, line in enumerate(text.splitlines() or [""]):
        before = indent if number else ""
        folded = textwrap.wrap(
            line,
            max(width, len(indent) + 20),
            initial_indent=before,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
            replace_whitespace=False,
            drop_whitespace=True,
        )
        yield from (Text(part, style=style) for part in folded or [""])


def pair_lines(pairs: Sequence[tuple[str, str]], width: int | None) -> Iterator[Text]:
    """Names and values beside each other.

    Args:
        width: None to leave each pair one line, as programs want them that read what is printed.
    """
    most = max((cell_len(name) for name, _ in pairs), default=0)
    for name, value in pairs:
        head = f"{name}{' ' * (most - cell_len(name))}  "
        if width is None or value.startswith("lumbargrade "):
            yield Text(f"{head}{value}".rstrip())
        else:
            yield from wrap_text(f"{head}{value}".rstrip(), width, " " * min(len(head), width // 2))
