from copy import deepcopy

import numpy as np
import pydicom
import pytest

from lumbargrade.config.task import load_task
from lumbargrade.data.layout import open_dataset
from lumbargrade.dicom.headers import read_headers
from lumbargrade.dicom.pixels import read_pixels
from lumbargrade.phantom import generate
from lumbargrade.phantom.encode import TRANSFER_SYNTAXES
from lumbargrade.phantom.faults import PAIRS, SPOILS
from lumbargrade.phantom.study import build_study, true_point
from lumbargrade.phantom.writer import write_study

pytestmark = pytest.mark.slow

TASK = load_task("rsna2024")
T1, T2, AXIAL = "Sagittal T1", "Sagittal T2/STIR", "Axial T2"


@pytest.fixture(scope="module")
def clean():
    return build_study(5, 0, TASK)


@pytest.fixture
def spoiled(clean, tmp_path):
    """Spoils a copy of the clean study in one way and writes it; returns it with the files of a series."""

    def spoil(kind):
        study = deepcopy(clean)
        series, detail = SPOILS[kind](study, np.random.default_rng(1), TASK)
        write_study(study, tmp_path)
        assert detail
        folder = tmp_path / "train_images" / str(study.study_id)
        if series is not None:
            assert series in study.series
        return study, sorted((folder / str(series.series_id)).iterdir()) if series else []

    return spoil


def tags(files):
    return [pydicom.dcmread(path) for path in files]


def cells(study):
    return {(point.condition, point.level) for point in study.points}


def labelled(study):
    return {(int(row), int(column)) for row, column in np.argwhere(study.labels >= 0)}


def test_clean_study_has_a_point_for_each_label(clean):
    assert cells(clean) == labelled(clean)


def test_pairs_hold_every_fault_and_rescan_before_they_spoil():
    assert {kind for pair in PAIRS for kind in pair} == SPOILS.keys()
    assert all("lumbar" not in second for _, second in PAIRS)


def test_several_axial_series_share_cells(spoiled):
    study, files = spoiled("several axial series")
    axial = {series.series_id for series in study.described(AXIAL)}
    assert len(axial) == 2 and files
    seen = [(point.condition, point.level) for point in study.points if point.series_id in axial]
    assert len(seen) > len(set(seen))


@pytest.mark.parametrize(("kind", "description"), [("T1 missing", T1), ("T2 missing", T2)])
def test_series_is_missing_but_its_labels_are_not(spoiled, kind, description):
    study, _ = spoiled(kind)
    assert not study.described(description) and len(study.series) == 2
    assert labelled(study) > cells(study)


def test_t1_is_there_twice(spoiled):
    study, _ = spoiled("T1 twice")
    ids = [series.series_id for series in study.described(T1)]
    assert len(set(ids)) == 2


def test_instance_numbers_are_in_no_order(spoiled, clean):
    study, files = spoiled("instance numbers in no order")
    headers = sorted((read_headers(path)[0] for path in files), key=lambda header: header.instance_number)
    steps = np.diff([header.plane.distance for header in headers])
    assert (steps > 0).any() and (steps < 0).any()
    assert all(int(header.path.stem) == header.instance_number for header in headers)
    before = {(point.condition, point.level): point for point in clean.points}
    planes = {header.instance_number: header.plane for header in headers}
    series = study.described(T1)[0].series_id
    for point in study.points:
        if point.series_id == series:
            old = before[point.condition, point.level]
            x, y, off = planes[point.instance].to_pixel(true_point(study.spine, point.condition, point.level, TASK))
            assert (round(x, 1), round(y, 1)) == pytest.approx((old.x, old.y), abs=0.1) and abs(off) < 4


def test_instance_numbers_have_gaps(spoiled):
    _, files = spoiled("instance numbers with gaps")
    numbers = sorted(int(path.stem) for path in files)
    assert numbers[0] == 7 and np.diff(numbers).max() == 6


def test_shapes_are_mixed_and_points_still_right(spoiled):
    study, files = spoiled("mixed shapes")
    assert len({(one.Rows, one.Columns) for one in tags(files)}) == 2
    series = study.described(T2)[0]
    planes = {int(path.stem): read_headers(path)[0].plane for path in files}
    checked = 0
    for point in study.points:
        if point.series_id == series.series_id:
            true = true_point(study.spine, point.condition, point.level, TASK)
            x, y, _ = planes[point.instance].to_pixel(true)
            assert np.hypot(x - point.x, y - point.y) < 0.1
            checked += 1
    assert checked == 5


@pytest.mark.parametrize(
    ("kind", "keywords"),
    [
        ("no orientation", ["ImageOrientationPatient"]),
        ("no spacing", ["PixelSpacing"]),
        ("no thickness", ["SliceThickness", "SpacingBetweenSlices"]),
    ],
)
def test_tags_are_missing(spoiled, kind, keywords):
    _, files = spoiled(kind)
    assert not any(keyword in one for one in tags(files) for keyword in keywords)


