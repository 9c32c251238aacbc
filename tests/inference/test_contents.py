"""Which files are one study and one series: the same for a folder and a zip, whatever its files are called."""

import io
import os
import shutil
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import Dataset
from pydicom.config import disable_value_validation
from pydicom.filereader import read_partial
from pydicom.uid import CTImageStorage, generate_uid

from lumbargrade.config.task import GradingTask
from lumbargrade.data.study_zip import zip_study
from lumbargrade.errors import InputError
from lumbargrade.inference.each_study import each_study, name_study
from lumbargrade.inference.study import Study, open_studies, open_study

Change = Callable[[Dataset], None]


@pytest.fixture
def folder(phantom: Path, study_id: int, tmp_path: Path) -> Path:
    """A study in a folder for each series, as RSNA lays it out."""
    return shutil.copytree(phantom / "train_images" / str(study_id), tmp_path / str(study_id))


@pytest.fixture
def other(phantom: Path, study_id: int, tmp_path: Path) -> Path:
    """Another study."""
    names = sorted(path.name for path in (phantom / "train_images").iterdir() if path.name != str(study_id))
    return shutil.copytree(phantom / "train_images" / names[0], tmp_path / "other" / names[0])


@pytest.fixture(params=["folder", "zip"])
def opened(request: pytest.FixtureRequest, rsna: GradingTask) -> Callable[[Path], Any]:
    def open_it(folder: Path) -> Any:
        return open_study(folder if request.param == "folder" else zip_of(folder), rsna)

    return open_it


