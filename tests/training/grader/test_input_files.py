"""Files that parameters name: checked before a run, part of a search's name, and not exchanged while it runs."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from lumbargrade.config.params import Params
from lumbargrade.config.task import GradingTask
from lumbargrade.errors import InputError
from lumbargrade.search.plan import SearchPlan
from lumbargrade.training.grader.fit import train_fold
from lumbargrade.training.grader.input_files import check_files
from lumbargrade.training.jobs.process import begin_fold
from lumbargrade.training.jobs.spec import RESULT, FoldSpec

TABLE = "study_id,condition,level\n1,disc_degeneration,L1/L2\n"


def make_plan(packed: Path, disc: GradingTask, training: dict[str, Any], **space: Any) -> SearchPlan:
    told = {"task": "disc_degeneration", "split": {"folds": 2}, "training": training, "search": {"space": space}}
    return SearchPlan(Params.model_validate(told), disc, {}, packed / "crops", packed / "split.csv", packed / "runs")


@pytest.mark.parametrize("field", ["suspects", "weights"])
def test_other_bytes_of_a_named_file_are_another_search_and_other_folds(
    packed: Path, disc: GradingTask, field: str
) -> None:
    path = packed / "named"
    path.write_text(TABLE)
    before, same = (make_plan(packed, disc, {field: str(path)}) for _ in range(2))
    assert before.name == same.name
    spec = before.fold_specs(before.params.training)[0]
    assert spec.files == {str(path): hashlib.sha256(TABLE.encode()).hexdigest()}
    path.write_text(TABLE + "2,disc_degeneration,L1/L2\n")
    after = make_plan(packed, disc, {field: str(path)})
    assert after.name != before.name
    assert after.fold_specs(after.params.training)[0].folder != spec.folder
    assert before.fold_specs(before.params.training)[0] == spec


def test_a_table_that_only_some_trials_may_use_is_part_of_the_name_too(packed: Path, disc: GradingTask) -> None:
    path = packed / "s.csv"
    path.write_text(TABLE)
    before = make_plan(packed, disc, {}, suspects={"choices": [None, str(path)]})
    name = before.name
    path.write_text(TABLE + "2,disc_degeneration,L1/L2\n")
    after = make_plan(packed, disc, {}, suspects={"choices": [None, str(path)]})
    assert after.name != name
    assert after.fold_specs(after.params.training)[0].files == {}
    path.unlink()
    with pytest.raises(InputError, match=r"s\.csv is no file; give the suspects\.csv of a search"):
        check_files(after.params, disc)


def test_a_trained_fold_is_not_used_again_after_the_bytes_changed(spec: FoldSpec) -> None:
    told = spec.model_copy(update={"files": {"s.csv": "of the one"}})
    assert begin_fold(told) is None
    (told.folder / RESULT).write_text("{}")
    assert begin_fold(spec.model_copy(update={"files": {"s.csv": "of the other"}})) is None
    assert not (told.folder / RESULT).exists()


def test_a_file_that_changes_while_the_search_runs_stops_it(packed: Path, spec: FoldSpec) -> None:
    path = packed / "s.csv"
    path.write_text(TABLE)
    told = spec.model_copy(update={"files": {str(path): hashlib.sha256(b"before").hexdigest()}})
    for change in (lambda: None, path.unlink):
        change()
        with pytest.raises(InputError) as caught:
            train_fold(told)
        assert str(caught.value) == (
            f"{path} is not the file that it was when the run began; put it back, or run again with what is there now"
        )
