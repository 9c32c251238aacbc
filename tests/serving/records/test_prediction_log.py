"""The serving log traces an answer and tells nobody whose study it was."""

import stat
from pathlib import Path

import pandas as pd
import pytest

from lumbargrade.config.task import GradingTask
from lumbargrade.errors import InputError
from lumbargrade.inference.grade import refuse_study
from lumbargrade.serving.records.prediction_log import ServingLog


@pytest.fixture
def log(tmp_path: Path) -> ServingLog:
    return ServingLog(tmp_path / "served" / "answers.jsonl")


def answer(task: GradingTask, study: str | None) -> pd.DataFrame:
    """All cells refused but the first."""
    table = refuse_study(task, "the slice is missing").assign(study_id=study)
    for column, value in zip(
        (*task.grade_columns, "grade", "reason"), (0.7, 0.2, 0.1, "Normal/Mild", None), strict=True
    ):
        table.loc[0, column] = value
    return table


def test_an_answer_is_found_by_its_request_id(log: ServingLog, rsna: GradingTask) -> None:
    for number in range(3):
        log.append(f"r{number}", "lumbargrade-rsna2024/4", b"zip", answer(rsna, "1.2.3"), rsna)
    found = log.get("r1")
    assert (found.model, len(found.cells)) == ("lumbargrade-rsna2024/4", 25)
    assert (found.cells[0].grade, found.cells[0].probabilities) == ("Normal/Mild", (0.7, 0.2, 0.1))
    assert (found.cells[1].grade, found.cells[1].probabilities) == (None, ())
    assert found.cells[1].reason == "the slice is missing"
    assert [answered.request_id for answered in log.answers()] == ["r0", "r1", "r2"]


def test_a_study_has_one_hash_that_nobody_can_guess(log: ServingLog, rsna: GradingTask, tmp_path: Path) -> None:
    other = ServingLog(tmp_path / "elsewhere" / "answers.jsonl")
    for each, study in ((log, "1.2.3"), (log, "1.2.3"), (log, "1.2.4"), (other, "1.2.3"), (log, None)):
        each.append("r", "m/1", b"zip", answer(rsna, study), rsna)
    one, again, another, none = (answered.study for answered in log.answers())
    assert one == again
    assert len({one, another, next(other.answers()).study}) == 3
    assert none == ""
    text = log.path.read_text()
    assert "1.2.3" not in text and "zip" not in text
    assert stat.S_IMODE((log.path.parent / "salt").stat().st_mode) == 0o600


def test_a_line_that_a_killed_server_had_begun_is_left_out(log: ServingLog, rsna: GradingTask) -> None:
    log.append("r0", "m/1", b"zip", answer(rsna, "1"), rsna)
    with log.path.open("ab") as file:
        file.write(b'{"time": "2026')
    log.append("r1", "m/1", b"zip", answer(rsna, "1"), rsna)
    assert [answered.request_id for answered in log.answers()] == ["r0", "r1"]


def test_an_answer_that_is_not_there(log: ServingLog) -> None:
    with pytest.raises(InputError, match=r"answers\.jsonl has no answer r9; name the log of the server that gave it"):
        log.get("r9")
