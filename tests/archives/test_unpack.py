"""Zips as anybody may send them: one bad file costs itself, and what is wrong is said as it is."""

import errno
import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from lumbargrade.archives import unpack
from lumbargrade.archives.unpack import may_hold_dicom, unpack_archive, unpack_members
from lumbargrade.archives.zips import check_archive, opened_archive, zip_parts
from lumbargrade.config.task import GradingTask
from lumbargrade.data.study_zip import POINTS
from lumbargrade.dicom.limits import LIMITS, StudyLimits, StudyTimeoutError
from lumbargrade.errors import InputError
from lumbargrade.inference.grade import grade_study
from lumbargrade.inference.study import open_study
from lumbargrade.models.bundle import LoadedModel
from lumbargrade.scratch import ScratchError
from tests.zips import (
    damaged,
    far_file,
    files_of,
    huge_dictionary,
    huge_offset,
    images,
    not_utf8,
    other_local_name,
    rezip,
    tar_of,
    unpacked,
    wrong_crc,
    zip_of,
)

NO_ZIP = "the study is not a zip file that can be unpacked; send a zip of its DICOM files"


@pytest.mark.parametrize(
    "harm",
    [
        wrong_crc,
        damaged,
        lambda zipped, name: damaged(zipped, name, zipfile.ZIP_LZMA),
        lambda zipped, name: damaged(zipped, name, zipfile.ZIP_BZIP2),
        far_file,
        huge_dictionary,
    ],
    ids=["crc", "deflate", "lzma", "bzip2", "far away", "dictionary"],
)
def test_one_damaged_file_is_counted_and_the_others_are_read(
    harm: Callable[[bytes, str], bytes], zipped: bytes, rsna: GradingTask
) -> None:
    names = images(zipped)
    with open_study(harm(zipped, names[0]), rsna) as study:
        assert sum(len(series) for series in study.series.values()) == len(names) - 1
        assert "1 file of the zip could not be unpacked" in [note.text for note in study.notes]


@pytest.mark.parametrize("harm", [not_utf8, other_local_name], ids=["not utf-8", "two names"])
def test_an_odd_name_costs_nothing(harm: Callable[[bytes, str], bytes], zipped: bytes, rsna: GradingTask) -> None:
    odd = harm(zipped, images(zipped)[0])
    with pytest.raises((UnicodeDecodeError, zipfile.BadZipFile)), zipfile.ZipFile(io.BytesIO(odd)) as opened:
        for name in opened.namelist():
            opened.read(name)
    with open_study(odd, rsna) as study:
        assert sum(len(series) for series in study.series.values()) == len(images(zipped))
        assert not study.notes


@pytest.mark.parametrize("length", [300, 5000, 60_000])
def test_a_long_name_costs_nothing(length: int, zipped: bytes, rsna: GradingTask) -> None:
    names = images(zipped)
    long = rezip(zipped, lambda name: f"1/{'2' * length}.dcm" if name == names[0] else name)
    with open_study(long, rsna) as study:
        assert sum(len(series) for series in study.series.values()) == len(names)


def test_damaged_files_are_noted_in_each_cell(zipped: bytes, model: LoadedModel, rsna: GradingTask) -> None:
    with open_study(wrong_crc(zipped, images(zipped)[0]), rsna) as study:
        answer = grade_study(model, study)
    assert answer["notes"].str.contains("1 file of the zip could not be unpacked").all()
    assert answer["grade"].notna().sum() > 10


def test_a_zip_of_which_nothing_can_be_unpacked_says_so(zipped: bytes, rsna: GradingTask) -> None:
    with (
        pytest.raises(
            InputError, match=r"^none of the \d+ files in the study's zip can be unpacked; make the zip again$"
        ),
        open_study(huge_offset(rezip(zipped, lambda name: None if name == "points.csv" else name)), rsna),
    ):
        pass


def test_damaged_points_are_not_taken_for_none(zipped: bytes, rsna: GradingTask) -> None:
    with (
        pytest.raises(InputError, match=r"^points\.csv cannot be unpacked from the zip; send it again$"),
        open_study(wrong_crc(zipped, "points.csv"), rsna),
    ):
        pass


def test_points_that_are_there_twice_are_refused(zipped: bytes, rsna: GradingTask) -> None:
    with zipfile.ZipFile(io.BytesIO(zipped)) as opened:
        points = opened.read("points.csv")
    with (
        pytest.raises(InputError, match=r"holds points\.csv twice; remove one of them"),
        open_study(rezip(zipped, extra={"elsewhere/points.csv": points}), rsna),
    ):
        pass


def test_what_does_not_begin_as_dicom_is_not_unpacked(zipped: bytes, tmp_path: Path) -> None:
    others = {"zeros.dcm": bytes(3 << 20), "1/2/3.dcm": b"text", "viewer.exe": b"MZ" + bytes(500), "empty.dcm": b""}
    assert unpack_archive(rezip(zipped, extra=others), tmp_path, keep=POINTS).damaged == 0
    unpacked = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert (
        len(unpacked) == len(images(zipped)) + 2
    )  # the points, and the file that may have been an image before it was cut
    dicom = [path for path in unpacked if path.name != "points.csv" and path.stat().st_size]
    assert len(dicom) == len(images(zipped))
    assert all(path.read_bytes()[128:132] == b"DICM" for path in dicom)


