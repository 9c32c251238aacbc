"""Whatever a dataset's links are, an addition loses none of its studies: all are there afterwards, or nothing was touched."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from lumbargrade.config.task import GradingTask
from lumbargrade.data.intake import merge as merging
from lumbargrade.data.intake.add_studies import Given, add_studies
from lumbargrade.data.layout import open_dataset
from lumbargrade.errors import InputError, LumbargradeError
from lumbargrade.tree import file_sizes
from tests.exports import Export

KEY = b"a key of thirty-two bytes, 01234"


@pytest.fixture
def clinic(phantom: Path, tmp_path: Path) -> Path:
    """A dataset of six studies that may be changed."""
    folder = tmp_path / "data/clinic"
    shutil.copytree(phantom, folder)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


@pytest.fixture
def export(make_export: Callable[..., Export]) -> Export:
    return make_export(studies=1, planted=False)


def put_elsewhere(path: Path, nas: Path) -> None:
    """Moves a file or folder away and leaves a link."""
    nas.mkdir(exist_ok=True)
    moved = nas / str(len(list(nas.iterdir())))
    path.rename(moved)
    path.symlink_to(moved)


def first_study(clinic: Path) -> Path:
    return sorted((clinic / "train_images").iterdir())[0]


def every_study(clinic: Path, nas: Path) -> None:
    for study in sorted((clinic / "train_images").iterdir()):
        put_elsewhere(study, nas)


def every_series(clinic: Path, nas: Path) -> None:
    for series in sorted((clinic / "train_images").glob("*/*")):
        put_elsewhere(series, nas)


def every_file(clinic: Path, nas: Path) -> None:
    for path in sorted(clinic.rglob("*.*")):
        put_elsewhere(path, nas)


def all_images(clinic: Path, nas: Path) -> None:
    put_elsewhere(clinic / "train_images", nas)


def the_dataset_itself(clinic: Path, nas: Path) -> None:
    put_elsewhere(clinic, nas)


def a_link_behind_a_link(clinic: Path, nas: Path) -> None:
    put_elsewhere(first_study(clinic), nas)
    put_elsewhere(first_study(clinic), nas)


def a_relative_link(clinic: Path, nas: Path) -> None:
    study = first_study(clinic)
    shutil.move(study, clinic.parent / study.name)
    study.symlink_to(Path("../..") / study.name)


def a_link_to_another_study(clinic: Path, nas: Path) -> None:
    (clinic / "train_images/4").symlink_to(first_study(clinic).name)


@pytest.mark.parametrize(
    "link",
    [
        every_study, every_series, every_file, all_images, the_dataset_itself, a_link_behind_a_link, a_relative_link,
        a_link_to_another_study,
    ],
)  # fmt: skip
def test_no_study_is_lost_by_an_addition(
    clinic: Path, export: Export, rsna: GradingTask, tmp_path: Path, link: Callable[[Path, Path], None]
) -> None:
    link(clinic, tmp_path / "nas")
    before = file_sizes(clinic)
    theirs = {path: path.read_bytes() for path in (tmp_path / "nas").rglob("*.*") if not path.is_symlink()}
    listed = set(open_dataset(clinic, rsna).labels["study_id"])
    summary, _ = add_studies(export.folder, clinic, rsna, KEY, Given(labels=export.labels), workers=1)
    assert summary.added == 1
    after = file_sizes(clinic)
    tables = {path for path in before if path.suffix == ".csv"}
    assert {path: after.get(path) for path in before if path not in tables} == {
        path: size for path, size in before.items() if path not in tables
    }
    dataset = open_dataset(clinic, rsna)
    assert listed < set(dataset.labels["study_id"])
    for study, series in dataset.series[["study_id", "series_id"]].itertuples(index=False):
        assert dataset.files(int(study), int(series))
    assert {path: path.read_bytes() for path in theirs} == theirs
    assert not clinic.is_symlink()
    assert not list(clinic.parent.glob(".clinic-*"))


def a_broken_link(clinic: Path) -> str:
    (clinic / "train_images/4").symlink_to("nowhere")
    return "is a link that leads nowhere"


def a_circle(clinic: Path) -> str:
    (first_study(clinic) / "up").symlink_to(clinic)
    return "is a link to a folder that it lies in"


def a_share_that_is_not_mounted(clinic: Path) -> str:
    shutil.rmtree(clinic)
    clinic.symlink_to("/nowhere/clinic")
    return "cannot be read"


@pytest.mark.parametrize("harm", [a_broken_link, a_circle, a_share_that_is_not_mounted])
def test_what_cannot_be_read_is_refused_before_anything_is_touched(
    clinic: Path, export: Export, rsna: GradingTask, harm: Callable[[Path], str]
) -> None:
    said = harm(clinic)
    before = sorted(clinic.parent.rglob("*"))
    with pytest.raises(InputError, match=said):
        add_studies(export.folder, clinic, rsna, KEY, workers=1)
    assert [path for path in sorted(clinic.parent.rglob("*")) if path.suffix != ".lock"] == before


def lose_a_file(new: Path) -> None:
    sorted(new.rglob("*.dcm"))[0].unlink()


def shorten_a_file(new: Path) -> None:
    path = sorted(new.rglob("*.dcm"))[0]
    path.unlink()
    path.write_bytes(b"")


def lose_a_row(new: Path) -> None:
    table = pd.read_csv(new / "train.csv", dtype=str)
    table[1:].to_csv(new / "train.csv", index=False)


@pytest.mark.parametrize("harm", [lose_a_file, shorten_a_file, lose_a_row])
def test_nothing_is_exchanged_unless_all_is_there(
    clinic: Path,
    export: Export,
    rsna: GradingTask,
    monkeypatch: pytest.MonkeyPatch,
    harm: Callable[[Path], None],
) -> None:
    before = {path: path.read_bytes() for path in clinic.rglob("*.*")}

    def write_and_harm(new: Path, *told: object, original=merging.write_tables) -> None:
        original(new, *told)
        harm(new)

    monkeypatch.setattr(merging, "write_tables", write_and_harm)
    with pytest.raises(LumbargradeError, match="run again"):
        add_studies(export.folder, clinic, rsna, KEY, workers=1)
    assert {path: path.read_bytes() for path in clinic.rglob("*.*")} == before


def test_a_file_that_came_meanwhile_is_not_lost(
    clinic: Path, export: Export, rsna: GradingTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_meanwhile(new: Path, *told: object, original=merging.write_tables) -> None:
        original(new, *told)
        (first_study(clinic) / "late.dcm").write_bytes(b"late")

    monkeypatch.setattr(merging, "write_tables", write_meanwhile)
    with pytest.raises(LumbargradeError, match="changed while studies were added"):
        add_studies(export.folder, clinic, rsna, KEY, workers=1)
    assert (first_study(clinic) / "late.dcm").read_bytes() == b"late"
    monkeypatch.undo()
    assert add_studies(export.folder, clinic, rsna, KEY, workers=1)[0].added == 1
    assert (first_study(clinic) / "late.dcm").read_bytes() == b"late"


def test_a_source_whose_folders_are_links_is_read_whole(export: Export, tmp_path: Path, rsna: GradingTask) -> None:
    links = tmp_path / "links"
    links.mkdir()
    for study in export.folder.iterdir():
        (links / study.name).symlink_to(study)
    (links / "gone").symlink_to(os.devnull + "/nowhere")
    summary, lines = add_studies(links, tmp_path / "data/new", rsna, KEY, workers=1)
    assert summary.added == 1
    assert [(line.source, line.outcome) for line in lines if line.source == "gone"] == [("gone", "left out")]