def zip_of(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in files(folder):
            archive.write(path, path.relative_to(folder))
    return buffer.getvalue()


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def edit(folder: Path, *changes: Change) -> None:
    for path in files(folder):
        dataset = pydicom.dcmread(path)
        with disable_value_validation():
            for change in changes:
                change(dataset)
            dataset.save_as(path)


def set_tag(keyword: str, value: Any) -> Change:
    return lambda dataset: setattr(dataset, keyword, value)


def flatten(*folders: Path) -> Path:
    """Copies the files of some folders into one, under names that say nothing."""
    target = folders[0].parent / "flat"
    target.mkdir()
    for number, path in enumerate(path for folder in folders for path in files(folder)):
        shutil.copy(path, target / f"IM{number:05d}")
    return target


def series_of(study: Study) -> list[list[str]]:
    return sorted(sorted(header.sop_uid for header in slices) for slices in study.series.values())


def expected(folder: Path) -> list[list[str]]:
    """SOP instances by SeriesInstanceUID."""
    found: dict[str, list[str]] = {}
    for path in files(folder):
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
        found.setdefault(dataset.SeriesInstanceUID, []).append(dataset.SOPInstanceUID)
    return sorted(map(sorted, found.values()))


def uid_of(folder: Path) -> str:
    return str(pydicom.dcmread(files(folder)[-1]).StudyInstanceUID)


def refused(opening: Any) -> str:
    with pytest.raises(InputError) as caught, opening:
        pass
    return str(caught.value)


# One study and one patient


def test_two_studies_are_refused_by_their_number(folder: Path, other: Path, opened: Any) -> None:
    message = refused(opened(flatten(folder, other)))
    assert message == "the files belong to 2 studies; grade each on its own"


def test_one_late_slice_of_another_study_is_refused(folder: Path, other: Path, opened: Any) -> None:
    shutil.copy(files(other)[-1], files(folder)[0].parent / "99.dcm")
    assert refused(opened(folder)).startswith("the files belong to 2 studies")


@pytest.fixture(params=["folder", "zip", "folder of zips"])
def found(request: pytest.FixtureRequest, rsna: GradingTask, tmp_path: Path) -> Callable[[Path], Any]:
    """Finds the studies of a folder of folders."""

    def find(folder: Path) -> Any:
        if request.param == "folder":
            return open_studies(folder, rsna)
        if request.param == "zip":
            return open_studies(zip_of(folder), rsna)
        zips = tmp_path / "zips"
        zips.mkdir()
        for path in folder.iterdir():
            (zips / f"{path.name}.zip").write_bytes(zip_of(path))
        return open_studies(zips, rsna)

    return find


def both(tmp_path: Path, *folders: Path) -> Path:
    together = tmp_path / "together"
    together.mkdir()
    for folder in folders:
        folder.rename(together / folder.name)
    return together


def test_each_study_is_opened_by_itself(folder: Path, other: Path, found: Any, tmp_path: Path) -> None:
    alone = [expected(folder), expected(other)]
    with found(both(tmp_path, folder, other)) as studies:
        opened = []
        for study in studies:
            with study.open() as one:
                opened.append(series_of(one))
                assert one.study_id == study.study_id
        assert sorted(opened) == sorted(alone)
        assert len({study.study_id for study in studies}) == 2


def test_what_is_wrong_with_one_study_stops_no_other(folder: Path, other: Path, found: Any, tmp_path: Path) -> None:
    edit(sorted(other.iterdir())[0], set_tag("PatientID", "SOMEBODY-ELSE"))
    with found(both(tmp_path, folder, other)) as studies:
        outcomes = list(each_study(studies, series_of))
    codes = [outcome.error.code if outcome.error else None for outcome in outcomes]
    assert sorted(codes, key=str) == [None, "several-patients"]


def test_nothing_of_any_study_is_the_error_of_the_first(folder: Path, other: Path, found: Any, tmp_path: Path) -> None:
    for place in (folder, other):
        edit(sorted(place.iterdir())[0], set_tag("PatientID", "SOMEBODY-ELSE"))
    with found(both(tmp_path, folder, other)) as studies, pytest.raises(InputError) as caught:
        list(each_study(studies, series_of))
    assert caught.value.code == "several-patients"


def test_studies_come_in_the_order_of_their_days(folder: Path, other: Path, rsna: GradingTask, tmp_path: Path) -> None:
    edit(folder, set_tag("StudyDate", "20240301"))
    edit(other, set_tag("StudyDate", "2023.12.24"))
    with open_studies(both(tmp_path, folder, other), rsna) as studies:
        assert [study.contents.date for study in studies] == ["2023-12-24", "2024-03-01"]
        names = [name_study(study, number, 2) for number, study in enumerate(studies, start=1)]
    assert names == ["Study 1 of 2, 2023-12-24", "Study 2 of 2, 2024-03-01"]


def test_a_study_uid_for_each_image_is_refused_in_words(folder: Path, opened: Any) -> None:
    edit(folder, lambda dataset: setattr(dataset, "StudyInstanceUID", generate_uid()))
    with pytest.raises(InputError) as caught, opened(folder):
        pass
    assert caught.value.code == "study-uid-for-each-image"


def test_days_tell_that_there_are_several_studies(folder: Path, opened: Any) -> None:
    """Two examinations that an anonymiser has put under one UID, or left without any."""
    edit(folder, set_tag("StudyDate", "20240301"))
    edit(sorted(folder.iterdir())[0], set_tag("StudyDate", "20190301"))
    with opened(folder) as study:
        assert ("several-days", {"count": 2}) in [(note.code, note.facts) for note in study.notes]
    edit(folder, lambda dataset: delattr(dataset, "StudyInstanceUID"))
    with pytest.raises(InputError) as caught, opened(folder):
        pass
    assert caught.value.code == "days-without-study-uid"


def test_two_patients_are_refused_though_one_has_a_ct_only(folder: Path, opened: Any) -> None:
    edit(sorted(folder.iterdir())[0], set_tag("Modality", "CT"), set_tag("PatientID", "SOMEBODY-ELSE"))
    with pytest.raises(InputError) as caught, opened(folder):
        pass
    assert caught.value.code == "several-patients"


def test_lost_files_are_told_of_their_own_study(folder: Path, other: Path, rsna: GradingTask, tmp_path: Path) -> None:
    for path in files(sorted(folder.iterdir())[0])[:2]:
        data = path.read_bytes()
        path.write_bytes(data[: data.index(uid_of(folder).encode()) + 180])
    with open_studies(flatten(folder, other), rsna) as studies:
        told = {}
        for study in studies:
            with study.open() as one:
                told[one.study_id] = [note.facts["count"] for note in one.notes if note.code == "files-unreadable"]
    assert told == {uid_of(folder): [2], uid_of(other): []}


def test_points_do_not_make_two_studies_one(folder: Path, other: Path, phantom: Path, rsna: GradingTask) -> None:
    zipped = zip_study(phantom, int(folder.name))
    buffer = io.BytesIO(zipped)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.write(files(other)[0], "x/1.dcm")
    assert refused(open_study(buffer.getvalue(), rsna)).startswith("the files belong to 2 studies")


def test_two_patients_under_one_study_uid_are_refused_and_not_named(folder: Path, opened: Any) -> None:
    first, second, *_ = sorted(folder.iterdir())
    edit(first, set_tag("PatientID", "SECRET-1"))
    edit(second, set_tag("PatientID", "SECRET-2"))
    edit(sorted(folder.iterdir())[2], set_tag("PatientID", "SECRET-1"))
    message = refused(opened(folder))
    assert message.startswith("the files of the study are of 2 patients")
    assert "SECRET" not in message


def test_without_numbers_patients_are_told_by_name_and_day_of_birth(folder: Path, opened: Any) -> None:
    edit(folder, set_tag("PatientID", ""), set_tag("PatientName", "A^B"), set_tag("PatientBirthDate", "19500101"))
    edit(sorted(folder.iterdir())[0], set_tag("PatientBirthDate", "19600101"))
    assert "2 patients" in refused(opened(folder))


@pytest.mark.parametrize("spelling", ["ab-0012", " AB-0012 ", "00AB-0012", "", "ANONYMOUS"])
def test_another_spelling_of_a_patients_number_is_no_other_patient(folder: Path, opened: Any, spelling: str) -> None:
    edit(folder, set_tag("PatientID", "AB-0012"))
    edit(sorted(folder.iterdir())[0], set_tag("PatientID", spelling))
    with opened(folder) as study:
        assert series_of(study) == expected(folder)
        assert study.notes == []


def test_a_padded_uid_is_no_other_study(folder: Path, opened: Any) -> None:
    uid = pydicom.dcmread(files(folder)[0]).StudyInstanceUID
    edit(sorted(folder.iterdir())[0], set_tag("StudyInstanceUID", f"{uid} "))
    with opened(folder) as study:
        assert series_of(study) == expected(folder)


def test_images_without_a_study_uid_are_left_out_and_counted(folder: Path, opened: Any) -> None:
    for path in files(folder)[:2]:
        dataset = pydicom.dcmread(path)
        del dataset.StudyInstanceUID
        dataset.save_as(path)
    with opened(folder) as study:
        assert sum(map(len, study.series.values())) == len(files(folder)) - 2
        (note,) = study.notes
        assert note.text.startswith("2 images without a StudyInstanceUID left out")


def test_the_study_is_called_by_its_own_uid(folder: Path, opened: Any) -> None:
    uid = pydicom.dcmread(files(folder)[0]).StudyInstanceUID
    flat = flatten(folder)
    dataset = pydicom.dcmread(flat / "IM00000")
    dataset.Modality, dataset.StudyInstanceUID, dataset.SOPInstanceUID = "CT", generate_uid(), generate_uid()
    dataset.save_as(flat / "A")
    with opened(flat) as study:
        assert study.study_id == uid


# Other devices


@pytest.mark.parametrize("modality", ["CT", "ct ", None])
def test_images_that_are_no_mr_are_left_out_and_counted(folder: Path, opened: Any, modality: str | None) -> None:
    shutil.copytree(sorted(folder.iterdir())[0], folder / "999")

    def scan(dataset: Dataset) -> None:
        dataset.SOPInstanceUID, dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), "1.9", "1.9.1"
        dataset.SOPClassUID = CTImageStorage
        if modality is None:
            del dataset.Modality
        else:
            dataset.Modality = modality

    edit(folder / "999", scan)
    count = len(files(folder / "999"))
    with opened(folder) as study:
        shutil.rmtree(folder / "999")
        assert series_of(study) == expected(folder)
        assert [note.text for note in study.notes] == [f"{count} CT images left out, as only MR images are graded"]


