"""Every shape of a study, through every door: graded rightly, or refused for the true reason."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lumbargrade.config.task import GradingTask
from lumbargrade.models.bundle import LoadedModel

from .conftest import SEED, STUDIES
from .doors import DOORS, Door, Invocations, Record, RefusalError
from .exports import Export, open_export
from .oracle import AnatomyOracle
from .shapes import SHAPES, Shape

pytestmark = pytest.mark.slow

_NEAR_MM = 8.0
_SHOWN_MM = 6.5
"""Half a step between slices, and half a disc: a slice farther from a place shows something else."""
_SAME = 1e-3


def _doors(shape: Shape) -> list[str]:
    """Those that carry the shape: C-STORE has DICOM objects only, each once."""
    return [door for door in DOORS if shape.loose or door != "C-STORE"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """All shapes, studies and doors where they are asked for; else one study and one door a shape, in turn."""
    every = metafunc.config.getoption("--every-study")
    cases = [
        pytest.param(shape, study, door, id=f"{shape.name}-{study}-{door}")
        for number, shape in enumerate(SHAPES)
        for study in (range(STUDIES) if every else [number % STUDIES])
        for doors in [_doors(shape)]
        for door in (doors if every else [doors[number % len(doors)]])
    ]
    metafunc.parametrize(("shape", "study", "door"), cases)


@pytest.fixture(scope="session")
def clean_answers() -> dict[int, list[Record]]:
    """What each study is answered without a fault; filled as studies are met."""
    return {}


def test_a_study_of_any_shape_is_graded_rightly_or_refused_truly(
    shape: Shape,
    study: int,
    door: str,
    doors: dict[str, Door],
    model: LoadedModel,
    oracle: AnatomyOracle,
    exported: Path,
    rsna: GradingTask,
    clean_answers: dict[int, list[Record]],
    tmp_path: Path,
) -> None:
    export = open_export(exported, SEED, study, rsna)
    oracle.know(export)
    if study not in clean_answers:
        clean_answers[study] = Invocations(model).grade(export, tmp_path)
    shape.apply(export, np.random.default_rng([SEED, study]))
    folder = tmp_path / "export"
    folder.mkdir()
    try:
        records = doors[door].grade(export, folder)
    except RefusalError as refusal:
        expected = (*shape.refused, *(shape.not_added if door == "dataset" else ()))
        assert expected, f"refused: {refusal}"
        assert any(word in str(refusal) for word in expected), str(refusal)
        return
    assert not shape.refused or (shape.apart and door != "invocations"), "graded, though it must be refused"
    problems = list(_problems(shape, export, records, clean_answers[study], renamed=door == "dataset"))
    assert problems == []


def _problems(shape: Shape, export: Export, records: list[Record], clean: list[Record], renamed: bool) -> Iterator[str]:
    """What is wrong with an answer; ``renamed``: its SOP instances have UIDs of their own."""
    by_cell = {(record["condition"], record["level"]): record for record in records}
    for before in clean:
        key = (before["condition"], before["level"])
        after, name = by_cell[key], f"{key[0]} {key[1]}"
        if after["grade"] is None:
            if not after["reason"]:
                yield f"{name}: neither a grade nor a reason"
            if before["grade"] is not None and key[0] not in (*shape.lost, *shape.may_lose):
                yield f"{name}: not graded: {after['reason']}"
            continue
        if key[0] in shape.lost:
            yield f"{name}: graded, though its images cannot carry it"
        elif (apart := _distance_to_images(export, key)) > _SHOWN_MM:
            yield f"{name}: graded, though the nearest slice is {apart:.1f} mm away"
        yield from _misplaced(export, key, after, renamed)
        if shape.same and before["grade"] is not None and "normal_mild" in after:
            change = max(abs(after[grade] - before[grade]) for grade in ("normal_mild", "moderate", "severe"))
            if change > _SAME:
                yield f"{name}: its probabilities differ by {change:.3f}"
    said = " ".join([str(records[0]["notes"]), *(str(r["reason"]) for r in records if r["condition"] in shape.lost)])
    if shape.notes and not any(word.lower() in said.lower() for word in shape.notes):
        yield f"no note; it says: {said[:1500]}"
    if any(word in said for word in shape.untrue):
        yield f"an untrue note; it says: {said[:1500]}"


def _misplaced(export: Export, key: tuple[str, str], record: dict[str, Any], renamed: bool) -> Iterator[str]:
    if record.get("sop_instance_uid") is None:
        return  # the page shows places by its own numbers; they come from the same answer
    truth = export.truth[key]
    apart = float(np.linalg.norm(np.array([record["x_mm"], record["y_mm"], record["z_mm"]]) - truth))
    if apart > _NEAR_MM:
        yield f"{key[0]} {key[1]}: looked {apart:.0f} mm from its place"
    wanted = _kind_of(key[0])
    kind = export.kinds.get(record["sop_instance_uid"], wanted if renamed else None)
    if kind != wanted:
        yield f"{key[0]} {key[1]}: read on {kind}, not on {wanted}"


def _distance_to_images(export: Export, key: tuple[str, str]) -> float:
    """How far the nearest whole slice of the right kind lies from a cell, mm; 0 if the tags do not tell."""
    whole = [image for image in export.images if image.kind == _kind_of(key[0]) and image.raw is None]
    placed = [image for image in whole if {"ImagePositionPatient", "ImageOrientationPatient"} <= set(image.tags.dir())]
    distances = [abs(float(image.plane.to_pixel(export.truth[key])[2])) for image in placed if image.spacing_known]
    return min(distances, default=0.0)


def _kind_of(condition: str) -> str:
    if condition == "spinal_canal_stenosis":
        return "Sagittal T2/STIR"
    return "Sagittal T1" if "foraminal" in condition else "Axial T2"
