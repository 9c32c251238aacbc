"""By what number a table calls a slice of a series: that of its file's name, of its frame, or of its header."""

from collections import Counter
from collections.abc import Sequence

from lumbargrade.dicom.headers import SliceHeader


def number_slices(headers: Sequence[SliceHeader]) -> dict[SliceHeader, int]:
    """The number of each slice of a series: that of its file or its frame (from 1), else its header's.

    Files of several folders may share a number, as frames of several files do. Then none of them has it, and they are
    called by numbers that no file and no header has.
    """
    by_file = Counter(number for header in headers if (number := _file_number(header)) is not None)
    by_header = Counter(header.instance_number for header in headers if _file_number(header) is None)
    free = 1 + max([*by_file, *(header.instance_number or 0 for header in headers)])
    numbers = {}
    for place, header in enumerate(headers):
        number = _file_number(header)
        if number is None:
            number = header.instance_number
            unique = number is not None and by_header[number] == 1 and number not in by_file
        else:
            unique = by_file[number] == 1
        numbers[header] = number if number is not None and unique else free + place
    return numbers


def _file_number(header: SliceHeader) -> int | None:
    """The number of a frame in its file, or else of a file as its name tells it."""
    if header.frame is not None:
        return header.frame + 1
    return int(header.path.stem) if header.path.stem.isdecimal() else None
