"""What a profile of headers is."""

from collections.abc import Callable
from dataclasses import dataclass

from pydicom import Dataset

from lumbargrade.phantom.headers.scan import Scan
from lumbargrade.phantom.study import Image, Study

Describe = Callable[[Dataset, Scan, Image], None]
"""Describes one slice in its file."""
Gather = Callable[[Scan], "list[tuple[str, Dataset]]"]
"""Describes a whole series in files with names."""


def leave_numbers(study: Study) -> None:
    """Leaves the instance numbers as they are."""


@dataclass(frozen=True)
class Profile:
    """How the files of a study are written.

    Attributes:
        describe: For a file a slice.
        encodings: Of which each series has one; none leaves each series its own.
        gather: For other files than one a slice; takes the place of ``describe``.
        renumber: Numbers the instances of a study anew, before its points are written.
    """

    describe: Describe
    encodings: tuple[str, ...] = ()
    gather: Gather | None = None
    renumber: Callable[[Study], None] = leave_numbers
