import errno
import filecmp
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from lumbargrade.config.task import load_task
from lumbargrade.data.layout import open_dataset
from lumbargrade.dicom.headers import read_headers
from lumbargrade.dicom.pixels import read_pixels
from lumbargrade.dicom.stacks import group_stacks
from lumbargrade.errors import InputError, LumbargradeError
from lumbargrade.phantom import generate
from lumbargrade.phantom.protocol import draw_protocol
from lumbargrade.phantom.study import draw_study, study_number, study_rng, true_point

pytestmark = pytest.mark.slow

TASK = load_task("rsna2024")
SEED = 11


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom") / "two"
    steps = []
    summary = generate(folder, 2, SEED, workers=1, progress=lambda done, of: steps.append((done, of)))
    assert steps == [(1, 2), (2, 2)]
    return folder, summary


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom") / "one"
    generate(folder, 1, SEED, workers=1)
    return folder


@pytest.fixture(scope="module")
def dataset(made):
    return open_dataset(made[0], TASK)


def contents(folder):
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}


def test_number_of_workers_does_not_change_a_byte(made, tmp_path):
    generate(tmp_path / "again", 2, SEED, workers=2)
    first, second = contents(made[0]), contents(tmp_path / "again")
    assert first.keys() == second.keys()
    assert all(filecmp.cmp(first[name], second[name], shallow=False) for name in first)


def test_drawn_for_crops_only_the_spines_are_the_same_and_no_more_is_scanned_than_crops_show(made, tmp_path):
    disc = load_task("disc_degeneration")
    for name, crops_only in (("whole", False), ("crops", True)):
        generate(tmp_path / name, 2, SEED, workers=1, task=disc.name, crops_only=crops_only)
    whole, crops = (open_dataset(tmp_path / name, disc) for name in ("whole", "crops"))
    assert set(crops.series["series_description"]) == {"Sagittal T2/STIR"} < set(whole.series["series_description"])
    assert (tmp_path / "crops" / "train.csv").read_text() == (tmp_path / "whole" / "train.csv").read_text()
    for study, points in crops.points.groupby("study_id"):
        slices = len(list((tmp_path / "crops" / "train_images" / str(study)).rglob("*.dcm")))
        assert points["instance_number"].nunique() < slices <= points["instance_number"].nunique() + 2
        assert points["instance_number"].between(2, slices - 1).all(), "each point has a neighbour on both sides"
    with pytest.raises(
        InputError, match=r"made with --studies 2 --seed 11 --task disc_degeneration for crops only; give a new"
    ):
        generate(tmp_path / "crops", 2, SEED, workers=1, task=disc.name)


def test_a_study_does_not_depend_on_how_many_there_are(made, one):
    alone, with_another = contents(one / "train_images"), contents(made[0] / "train_images")
    assert alone.keys() < with_another.keys()
    assert all(filecmp.cmp(path, with_another[name], shallow=False) for name, path in alone.items())


def test_summary_counts_what_is_on_disk(made, dataset):
    summary = made[1]
    assert (summary.studies, summary.series) == (2, 6)
    assert summary.files == len(contents(made[0] / "train_images"))
    assert summary.points == len(dataset.points)
    assert sum(summary.labels["Spinal Canal Stenosis"].values()) == 10
    assert summary.labels["Spinal Canal Stenosis"]["empty"] == int(
        dataset.labels[[f"spinal_canal_stenosis_{level}" for level in ("l1_l2", "l2_l3", "l3_l4", "l4_l5", "l5_s1")]]
        .isna()
        .to_numpy()
        .sum()
    )
    assert summary.faults == () and summary.made


def test_every_labelled_cell_has_one_point_in_the_series_that_shows_it(dataset):
    kinds = dataset.series.set_index("series_id")["series_description"]
    points = dataset.points.merge(kinds, on="series_id")
    assert not points.duplicated(["study_id", "condition", "level"]).any()
    for point in points.itertuples():
        assert point.series_description == TASK.condition(point.condition).series
        assert (dataset.series_dir(point.study_id, point.series_id) / f"{point.instance_number}.dcm").is_file()
    assert len(points) == int(dataset.labels[list(TASK.columns)].notna().to_numpy().sum())


