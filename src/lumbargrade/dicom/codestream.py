"""The size that a compressed frame itself states.

Decoders make room for it before they read on, so that a few damaged or hostile bytes take tens of GiB and minutes:
whoever decodes compares it with the header first.
"""

from pydicom import uid

_JPEG_2000 = {*uid.JPEG2000TransferSyntaxes, uid.HTJ2K, uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL}

SIZED = {*uid.JPEGTransferSyntaxes, *uid.JPEGLSTransferSyntaxes, *_JPEG_2000}
"""Transfer syntaxes whose frames state their size: all those whose decoders are written in C."""

_FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, 0xF7}
_SEGMENTS = {*range(0xE0, 0xF0), 0xC4, 0xDB, 0xDD, 0xF8, 0xFE}


def stated_size(frame: bytes, transfer_syntax: str) -> tuple[int, int, int]:
    """Returns rows, columns and samples a pixel, as a frame of one of the :data:`SIZED` encodings says.

    Raises:
        ValueError: The frame does not begin as its encoding begins.
    """
    return _jpeg_2000_size(frame) if transfer_syntax in _JPEG_2000 else _jpeg_size(frame)


def _jpeg_size(frame: bytes) -> tuple[int, int, int]:
    """Size from the frame header (ITU-T T.81, B.2.2; T.87, C.2.2), with nothing but known segments before it."""
    if frame[:2] != b"\xff\xd8":
        raise ValueError("no JPEG stream")
    place = 2
    while place + 10 <= len(frame) and frame[place] == 0xFF:
        marker = frame[place + 1]
        if marker in _FRAMES:
            return _number(frame, place + 5, 2), _number(frame, place + 7, 2), frame[place + 9]
        if marker == 0xFF:  # a fill byte
            place += 1
        elif marker in _SEGMENTS:
            place += 2 + _number(frame, place + 2, 2)
        else:
            break
    raise ValueError("no JPEG frame header")


def _jpeg_2000_size(frame: bytes) -> tuple[int, int, int]:
    """Size from the SIZ segment (ITU-T T.800, A.5.1), which a codestream begins with."""
    start = _codestream(frame)
    if frame[start : start + 4] != b"\xff\x4f\xff\x51" or len(frame) < start + 42:
        raise ValueError("no JPEG 2000 codestream")
    columns, rows, left, top = (_number(frame, start + 8 + 4 * part, 4) for part in range(4))
    return rows - top, columns - left, _number(frame, start + 40, 2)


def _codestream(frame: bytes) -> int:
    """Where the codestream begins: at once, or in a box of a JP2 file (ITU-T T.800, I.4)."""
    place = 0
    if frame[4:8] == b"jP  ":
        while frame[place + 4 : place + 8] != b"jp2c":
            size = _number(frame, place, 4)
            if size < 8 or place + size >= len(frame):
                raise ValueError("no JPEG 2000 codestream")
            place += size
        place += 8
    return place


def _number(frame: bytes, place: int, size: int) -> int:
    return int.from_bytes(frame[place : place + size], "big")
