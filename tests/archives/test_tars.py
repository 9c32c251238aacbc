"""Tars as anybody may send them: read by content, bounded, and nothing in them is followed or extracted by its name."""

import gzip
import io
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from lumbargrade.archives.unpack import may_hold_dicom, unpack_archive
from lumbargrade.config.task import GradingTask
from lumbargrade.dicom.limits import StudyLimits
from lumbargrade.errors import InputError
from lumbargrade.inference.study import open_study
from tests.zips import files_of, images, rezip, tar_of, unpacked, zip_of


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_tar_is_read_as_its_zip_is(mode: str, zipped: bytes, rsna: GradingTask, tmp_path: Path) -> None:
    path = tmp_path / "study.zip"  # whatever it is called
    path.write_bytes(tar_of({f"{'ö' * 150}/{name}": data for name, data in files_of(zipped).items()}, mode))
    with open_study(path, rsna) as study, open_study(zip_of(files_of(zipped)), rsna) as plain:
        assert {key: len(found) for key, found in study.series.items()} == {k: len(f) for k, f in plain.series.items()}
        assert not study.notes
    assert may_hold_dicom(path)


def test_a_tar_in_a_zip_is_unpacked(zipped: bytes, tmp_path: Path) -> None:
    unpack_archive(zip_of({"a.bin": tar_of(files_of(zipped), "w:gz")}), tmp_path)
    assert unpacked(tmp_path) == sorted(files_of(zipped).values())


def test_links_and_odd_names_lead_nowhere(zipped: bytes, tmp_path: Path) -> None:
    secret = tmp_path / "secret.dcm"
    secret.write_bytes(next(iter(files_of(zipped).values())))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as made:
        for kind, name, to in (
            (tarfile.SYMTYPE, "link.dcm", str(secret)),
            (tarfile.LNKTYPE, "hard.dcm", str(secret)),
            (tarfile.SYMTYPE, "up", ".."),
            (tarfile.FIFOTYPE, "pipe.dcm", ""),
            (tarfile.CHRTYPE, "zero.dcm", ""),
        ):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, to
            made.addfile(entry)
        for name in ("../../escaped.dcm", "/absolute.dcm", "up/x.dcm", ""):
            entry = tarfile.TarInfo(name)
            entry.size = secret.stat().st_size
            made.addfile(entry, io.BytesIO(secret.read_bytes()))
    folder = tmp_path / "into"
    folder.mkdir()
    unpack_archive(buffer.getvalue(), folder)
    assert all(path.resolve().is_relative_to(folder) and not path.is_symlink() for path in folder.rglob("*"))
    assert len(unpacked(folder)) == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["into", "secret.dcm"]


def test_a_tar_that_is_cut_gives_what_came(zipped: bytes, rsna: GradingTask) -> None:
    packed = tar_of(files_of(zipped), "w:gz")
    with open_study(packed[: len(packed) // 2], rsna) as study:
        assert 0 < sum(map(len, study.series.values())) < len(images(zipped))
        assert "archive-cut" in [note.code for note in study.notes]
    with pytest.raises(InputError) as caught, open_study(packed[:200], rsna):
        pass
    assert caught.value.code in ("tar-damaged", "packed-file-without-dicom")


def pax_bomb() -> bytes:
    """A header that says of itself that it has 200 MB."""
    entry = tarfile.TarInfo("x")
    entry.type, entry.size = tarfile.XHDTYPE, 200 << 20
    return gzip.compress(entry.tobuf() + bytes(201 << 20))


def negative() -> bytes:
    """A file of a negative size, at which a reader goes round for ever."""
    head = bytearray(tarfile.TarInfo("x.dcm").tobuf())
    head[124:136] = b"\xff" * 11 + b"\x00"
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head) * 40


@pytest.mark.parametrize(
    ("make", "codes"),
    [
        (lambda: tar_of({"zeros.dcm": bytes(300 << 20)}, "w:gz"), ("zip-bomb",)),
        (pax_bomb, ("tar-damaged", "zip-bomb")),
        (negative, ("tar-damaged", "too-many-files")),
        (lambda: tar_of({str(n): b"" for n in range(30)}), ("too-many-files",)),
    ],
    ids=["zeros", "header", "negative size", "files"],
)
def test_bombs_are_refused(make: Callable[[], bytes], codes: tuple[str, ...], rsna: GradingTask) -> None:
    with pytest.raises(InputError) as caught, open_study(make(), rsna, limits=StudyLimits(files=20), seconds=30):
        pass
    assert caught.value.code in codes


def test_images_that_are_packed_one_by_one_are_unpacked(zipped: bytes, tmp_path: Path) -> None:
    packed = {f"{name}.gz": gzip.compress(data, 1) for name, data in files_of(zipped).items()}
    unpack_archive(zip_of(packed), tmp_path / "zip")
    assert unpacked(tmp_path / "zip") == sorted(files_of(zipped).values())
    name, first = next(iter(packed.items()))
    unpack_archive(first, tmp_path / "one")
    assert unpacked(tmp_path / "one") == [files_of(zipped)[name.removesuffix(".gz")]]


def test_a_packed_file_that_is_no_tar_is_no_study(zipped: bytes, rsna: GradingTask) -> None:
    with pytest.raises(InputError) as caught, open_study(gzip.compress(b"text"), rsna):
        pass
    assert caught.value.code == "packed-file-without-dicom"
    with open_study(
        rezip(zipped, extra={"atlas.nii.gz": gzip.compress(struct.pack("<i", 348) + bytes(1000))}), rsna
    ) as study:
        assert not study.notes
