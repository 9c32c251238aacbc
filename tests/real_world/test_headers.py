"""One study with the headers of each maker, and of the challenge: graded alike, since its images are the same."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lumbargrade.config.task import GradingTask, load_task
from lumbargrade.localization.cells import WEIGHTING_UNKNOWN
from lumbargrade.phantom.headers.choose import PROFILES
from lumbargrade.phantom.study import build_study
from lumbargrade.phantom.writer import set_headers, write_study

from .conftest import SEED
from .doors import Door, Record
from .exports import Export, Image, open_export
from .oracle import AnatomyOracle

pytestmark = pytest.mark.slow

_STUDY = 0
_SAME = 1e-3
_BY_DOOR = [("rsna2024", "command line"), ("rsna2024", "page"), ("enhanced", "C-STORE")]
"""Beside ``/invocations``, through which all go. The challenge's files name no SOP class, so that nobody can send them."""


@pytest.fixture(scope="module")
def exports(exported: Path, oracle: AnatomyOracle, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Export]:
    """The study as each of the headers has it."""
    task = load_task("rsna2024")
    plain = open_export(exported, SEED, _STUDY, task)
    oracle.know(plain)
    study = build_study(SEED, _STUDY, task)
    found = {}
    for name in PROFILES:
        folder = tmp_path_factory.mktemp(name)
        set_headers(study, name)
        write_study(study, folder)
        found[name] = Export(plain.study_id, plain.study_uid, plain.truth, list(_images(folder)))
    return found


def _images(folder: Path) -> Iterator[Image]:
    for path in sorted(folder.rglob("*.dcm")):
        yield Image("", path.relative_to(folder).as_posix(), raw=path.read_bytes())


@pytest.fixture(scope="module")
def answers(
    exports: dict[str, Export], doors: dict[str, Door], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[Record]]:
    """What ``/invocations`` answers, by headers."""
    return {name: doors["invocations"].grade(export, tmp_path_factory.mktemp(name)) for name, export in exports.items()}


def _by_cell(records: list[Record]) -> dict[tuple[str, str], Record]:
    return {(record["condition"], record["level"]): record for record in records}


def _differences(plain: list[Record], other: list[Record], task: GradingTask) -> list[str]:
    told = []
    for key, record in _by_cell(other).items():
        before = _by_cell(plain)[key]
        if record["grade"] is None and WEIGHTING_UNKNOWN in record["reason"]:
            continue  # headers that say nothing, and images that do not show it surely
        if record["grade"] != before["grade"]:
            told.append(f"{key}: {record['grade']} ({record['reason']}) in place of {before['grade']}")
        elif record["grade"] is not None and "severe" in record:
            apart = max(abs(record[column] - before[column]) for column in task.grade_columns)
            told += [f"{key}: {apart:.4f} apart"] if apart >= _SAME else []
    return told


@pytest.mark.parametrize("name", [name for name in PROFILES if name != "plain"])
def test_no_grade_depends_on_the_headers(name: str, answers: dict[str, list[Record]], rsna: GradingTask) -> None:
    assert sum(record["grade"] is not None for record in answers["plain"]) > 20
    assert sum(record["grade"] is not None for record in answers[name]) > (10 if name == "minimal" else 20)
    assert _differences(answers["plain"], answers[name], rsna) == []


@pytest.mark.parametrize(("name", "door"), _BY_DOOR)
def test_nor_on_the_door(
    name: str,
    door: str,
    exports: dict[str, Export],
    answers: dict[str, list[Record]],
    doors: dict[str, Door],
    rsna: GradingTask,
    tmp_path: Path,
) -> None:
    records = doors[door].grade(exports[name], tmp_path)
    assert len(records) == 25
    assert _differences(answers["plain"], records, rsna) == []
