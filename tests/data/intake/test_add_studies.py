"""New studies: nothing identifies anybody, all that grading needs is there, and it happens at once or not at all."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw
from pydicom import Dataset, dcmread
from pydicom.tag import Tag
from pydicom.uid import UID, ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from lumbargrade.config.task import GradingTask
from lumbargrade.data.intake.add_studies import Given, add_studies
from lumbargrade.data.intake.report import AddSummary, as_csv
from lumbargrade.data.layout import open_dataset
from lumbargrade.data.validation.validate import check_dataset
from lumbargrade.deidentify.profile import KEPT
from lumbargrade.deidentify.study_hash import study_hash, study_number
from lumbargrade.dicom.headers import read_headers
from lumbargrade.errors import InputError
from lumbargrade.phantom import generate
from tests.exports import ROOT, Export, secrets_in
from tests.faulty_decoders import faulty_decoders, make_faulty
from tests.zips import tar_of, zip_of

pytestmark = pytest.mark.slow

KEY = b"a key of thirty-two bytes, 01234"
Make = Callable[..., Export]
WRITER = Tag("ImplementationClassUID")
"""Of the software that wrote the file: pydicom's."""
STAMPED = {
    "AccessionNumber", "PatientBirthDate", "PatientName", "PatientID", "ReferringPhysicianName", "StudyID", "StudyTime",
    "PatientIdentityRemoved", "LongitudinalTemporalInformationModified", "DeidentificationMethod",
    "DeidentificationMethodCodeSequence", "CodeValue", "CodingSchemeDesignator", "CodeMeaning", "PixelData",
}  # fmt: skip
"""What de-identification itself writes."""

KILLED = """
import os, signal, sys
from pathlib import Path
import lumbargrade.data.intake.merge as merge
from lumbargrade.data.intake.add_studies import add_studies
from lumbargrade.config.task import load_task

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def exchange_and_die(new, path, exchange=merge.exchange_folder):
    exchange(new, path)
    die()

source, folder, key, where = sys.argv[1:]
show = lambda what: lambda done, total: None
if where == "after the first study":
    show = lambda what: die if what == "studies de-identified" else lambda done, total: None
elif where == "while files are linked":
    merge.write_tables = die
elif where == "before the exchange":
    merge.exchange_folder = die
else:
    merge.exchange_folder = exchange_and_die
add_studies(Path(source), Path(folder), load_task("rsna2024"), bytes.fromhex(key), workers=1, show=show)
"""


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def add(source: Path, folder: Path, task: GradingTask, **given: Path) -> AddSummary:
    return add_studies(source, folder, task, KEY, Given(**given), workers=1)[0]


def headers_of(folder: Path) -> list[Dataset]:
    return [dcmread(path) for path in sorted(folder.rglob("*.dcm"))]


def test_nothing_identifying_is_in_the_result(make_export: Make, tmp_path: Path, rsna: GradingTask) -> None:
    export = make_export()
    assert "quillfeather" in secrets_in(export.folder)  # what is looked for can be found
    assert "47110815" in secrets_in(export.folder)
    data = tmp_path / "data"
    summary = add(export.folder, data / "clinic", rsna, labels=export.labels)
    assert (summary.added, summary.labelled, summary.left_out) == (3, 3, 0)
    uids = [str(dataset.SOPInstanceUID) for dataset in map(dcmread, export.folder.rglob("*.IMA"))]
    assert secrets_in(data, *export.study_uids, *uids, ROOT) == set()
    told = summary.model_dump_json().lower()
    assert not [word for word in ("quillfeather", "zacharias", "47110815", "acc9988", "bethesda") if word in told]
    for header in headers_of(data):
        assert header.PatientIdentityRemoved == "YES"
        assert header.preamble == b"\0" * 128
        for element in (*header.iterall(), *header.file_meta):
            assert not element.tag.is_private
            assert element.tag >> 16 == 2 or element.keyword in KEPT | STAMPED
            if element.VR == "UI":
                assert element.value.startswith("2.25.") or UID(element.value).type or element.tag == WRITER
            elif element.VR in ("PN", "TM"):
                assert not element.value
    names = {path.relative_to(data / "clinic").as_posix() for path in (data / "clinic").rglob("*.*")}
    tables = {"train.csv", "train_series_descriptions.csv", "train_label_coordinates.csv", "train_patients.csv"}
    assert {name for name in names if not re.fullmatch(r"train_images/\d+/\d+/\d+\.dcm", name)} == tables