def test_a_study_without_mr_is_refused(folder: Path, opened: Any) -> None:
    edit(folder, set_tag("Modality", "CT"))
    assert refused(opened(folder)) == "the study holds CT images, not MR; send an MRI of the lumbar spine"


def test_images_that_name_no_device_are_mr(folder: Path, opened: Any) -> None:
    def forget(dataset: Dataset) -> None:
        del dataset.Modality
        del dataset.SOPClassUID

    edit(folder, forget)
    with opened(folder) as study:
        assert series_of(study) == expected(folder)


# Series


def test_a_series_over_several_folders_is_one(folder: Path, opened: Any) -> None:
    parts = expected(folder)
    series = sorted(folder.iterdir())[0]
    half = files(series)[::2]
    (folder / "7").mkdir()
    for number, path in enumerate(half, start=1):  # numbers of files collide, too
        path.rename(folder / "7" / f"{number}.dcm")
    with opened(folder) as study:
        assert series_of(study) == parts
        assert study.key(series.name) is None
        assert study.key(7) is None


def test_folders_may_name_a_series_together_where_their_files_numbers_differ(folder: Path, opened: Any) -> None:
    series = sorted(folder.iterdir())[0]
    moved = files(series)[-1]
    (folder / "7").mkdir()
    moved.rename(folder / "7" / moved.name)
    with opened(folder) as study:
        key = study.key(7)
        assert key is not None
        assert key == study.key(series.name)
        assert len(study.series[key]) == len(files(series)) + 1


