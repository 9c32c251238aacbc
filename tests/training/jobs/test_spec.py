"""A trained fold is found again wherever its project lies."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

from lumbargrade.training.jobs.process import begin_fold
from lumbargrade.training.jobs.spec import (
    RESULT,
    SPEC,
    FoldResult,
    FoldSpec,
    StudentSpec,
    Teacher,
    placeless,
    read_result,
    read_spec,
)


def at(spec: FoldSpec, root: Path, **changes: object) -> FoldSpec:
    """The spec of the same fold in a project that lies elsewhere."""
    places = {
        "crops": root / "prepared/x/crops",
        "split": root / "prepared/x/split.csv",
        "located": root / "prepared/x/located",
        "folder": root / "runs/s/t/fold-0",
    }
    return spec.model_copy(update={**places, **changes})


def test_a_moved_project_keeps_its_trained_folds(spec: FoldSpec, tmp_path: Path) -> None:
    before = at(spec, tmp_path / "before")
    assert begin_fold(before) is None
    (before.folder / RESULT).write_text(_result(before.folder))
    (tmp_path / "before").rename(tmp_path / "after")
    after = at(spec, tmp_path / "after")
    found = begin_fold(after)
    assert found is not None and found.folder == after.folder
    assert read_spec(after.folder) == after, "the process would read where the project was"
    assert read_result(after.folder) == found


def test_a_copy_uses_its_own_folds(spec: FoldSpec, tmp_path: Path) -> None:
    first = at(spec, tmp_path / "first")
    begin_fold(first)
    (first.folder / RESULT).write_text(_result(first.folder))
    shutil.copytree(tmp_path / "first", tmp_path / "copy")
    found = begin_fold(at(spec, tmp_path / "copy"))
    assert found is not None and found.model.is_relative_to(tmp_path / "copy")


def test_other_work_is_trained_anew(spec: FoldSpec, tmp_path: Path) -> None:
    one = at(spec, tmp_path)
    begin_fold(one)
    (one.folder / RESULT).write_text(_result(one.folder))
    assert begin_fold(one.model_copy(update={"seed": one.seed + 1})) is None
    assert not (one.folder / RESULT).exists()
    (one.folder / SPEC).write_text("{}")
    assert begin_fold(one) is None


def test_what_a_spec_says_has_no_place_in_it(spec: FoldSpec, tmp_path: Path) -> None:
    one, other = at(spec, tmp_path / "one"), at(spec, tmp_path / "other/deeper")
    assert placeless(one) == placeless(other) != placeless(at(spec, tmp_path / "one", split=tmp_path / "other.csv"))
    students = [
        StudentSpec(
            **each.model_dump(exclude={"kind"}),
            teachers=(Teacher(model=each.folder.parent / "fold-1/model.safetensors", sha256="a"),),
        )
        for each in (one, other)
    ]
    assert placeless(students[0]) == placeless(students[1])


def _result(folder: Path) -> str:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return FoldResult(
        fold=0, folder=folder, epoch=1, epochs=1, validation_loss=0.4, precision="fp32", threads=1, host="here",
        device="cpu", began=now, ended=now, images_per_second=1.0, seconds=1.0,
    ).model_dump_json()  # fmt: skip
