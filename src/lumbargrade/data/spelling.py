"""The names of conditions, levels, grades and columns, however a table writes them.

The challenge itself writes a condition as ``Spinal Canal Stenosis`` in one table and as ``spinal_canal_stenosis`` in another,
a level as ``L1/L2`` and as ``l1_l2``, and tables that are passed around have any of these: case, spaces and punctuation say
nothing.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from lumbargrade.config.task import GradingTask


@dataclass(frozen=True)
class Spellings:
    """Names, by each way of writing them that means one of them only.

    Attributes:
        exact: Names by themselves and by their other official spellings.
        folded: Names by their letters and digits.
    """

    exact: Mapping[str, str]
    folded: Mapping[str, str]

    @classmethod
    def of(cls, names: Sequence[str]) -> Self:
        """Names with one official spelling each."""
        return cls._build(dict(zip(names, names, strict=True)))

    @classmethod
    def of_conditions(cls, task: GradingTask) -> Self:
        """The conditions' names, by their names and labels."""
        return cls._build({spelling: each.name for each in task.conditions for spelling in (each.label, each.name)})

    @classmethod
    def _build(cls, exact: dict[str, str]) -> Self:
        meant = {(_fold(spelling), name) for spelling, name in exact.items()}
        count = Counter(folded for folded, _ in meant)
        return cls(exact, {folded: name for folded, name in meant if count[folded] == 1})

    def find(self, text: str) -> str:
        """The name that a text means, or the text as it is if it means none."""
        return self.exact.get(text) or self.folded.get(_fold(text), text)

    def knows(self, text: str) -> bool:
        """Whether a text means one of the names."""
        return text in self.exact or _fold(text) in self.folded


def spell_columns(header: Sequence[str], columns: Sequence[str]) -> list[str]:
    """A table's header in the spelling of some columns; names that mean none of them stay as they are."""
    spellings = Spellings.of(columns)
    return [spellings.find(name) for name in header]


def _fold(text: str) -> str:
    return "".join(letter for letter in text.casefold() if letter.isalnum())