def test_two_series_in_one_numbered_folder_are_two(folder: Path, opened: Any) -> None:
    parts = expected(folder)
    first, second, *_ = sorted(folder.iterdir())
    for path in files(second):
        path.rename(first / f"{1000 + int(path.stem)}.dcm")
    second.rmdir()
    with opened(folder) as study:
        assert series_of(study) == parts
        assert study.key(first.name) is None


def test_the_same_number_at_two_places_of_a_zip_changes_nothing(folder: Path, rsna: GradingTask) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for place, series in enumerate(sorted(folder.iterdir())):
            for path in files(series):
                archive.write(path, f"exam/{place}/7/{path.name}")
    with open_study(buffer.getvalue(), rsna) as study:
        assert series_of(study) == expected(folder)
        assert study.key(7) is None


def test_a_picture_of_the_same_name_before_an_image_changes_nothing(zipped: bytes, rsna: GradingTask) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(zipped)) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            if name.endswith(".dcm"):
                new.writestr(name.replace(".dcm", ".jpg"), b"\xff\xd8\xff\xe0 a thumbnail")
            new.writestr(name, old.read(name))
    with open_study(zipped, rsna) as plain, open_study(buffer.getvalue(), rsna) as study:
        assert study.notes == []
        assert {key: [(h.path.name, h.sop_uid) for h in slices] for key, slices in study.series.items()} == {
            key: [(h.path.name, h.sop_uid) for h in slices] for key, slices in plain.series.items()
        }


def test_a_study_that_was_exported_twice_is_there_once(folder: Path, opened: Any) -> None:
    whole = folder.parent / "twice"
    shutil.copytree(folder, whole / "a")
    shutil.copytree(folder, whole / "b" / "c")
    path = files(whole / "a")[0]
    path.write_bytes(path.read_bytes()[:-400])  # the copy that was cut is not the one that is taken
    path = files(whole / "a")[1]
    path.write_bytes(path.read_bytes()[:1000])
    with opened(whole) as study:
        assert series_of(study) == expected(folder)
        assert study.notes == []
        sizes = {header.sop_uid: header.path.stat().st_size for slices in study.series.values() for header in slices}
    for path in files(folder):
        assert sizes[pydicom.dcmread(path).SOPInstanceUID] == path.stat().st_size


@pytest.mark.parametrize("uid", [generate_uid, lambda: "1.2.3", lambda: ""], ids=["each", "one", "none"])
def test_series_are_found_without_their_uids(folder: Path, opened: Any, uid: Callable[[], str]) -> None:
    parts = expected(folder)
    edit(folder, lambda dataset: setattr(dataset, "SeriesInstanceUID", uid()))
    with opened(flatten(folder)) as study:
        assert series_of(study) == parts
        assert {len({header.contrast for header in slices}) for slices in study.series.values()} == {1}
        assert (study.notes, study.torn) == ([], frozenset())


def test_slices_that_belong_to_no_known_series_are_counted(folder: Path, opened: Any) -> None:
    def tear(dataset: Dataset) -> None:
        dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = generate_uid(), generate_uid()

    edit(sorted(folder.iterdir())[0], tear)
    count = len(files(sorted(folder.iterdir())[0]))
    with opened(folder) as study:
        assert len(study.torn) == count
        assert [note.text for note in study.notes] == [
            f"{count} series of one slice are not graded on, as it is not known which slices belong together"
        ]


# Lost files