def test_a_file_that_was_unpacked_is_found_again_in_the_zip(zipped: bytes, tmp_path: Path) -> None:
    (tmp_path / "study.zip").write_bytes(rezip(zipped, extra={"0/notes.txt": b"text", "ÄÖ/a.dcm": b"cut"}))
    (tmp_path / "all").mkdir()
    (tmp_path / "some").mkdir()
    members = unpack_archive(tmp_path / "study.zip", tmp_path / "all").members
    chosen = dict(list(members.items())[::7])
    again = unpack_members(tmp_path / "study.zip", chosen.values(), tmp_path / "some")
    assert len(again) == len(chosen) == len(list((tmp_path / "some").iterdir()))
    assert all(again[number].read_bytes() == path.read_bytes() for path, number in chosen.items())


def test_a_file_that_is_no_image_takes_no_images_name(zipped: bytes, tmp_path: Path) -> None:
    first = images(zipped)[0]
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(zipped)) as old, zipfile.ZipFile(buffer, "w") as new:
        new.writestr(first.replace(".dcm", ".jpg"), b"\xff\xd8")
        for name in old.namelist():
            new.writestr(name, old.read(name))
    one, other = tmp_path / "one", tmp_path / "other"
    unpack_archive(zipped, one)
    unpack_archive(buffer.getvalue(), other)
    assert {path.relative_to(one) for path in one.rglob("*")} == {path.relative_to(other) for path in other.rglob("*")}


def test_a_damaged_first_file_does_not_hide_that_there_is_dicom(zipped: bytes) -> None:
    assert may_hold_dicom(damaged(zipped, images(zipped)[0], zipfile.ZIP_LZMA))


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "is full; free space there, or set TMPDIR to a folder with more"),
        (errno.EDQUOT, "is full; free space there, or set TMPDIR to a folder with more"),
        (errno.EROFS, r"cannot be used \(Read-only file system\); set TMPDIR to a folder that can be written"),
    ],
)
def test_a_disk_that_is_full_is_not_the_zips_fault(
    number: int, words: str, zipped: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*some: object, **more: object) -> Path:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(unpack.Path, "mkdir", refuse)
    with pytest.raises(ScratchError, match=words):
        unpack_archive(zipped, tmp_path)


def test_a_zip_that_the_disk_cannot_read_is_not_called_damaged(zipped: bytes) -> None:
    class Failing(io.BytesIO):
        def read(self, *size: int | None) -> bytes:
            if self.tell() < 1000:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return super().read(*size)

    with zipfile.ZipFile(io.BytesIO(zipped)) as opened:
        opened.fp = Failing(zipped)
        with pytest.raises(InputError, match=r"cannot be read \(Input/output error\); see that it can be"):
            list(zip_parts(opened, check_archive(opened)[0]))


def test_a_study_that_takes_too_long_to_unpack_ends(zipped: bytes, rsna: GradingTask) -> None:
    with pytest.raises(StudyTimeoutError), open_study(zipped, rsna, seconds=0):
        pass


def test_page_and_model_server_have_one_rule(rsna: GradingTask, zipped: bytes, tmp_path: Path) -> None:
    from lumbargrade.viewer.settings import WebSettings

    settings = WebSettings(task=rsna, model_url="", spool=tmp_path)
    assert settings.max_files == LIMITS.files
    few = StudyLimits(files=3)
    for source in (zipped, tmp_path / "folder"):
        if isinstance(source, Path):
            unpack_archive(zipped, source)
        with pytest.raises(InputError, match="at most 3 are taken"), open_study(source, rsna, limits=few):
            pass


def test_images_are_counted_over_the_whole_study(zipped: bytes, rsna: GradingTask) -> None:
    for few in (StudyLimits(frames=5), StudyLimits(pixels=1000)):
        with (
            pytest.raises(InputError, match="send the lumbar spine's series alone"),
            open_study(zipped, rsna, limits=few),
        ):
            pass


def test_no_zip_is_still_no_zip() -> None:
    for data in (b"", b"hello", b"PK\x03\x04" + bytes(100)):
        with pytest.raises(InputError) as caught, opened_archive(data):
            pass
        assert str(caught.value) == NO_ZIP


VIEWER = zip_of({"META-INF/MANIFEST.MF": b"Main-Class: Viewer", **{f"{n}.class": b"\xca\xfe" * 40 for n in range(100)}})


@pytest.mark.parametrize(
    "wrap", [lambda data: zip_of({"inner.dat": data}), lambda data: zip_of({"a": zip_of({"b": data})})]
)
def test_an_archive_in_an_archive_is_unpacked_by_its_content(
    wrap: Callable[[bytes], bytes], zipped: bytes, tmp_path: Path
) -> None:
    came = unpack_archive(wrap(zip_of(files_of(zipped))), tmp_path)
    assert unpacked(tmp_path) == sorted(files_of(zipped).values())
    assert (came.nested, came.members, came.damaged, came.unopened) == (len(images(zipped)), {}, 0, 0)