def test_points_are_where_the_anatomy_is(dataset):
    truth = {
        number: draw_study(study_rng(SEED, index), number, TASK)
        for index, number in enumerate(study_number(SEED, index) for index in range(2))
    }
    numbers = {condition.name: number for number, condition in enumerate(TASK.conditions)}
    for point in dataset.points.itertuples():
        path = dataset.series_dir(point.study_id, point.series_id) / f"{point.instance_number}.dcm"
        header = read_headers(path)[0]
        level = TASK.levels.index(point.level)
        true = true_point(truth[point.study_id].spine, numbers[point.condition], level, TASK)
        x, y, off = header.plane.to_pixel(true)
        assert np.hypot(x - point.x, y - point.y) < 0.1
        gap = float(pydicom.dcmread(path, stop_before_pixels=True).SpacingBetweenSlices)
        assert abs(off) < 0.65 * gap


def test_left_points_lie_to_the_left_of_right_points_in_the_patient(dataset):
    places = {}
    for point in dataset.points.itertuples():
        path = dataset.series_dir(point.study_id, point.series_id) / f"{point.instance_number}.dcm"
        patient = read_headers(path)[0].plane.to_patient(np.array([point.x, point.y]))
        places[point.study_id, point.condition, point.level] = patient
    pairs = [(key, (key[0], key[1].replace("left", "right"), key[2])) for key in places if "left" in key[1]]
    compared = [places[left][0] - places[right][0] for left, right in pairs if right in places]
    assert len(compared) > 10 and min(compared) > 8


def test_files_are_plain_mr_images_that_pydicom_reads_without_a_warning(dataset):
    for series in dataset.series.itertuples():
        files = dataset.files(series.study_id, series.series_id)
        headers = [read_headers(path)[0] for path in files]
        assert [header.instance_number for header in headers] == [int(path.stem) for path in files]
        assert all(header.plane_known and header.modality == "MR" for header in headers)
        assert len({header.sop_uid for header in headers}) == len(headers)
        dataset_read = pydicom.dcmread(files[0])
        assert dataset_read.PatientIdentityRemoved == "YES"
        assert dataset_read.SOPClassUID == "1.2.840.10008.5.1.4.1.1.4"
        pixels = read_pixels(headers[0])
        assert pixels.shape == headers[0].plane.shape and 0 < pixels.max() < 4096
        assert pixels.std() > 10


def test_stacks_are_what_their_series_says(dataset):
    for series in dataset.series.itertuples():
        headers = [read_headers(path)[0] for path in dataset.files(series.study_id, series.series_id)]
        stacks = group_stacks(headers)
        assert sum(len(stack.slices) for stack in stacks) == len(headers)
        kind = "axial" if series.series_description == "Axial T2" else "sagittal"
        assert {stack.orientation for stack in stacks} == {kind}


def test_protocols_vary():
    rng = np.random.default_rng(0)
    protocols = [draw_protocol(rng, kind) for kind in TASK.series for _ in range(60)]
    assert len({protocol.shape for protocol in protocols}) > 8
    assert len({protocol.thickness for protocol in protocols}) > 2
    odd = [protocol for protocol in protocols if protocol.spacing[0] != protocol.spacing[1]]
    assert 0.03 < len(odd) / len(protocols) < 0.3


def test_instance_numbers_run_either_way(dataset):
    rises = set()
    for series in dataset.series.itertuples():
        if series.series_description != "Axial T2":
            files = dataset.files(series.study_id, series.series_id)
            first, last = (read_headers(path)[0].plane.position[0] for path in (files[0], files[-1]))
            rises.add(bool(first < last))
    assert rises == {True, False}


def test_complete_dataset_is_kept(made):
    before = {name: path.stat().st_mtime_ns for name, path in contents(made[0]).items()}
    assert generate(made[0], 2, SEED, workers=1) == replace(made[1], made=False)
    assert before == {name: path.stat().st_mtime_ns for name, path in contents(made[0]).items()}