def test_what_grading_needs_is_as_it_was(make_export: Make, tmp_path: Path, rsna: GradingTask) -> None:
    export = make_export(studies=1)
    folder = tmp_path / "data/clinic"
    add(export.folder, folder, rsna, labels=export.labels)
    before = {(*map(float, d.ImagePositionPatient), d.EchoTime): d for d in map(dcmread, export.folder.rglob("*.IMA"))}
    after = headers_of(folder)
    assert len(after) == len(before)
    for header in after:
        old = before[(*map(float, header.ImagePositionPatient), header.EchoTime)]
        assert (header.pixel_array == old.pixel_array).all()
        for keyword in (
            "ImageOrientationPatient",
            "PixelSpacing",
            "SliceThickness",
            "MagneticFieldStrength",
            "InstanceNumber",
        ):
            assert header[keyword].value == old[keyword].value
        assert header.get("RescaleSlope") == old.get("RescaleSlope")
        assert (header.PatientSex, header.PatientAge) == ("F", "060Y")
    descriptions = set(open_dataset(folder, rsna).series["series_description"])
    assert descriptions <= {"Sagittal T1", "Sagittal T2/STIR", "Axial T2"}
    for path in folder.rglob("*.dcm"):
        assert read_headers(path)[0].contrast in ("T1", "T2")
    assert not check_dataset(folder, rsna, 1).errors


def test_grades_come_along_by_accession_number(make_export: Make, tmp_path: Path, rsna: GradingTask) -> None:
    export = make_export(planted=False)
    add(export.folder, tmp_path / "data/clinic", rsna, labels=export.labels)
    table = pd.read_csv(tmp_path / "data/clinic/train.csv", keep_default_na=False)
    wanted = pd.read_csv(export.labels, keep_default_na=False)
    columns = list(rsna.columns)
    assert sorted(table[columns].to_numpy().tolist()) == sorted(wanted[columns].to_numpy().tolist())


def test_a_patient_has_one_key_and_keeps_the_days_between_studies(
    make_export: Make, tmp_path: Path, rsna: GradingTask
) -> None:
    export = make_export()
    folder = tmp_path / "data/clinic"
    add(export.folder, folder, rsna)
    patients = pd.read_csv(folder / "train_patients.csv")
    assert sorted(patients["patient_id"].value_counts()) == [1, 2]
    days = {}
    for study, patient in zip(patients["study_id"], patients["patient_id"], strict=True):
        header = dcmread(next((folder / f"train_images/{study}").rglob("*.dcm")))
        assert header.PatientID == patient
        days.setdefault(patient, []).append(datetime.strptime(header.StudyDate, "%Y%m%d").date())
    two = next(sorted(dates) for dates in days.values() if len(dates) == 2)
    assert (two[1] - two[0]).days == 37
    assert two[0].year < 2023
    other = next(dates for dates in days.values() if len(dates) == 1)
    assert other[0] not in two  # another patient's dates are moved by other days


def test_adding_twice_changes_nothing(make_export: Make, tmp_path: Path, rsna: GradingTask) -> None:
    export = make_export(planted=False)
    folder = tmp_path / "data/clinic"
    first = add(export.folder, folder, rsna, labels=export.labels)
    before = tree(folder)
    again = add(export.folder, folder, rsna, labels=export.labels)
    assert (again.added, again.there, again.relabelled) == (0, 3, 0)
    assert {study.study_id for study in again.studies} == {study.study_id for study in first.studies}
    assert tree(folder) == before


def test_a_zip_gives_what_its_folder_gives(make_export: Make, tmp_path: Path, rsna: GradingTask) -> None:
    export = make_export(studies=1)
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        for path in export.folder.rglob("*.IMA"):
            archive.write(path, f"../../{path.name}")
    add(export.folder, tmp_path / "one/clinic", rsna)
    add(tmp_path / "export.zip", tmp_path / "two/clinic", rsna)
    assert tree(tmp_path / "two/clinic") == tree(tmp_path / "one/clinic")


