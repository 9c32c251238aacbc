"""Studies with the faults that real files have: no cell is graded at a wrong place, and the answer says what is wrong."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydicom import Dataset, dcmread
from pydicom.config import disable_value_validation
from pydicom.uid import generate_uid

from lumbargrade.config.params import PrepareParams, ViewParams
from lumbargrade.config.task import GradingTask
from lumbargrade.errors import InputError
from lumbargrade.inference.grade import grade_study
from lumbargrade.inference.study import open_study
from lumbargrade.localization.heatmaps import SeenStack
from lumbargrade.models.bundle import LoadedModel
from lumbargrade.models.calibration import Calibration
from lumbargrade.models.grader import Grader
from lumbargrade.models.heatmap import STRIDE
from lumbargrade.models.locator import marks_of
from lumbargrade.preprocessing.pack_views import PackedViews
from lumbargrade.preprocessing.views import StackView
from lumbargrade.training.locator.targets import learn_shape, slice_targets

pytestmark = pytest.mark.slow

T1, T2, AXIAL = "Sagittal T1", "Sagittal T2/STIR", "Axial T2"
GROUPS = {T1: "foraminal", T2: "spinal", AXIAL: "subarticular"}
_RIGHT_MM = 6.0

Edit = Callable[[list[Path]], None]


class FaultyStudy:
    """A copy of a phantom study whose files can be spoiled, and a model that sees what its points say."""

    def __init__(self, folder: Path, series: dict[str, list[Path]], model: LoadedModel, truth: pd.DataFrame) -> None:
        self.folder = folder
        self.series = series
        self.truth = truth
        self._model = model

    def spoil(self, kind: str, edit: Edit) -> None:
        """Spoils the files of a kind of series; they come in the order of their slices' positions."""
        edit(self.series[kind])

    def answer(self, points: pd.DataFrame | None = None) -> pd.DataFrame:
        if points is not None:
            points.to_csv(self.folder / "points.csv", index=False)
        with open_study(self.folder, self._model.config.task) as study:
            return grade_study(self._model, study).set_index(["condition", "level"])

    def wrong(self, answer: pd.DataFrame) -> list[tuple[str, str]]:
        """Graded cells whose place is far from where the phantom has it."""
        graded = answer[answer["grade"].notna()]
        found = graded[["x_mm", "y_mm", "z_mm"]].to_numpy(dtype=float)
        off = np.linalg.norm(found - self.truth.loc[graded.index].to_numpy(), axis=1)
        return [key for key, distance in zip(graded.index, off, strict=True) if distance > _RIGHT_MM]


