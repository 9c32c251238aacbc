"""Whether a file can be DICOM at all, by how it begins: what cannot be is never parsed."""

START_BYTES = 132
"""How much of a file :func:`looks_like_dicom` is shown."""

_FIRST_GROUPS = (b"\x02\x00", b"\x08\x00", b"\x00\x02", b"\x00\x08")


def looks_like_dicom(start: bytes) -> bool:
    """Whether a file begins as DICOM does: with its preamble, or, without one, with a tag of group 2 or 8."""
    return start[128:START_BYTES] == b"DICM" or start[:2] in _FIRST_GROUPS