def test_files_that_were_cut_are_counted_by_series(folder: Path, opened: Any) -> None:
    first, second, third = sorted(folder.iterdir())
    for path, size in zip(files(first)[1:4], (140, 200, 700), strict=True):
        path.write_bytes(path.read_bytes()[:size])
    files(second)[1].write_bytes(b"")
    path = files(third)[2]
    dataset = pydicom.dcmread(path)
    del dataset.PixelData
    dataset.save_as(path)
    with opened(folder) as study:
        assert sum(map(len, study.series.values())) == len(files(folder)) - 5
        assert len(study.notes) == 3
        assert Counter(note.text.split(" ")[0] for note in study.notes) == {"3": 1, "1": 2}
        assert all("series" in note.text and note.text.endswith("could not be read") for note in study.notes)
        assert len({note.text[2:] for note in study.notes}) == 3


def test_where_nothing_tells_the_series_none_is_guessed(folder: Path, opened: Any) -> None:
    flat = flatten(folder)
    for path in files(flat)[:2]:
        path.write_bytes(path.read_bytes()[:150])
    with opened(flat) as study:
        assert [note.text for note in study.notes] == ["2 files of the study could not be read"]


def test_a_header_that_still_tells_the_series_is_believed(folder: Path, opened: Any) -> None:
    flat = flatten(folder)
    path = files(flat)[1]
    uid = pydicom.dcmread(path).SeriesInstanceUID.encode()
    data = path.read_bytes()
    path.write_bytes(data[: data.index(uid) + len(uid) + 8])
    with opened(flat) as study:
        (note,) = study.notes
        assert note.text.startswith("1 file of series ")


def test_other_files_are_no_loss(folder: Path, opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[object] = []
    read = read_partial
    monkeypatch.setattr("lumbargrade.dicom.parse.read_partial", lambda f, *a, **o: parsed.append(f) or read(f, *a, **o))
    count = len(files(folder))
    place = sorted(folder.iterdir())[0]
    others = {
        "viewer.jar": b"PK\x03\x04",
        "a.jpg": b"\xff\xd8",
        "autorun.exe": b"MZ",
        "x.dcm": bytes(5000),
        "t.txt": b"",
    }
    for name, data in others.items():
        (place / name).write_bytes(data)
    with opened(folder) as study:
        assert study.notes == []
    assert len(parsed) == count


def test_a_report_beside_the_images_is_no_loss(folder: Path, opened: Any) -> None:
    report = Dataset()
    report.SOPClassUID, report.SOPInstanceUID, report.Modality = "1.2.840.10008.5.1.4.1.1.88.11", "1.2.3", "SR"
    report.ensure_file_meta()
    report.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    report.save_as(folder / "report.dcm", enforce_file_format=True)
    with opened(folder) as study:
        assert study.notes == []


def test_files_that_may_not_be_read_are_counted(
    folder: Path, rsna: GradingTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed, opens = files(sorted(folder.iterdir())[0])[:2], Path.open

    def refuse(path: Path, *args: Any, **options: Any) -> Any:
        if path in closed:
            raise PermissionError(13, "Permission denied")
        return opens(path, *args, **options)

    monkeypatch.setattr(Path, "open", refuse)
    with open_study(folder, rsna) as study:
        (note,) = study.notes
        assert note.text.startswith("2 files beside series")


@pytest.fixture
def closed(folder: Path) -> Iterator[Path]:
    if os.geteuid() == 0:
        pytest.skip("the superuser may read everything")
    yield folder
    for path in folder.rglob("*"):
        path.chmod(0o755)


def test_folders_that_may_not_be_opened_are_counted(closed: Path, rsna: GradingTask) -> None:
    sorted(closed.iterdir())[1].chmod(0)
    with open_study(closed, rsna) as study:
        assert [note.text for note in study.notes] == ["1 folder of the study could not be opened"]


def test_a_link_that_leads_nowhere_is_a_lost_file(folder: Path, rsna: GradingTask) -> None:
    path = files(folder)[0]
    path.unlink()
    path.symlink_to(folder / "gone")
    with open_study(folder, rsna) as study:
        (note,) = study.notes
        assert note.text.startswith("1 file beside series")


def test_linked_folders_are_followed_once(folder: Path, rsna: GradingTask, tmp_path: Path) -> None:
    parts = expected(folder)
    for number, series in enumerate(sorted(folder.iterdir())):
        series.rename(tmp_path / f"store{number}")
        series.symlink_to(tmp_path / f"store{number}")
    (tmp_path / "store0" / "again").symlink_to(folder)
    with open_study(folder, rsna) as study:
        assert series_of(study) == parts
