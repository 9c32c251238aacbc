"""Why cells are not graded: one sentence a cause, whatever many cells it is of."""

from collections.abc import Callable
from typing import Any

import pytest

from lumbargrade.config.task import GradingTask
from lumbargrade.inference.causes import Cause, find_causes, name_sites, untold_notes
from lumbargrade.notes import Note

REFUSED = "the model could not find the spine in it; the images may be fine"
Say = Callable[[str, str, str], tuple[str, str] | None]


def causes_of(task: GradingTask, say: Say) -> list[Cause]:
    """Of a study whose cells are graded where nothing is said."""
    records: list[dict[str, Any]] = []
    for cell in task.cells:
        told = say(cell.condition.group, cell.condition.side or "", cell.level)
        code, reason = told or (None, None)
        record = {"condition": cell.condition.name, "level": cell.level, "grade": None if told else "Severe"}
        records.append(record | {"reason": reason, "reason_code": code})
    return find_causes(records, task)


def test_a_study_that_is_graded_has_none(rsna: GradingTask) -> None:
    assert causes_of(rsna, lambda *_: None) == []


def test_what_all_cells_say_alike_is_said_once(rsna: GradingTask) -> None:
    reason = f"the study's Sagittal T1 series is not used: {REFUSED}"
    (cause,) = causes_of(rsna, lambda group, *_: ("series-not-used", reason) if group == "foraminal" else None)
    assert (cause.code, cause.text, len(cause.cells)) == ("series-not-used", reason, 10)
    assert cause.sites == "bilateral neural foraminal narrowing at every level"


@pytest.mark.parametrize(
    ("code", "reason", "text"),
    [
        ("no-slice-at-level", "no Axial T2 slice passes through {level}",
         "no Axial T2 slice passes through L1/L2, L2/L3 and L3/L4"),
        ("place-unsure", "the place of {side} {level} was found with a confidence below 5%",
         "their places were found with a confidence below 5%"),
        ("place-not-shown", "{side} {level}: no slice of the study's Axial T2 series passes through its place",
         "no slice of the study's Axial T2 series passes through their places"),
    ],
)  # fmt: skip
def test_reasons_that_name_their_own_level_are_one_cause(rsna: GradingTask, code: str, reason: str, text: str) -> None:
    upper = rsna.levels[:3]

    def say(group: str, side: str, level: str) -> tuple[str, str] | None:
        told = group == "subarticular" and level in upper
        return (code, reason.format(side=side, level=level)) if told else None

    (cause,) = causes_of(rsna, say)
    assert cause.text == text
    assert cause.sites == "bilateral subarticular stenosis at L1/L2 to L3/L4"
    assert len(cause.cells) == 6


def test_a_lone_cell_keeps_its_own_words(rsna: GradingTask) -> None:
    own = "no Axial T2 slice passes through L5/S1"

    def say(group: str, side: str, level: str) -> tuple[str, str] | None:
        return ("no-slice-at-level", own) if (group, side, level) == ("subarticular", "left", "L5/S1") else None

    (cause,) = causes_of(rsna, say)
    assert (cause.text, cause.sites) == (own, "left subarticular stenosis at L5/S1")


def test_every_reason_that_names_a_cell_has_words_for_several(rsna: GradingTask) -> None:
    """No code of :mod:`lumbargrade.localization` whose words differ from cell to cell may fill a page with them."""
    from lumbargrade.inference import causes

    for code in causes._TOGETHER:
        found = causes_of(rsna, lambda group, side, level, code=code: (code, f"{group} {side} {level}"))
        assert len(found) <= len({condition.series for condition in rsna.conditions})


def test_older_models_answer_without_codes(rsna: GradingTask) -> None:
    records = [
        {"condition": cell.condition.name, "level": cell.level, "grade": None, "reason": cell.condition.series}
        for cell in rsna.cells
    ]
    assert [cause.text for cause in find_causes(records, rsna)] == ["Sagittal T2/STIR", "Sagittal T1", "Axial T2"]


def test_a_note_that_a_cause_says_is_not_told_again(rsna: GradingTask) -> None:
    refused = Note.make("sagittal-series-refused", "a series was not used: {reason}", reason=REFUSED)
    left_out = Note.make("series-left-out", "a series is not used: {reason}", reason="it is a localizer")
    unseen = Note.make("levels-not-seen", "the model did not find {levels}", levels="L5/S1")
    reason = f"the study's Sagittal T1 series is not used: {REFUSED}"
    causes = causes_of(rsna, lambda group, *_: ("series-not-used", reason) if group == "foraminal" else None)
    assert untold_notes([refused, left_out, unseen], causes) == [left_out, unseen]
    causes = causes_of(rsna, lambda *cell: ("level-not-seen", cell[2]) if cell[2] == "L5/S1" else None)
    assert untold_notes([refused, left_out, unseen], causes) == [refused, left_out]


def test_sites_in_words(rsna: GradingTask, disc: GradingTask) -> None:
    assert name_sites([(cell.condition.name, cell.level) for cell in rsna.cells], rsna) == "every site"
    left = "left_subarticular_stenosis"
    assert name_sites([(left, "L1/L2"), (left, "L2/L3"), (left, "L5/S1")], rsna) == (
        "left subarticular stenosis at L1/L2, L2/L3 and L5/S1"
    )
    assert name_sites([("disc_degeneration", "L5/S1")], disc) == "disc degeneration at L5/S1"
