"""Each fault is put into a small sound dataset, and the report must tell of it and of nothing else."""

import csv
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian, MRImageStorage

from lumbargrade.config.task import load_task
from lumbargrade.data.validation.report import CheckReport
from lumbargrade.data.validation.rules import KINDS
from lumbargrade.data.validation.validate import check_dataset
from lumbargrade.errors import InputError

RSNA = load_task("rsna2024")
DISC = load_task("disc_degeneration")
SPIDER = Path(__file__).parents[4] / "shared" / "data" / "spider"

STUDY = 100
T1, T2, AXIAL = 11, 12, 13
DESCRIPTIONS = {T1: "Sagittal T1", T2: "Sagittal T2/STIR", AXIAL: "Axial T2"}
HEIGHTS = dict(zip(RSNA.levels, (72.0, 36.0, 0.0, -36.0, -72.0), strict=True))
SAGITTAL = [0, 1, 0, 0, 0, -1]
FLAT = [1, 0, 0, 0, 1, 0]
SIDE, PIXELS, SPACING = 256.0, 64, 4.0


def write_slice(path: Path, position: list[float], orientation: list[float], number: int, **tags: Any) -> None:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = f"1.2.3.{path.parent.name}.{number}"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image = FileDataset(path, {}, file_meta=meta, preamble=b"\0" * 128)
    image.SOPClassUID, image.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
    image.StudyInstanceUID, image.SeriesInstanceUID = "1.2.3", f"1.2.3.{path.parent.name}"
    image.Modality, image.Manufacturer, image.InstanceNumber = "MR", "Acme", number
    image.Rows = image.Columns = PIXELS
    image.PixelSpacing, image.SliceThickness = [SPACING, SPACING], 4
    image.ImagePositionPatient, image.ImageOrientationPatient = position, orientation
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit, image.PixelRepresentation = 15, 0
    image.PixelData = np.zeros((PIXELS, PIXELS), np.uint16).tobytes()
    for name, value in tags.items():
        setattr(image, name, value)
    image.save_as(path, enforce_file_format=True)