def test_damaged_dataset_is_remade(one):
    lost = next((one / "train_images").glob("*/*/*.dcm"))
    content = lost.read_bytes()
    lost.unlink()
    assert generate(one, 1, SEED, workers=1).made
    assert lost.read_bytes() == content
    assert [path.name for path in one.parent.iterdir()] == ["one"]


def test_other_arguments_are_refused(made):
    with pytest.raises(InputError) as error:
        generate(made[0], 3, SEED, faults=True)
    assert str(error.value) == (
        f"{made[0]} holds a phantom made with --studies 2 --seed {SEED}; give a new folder, or remove it"
    )


def test_folder_with_something_else_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(InputError) as error:
        generate(tmp_path, 1, 0)
    assert str(error.value) == f"{tmp_path} is not empty; give a new folder, or remove what is in it"
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_marker_of_something_else_is_refused(tmp_path):
    (tmp_path / "phantom.json").write_text(json.dumps([1]))
    with pytest.raises(InputError, match="is not empty"):
        generate(tmp_path, 1, 0)


def test_file_is_refused(tmp_path):
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(InputError) as error:
        generate(file, 1, 0)
    assert str(error.value) == f"{file} is a file; give a folder that is new or empty"


@pytest.mark.parametrize(
    ("studies", "seed", "workers", "text"),
    [
        (0, 0, 0, "studies is 0; ask for at least 1"),
        (1, -1, 0, "seed is -1; give 0 or a larger whole number"),
        (1, 0, -2, "workers is -2; give 0 for one a CPU, or a larger number"),
    ],
)
def test_numbers_out_of_range_are_refused(tmp_path, studies, seed, workers, text):
    with pytest.raises(InputError) as error:
        generate(tmp_path / "new", studies, seed, workers=workers)
    assert str(error.value) == text
    assert not (tmp_path / "new").exists()


def test_folder_that_cannot_be_made_is_reported(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(LumbargradeError) as error:
        generate(tmp_path / "file" / "new", 1, 0, workers=1)
    assert str(error.value) == f"{tmp_path / 'file' / 'new'} cannot be written (File exists); check the folder"


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(LumbargradeError) as error:
        generate(tmp_path / "phantom", studies=1, seed=1, workers=1)
    assert str(error.value) == (f"the disk of {tmp_path / 'phantom'} is full; free some space (about 7 MB a study)")
    assert list(tmp_path.iterdir()) == []


def test_discs_can_be_graded_instead(tmp_path):
    discs = load_task("disc_degeneration")
    generate(tmp_path / "discs", 1, SEED, workers=1, task="disc_degeneration")
    dataset = open_dataset(tmp_path / "discs", discs)
    assert list(dataset.points["level"]) == list(discs.levels)
    described = dataset.series.set_index("series_id")["series_description"]
    assert set(described[dataset.points["series_id"]]) == {"Sagittal T2/STIR"}
    spine = draw_study(study_rng(SEED, 0), study_number(SEED, 0), discs).spine
    centres = [true_point(spine, 0, level, discs) for level in range(5)]
    assert np.linalg.norm(np.diff(centres, axis=0), axis=1) == pytest.approx([35] * 4, abs=10)
    with pytest.raises(InputError, match=r"holds a phantom made with --studies 1 --seed 11 --task disc_degeneration"):
        generate(tmp_path / "discs", 1, SEED, workers=1)
    with pytest.raises(InputError, match=r"^phantoms cannot be graded for knees; give rsna2024 or disc_degeneration$"):
        generate(tmp_path / "knees", 1, SEED, workers=1, task="knees")


def test_headers_are_part_of_what_a_folder_was_made_with(tmp_path):
    folder = tmp_path / "scanned"
    assert generate(folder, 1, SEED, workers=1, headers="enhanced").files == 3
    assert not generate(folder, 1, SEED, workers=1, headers={"enhanced": 1}).made
    with pytest.raises(InputError, match=r"made with --studies 1 --seed 11 --headers enhanced; give a new folder"):
        generate(folder, 1, SEED, workers=1)
    with pytest.raises(InputError) as error:
        generate(tmp_path / "new", 1, SEED, workers=1, headers="enhancd")
    assert error.value.code == "phantom-headers-unknown"
    assert not (tmp_path / "new").exists()