@pytest.fixture
def faulty(
    phantom: Path,
    packed: PackedViews,
    rsna: GradingTask,
    graders: list[Grader],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> FaultyStudy:
    study = next(one for one in packed.studies if len(packed.points_of(one)) >= len(rsna.cells))
    monkeypatch.setattr("lumbargrade.localization.localize.look_at", _oracle(packed, rsna, study))
    config = SimpleNamespace(
        task=rsna, shape=learn_shape(packed, rsna, packed.studies), views=ViewParams(), prepare=PrepareParams()
    )
    locators: list[Any] = [SimpleNamespace(config=config)]
    folder = tmp_path / str(study)
    shutil.copytree(phantom / "train_images" / str(study), folder)
    table = pd.read_csv(phantom / "train_series_descriptions.csv").query("study_id == @study")
    series = {
        row.series_description: sorted((folder / str(row.series_id)).iterdir(), key=_along)
        for row in table.itertuples()
    }
    points = packed.points_of(study)
    index = pd.MultiIndex.from_tuples([(point["condition"], point["level"]) for point in points])
    truth = pd.DataFrame([point["position"] for point in points], index=index)
    return FaultyStudy(folder, series, LoadedModel(graders, locators, "", Calibration.identity(rsna)), truth)


def _along(path: Path) -> float:
    dataset = dcmread(path, stop_before_pixels=True)
    normal = np.cross(dataset.ImageOrientationPatient[:3], dataset.ImageOrientationPatient[3:])
    axis = normal * np.sign(normal[np.abs(normal).argmax()])
    return float(np.array(dataset.ImagePositionPatient, dtype=float) @ axis)


def _oracle(packed: PackedViews, task: GradingTask, study: int) -> Callable[..., SeenStack | None]:
    """Sees what is labelled in a slice, by its number and its kind of series: what its header says of its place is not used."""
    truth: dict[tuple[str, str | None, int], tuple[np.ndarray, np.ndarray]] = {}
    for orientation in ("sagittal", "axial"):
        targets = slice_targets(packed, task, orientation, [study])
        for row, (stack, index) in enumerate(targets.stacks):
            key = (orientation, stack.contrast, stack.slices[index].instance)
            truth[key] = (targets.places[row], targets.present[row])

    def look_at(
        locators: Sequence[Any], stack: StackView, slices: Sequence[int] | None = None, size: float | None = None
    ) -> SeenStack | None:
        wanted = range(len(stack.slices)) if slices is None else slices
        chosen = tuple(index for index in wanted if stack.readable(index))
        marks = marks_of(task, stack.orientation)
        side = ViewParams().pixels // STRIDE
        maps = np.zeros((len(chosen), len(marks), side, side), np.float32)
        for place, index in enumerate(chosen):
            where, present = truth.get(
                (stack.orientation, stack.contrast, stack.slices[index].instance), (np.zeros((9, 2)), np.zeros(99))
            )
            for mark in range(len(marks)):
                if present[mark] > 0:
                    column, row = np.round((where[mark] + 0.5) / STRIDE - 0.5).astype(int)
                    maps[place, mark, row, column] = 0.95 * present[mark]
        return SeenStack(stack, chosen, marks, maps, np.array([0.5, 0.5], np.float32)) if chosen else None

    return look_at


def edit(change: Callable[[Dataset], None]) -> Edit:
    def spoil(paths: list[Path]) -> None:
        for path in paths:
            with disable_value_validation():
                dataset = dcmread(path)
                change(dataset)
                dataset.save_as(path)

    return spoil


def put(**tags: Any) -> Edit:
    """Sets tags, or removes those that are None."""

    def change(dataset: Dataset) -> None:
        for keyword, value in tags.items():
            if value is not None:
                setattr(dataset, keyword, value)
            elif keyword in dataset:
                delattr(dataset, keyword)

    return edit(change)


def shuffle_positions(paths: list[Path]) -> None:
    datasets = [dcmread(path) for path in paths]
    positions = [dataset.ImagePositionPatient for dataset in datasets]
    order = np.random.default_rng(4).permutation(len(paths))
    for path, dataset, place in zip(paths, datasets, order, strict=True):
        dataset.ImagePositionPatient = positions[place]
        dataset.save_as(path)


def cut_pixels(paths: list[Path]) -> None:
    for path in paths:
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) - (len(whole) // 2)])


def blank(paths: list[Path]) -> None:
    for path in paths:
        dataset = dcmread(path)
        if dataset.file_meta.TransferSyntaxUID.is_compressed:
            dataset.decompress()
        dataset.PixelData = bytes(len(dataset.PixelData))
        dataset.save_as(path)


def remove(paths: list[Path]) -> None:
    for path in paths:
        path.unlink()


def lost(answer: pd.DataFrame) -> set[str]:
    """The groups of conditions of which a cell is not graded."""
    return {
        group
        for group in GROUPS.values()
        for condition, _ in answer.index[answer["grade"].isna()]
        if group in condition
    }


def notes(answer: pd.DataFrame) -> str:
    return str(answer["notes"].iloc[0])


def test_a_healthy_study_is_graded_whole_and_without_a_note(faulty: FaultyStudy) -> None:
    answer = faulty.answer()
    assert answer["grade"].notna().all()
    assert notes(answer) == "None"
    assert not faulty.wrong(answer)


@pytest.mark.parametrize("spacing", [None, "0\\0", "-0.5\\0.5", "nan\\nan", "0.5", "1e-6\\1e-6", "50\\50"])
def test_nothing_is_measured_where_the_size_of_a_pixel_is_not_known(faulty: FaultyStudy, spacing: str | None) -> None:
    def change(dataset: Dataset) -> None:
        del dataset.PixelSpacing
        if spacing is not None:
            dataset.add_new("PixelSpacing", "LO", spacing)
            dataset["PixelSpacing"].VR = "DS" if spacing == "0\\0" else "LO"

    faulty.spoil(T1, edit(change))
    answer = faulty.answer()
    assert lost(answer) == {"foraminal"}
    assert not faulty.wrong(answer)
    assert "the study's Sagittal T1 series is not used: the size of a pixel is not known" in set(answer["reason"])
    assert "series 2 (sagittal T1, 13 slices) is not used" in notes(answer)
    assert "the size of a pixel is not known" in notes(answer)


@pytest.mark.parametrize("kind", [T1, T2, AXIAL])
def test_an_unknown_size_of_a_pixel_costs_what_its_series_shows_only(faulty: FaultyStudy, kind: str) -> None:
    faulty.spoil(kind, put(PixelSpacing=None))
    answer = faulty.answer()
    assert lost(answer) == {GROUPS[kind]}
    assert not faulty.wrong(answer)


def test_two_series_of_one_fault_are_one_note(faulty: FaultyStudy) -> None:
    for kind in (T1, T2):
        faulty.spoil(kind, put(PixelSpacing=None))
    answer = faulty.answer()
    assert answer["grade"].isna().all()
    assert notes(answer).count("the size of a pixel is not known") == 1
    assert "no Axial T2 slice" not in " ".join(answer["reason"])


NO_ORIENTATION = {"ImageOrientationPatient": None}
NO_ROTATION = {"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}
NO_POSITION = {"ImagePositionPatient": None}
ONE_POSITION = {"ImagePositionPatient": [0, 0, 0]}


@pytest.mark.parametrize("tags", [NO_ORIENTATION, NO_ROTATION, NO_POSITION, ONE_POSITION])
@pytest.mark.parametrize("kind", [T1, AXIAL])
def test_nothing_that_has_a_side_is_graded_where_sides_are_not_known(
    faulty: FaultyStudy, kind: str, tags: dict[str, Any]
) -> None:
    faulty.spoil(kind, put(**tags))
    answer = faulty.answer()
    assert lost(answer) == {GROUPS[kind]}
    assert not faulty.wrong(answer)
    reasons = " ".join(answer["reason"].dropna())
    assert "is not known" in reasons
    assert "passes through" not in reasons
    assert "is not known" in notes(answer)


@pytest.mark.parametrize("kind", [T1, T2, AXIAL])
def test_positions_in_disorder_are_not_believed(faulty: FaultyStudy, kind: str) -> None:
    faulty.spoil(kind, shuffle_positions)
    answer = faulty.answer()
    assert lost(answer) <= {GROUPS[kind]}
    if kind != T2:
        assert answer["grade"][[GROUPS[kind] in condition for condition, _ in answer.index]].isna().all()
        assert not faulty.wrong(answer)
    assert "their positions contradict what they show" in notes(answer)


def test_without_a_placed_sagittal_series_no_axial_slice_is_chosen_and_the_reason_is_true(faulty: FaultyStudy) -> None:
    for kind in (T1, T2):
        faulty.spoil(kind, put(**NO_POSITION))
    answer = faulty.answer()
    assert lost(answer) == {"foraminal", "subarticular"}
    assert (
        "in the study's sagittal series where its slices lie" in answer["reason"]["left_subarticular_stenosis", "L4/L5"]
    )


@pytest.mark.parametrize("spoil", [remove, cut_pixels, blank])
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_side_that_no_slice_shows_is_not_graded(faulty: FaultyStudy, spoil: Edit, side: str) -> None:
    paths = faulty.series[T1]
    spoil(paths[-5:] if side == "left" else paths[:5])
    answer = faulty.answer()
    assert not faulty.wrong(answer)
    for (condition, _), grade in answer["grade"].items():
        assert (grade is None) == (condition == f"{side}_neural_foraminal_narrowing")
    assert "no slice of the study's Sagittal T1 series passes through its place" in str(
        answer["reason"][f"{side}_neural_foraminal_narrowing", "L3/L4"]
    )
    if spoil is not remove:
        assert f"5 of the slices of series 2 (sagittal T1, {len(paths)} slices) cannot be decoded" in notes(answer)


@pytest.mark.parametrize("spoil", [remove, cut_pixels, blank])
def test_lost_slices_in_the_middle_are_told_and_cost_no_wrong_place(faulty: FaultyStudy, spoil: Edit) -> None:
    for kind in (T1, T2):
        paths = faulty.series[kind]
        middle = len(paths) // 2
        spoil(paths[middle - 2 : middle + 3])
    answer = faulty.answer()
    assert not faulty.wrong(answer)
    assert answer["grade"][[condition == "spinal_canal_stenosis" for condition, _ in answer.index]].isna().all()
    told = "about 5 slices seem to be missing" if spoil is remove else "5 of the slices"
    assert notes(answer).count(told) == 2


@pytest.mark.parametrize("reach", [9.0, 15.0])
@pytest.mark.parametrize("spoil", [remove, cut_pixels])
def test_a_level_whose_axial_slices_are_lost_is_not_graded_beside_it(
    faulty: FaultyStudy, spoil: Edit, reach: float
) -> None:
    wanted = faulty.truth.loc[("left_subarticular_stenosis", "L3/L4"), 2]
    heights = {path: _along(path) for path in faulty.series[AXIAL]}
    spoil([path for path, height in heights.items() if abs(_height(path) - wanted) < reach])
    answer = faulty.answer()
    assert not faulty.wrong(answer)
    for side in ("left", "right"):
        assert answer["grade"][f"{side}_subarticular_stenosis", "L3/L4"] is None
        assert answer["grade"][f"{side}_subarticular_stenosis", "L4/L5"] is not None


def _height(path: Path) -> float:
    dataset = dcmread(path, stop_before_pixels=True)
    position = np.array(dataset.ImagePositionPatient, dtype=float)
    row, column = (np.array(dataset.ImageOrientationPatient[part], dtype=float) for part in (slice(3), slice(3, 6)))
    middle = (
        position
        + row * dataset.PixelSpacing[1] * dataset.Columns / 2
        + column * dataset.PixelSpacing[0] * dataset.Rows / 2
    )
    return float(middle[2])


@pytest.mark.parametrize(
    ("tags", "told"),
    [({"ImageType": ["DERIVED", "PRIMARY", "M", "FAT"]}, "ImageType"), ({"EchoTime": 15}, "echo"),
     ({"TemporalPositionIdentifier": 2}, "time"), ({}, "no tag says")],
)  # fmt: skip
def test_copies_at_one_place_are_told_and_never_graded(faulty: FaultyStudy, tags: dict[str, Any], told: str) -> None:
    paths = faulty.series[T2]
    for place, path in enumerate(paths):
        dataset = dcmread(path)
        if dataset.file_meta.TransferSyntaxUID.is_compressed:
            dataset.decompress()
        pixels = dataset.pixel_array
        dataset.PixelData = (pixels.max() + pixels.min() - pixels).astype(pixels.dtype).tobytes()
        dataset.SOPInstanceUID = generate_uid()
        for keyword, value in tags.items():
            setattr(dataset, keyword, value)
        own = int(dataset.InstanceNumber)
        dataset.InstanceNumber = own + 100 if place % 2 or not tags else 0
        dataset.save_as(path.with_name(f"{own + 500}.dcm"))
    answer = faulty.answer()
    assert not faulty.wrong(answer)
    assert answer["grade"].notna().all()
    assert told in notes(answer)
    assert set(answer["instance_number"]["spinal_canal_stenosis"]) <= {int(dcmread(p).InstanceNumber) for p in paths}


def test_exact_duplicates_are_not_worth_a_note(faulty: FaultyStudy) -> None:
    for path in faulty.series[T2]:
        shutil.copy(path, path.with_name(f"9{path.name}"))
    answer = faulty.answer()
    assert answer["grade"].notna().all()
    assert notes(answer) == "None"


LOCALIZERS = [
    {
        "SeriesDescription": "localizador",
        "ScanningSequence": "GR",
        "EchoTime": 4,
        "RepetitionTime": 9,
        "SliceThickness": 8,
    },
    {"SeriesDescription": "", "ProtocolName": "", "EchoTime": 4, "RepetitionTime": 9},
    {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]},
    {"SeriesDescription": "REPÉRAGE", "SpecificCharacterSet": "ISO_IR 100"},
    {"SequenceName": "*h2d1_205"},
]


@pytest.mark.parametrize("tags", LOCALIZERS)
def test_a_localizer_is_never_graded(faulty: FaultyStudy, tags: dict[str, Any]) -> None:
    faulty.spoil(T1, put(**tags))
    answer = faulty.answer()
    assert lost(answer) == {"foraminal"}
    assert set(answer["reason"].dropna()) == {"the study has no Sagittal T1 series"}
    assert f"(localizer, {len(faulty.series[T1])} slices) is not used" in notes(answer)


def test_t1_flair_is_a_t1_with_and_without_its_name(faulty: FaultyStudy) -> None:
    for description in ("SAG T1 FLAIR", "SAG", ""):
        faulty.spoil(T1, put(SeriesDescription=description, RepetitionTime=2200, EchoTime=24, InversionTime=860))
        answer = faulty.answer()
        assert answer["grade"].notna().all()
        assert not faulty.wrong(answer)


def test_timings_that_contradict_the_name_keep_a_t1_out_of_the_canal(faulty: FaultyStudy) -> None:
    faulty.spoil(T2, remove)
    faulty.spoil(T1, put(SeriesDescription="SAG T2"))
    answer = faulty.answer()
    assert lost(answer) == {"spinal"}
    assert "its name says T2, but its echo, repetition and inversion times are those of a T1" in notes(answer)


@pytest.mark.parametrize("word", ["PD", "MPR", "LOC"])
def test_what_is_left_out_for_a_word_of_its_name_says_so(faulty: FaultyStudy, word: str) -> None:
    faulty.spoil(AXIAL, put(SeriesDescription=f"AX T2 {word}", EchoTime=None, RepetitionTime=None))
    answer = faulty.answer()
    assert lost(answer) == {"subarticular"}
    reasons = set(answer["reason"].dropna())
    assert all(reason.startswith("the study has no Axial T2 series") for reason in reasons)
    assert "its name says" in notes(answer)


def test_a_word_does_not_outweigh_a_t2s_timings(faulty: FaultyStudy) -> None:
    faulty.spoil(AXIAL, put(SeriesDescription="AX T2 MPR"))
    assert faulty.answer()["grade"].notna().all()


def labelled_points(phantom: Path, faulty: FaultyStudy) -> pd.DataFrame:
    points = pd.read_csv(phantom / "train_label_coordinates.csv")
    return points[points["study_id"] == int(faulty.folder.name)]


def test_points_on_such_series_are_refused_too(faulty: FaultyStudy, rsna: GradingTask, phantom: Path) -> None:
    points = labelled_points(phantom, faulty)
    spoiled: list[tuple[str, Edit, str]] = [
        (T1, put(ImageOrientationPatient=None), "it has a side, but"),
        (T2, put(PixelSpacing=None), "the size of a pixel is not known"),
        (AXIAL, put(SeriesDescription="Übersicht", SpecificCharacterSet="ISO_IR 100"), "its series is a localizer"),
    ]
    for kind, spoil, _ in spoiled:
        faulty.spoil(kind, spoil)
    answer = faulty.answer(points)
    assert answer["grade"].isna().all()
    for kind, _, reason in spoiled:
        cells = {c.name for c in rsna.conditions if c.series == kind}
        assert all(reason in str(answer["reason"][name, "L3/L4"]) for name in cells)


@pytest.mark.parametrize("x", [10000.0, -1e9, 1e308, 1.79e308, -3.0])
def test_a_point_that_no_image_shows_is_refused(faulty: FaultyStudy, phantom: Path, x: float) -> None:
    points = labelled_points(phantom, faulty).astype({"x": float})
    first = points.index[points["condition"] == "Spinal Canal Stenosis"][0]
    points.loc[first, "x"] = x
    if abs(x) > 1e6:
        with pytest.raises(InputError, match="x is not a coordinate"):
            faulty.answer(points)
        return
    answer = faulty.answer(points)
    key = ("spinal_canal_stenosis", points.loc[first, "level"])
    assert answer["grade"].isna().sum() == 1
    assert "lies outside the image" in answer["reason"][key]