def test_a_folder_of_archives_gives_what_its_folders_give(make_export: Make, tmp_path: Path, rsna: GradingTask) -> None:
    """A zip a study, one of them split, another packed as a tar, with what lies beside them on a share."""
    export = make_export()
    by_study: dict[str, list[Path]] = {}
    for path in sorted(export.folder.rglob("*.IMA")):
        by_study.setdefault(str(dcmread(path, stop_before_pixels=True).StudyInstanceUID), []).append(path)
    one, two, three = by_study.values()
    mixed = tmp_path / "mixed"
    (mixed / "loose").mkdir(parents=True)
    (mixed / "one.zip").write_bytes(zip_of({path.name: path.read_bytes() for path in one[1:]}))
    shutil.copy(one[0], mixed / "loose")
    (mixed / "two").write_bytes(tar_of({path.name: path.read_bytes() for path in two}, "w:gz"))
    inner = zip_of({path.name: path.read_bytes() for path in three})
    (mixed / "three.zip").write_bytes(zip_of({"a/study.zip": inner, "readme.txt": b"text"}))
    (mixed / "viewer.jar").write_bytes(zip_of({"V.class": b"\xca\xfe"}))
    (mixed / "old.7z").write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(600))
    add(export.folder, tmp_path / "one/clinic", rsna)
    summary, lines = add_studies(mixed, tmp_path / "two/clinic", rsna, KEY, workers=1)
    assert summary.added == 3
    assert tree(tmp_path / "two/clinic") == tree(tmp_path / "one/clinic")
    told = {line.source: line.reason for line in lines if line.outcome == "left out"}
    assert told["viewer.jar"] == "it holds no DICOM file"
    assert told["old.7z"].startswith("the study is a 7z archive")
    assert not (tmp_path / "two/.clinic-unpacked").exists()


@pytest.mark.parametrize(
    "where", ["after the first study", "while files are linked", "before the exchange", "after the exchange"]
)
def test_killed_the_dataset_is_as_it_was_and_running_again_goes_on(
    make_export: Make, phantom: Path, tmp_path: Path, rsna: GradingTask, where: str
) -> None:
    export = make_export(studies=2, planted=False)
    folder, whole = tmp_path / "data/clinic", tmp_path / "whole/clinic"
    shutil.copytree(phantom, folder)
    shutil.copytree(phantom, whole)
    add(export.folder, whole, rsna)
    before = tree(folder)
    script = [sys.executable, "-c", KILLED, str(export.folder), str(folder), KEY.hex(), where]
    assert subprocess.run(script, capture_output=True, check=False).returncode == -9
    assert tree(folder) == (tree(whole) if where == "after the exchange" else before)
    prepared = {path.stat().st_ino for path in (tmp_path / "data/.clinic-adding").rglob("*.dcm")}
    assert prepared
    summary = add(export.folder, folder, rsna)
    assert tree(folder) == tree(whole)
    assert summary.added == (0 if where == "after the exchange" else 2)
    assert prepared <= {path.stat().st_ino for path in folder.rglob("*.dcm")}  # and not made again
    assert {path.name for path in (tmp_path / "data").iterdir()} == {"clinic", ".clinic.lock"}


def test_a_killed_addition_of_a_zip_goes_on_and_leaves_no_images_behind(
    make_export: Make, tmp_path: Path, rsna: GradingTask
) -> None:
    export, folder = make_export(studies=2, planted=False), tmp_path / "data/clinic"
    source = Path(shutil.make_archive(str(tmp_path / "export"), "zip", export.folder))
    script = [sys.executable, "-c", KILLED, str(source), str(folder), KEY.hex(), "after the first study"]
    assert subprocess.run(script, capture_output=True, check=False).returncode == -9
    assert (tmp_path / "data/.clinic-unpacked").stat().st_mode & 0o777 == 0o700
    prepared = {path.stat().st_ino for path in (tmp_path / "data/.clinic-adding").rglob("*.dcm")}
    assert add(source, folder, rsna).added == 2
    assert prepared
    assert prepared <= {path.stat().st_ino for path in folder.rglob("*.dcm")}
    assert {path.name for path in (tmp_path / "data").iterdir()} == {"clinic", ".clinic.lock"}