def test_archives_nested_deeper_are_not_unpacked(zipped: bytes, tmp_path: Path) -> None:
    deep = zipped
    for _ in range(3):
        deep = zip_of({"inner.zip": deep})
    unpack_archive(deep, tmp_path)
    assert unpacked(tmp_path) == []


def test_a_viewers_own_archives_cost_nothing(zipped: bytes, tmp_path: Path) -> None:
    others = {
        "viewer.jar": VIEWER,
        "letter.docx": zip_of({"word/document.xml": b"<w:document/>"}),
        "m.gz": b"\x1f\x8b\x08",
    }
    few = StudyLimits(files=len(images(zipped)) + len(others))
    came = unpack_archive(zip_of(files_of(zipped) | others), tmp_path, few)
    assert unpacked(tmp_path) == sorted(files_of(zipped).values())
    assert (len(came.members), came.nested, came.damaged, came.unopened) == (len(images(zipped)), 0, 0, 0)


@pytest.mark.parametrize(
    "inner",
    [
        b"7z\xbc\xaf\x27\x1c" + bytes(600),
        b"Rar!\x1a\x07\x01\x00" + bytes(600),
        b"PK\x03\x04" + bytes(600),
        tar_of({"a": bytes(600)}, "w:xz"),
        tar_of({"a": bytes(600)}, "w:bz2"),
    ],
    ids=["7z", "rar", "no zip", "xz", "bzip2"],
)
def test_an_archive_that_cannot_be_opened_is_counted(inner: bytes, zipped: bytes, rsna: GradingTask) -> None:
    with open_study(zip_of(files_of(zipped) | {"more": inner}), rsna) as study:
        assert [note.code for note in study.notes] == ["archives-unopened"]
    with pytest.raises(InputError) as caught, open_study(zip_of({"more": inner}), rsna):
        pass
    assert caught.value.code == "study-without-readable-image"
    assert "1 archive among its files could not be opened" in caught.value.what


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"7z\xbc\xaf\x27\x1c", "a 7z"),
        (b"Rar!\x1a\x07\x00", "a RAR"),
        (b"\xfd7zXZ\0", "an xz"),
        (b"BZh91AY&SY", "a bzip2"),
        (b"\x28\xb5\x2f\xfd", "a zstd"),
    ],
)
def test_other_archives_are_refused_with_what_to_do(start: bytes, kind: str, rsna: GradingTask) -> None:
    with pytest.raises(InputError) as caught, open_study(start + bytes(600), rsna):
        pass
    assert caught.value.code == "archive-of-other-kind"
    assert str(caught.value) == (
        f"the study is {kind} archive, which is not unpacked here; unpack it, and send a zip of its DICOM files"
    )


def test_bombs_in_archives_end(zipped: bytes, tmp_path: Path) -> None:
    image = next(iter(files_of(zipped).values()))
    inner = zip_of({"large": image + bytes(20 << 20)})
    with pytest.raises(InputError) as caught:
        unpack_archive(zip_of({str(n): inner for n in range(5)}), tmp_path, StudyLimits(unpacked_bytes=64 << 20))
    assert caught.value.code == "study-unpacks-too-large"
    one = zip_of({"large": image + bytes(90 << 20)})
    assert unpack_archive(zip_of({"one": one}), tmp_path / "one", StudyLimits(unpacked_bytes=64 << 20)).unopened == 1


@pytest.mark.parametrize("names", ["cp437", "shift_jis", "gbk", "latin-1", "utf-8"])
def test_names_of_any_encoding_cost_nothing(names: str, zipped: bytes, tmp_path: Path) -> None:
    odd = {"cp437": "Übung", "shift_jis": "画像表", "gbk": "影像", "latin-1": "Müller", "utf-8": "ÄÖ\udcff"}[names]
    raw = odd.encode(names, "surrogateescape")
    marked = rezip(zipped, lambda name: f"{'x' * len(raw)}/{name}" if name.endswith(".dcm") else name)
    marked = marked.replace(b"x" * len(raw) + b"/", raw + b"/")
    if names == "utf-8":
        place = marked.find(b"PK\x01\x02")
        while place >= 0:
            marked = marked[: place + 9] + bytes([marked[place + 9] | 8]) + marked[place + 10 :]
            place = marked.find(b"PK\x01\x02", place + 4)
    assert len(unpack_archive(marked, tmp_path).members) == len(images(zipped))


def test_extra_fields_that_cannot_be_cost_nothing(zipped: bytes, tmp_path: Path) -> None:
    """Info-ZIP's Unicode path that is no UTF-8, and a field that is longer than there is room for."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for number, (name, data) in enumerate(files_of(zipped).items()):
            entry = zipfile.ZipInfo(name)
            crc = zlib.crc32(name.encode())
            entry.extra = [struct.pack("<HHBL", 0x7075, 9, 1, crc) + b"\xff\xfe\xfa\xfb", b"\x99\x99\xff\x00ab"][
                number % 2
            ]
            made.writestr(entry, data)
    assert len(unpack_archive(buffer.getvalue(), tmp_path).members) == len(images(zipped))
