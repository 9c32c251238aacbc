import io
import subprocess
import tempfile
import zipfile
from pathlib import Path

import pytest

from lumbargrade.config.task import GradingTask
from lumbargrade.dicom.limits import StudyLimits
from lumbargrade.errors import InputError
from lumbargrade.inference.study import open_study
from lumbargrade.scratch import ScratchError
from tests.zips import rezip


def test_a_zip_holds_all_series_and_the_points(zipped: bytes, study_id: int, rsna: GradingTask) -> None:
    with open_study(zipped, rsna) as study:
        assert study.study_id == str(study_id)
        assert len(study.series) == 3
        assert study.points is not None
        assert len(study.points) >= 25
        for series_id in study.points["series_id"].unique():
            assert study.series[str(study.key(int(series_id)))]


def test_a_folder_and_a_zip_file_open_alike(
    phantom: Path, zipped: bytes, study_id: int, rsna: GradingTask, tmp_path
) -> None:
    path = tmp_path / "study.zip"
    path.write_bytes(zipped)
    with open_study(path, rsna) as from_zip, open_study(phantom / "train_images" / str(study_id), rsna) as from_folder:
        assert from_zip.study_id == from_folder.study_id
        assert {key: len(found) for key, found in from_zip.series.items()} == {
            key: len(found) for key, found in from_folder.series.items()
        }
        assert from_folder.points is None


def test_other_files_in_a_zip_do_no_harm(zipped: bytes, rsna: GradingTask) -> None:
    odd = {"README.txt": b"hello", "1/2/3.dcm": b"not DICOM", "../../../etc/evil.dcm": b"x", "a.jpg": b"\xff\xd8"}
    with open_study(rezip(zipped, extra=odd), rsna) as study:
        assert len(study.series) == 3


def test_names_in_a_zip_are_never_paths(zipped: bytes, rsna: GradingTask, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "inner"))
    (tmp_path / "inner").mkdir()
    with open_study(rezip(zipped, extra={"../../escaped.dcm": b"x", "/tmp/absolute.dcm": b"x"}), rsna):
        names = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert "escaped.dcm" not in names
    assert "absolute.dcm" not in names
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [".lock"]


def test_a_study_without_rsna_names_is_known_by_its_uids(zipped: bytes, rsna: GradingTask) -> None:
    count = iter(range(10_000))
    flat = rezip(zipped, lambda name: None if name == "points.csv" else f"export/IM{next(count):05d}")
    with open_study(flat, rsna) as study:
        assert len(study.series) == 3
        assert all("." in key for key in study.series)
        assert study.points is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"hello", "the study is not a zip file that can be unpacked; send a zip of its DICOM files"),
        (b"", "the study is not a zip file that can be unpacked; send a zip of its DICOM files"),
        (b"PK\x03\x04" + bytes(100), "the study is not a zip file that can be unpacked; send a zip of its DICOM files"),
    ],
)
def test_what_is_no_zip_is_refused(data: bytes, message: str, rsna: GradingTask) -> None:
    with pytest.raises(InputError) as caught, open_study(data, rsna):
        pass
    assert str(caught.value) == message


def test_a_zip_that_does_not_fit_a_temporary_folder_of_a_megabyte_says_so(
    zipped: bytes, rsna: GradingTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("no file system can be mounted here")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    try:
        full = f"the disk of the temporary folder {tmp_path} is full"
        with pytest.raises(ScratchError, match=full), open_study(zipped, rsna):
            pass
        assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [".lock"]
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_files_behind_links_belong_to_a_study(zipped: bytes, rsna: GradingTask, tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(zipped)) as archive:
        archive.extractall(tmp_path / "nas")
    study = tmp_path / "7"
    study.mkdir()
    for path in (tmp_path / "nas").iterdir():
        (study / path.name).symlink_to(path)
    (study / "up").symlink_to(study)
    with open_study(tmp_path / "nas", rsna) as whole, open_study(study, rsna) as linked:
        assert {key: len(series) for key, series in linked.series.items()} == {
            key: len(series) for key, series in whole.series.items()
        }
        assert linked.series


def test_a_zip_without_images_is_refused(rsna: GradingTask) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("note.txt", "no images here")
    with (
        pytest.raises(InputError, match="the study holds no DICOM image that can be read"),
        open_study(buffer.getvalue(), rsna),
    ):
        pass


def test_a_zip_bomb_is_refused_before_it_is_unpacked(rsna: GradingTask) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.dcm", bytes(300 << 20))
    with pytest.raises(InputError) as caught, open_study(buffer.getvalue(), rsna):
        pass
    assert str(caught.value) == "the study's zip unpacks to 300 MiB from 0 MiB, which no real study does"


def test_too_many_files_are_refused(zipped: bytes, rsna: GradingTask) -> None:
    with (
        pytest.raises(InputError, match=r"the study's zip holds \d+ files; at most 3 are taken"),
        open_study(zipped, rsna, limits=StudyLimits(files=3)),
    ):
        pass


def test_an_encrypted_zip_is_refused(zipped: bytes, rsna: GradingTask) -> None:
    marked = bytearray(zipped)
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = marked.find(signature)
        while place >= 0:
            marked[place + offset] |= 1
            place = marked.find(signature, place + 4)
    with (
        pytest.raises(InputError, match="the study's zip is encrypted; send it without a password"),
        open_study(bytes(marked), rsna),
    ):
        pass


def test_points_of_two_studies_are_refused(zipped: bytes, rsna: GradingTask) -> None:
    with zipfile.ZipFile(io.BytesIO(zipped)) as archive:
        points = archive.read("points.csv").decode()
    first, row = points.splitlines()[:2]
    other = "\n".join([first, row, "1" + row, ""])
    two = rezip(zipped, lambda name: None if name == "points.csv" else name, {"points.csv": other.encode()})
    with (
        pytest.raises(InputError, match=r"points.csv names 2 studies; a study is graded on its own"),
        open_study(two, rsna),
    ):
        pass


def test_folders_of_one_number_do_not_take_each_others_place(zipped: bytes, rsna: GradingTask) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(zipped)) as archive, zipfile.ZipFile(buffer, "w") as mixed:
        names = [name for name in archive.namelist() if name.endswith(".dcm")]
        for name in names:
            series, file = name.split("/")[-2:]
            mixed.writestr(f"{series}/7/{file}", archive.read(name))
    with open_study(zipped, rsna) as plain, open_study(buffer.getvalue(), rsna) as study:
        assert sorted(len(found) for found in study.series.values()) == sorted(len(f) for f in plain.series.values())
        assert sum(len(found) for found in study.series.values()) == len(names)