def test_letters_in_an_image_are_told(make_export: Make, tmp_path: Path, rsna: GradingTask) -> None:
    export = make_export(studies=1, planted=False)
    path = sorted(export.folder.rglob("*.IMA"))[0]
    header = dcmread(path)
    mask = Image.new("1", header.pixel_array.shape[::-1])
    ImageDraw.Draw(mask).text((4, 4), "DOE JANE 1962", fill=1)
    header.PixelData = np.where(np.asarray(mask), header.pixel_array.max(), header.pixel_array).tobytes()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.save_as(path, enforce_file_format=False)
    summary = add(export.folder, tmp_path / "data/clinic", rsna)
    assert summary.warnings == (
        f"study {summary.studies[0].study_id}: 1 images look as if text were burned in; look at them before anybody else does",
    )


def test_the_same_images_under_other_ids_are_told(
    make_export: Make, phantom: Path, tmp_path: Path, rsna: GradingTask
) -> None:
    export = make_export(studies=1, planted=False, most=99)
    folder = tmp_path / "data/clinic"
    shutil.copytree(phantom, folder)
    old = min(int(path.name) for path in (phantom / "train_images").iterdir())
    summary = add(export.folder, folder, rsna)
    new = summary.studies[0].study_id
    assert f"study {new} shows images of study {old} under other ids; remove one if they are one" in summary.warnings
    assert not [warning for warning in summary.warnings if "other ids" in warning and f"of study {old} " not in warning]