class Tables:
    """A dataset under construction: rows to change, and images already on disk."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.labels: dict[int, dict[str, str]] = {}
        self.series: list[list[Any]] = []
        self.points: list[dict[str, Any]] = []

    def folder(self, series: int, study: int = STUDY) -> Path:
        return self.root / "train_images" / str(study) / str(series)

    def add_study(self, study: int) -> None:
        self.labels[study] = dict.fromkeys(RSNA.columns, "Normal/Mild")
        self.series += [[study, series, description] for series, description in DESCRIPTIONS.items()]
        for cell in RSNA.cells:
            series, number, x, y = place(cell.condition.name, cell.level)
            row = {"study_id": study, "series_id": series, "instance_number": number}
            self.points.append({**row, "condition": cell.condition.label, "level": cell.level, "x": x, "y": y})

    def select(self, condition: str, level: str) -> dict[str, Any]:
        return next(p for p in self.points if p["level"] == level and p["condition"] == RSNA.condition(condition).label)

    def check(self, **options: Any) -> CheckReport:
        columns = ["study_id", *RSNA.columns]
        rows = [[study, *grades.values()] for study, grades in self.labels.items()]
        self.write("train.csv", [columns, *rows])
        header = ["study_id", "series_id", "series_description"]
        self.write("train_series_descriptions.csv", [header, *self.series])
        header = ["study_id", "series_id", "instance_number", "condition", "level", "x", "y"]
        self.write("train_label_coordinates.csv", [header, *([row[name] for name in header] for row in self.points)])
        return check_dataset(self.root, RSNA, **options)

    def write(self, name: str, rows: list[list[Any]]) -> None:
        with (self.root / name).open("w", newline="") as stream:
            csv.writer(stream).writerows(rows)


def place(condition: str, level: str) -> tuple[int, int, float, float]:
    """Series, instance, x and y at which a sound study shows a cell; left is at x = 20 mm, right at -20 mm (LPS)."""
    height, side = HEIGHTS[level], 20.0 if condition.startswith("left") else -20.0
    row = (SIDE / 2 - height) / SPACING
    if "foraminal" in condition:
        return T1, 5 if side > 0 else 1, 32, row
    if "spinal" in condition:
        return T2, 2, 32, row
    return AXIAL, RSNA.levels.index(level) + 1, (SIDE / 2 + side) / SPACING, 32


def write_images(folder: Path) -> None:
    for series, count in ((T1, 5), (T2, 3)):
        for index in range(count):
            path = folder / str(series) / f"{index + 1}.dcm"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_slice(path, [(index - count // 2) * 10.0, -SIDE / 2, SIDE / 2], SAGITTAL, index + 1)
    for index, height in enumerate(HEIGHTS.values()):
        path = folder / str(AXIAL) / f"{index + 1}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_slice(path, [-SIDE / 2, -SIDE / 2, height], FLAT, index + 1)


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    write_images(folder)
    return folder


@pytest.fixture
def tables(tmp_path: Path, images: Path) -> Tables:
    found = Tables(tmp_path)
    found.add_study(STUDY)
    shutil.copytree(images, tmp_path / "train_images" / str(STUDY))
    return found


def change(path: Path, edit: Callable[[Dataset], None]) -> None:
    image = dcmread(path)
    edit(image)
    image.save_as(path, enforce_file_format=True)


def told(report: CheckReport) -> list[tuple[str, int | None, str]]:
    return [(found.kind, found.series_id, found.message) for found in report.findings]


def test_sound_dataset_has_no_findings_and_is_summed_up(tables: Tables) -> None:
    tables.labels[STUDY]["spinal_canal_stenosis_l4_l5"] = "Severe"
    calls: list[tuple[int, int]] = []
    report = tables.check(progress=lambda done, total: calls.append((done, total)))
    assert told(report) == []
    assert report.errors == report.counts == ()
    assert calls == [(1, 1)]
    assert (report.studies, report.files, report.points) == (1, 13, 25)
    assert report.grades["spinal_canal_stenosis"] == {"Normal/Mild": 4, "Moderate": 0, "Severe": 1, "empty": 0}
    axial = report.series[0]
    assert (axial.description, axial.series, axial.studies, axial.files, axial.slices) == (
        "Axial T2",
        1,
        1,
        5,
        (5, 5, 5),
    )
    assert axial.orientations == {"axial": 1}
    assert axial.directions == {"feet": 1}
    assert [(s.description, s.directions) for s in report.series[1:]] == [
        ("Sagittal T1", {"left": 1}),
        ("Sagittal T2/STIR", {"left": 1}),
    ]
    assert report.transfer_syntaxes == {"1.2.840.10008.1.2.1": 13}
    assert report.manufacturers == {"Acme": 3}
    assert CheckReport.model_validate_json(report.model_dump_json()) == report


def test_missing_and_empty_folders(tables: Tables) -> None:
    tables.add_study(101)
    tables.add_study(102)
    (tables.root / "train_images" / "102" / "12").mkdir(parents=True)
    shutil.rmtree(tables.folder(AXIAL))
    for path in tables.folder(T1).iterdir():
        path.unlink()
    tables.points = [p for p in tables.points if p["series_id"] != T1 or p["study_id"] != STUDY]
    report = tables.check()
    assert [(f.kind, f.study_id, f.series_id, f.message) for f in report.findings] == [
        ("study_without_images", 101, None, "train_images/101 does not exist"),
        ("study_without_images", 102, None, "its folder has no .dcm files"),
        ("point_series_missing", 100, AXIAL, "10 points, but the folder of this Axial T2 does not exist"),
        ("series_missing", 100, T1, "the folder of this Sagittal T1 has no .dcm files"),
        (
            "label_without_point",
            100,
            None,
            "10 cells (left_neural_foraminal_narrowing L1/L2, left_neural_foraminal_narrowing L2/L3, "
            "left_neural_foraminal_narrowing L3/L4 and 7 more) without a point",
        ),
    ]
    assert [found.kind for found in report.errors] == [
        "study_without_images",
        "study_without_images",
        "point_series_missing",
    ]
    counts = {count.kind: (count.level, count.findings, count.studies) for count in report.counts}
    assert counts["study_without_images"] == ("error", 2, 2)


def test_an_id_whose_zeros_a_spreadsheet_dropped_is_told(tables: Tables) -> None:
    tables.add_study(101)
    (tables.root / "train_images/0101").mkdir(parents=True)
    (found,) = [found for found in tables.check().findings if found.kind == "study_without_images"]
    assert found.message.startswith("train_images/101 does not exist, but 0101 is there: a spreadsheet has changed")


def test_unreadable_files_are_errors_where_points_need_them(tables: Tables) -> None:
    for number in (1, 2, 3):
        (tables.folder(T1) / f"{number}.dcm").write_bytes(b"no DICOM")
    report = tables.check()
    kinds = [(found.kind, found.series_id) for found in report.findings]
    assert kinds == [("point_file_unreadable", T1), ("file_unreadable", T1)]
    needed, other = (found.message for found in report.findings)
    assert needed.startswith("5 of 10 points: right_neural_foraminal_narrowing L1/L2 on 1.dcm (")
    assert other.startswith("2 of 5 files, the first is 2.dcm: ")


def test_point_on_a_slice_that_does_not_exist(tables: Tables) -> None:
    tables.select("spinal_canal_stenosis", "L3/L4")["instance_number"] = 9
    assert told(tables.check()) == [
        ("point_file_missing", T2, "1 of 5 points: spinal_canal_stenosis L3/L4 on 9.dcm"),
    ]


def test_points_are_found_by_instance_number_where_files_have_other_names(tables: Tables) -> None:
    for path in tables.folder(T2).iterdir():
        path.rename(path.with_name(f"image-{path.name}"))
    assert told(tables.check()) == [("instances_differ", T2, "3 of 3 slices, the first is image-1.dcm")]


def test_point_outside_its_image(tables: Tables) -> None:
    tables.select("spinal_canal_stenosis", "L3/L4")["x"] = 64.1
    tables.select("spinal_canal_stenosis", "L4/L5")["x"] = 63.5
    assert told(tables.check()) == [
        ("point_outside_image", T2, "1 of 5 points: spinal_canal_stenosis L3/L4 at x 64.1, y 32 of 64 x 64 pixels"),
    ]


def test_levels_out_of_order(tables: Tables) -> None:
    upper = tables.select("spinal_canal_stenosis", "L3/L4")
    lower = tables.select("spinal_canal_stenosis", "L4/L5")
    upper["y"], lower["y"] = lower["y"], upper["y"]
    assert told(tables.check()) == [
        ("levels_out_of_order", T2, "spinal_canal_stenosis L3/L4 lies 36 mm below L4/L5"),
    ]


def test_levels_of_one_series_named_one_too_low(tables: Tables) -> None:
    canal = [point for point in tables.points if point["series_id"] == T2]
    tables.points.remove(canal.pop())
    for point, level in zip(canal, RSNA.levels[1:], strict=True):
        point["level"] = level
    report = tables.check()
    assert told(report) == [
        (
            "levels_disagree",
            T2,
            "compared with series 11, 13: L2/L3 is at the height of L1/L2, L3/L4 is at the height of L2/L3, "
            "L4/L5 is at the height of L3/L4, L5/S1 is at the height of L4/L5",
        ),
        ("label_without_point", None, "1 cell (spinal_canal_stenosis L1/L2) without a point"),
    ]


def test_axial_sides_swapped(tables: Tables) -> None:
    for point in tables.points:
        if point["series_id"] == AXIAL:
            point["x"] = 64 - point["x"]
    message = (
        "left lies to the right of right at 5 of 5 levels: subarticular L1/L2, subarticular L2/L3, "
        "subarticular L3/L4, subarticular L4/L5, subarticular L5/S1"
    )
    assert told(tables.check()) == [("sides_swapped", AXIAL, message)]


def test_foraminal_sides_swapped_at_one_level(tables: Tables) -> None:
    tables.select("left_neural_foraminal_narrowing", "L4/L5")["instance_number"] = 1
    tables.select("right_neural_foraminal_narrowing", "L4/L5")["instance_number"] = 5
    assert told(tables.check()) == [
        ("sides_swapped", T1, "left lies to the right of right at 1 of 5 levels: foraminal L4/L5"),
    ]


def test_labels_and_points_without_each_other(tables: Tables) -> None:
    tables.labels[STUDY]["spinal_canal_stenosis_l1_l2"] = ""
    tables.points.remove(tables.select("spinal_canal_stenosis", "L2/L3"))
    tables.points.append(dict(tables.select("spinal_canal_stenosis", "L5/S1")))
    assert told(tables.check()) == [
        ("label_without_point", None, "1 cell (spinal_canal_stenosis L2/L3) without a point"),
        ("point_repeated", T2, "1 cell (spinal_canal_stenosis L5/S1) with more than one point"),
        ("point_without_label", None, "1 cell (spinal_canal_stenosis L1/L2) without a grade"),
    ]


def test_studies_that_other_tables_lack(tables: Tables) -> None:
    tables.add_study(101)
    del tables.labels[101]
    tables.labels[STUDY] = dict.fromkeys(RSNA.columns, "")
    (tables.root / "train_images" / "103").mkdir()
    found = [(f.kind, f.study_id, f.message) for f in tables.check().findings]
    assert found == [
        ("point_of_unlisted_study", 101, "25 points, but no row in train.csv"),
        (
            "point_without_label",
            100,
            "25 cells (left_neural_foraminal_narrowing L1/L2, left_neural_foraminal_narrowing L2/L3, "
            "left_neural_foraminal_narrowing L3/L4 and 22 more) without a grade",
        ),
        ("series_of_unlisted_study", 101, "3 series, but no row in train.csv"),
        ("study_unlisted", 103, "folder train_images/103"),
        ("study_unlabelled", 100, "none of its cells has a grade"),
    ]


def test_series_without_description_and_descriptions_that_show_nothing(tables: Tables) -> None:
    shutil.copytree(tables.folder(T1), tables.folder(14))
    shutil.copytree(tables.folder(T1), tables.folder(15).with_name("scout"))
    tables.series[0][2] = "Sagital T1"
    tables.series.pop()
    assert told(tables.check()) == [
        ("point_series_undescribed", AXIAL, "10 points cannot be used"),
        ("series_undescribed", None, "folder scout with 5 .dcm files"),
        ("series_undescribed", AXIAL, "folder 13 with 5 .dcm files"),
        ("series_undescribed", 14, "folder 14 with 5 .dcm files"),
        (
            "series_kind_missing",
            None,
            "no Axial T2 for 10 cells (left_subarticular_stenosis L1/L2, left_subarticular_stenosis L2/L3, "
            "left_subarticular_stenosis L3/L4 and 7 more)",
        ),
        (
            "series_kind_missing",
            None,
            "no Sagittal T1 for 10 cells (left_neural_foraminal_narrowing L1/L2, left_neural_foraminal_narrowing L2/L3, "
            "left_neural_foraminal_narrowing L3/L4 and 7 more)",
        ),
        (
            "point_not_used",
            T1,
            "10 points of left_neural_foraminal_narrowing, right_neural_foraminal_narrowing on a Sagital T1 series",
        ),
        ("series_not_used", T1, "Sagital T1 shows no condition of the task"),
    ]


def test_several_series_of_one_kind(tables: Tables) -> None:
    shutil.copytree(tables.folder(AXIAL), tables.folder(14))
    tables.series.append([STUDY, 14, "Axial T2"])
    tables.points.append({**tables.select("left_subarticular_stenosis", "L4/L5"), "series_id": 14})
    assert told(tables.check()) == [
        ("levels_in_several_series", None, "1 cell (left_subarticular_stenosis L4/L5) with points in several series"),
        ("series_several", None, "2 series are Axial T2"),
    ]


def test_series_of_another_part_of_the_spine(tables: Tables) -> None:
    shutil.copytree(tables.folder(T2), tables.folder(14))
    for path in tables.folder(14).iterdir():
        change(path, lambda image: setattr(image, "ImagePositionPatient", [0, -128, 128 + 300]))
    change(tables.folder(14) / "1.dcm", lambda image: setattr(image, "ImagePositionPatient", [-10, -128, 428]))
    change(tables.folder(14) / "3.dcm", lambda image: setattr(image, "ImagePositionPatient", [10, -128, 428]))
    tables.series.append([STUDY, 14, "Sagittal T2/STIR"])
    assert told(tables.check()) == [
        ("series_elsewhere", 14, "its middle lies 300 mm above that of series 11"),
        ("series_several", None, "2 series are Sagittal T2/STIR"),
    ]


def test_axial_series_of_other_levels_are_no_other_part_of_the_spine(tables: Tables) -> None:
    """The upper two levels in a series of their own; all points of the study lie on the axial series."""
    folder = tables.folder(14)
    folder.mkdir()
    for number in (1, 2):
        (tables.folder(AXIAL) / f"{number}.dcm").rename(folder / f"{number}.dcm")
    tables.series.append([STUDY, 14, "Axial T2"])
    tables.points = [point for point in tables.points if point["series_id"] == AXIAL]
    for point in tables.points:
        point["series_id"] = 14 if point["instance_number"] <= 2 else AXIAL
    assert "series_elsewhere" not in {found.kind for found in tables.check().findings}


def test_description_that_the_images_contradict(tables: Tables) -> None:
    tables.series[0][2], tables.series[2][2] = "Axial T2", "Sagittal T1"
    found = {(f.kind, f.series_id): f.message for f in tables.check().findings}
    assert found["orientation_unexpected", T1] == "described as Axial T2, but its slices are 5 sagittal"
    assert found["orientation_unexpected", AXIAL] == "described as Sagittal T1, but its slices are 5 axial"


def test_a_few_slices_in_another_plane_are_no_contradiction(tables: Tables) -> None:
    """The largest stack of parallel slices is sagittal, but most slices are axial, in stacks of two."""
    folder = tables.folder(AXIAL)
    for step in range(3):
        write_slice(folder / f"{6 + step}.dcm", [step * 10.0, -SIDE / 2, SIDE / 2], SAGITTAL, 6 + step)
    for index in range(1, 6):
        tilt = np.radians(5.0 * index)
        flat = [1, 0, 0, 0, float(np.cos(tilt)), float(np.sin(tilt))]
        change(folder / f"{index}.dcm", lambda image, flat=flat: setattr(image, "ImageOrientationPatient", flat))
    assert "orientation_unexpected" not in {found.kind for found in tables.check().findings}


def test_headers_as_the_challenge_has_them_are_no_fault(tables: Tables) -> None:
    """No Modality, no SOPClassUID, a class of multi-frame images in the file meta, short UIDs, no maker, one window in two."""

    def edit(image: Dataset) -> None:
        for keyword in ("Modality", "SOPClassUID", "Manufacturer"):
            delattr(image, keyword)
        image.SeriesDescription = "T1" if "11" in str(image.SeriesInstanceUID) else "T2"
        image.StudyInstanceUID, image.SeriesInstanceUID = "100206310", "100206310.1"
        image.SOPInstanceUID = f"100206310.1.{image.InstanceNumber}"
        image.PatientPosition = "FFS" if image.InstanceNumber % 2 else "HFS"
        image.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID

    for path in tables.root.rglob("*.dcm"):
        change(path, edit)
    report = tables.check()
    assert told(report) == []
    assert report.manufacturers == {"unknown": 3}


def test_headers_without_numbers_or_uids_contradict_nothing(tables: Tables) -> None:
    for path in tables.folder(T2).iterdir():
        change(path, lambda image: delattr(image, "InstanceNumber"))
    change(tables.folder(T1) / "1.dcm", lambda image: delattr(image, "SeriesInstanceUID"))
    assert told(tables.check()) == []


def test_places_of_other_frames_of_reference_are_not_compared(tables: Tables) -> None:
    """The patient was laid anew between the series."""
    for path in tables.folder(T1).iterdir():
        change(path, lambda image: setattr(image, "FrameOfReferenceUID", "1.2.3.4"))
    for path in tables.folder(T2).iterdir():

        def edit(image: Dataset) -> None:
            x, y, z = map(float, image.ImagePositionPatient)
            image.ImagePositionPatient, image.FrameOfReferenceUID = [x, y, z + 300], "1.2.3.5"

        change(path, edit)
    assert told(tables.check()) == [("levels_disagree", T2, "compared with series 13: " + ", ".join(
        f"{level} is at the height of L1/L2" for level in RSNA.levels[1:]))]  # fmt: skip
    for path in tables.folder(AXIAL).iterdir():
        change(path, lambda image: setattr(image, "FrameOfReferenceUID", "1.2.3.4"))
    assert told(tables.check()) == []


def rename(path: Path, name: str) -> None:
    path.rename(path.with_name(name))


def set_number(number: int) -> Callable[[Dataset], None]:
    return lambda image: setattr(image, "InstanceNumber", number)


def test_instance_numbers(tables: Tables) -> None:
    folder = tables.folder(T2)
    for old, new in (("3.dcm", "40.dcm"), ("1.dcm", "3.dcm")):
        number = int(new.removesuffix(".dcm"))
        rename(folder / old, new)
        change(folder / new, set_number(number))
    assert told(tables.check()) == [
        ("instances_out_of_order", T2, "in a stack of 3 slices they neither rise nor fall"),
        ("instances_with_gaps", T2, "3 files are numbered 2 to 40, 36 numbers between are missing"),
    ]


def test_falling_instance_numbers_are_no_fault(tables: Tables) -> None:
    folder = tables.folder(T2)
    for number in (1, 2, 3):
        change(folder / f"{number}.dcm", set_number(4 - number))
        rename(folder / f"{number}.dcm", f"new-{4 - number}.dcm")
    for path in list(folder.iterdir()):
        rename(path, path.name.removeprefix("new-"))
    report = tables.check()
    assert told(report) == []
    assert report.series[2].directions == {"right": 1}


def test_slices_that_do_not_fit_together(tables: Tables) -> None:
    folder = tables.folder(T2)
    write_slice(folder / "4.dcm", [10, -128, 128], SAGITTAL, 4)
    write_slice(folder / "5.dcm", [-128, -128, 0], FLAT, 5, SeriesInstanceUID="1.2.9")
    write_slice(
        folder / "6.dcm",
        [20, -128, 128],
        SAGITTAL,
        6,
        Rows=32,
        PixelSpacing=[8, 4],
        PixelData=np.zeros((32, 64), np.uint16).tobytes(),
    )
    report = tables.check()
    assert told(report) == [
        ("shapes_mixed", T2, "slices of different shape: 5 of 64 x 64, 1 of 32 x 64 (rows x columns)"),
        ("orientations_several", T2, "slices of 2 orientations"),
        ("positions_repeated", T2, "1 of 6 slices lie where another one lies"),
        ("pixels_not_square", T2, "pixels of 8 mm between rows and 4 mm between columns in 1 of 6 slices"),
        ("series_uids_several", T2, "files of 2 DICOM series"),
    ]
    assert report.series[2].not_square == 1


def test_series_that_says_it_shows_another_part(tables: Tables) -> None:
    for name, series in (("SAG T2 C-SPINE", T2), ("T2 thoraco-lumbar", T1)):
        for path in tables.folder(series).iterdir():
            change(path, lambda image, name=name: setattr(image, "SeriesDescription", name))
    message = "its files speak of the neck or the chest in their SeriesDescription"
    assert told(tables.check()) == [("series_elsewhere", T2, message)]


def test_missing_thickness(tables: Tables) -> None:
    change(tables.folder(T2) / "1.dcm", lambda image: delattr(image, "SliceThickness"))
    assert told(tables.check()) == [("thickness_missing", T2, "1 of 3 slices")]


def test_frames_of_one_file_are_slices(tables: Tables) -> None:
    folder = tables.folder(AXIAL)
    frames = []
    for path in sorted(folder.iterdir()):
        position, frame = Dataset(), Dataset()
        position.ImagePositionPatient = dcmread(path).ImagePositionPatient
        frame.PlanePositionSequence = [position]
        frames.append(frame)
        if path.name != "1.dcm":
            path.unlink()

    def edit(image: Dataset) -> None:
        image.NumberOfFrames = len(frames)
        image.PerFrameFunctionalGroupsSequence = frames
        image.PixelData = image.PixelData * len(frames)

    change(folder / "1.dcm", edit)
    report = tables.check()
    assert report.series[0].slices == (5, 5, 5)
    assert report.series[0].directions == {"feet": 1}
    assert told(report) == [], "points name frames by their numbers, as training finds them"
    tables.select("left_subarticular_stenosis", "L2/L3")["instance_number"] = 6
    (missing,) = tables.check().findings
    assert (missing.kind, missing.series_id) == ("point_file_missing", AXIAL)
    assert missing.message == "1 of 10 points: left_subarticular_stenosis L2/L3 on 6.dcm"


def test_a_file_of_one_frame_goes_by_its_name(tables: Tables) -> None:
    for path in tables.folder(AXIAL).iterdir():

        def edit(image: Dataset) -> None:
            position, frame = Dataset(), Dataset()
            position.ImagePositionPatient = image.ImagePositionPatient
            frame.PlanePositionSequence = [position]
            image.NumberOfFrames, image.PerFrameFunctionalGroupsSequence = 1, [frame]
            del image.ImagePositionPatient

        change(path, edit)
    assert told(tables.check()) == []


def test_missing_geometry_and_other_modality(tables: Tables) -> None:
    def edit(image: Dataset) -> None:
        del image.ImageOrientationPatient
        image.Modality = "CT"

    change(tables.folder(T2) / "1.dcm", edit)
    assert told(tables.check()) == [
        ("geometry_missing", T2, "1 of 3 slices"),
        ("modality_unexpected", T2, "1 CT image of 3 slices"),
    ]


def test_objects_without_an_image_are_noted(tables: Tables) -> None:
    def edit(image: Dataset) -> None:
        image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
        for name in ("Rows", "Columns", "PixelData", "BitsAllocated"):
            delattr(image, name)

    path = tables.folder(T2) / "4.dcm"
    write_slice(path, [0, 0, 0], SAGITTAL, 4)
    change(path, edit)
    assert told(tables.check()) == [("file_not_image", T2, "4.dcm of 4 files")]


@pytest.fixture
def many(tables: Tables) -> Iterator[Tables]:
    for study in range(STUDY + 1, STUDY + 40):
        tables.add_study(study)
        shutil.copytree(tables.root / "train_images" / str(STUDY), tables.root / "train_images" / str(study))
        (tables.folder(T2, study) / "1.dcm").unlink()
    yield tables


@pytest.mark.slow
def test_processes_change_nothing_even_if_one_is_killed(many: Tables) -> None:
    alone = many.check(workers=1)
    assert [(count.kind, count.findings) for count in alone.counts] == [("instances_with_gaps", 39)]
    calls: list[tuple[int, int]] = []

    def kill_once(done: int, total: int) -> None:
        calls.append((done, total))
        if done == 1:
            for process in active_children():
                os.kill(process.pid or 0, signal.SIGKILL)

    assert many.check(workers=2, progress=kill_once) == alone
    assert calls == [(done, 40) for done in range(1, 41)]


def test_wrong_folder_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"train.csv does not exist; it must be a CSV table"):
        check_dataset(tmp_path, RSNA)


def test_kinds_are_told_with_what_to_do(tables: Tables) -> None:
    tables.select("spinal_canal_stenosis", "L3/L4")["x"] = -5
    (count,) = tables.check().counts
    assert (count.title, count.remedy) == ("Points lie outside their image", "correct or remove the points")
    assert all(kind.title and kind.remedy for kind in KINDS.values())


@pytest.mark.skipif(not SPIDER.is_dir(), reason="the SPIDER studies are not beside the project")
def test_real_studies() -> None:
    report = check_dataset(SPIDER, DISC)
    counts = {count.kind: count.findings for count in report.counts}
    assert counts == {"label_without_point": 1, "point_not_used": 36, "series_not_used": 54}
    assert report.errors == ()
    assert report.grades["disc_degeneration"] == {"Normal/Mild": 129, "Moderate": 96, "Severe": 95, "empty": 0}
    assert [(s.description, s.used, s.series) for s in report.series] == [
        ("Sagittal T1", False, 54),
        ("Sagittal T2/STIR", True, 64),
    ]