def test_rescale_tags_are_on_some_files_and_change_nothing(spoiled, clean):
    _, files = spoiled("rescaled")
    assert {"RescaleSlope" in one for one in tags(files)} == {True, False}
    originals = {image.instance: image.pixels for image in clean.described(T1)[0].images}
    for path in files:
        assert np.abs(read_pixels(read_headers(path)[0]) - originals[int(path.stem)]).max() <= 1


def test_pixels_are_signed(spoiled):
    _, files = spoiled("signed pixels")
    assert {one.PixelRepresentation for one in tags(files)} == {1}
    assert min(one.pixel_array.min() for one in tags(files)) < 0


@pytest.mark.parametrize(
    ("kind", "syntax", "description"),
    [("RLE", "rle", T2), ("JPEG-LS", "jpeg-ls", AXIAL), ("deflated", "deflated", T1), ("implicit", "implicit", T1)],
)
def test_encodings_are_lossless(spoiled, clean, kind, syntax, description):
    _, files = spoiled(kind)
    assert {one.file_meta.TransferSyntaxUID for one in tags(files)} == {TRANSFER_SYNTAXES[syntax]}
    original = next(i for i in clean.described(description)[0].images if i.instance == int(files[0].stem))
    np.testing.assert_array_equal(pydicom.dcmread(files[0]).pixel_array, original.pixels)


def test_labels_without_point(spoiled):
    study, _ = spoiled("label without point")
    assert len(labelled(study) - cells(study)) == 4


def test_points_without_label(spoiled):
    study, _ = spoiled("point without label")
    assert len(cells(study) - labelled(study)) == 3


def test_positions_are_duplicated(spoiled):
    _, files = spoiled("duplicate positions")
    places = [tuple(one.ImagePositionPatient) for one in tags(files)]
    assert len(places) - len(set(places)) == 3


def test_a_neck_is_described_as_lumbar(spoiled):
    study, files = spoiled("cervical series")
    series = study.described(T2)[0]
    assert {one.BodyPartExamined for one in tags(files)} == {"CSPINE"}
    assert not any(point.series_id == series.series_id for point in study.points)


def test_axial_sides_are_swapped(spoiled):
    study, files = spoiled("sides swapped")
    series = study.described(AXIAL)[0]
    planes = {int(path.stem): read_headers(path)[0].plane for path in files}
    spots = {
        (point.condition, point.level): planes[point.instance].to_patient(np.array([point.x, point.y]))[0]
        for point in study.points
        if point.series_id == series.series_id
    }
    pairs = [(spots[3, level], spots[4, level]) for level in range(5) if {(3, level), (4, level)} <= spots.keys()]
    assert pairs and all(left < right for left, right in pairs)
    assert cells(study) == labelled(study)


def test_canal_points_are_a_level_too_high(spoiled, clean):
    study, _ = spoiled("levels shifted")
    below = {point.level: point for point in clean.points if point.condition == 0}
    shifted = {point.level: point for point in study.points if point.condition == 0}
    for level in range(1, 5):
        assert shifted[level].y == pytest.approx(below[level - 1].y, abs=3)


@pytest.mark.parametrize(("kind", "lumbar"), [("six lumbar vertebrae", 6), ("four lumbar vertebrae", 4)])
def test_a_spine_of_another_length_is_scanned_anew(spoiled, clean, monkeypatch, kind, lumbar):
    def blank(spine, plane, thickness, contrasts):
        assert spine.lumbar == lumbar
        return np.ones((len(contrasts), *plane.shape), np.float32)

    monkeypatch.setattr("lumbargrade.phantom.study.scan", blank)
    study, _ = spoiled(kind)
    assert (study.spine.lumbar, clean.spine.lumbar) == (lumbar, 5)
    np.testing.assert_array_equal(study.labels, clean.labels)
    assert cells(study) == labelled(study) and len(study.points) == len(clean.points)
    series = {one.series_id: one for one in study.series}
    assert sorted(one.description for one in study.series) == [AXIAL, T1, T2]
    assert not series.keys() & {one.series_id for one in clean.series}
    for point in study.points:
        image = next(image for image in series[point.series_id].images if image.instance == point.instance)
        x, y, off = image.plane.to_pixel(true_point(study.spine, point.condition, point.level, TASK))
        assert np.hypot(x - point.x, y - point.y) < 0.1
        assert abs(off) < 0.65 * series[point.series_id].protocol.gap


def test_generated_faults_are_listed_and_leave_a_dataset_that_opens(tmp_path):
    summary = generate(tmp_path / "faulty", 1, 5, faults=True, workers=1)
    assert [fault.kind for fault in summary.faults] == [*PAIRS[0]]
    dataset = open_dataset(tmp_path / "faulty", TASK)
    assert set(dataset.labels["study_id"]) == {fault.study_id for fault in summary.faults}
    ids = set(dataset.series["series_id"])
    assert all(fault.series_id in ids for fault in summary.faults)
    assert generate(tmp_path / "faulty", 1, 5, faults=True).faults == summary.faults