def test_junk_costs_itself_only(make_export: Make, tmp_path: Path, rsna: GradingTask) -> None:
    export = make_export(studies=2, planted=False)
    files = sorted(export.folder.rglob("*.IMA"))
    (export.folder / "notes for Quillfeather.txt").write_text("Quillfeather")
    for name in ("empty", "s"):  # the second one's name is in every reason
        (export.folder / name).touch()
    (export.folder / "cut").write_bytes(files[0].read_bytes()[:700])
    (export.folder / "copy.dcm").write_bytes(files[0].read_bytes())
    damaged = bytearray(files[1].read_bytes())
    files[1].write_bytes(damaged[:-5000])
    for name, changes in {
        "letters.dcm": {"BurnedInAnnotation": "YES"},
        "screenshot.dcm": {"SOPClassUID": SecondaryCaptureImageStorage},
        "ct.dcm": {"Modality": "CT"},
        "nobody.dcm": {"StudyInstanceUID": ""},
    }.items():
        other = dcmread(files[2])
        other.SOPInstanceUID = generate_uid()
        for keyword, value in changes.items():
            setattr(other, keyword, value)
        other.save_as(export.folder / name, enforce_file_format=False)
    for patient in ("1001", "1002"):
        other = dcmread(files[2])
        other.PatientID, other.StudyInstanceUID, other.SOPInstanceUID = patient, f"{ROOT}.77", generate_uid()
        other.save_as(export.folder / f"mixed{patient}.dcm", enforce_file_format=False)
    summary, lines = add_studies(export.folder, tmp_path / "data/clinic", rsna, KEY, workers=1)
    assert summary.added == 2
    assert summary.files == len(files) - 1
    assert [study.reason for study in summary.studies if study.outcome == "left out"] == [
        "its files are of 2 patients under one StudyInstanceUID"
    ]
    why = {Path(line.source).name: line.reason for line in lines if not line.is_study}
    assert why == {
        "notes for Quillfeather.txt": "it is not a DICOM file",
        "empty": "it is not a DICOM file",
        "s": "it is not a DICOM file",
        "cut": why["cut"],
        "copy.dcm": "it is a copy of another file of its study",
        files[1].name: why[files[1].name],
        "letters.dcm": "it says that text is burned into its image (BurnedInAnnotation), which may name the patient",
        "screenshot.dcm": "it is a secondary capture, whose image may show who the patient is",
        "ct.dcm": "it is no MR image",
        "nobody.dcm": "it has no StudyInstanceUID, SeriesInstanceUID or SOPInstanceUID",
    }
    assert "cannot be decoded" in why[files[1].name]
    assert "Quillfeather" not in summary.model_dump_json()
    assert as_csv(lines).startswith("source,study_id,outcome,reason\n")
    assert any("2 files were left out because their images may show" in warning for warning in summary.warnings)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_image_that_crashes_its_decoder_is_left_out_alone(
    make_export: Make, tmp_path: Path, rsna: GradingTask, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    export = make_export(studies=2, planted=False)
    files = sorted(export.folder.rglob("*.IMA"))
    for path in files[:2]:
        make_faulty(path, "segfault")
    with faulty_decoders(tmp_path / "decoders", monkeypatch):
        summary, lines = add_studies(export.folder, tmp_path / "data/clinic", rsna, KEY, workers=workers)
    assert (summary.added, summary.files) == (2, len(files) - 2)
    assert {Path(line.source).name for line in lines if not line.is_study} == {path.name for path in files[:2]}
    assert all("the decoder crashed (SIGSEGV)" in line.reason for line in lines if not line.is_study)


def test_studies_that_share_series_and_image_uids_stay_apart(
    make_export: Make, tmp_path: Path, rsna: GradingTask
) -> None:
    export = make_export(studies=1, planted=False)
    for path in list(export.folder.rglob("*.IMA")):
        other = dcmread(path)
        other.StudyInstanceUID, other.PatientID, other.PatientName = f"{ROOT}.88", "2002", "Kowalski"
        other.PixelData = other.pixel_array[::-1].tobytes()
        other.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        other.save_as(path.with_name(f"other {path.name}"), enforce_file_format=False)
    folder = tmp_path / "data/clinic"
    summary = add(export.folder, folder, rsna)
    series = open_dataset(folder, rsna).series
    assert (summary.added, summary.left_out, summary.warnings) == (2, 0, ())
    assert series["series_id"].is_unique
    assert series.groupby("study_id")["series_id"].count().nunique() == 1
    assert summary.files == len(list(export.folder.rglob("*.IMA")))
    assert pd.read_csv(folder / "train_patients.csv")["patient_id"].is_unique


def test_a_dataset_of_rsna_layout_is_added_with_grades_points_and_descriptions(
    phantom: Path, tmp_path: Path, rsna: GradingTask
) -> None:
    folder = tmp_path / "data/clinic"
    summary = add(phantom, folder, rsna)
    old, new = open_dataset(phantom, rsna), open_dataset(folder, rsna)
    assert summary.added == summary.labelled == len(old.labels)
    assert not set(old.labels["study_id"]) & set(new.labels["study_id"])
    columns = list(rsna.columns)
    assert sorted(map(str, old.labels[columns].to_numpy().tolist())) == sorted(
        map(str, new.labels[columns].to_numpy().tolist())
    )

    def places(dataset: object) -> set[tuple[object, ...]]:
        found = set()
        for row in dataset.points.to_dict("records"):  # type: ignore[attr-defined]
            path = dataset.series_dir(row["study_id"], row["series_id"]) / f"{row['instance_number']}.dcm"  # type: ignore[attr-defined]
            position = read_headers(path)[0].plane.to_patient(np.array([row["x"], row["y"]]))
            found.add((row["condition"], row["level"], *position.round(3).tolist()))
        return found

    assert places(new) == places(old)
    assert not check_dataset(folder, rsna, 1).errors


@pytest.mark.parametrize("headers", ["rsna2024", "enhanced"])
def test_a_dataset_with_headers_of_its_own_comes_along_whole(headers: str, tmp_path: Path, rsna: GradingTask) -> None:
    """The challenge's files name neither modality nor class; of multi-frame files the points name frames."""
    source, folder = tmp_path / "source", tmp_path / "data/clinic"
    generate(source, 1, 11, workers=1, headers=headers)
    summary = add(source, folder, rsna)
    assert (summary.added, summary.left_out, summary.files_left_out) == (1, 0, {})
    old, new = open_dataset(source, rsna), open_dataset(folder, rsna)
    told = ["condition", "level", "x", "y", "instance_number"]
    first, second = (sorted(map(str, dataset.points[told].to_numpy().tolist())) for dataset in (old, new))
    assert first == second
    assert not check_dataset(folder, rsna, 1).findings
    for path in folder.rglob("*.dcm"):
        assert len(read_headers(path)) == int(dcmread(path).get("NumberOfFrames", 1))


def test_points_on_loose_files_go_by_their_sop_instance_uid(
    make_export: Make, tmp_path: Path, rsna: GradingTask
) -> None:
    export = make_export(studies=1, planted=False)
    some = sorted(export.folder.rglob("*.IMA"))[3]
    header = dcmread(some)
    table = tmp_path / "points.csv"
    rows = f"{header.SOPInstanceUID},Spinal Canal Stenosis,L4/L5,30.5,41\n1.2.3,Spinal Canal Stenosis,L4/L5,3,4\n"
    table.write_text(f"SOPInstanceUID,condition,level,x,y\n{rows}")
    folder = tmp_path / "data/clinic"
    add(export.folder, folder, rsna, labels=export.labels, points=table)
    points = open_dataset(folder, rsna).points
    assert points[["condition", "level", "x", "y"]].to_numpy().tolist() == [
        ["spinal_canal_stenosis", "L4/L5", 30.5, 41.0]
    ]
    found = dcmread(
        folder / f"train_images/{points['study_id'][0]}/{points['series_id'][0]}/{points['instance_number'][0]}.dcm"
    )
    assert (found.pixel_array == header.pixel_array).all()


def test_a_study_whose_points_cannot_be_is_left_out(phantom: Path, tmp_path: Path, rsna: GradingTask) -> None:
    source = tmp_path / "source"
    shutil.copytree(phantom, source)
    points = pd.read_csv(source / "train_label_coordinates.csv")
    study = int(points["study_id"].iloc[0])
    points.loc[0, "x"] = 5000
    points.to_csv(source / "train_label_coordinates.csv", index=False)
    summary, lines = add_studies(source, tmp_path / "data/clinic", rsna, KEY, workers=1)
    assert (summary.added, summary.left_out) == (5, 1)
    wrong = next(line for line in lines if line.outcome == "left out")
    assert f"/{study}/" in wrong.source
    assert wrong.reason.startswith("points lie outside their image: ")


def test_a_table_of_corrections_changes_grades_and_leaves_empty_cells(
    make_export: Make, tmp_path: Path, rsna: GradingTask
) -> None:
    export = make_export(studies=2, planted=False)
    folder = tmp_path / "data/clinic"
    add(export.folder, folder, rsna, labels=export.labels)
    before = open_dataset(folder, rsna)
    salt = tmp_path / "salt"
    salt.write_bytes(b"0123")
    study = int(before.labels["study_id"][0])
    uid = pd.read_csv(folder / "train_patients.csv").set_index("study_id").loc[study, "study_uid"]
    column = rsna.columns[3]
    grade = next(grade for grade in rsna.grades if grade != before.labels[column][0])
    empty = "," * (len(rsna.columns) - 4)
    for number in (study, study_number(study_hash(b"0123", str(uid)))):
        table = tmp_path / "corrections.csv"
        table.write_text(f"study_id,{','.join(rsna.columns)}\n{number},,,,{grade}{empty}\n77,,,,{grade}{empty}\n")
        summary = add(table, folder, rsna, salt=salt)
        assert [warning for warning in summary.warnings if "1 rows of the table of grades name no study" in warning]
        after = open_dataset(folder, rsna)
        wanted = before.labels.copy()
        wanted.loc[0, column] = grade
        pd.testing.assert_frame_equal(after.labels, wanted)
        assert summary.relabelled == (1 if number == study else 0)  # the second time it is so already
    assert not after.points.size


def test_corrections_find_a_study_by_the_uid_in_its_files(phantom: Path, tmp_path: Path, rsna: GradingTask) -> None:
    folder = tmp_path / "data/clinic"
    shutil.copytree(phantom, folder)
    (tmp_path / "salt").write_bytes(b"0123")
    before = open_dataset(folder, rsna).labels
    uid = dcmread(next((folder / f"train_images/{before['study_id'][2]}").rglob("*.dcm"))).StudyInstanceUID
    grade = next(grade for grade in rsna.grades if grade != before[rsna.columns[0]][2])
    table = tmp_path / "corrections.csv"
    rest = "," * (len(rsna.columns) - 1)
    table.write_text(
        f"study_id,{','.join(rsna.columns)}\n{study_number(study_hash(b'0123', str(uid)))},{grade}{rest}\n"
    )
    assert add(table, folder, rsna, salt=tmp_path / "salt").relabelled == 1
    before.loc[2, rsna.columns[0]] = grade
    pd.testing.assert_frame_equal(open_dataset(folder, rsna).labels, before)


def test_corrections_are_grades_of_new_studies(make_export: Make, tmp_path: Path, rsna: GradingTask) -> None:
    export = make_export(studies=2, planted=False)
    (tmp_path / "salt").write_bytes(b"0123")
    number = study_number(study_hash(b"0123", export.study_uids[1]))
    table = tmp_path / "corrections.csv"
    table.write_text(f"study_id,{','.join(rsna.columns)}\n{number},Severe{',' * (len(rsna.columns) - 1)}\n")
    summary = add(export.folder, tmp_path / "data/clinic", rsna, labels=table, salt=tmp_path / "salt")
    assert (summary.added, summary.labelled) == (2, 1)
    labels = open_dataset(tmp_path / "data/clinic", rsna).labels
    assert labels[rsna.columns[0]].dropna().tolist() == ["Severe"]


def test_another_key_is_refused(make_export: Make, tmp_path: Path, rsna: GradingTask) -> None:
    export = make_export(studies=1, planted=False)
    add(export.folder, tmp_path / "data/clinic", rsna)
    before = tree(tmp_path / "data/clinic")
    with pytest.raises(
        InputError, match=r"clinic was added to with another pseudonym key \(fingerprint [0-9a-f]{16}\)"
    ):
        add_studies(export.folder, tmp_path / "data/clinic", rsna, b"x" * 32, workers=1)
    assert tree(tmp_path / "data/clinic") == before


def test_a_wrong_table_of_grades_is_told_without_naming_a_patient(
    make_export: Make, tmp_path: Path, rsna: GradingTask
) -> None:
    export = make_export(studies=1, planted=False)
    header, row = export.labels.read_text().splitlines()[:2]
    export.labels.write_text(f"{header}\n{row}\n{row}\n")
    with pytest.raises(InputError) as caught:
        add(export.folder, tmp_path / "data/clinic", rsna, labels=export.labels)
    assert str(caught.value) == "labels.csv line 3 has the AccessionNumber of line 2; remove one of the lines"
    export.labels.write_text(f"{header.replace('AccessionNumber', 'MRN')}\n{row}\n")
    with pytest.raises(InputError, match=r"must have one of the columns study_id, StudyInstanceUID, AccessionNumber"):
        add(export.folder, tmp_path / "data/clinic", rsna, labels=export.labels)
    assert not (tmp_path / "data/clinic").exists()


def test_loose_files_of_real_studies(spider: Path, tmp_path: Path, disc: GradingTask) -> None:
    loose = tmp_path / "export"
    loose.mkdir()
    rows, number = [], 0
    header, *lines = (spider / "train.csv").read_text().splitlines()
    for line in lines[:6]:
        study, grades = line.split(",", 1)
        for path in sorted((spider / "train_images" / study).rglob("*.dcm")):
            shutil.copy(path, loose / f"IM{number}")
            number += 1
        rows.append(f"{dcmread(loose / f'IM{number - 1}').StudyInstanceUID},{grades}")
    (tmp_path / "labels.csv").write_text("\n".join([header.replace("study_id", "StudyInstanceUID"), *rows]) + "\n")
    summary = add(loose, tmp_path / "data/clinic", disc, labels=tmp_path / "labels.csv")
    assert (summary.added, summary.labelled, summary.left_out) == (6, 6, 0)
    assert summary.files_left_out == {"its series shows no condition of the task": number - summary.files}
    assert summary.warnings == ()
    dataset = open_dataset(tmp_path / "data/clinic", disc)
    assert set(dataset.series["series_description"]) == {"Sagittal T2/STIR"}
    assert "spider" not in json.dumps([str(header) for header in headers_of(tmp_path / "data/clinic")]).lower()
