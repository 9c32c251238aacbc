"""What becomes of an upload that is no plain zip of one study."""

import io
import zipfile
from pathlib import Path
from typing import Any

import pydicom
import pytest

from lumbargrade.archives.unpack import unpack_members
from lumbargrade.config.task import GradingTask
from lumbargrade.viewer.image_index import StudyIndex
from lumbargrade.viewer.studies.decode import REPACKED, UPLOAD, decode_upload
from lumbargrade.viewer.studies.parts import part_name
from tests.zips import files_of, tar_of, zip_of


def decode(upload: bytes, task: GradingTask, folder: Path) -> dict[str, Any]:
    (folder / UPLOAD).write_bytes(upload)
    return decode_upload(str(folder), task.model_dump_json(), False, lambda done, total: None)


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "zip in a zip"])
def test_each_image_is_found_again(kind: str, zipped: bytes, rsna: GradingTask, tmp_path: Path) -> None:
    files = files_of(zipped)
    upload = {"zip": zip_of(files), "tar.gz": tar_of(files, "w:gz"), "zip in a zip": zip_of({"a": zip_of(files)})}[kind]
    index = StudyIndex.model_validate(decode(upload, rsna, tmp_path))
    assert index.archive == (UPLOAD if kind == "zip" else REPACKED)
    assert len(index.members) == len(files)
    (tmp_path / "again").mkdir()
    paths = unpack_members(tmp_path / index.archive, index.members.values(), tmp_path / "again")
    assert {uid: pydicom.dcmread(paths[n]).SOPInstanceUID for uid, n in index.members.items()} == {
        uid: uid for uid in index.members
    }


def test_each_study_of_several_has_a_zip_of_its_own(zipped: bytes, rsna: GradingTask, tmp_path: Path) -> None:
    """Files that cannot be read come along, and what the whole upload lacks is said."""
    files = files_of(zipped)
    stray = pydicom.dcmread(io.BytesIO(next(iter(files.values()))))
    stray.StudyInstanceUID, stray.StudyDate = "1.2.3", "20200229"
    buffer = io.BytesIO()
    stray.save_as(buffer)
    late, other = buffer.getvalue(), b"7z\xbc\xaf\x27\x1c" + bytes(600)
    upload = zip_of(files | {"1/x.dcm": late, "1/cut.dcm": late[:-20000], "a.7z": other})
    told = decode(upload, rsna, tmp_path)
    assert told["notes"] == ["1 archive among its files could not be opened"]
    assert [(one["number"], one["images"]) for one in told["studies"]] in (
        [(1, len(files)), (2, 2)],
        [(1, 2), (2, len(files))],
    )
    for one in told["studies"]:
        with zipfile.ZipFile(tmp_path / part_name(one["number"])) as part:
            uids = {pydicom.dcmread(io.BytesIO(part.read(entry))).StudyInstanceUID for entry in part.namelist()}
        assert len(uids) == 1
