"""Zips of studies: with other names, and damaged as anybody may send them."""

import io
import struct
import tarfile
import zipfile
from pathlib import Path


def rezip(zipped: bytes, rename=lambda name: name, extra: dict[str, bytes] | None = None) -> bytes:
    """The same zip with other names, or with more in it; a name that becomes None is left out."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(zipped)) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            if (other := rename(name)) is not None:
                new.writestr(other, old.read(name))
        for name, data in (extra or {}).items():
            new.writestr(name, data)
    return buffer.getvalue()


def images(zipped: bytes) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(zipped)) as opened:
        return [name for name in opened.namelist() if name.endswith(".dcm")]


def entry_at(zipped: bytes, name: str) -> zipfile.ZipInfo:
    with zipfile.ZipFile(io.BytesIO(zipped)) as opened:
        return opened.getinfo(name)


def wrong_crc(zipped: bytes, name: str) -> bytes:
    """A file's checksum is another one."""
    marked = bytearray(zipped)
    place = marked.rindex(name.encode()) - 46
    assert marked[place : place + 4] == b"PK\x01\x02"
    marked[place + 16] ^= 0xFF
    return bytes(marked)


def damaged(zipped: bytes, name: str, kind: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A file's packed bytes are overwritten in their middle."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(zipped)) as old, zipfile.ZipFile(buffer, "w") as new:
        for each in old.namelist():
            new.writestr(each, old.read(each), kind if each == name else zipfile.ZIP_STORED)
    marked = bytearray(buffer.getvalue())
    entry = entry_at(bytes(marked), name)
    start = entry.header_offset + 30 + len(name) + entry.compress_size // 3
    marked[start : start + 64] = b"\xff" * 64
    return bytes(marked)


def not_utf8(zipped: bytes, name: str) -> bytes:
    """A file's name says that it is UTF-8, and is not."""
    odd = b"1/\xe4.dcm".rjust(len(name), b"x")
    marked = bytearray(zipped)
    for place, flags, head in ((marked.index(name.encode()), 7, 30), (marked.rindex(name.encode()), 9, 46)):
        marked[place : place + len(name)] = odd
        marked[place - head + flags] |= 0x08
    return bytes(marked)


def other_local_name(zipped: bytes, name: str) -> bytes:
    """The name before the file is not the one in the directory."""
    marked = bytearray(zipped)
    place = marked.index(name.encode())
    marked[place] ^= 1
    return bytes(marked)


def far_file(zipped: bytes, name: str) -> bytes:
    """The directory says that a file lies behind the zip's end."""
    marked = bytearray(zipped)
    place = marked.rindex(name.encode()) - 46
    marked[place + 42 : place + 46] = struct.pack("<I", 0xFFFFFF00)
    return bytes(marked)


def huge_offset(zipped: bytes) -> bytes:
    """The end record says that the directory is far away; then no file is where it is looked for."""
    marked = bytearray(zipped)
    end = marked.rindex(b"PK\x05\x06")
    marked[end + 16 : end + 20] = struct.pack("<I", 0x7FFFFFFF)
    return bytes(marked)


def huge_dictionary(zipped: bytes, name: str) -> bytes:
    """A file asks the decoder of LZMA for 4 GB."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(zipped)) as old, zipfile.ZipFile(buffer, "w") as new:
        for each in old.namelist():
            new.writestr(each, old.read(each), zipfile.ZIP_LZMA if each == name else zipfile.ZIP_STORED)
    marked = bytearray(buffer.getvalue())
    entry = entry_at(bytes(marked), name)
    start = entry.header_offset + 30 + len(name) + 5
    marked[start : start + 4] = b"\xff\xff\xff\xff"
    return bytes(marked)


def zip_of(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as made:
        for name, data in files.items():
            made.writestr(name, data)
    return buffer.getvalue()


def files_of(zipped: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(zipped)) as opened:
        return {name: opened.read(name) for name in images(zipped)}


def unpacked(folder: Path) -> list[bytes]:
    return sorted(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def tar_of(files: dict[str, bytes], mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as made:  # type: ignore[call-overload]
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            made.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()
