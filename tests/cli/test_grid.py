"""The grid that a reader sees: 80 columns, worst findings in words, each reason once, for any task."""

import json
from typing import Any

import pytest
from rich.text import Text

from lumbargrade.cli.grid import grade_grid, short_grades
from lumbargrade.config.task import Condition, GradingTask

REFUSED = "the model could not find the spine in it; the images may be fine"
T1_REASON = f"the study's Sagittal T1 series is not used: {REFUSED}"


def series(number: int, name: str, *used_for: str, reason: str | None = None) -> dict[str, Any]:
    plane, weighting = name.split()
    return {
        "series": f"s{number}", "number": number, "name": name, "plane": plane, "weighting": weighting,
        "fat_suppressed": False, "contrast_agent": None, "slices": 12, "confidence": 1.0,
        "used": bool(used_for), "used_for": used_for,
        "reason_code": None if used_for else "series-refused", "reason": reason,
    }  # fmt: skip


SERIES = [
    series(3, "sagittal T1", reason=REFUSED),
    series(4, "sagittal T2", "spinal_canal_stenosis", "levels"),
    series(5, "axial T2", "left_subarticular_stenosis", "right_subarticular_stenosis"),
    series(6, "axial T2", reason="another one is used: series 5 (axial T2)"),
]


def answer(task: GradingTask, **said: tuple[str, str]) -> list[dict[str, Any]]:
    """Foramina are refused, all else is normal, but for what is said of a cell: grade and possible grades."""
    records = []
    notes = [
        {"code": "levels-doubtful", "text": "count the vertebrae", "facts": {}},
        {"code": "sagittal-series-refused", "text": f"a series was not used: {REFUSED}", "facts": {"reason": REFUSED}},
    ]
    for cell in task.cells:
        record: dict[str, Any] = {"condition": cell.condition.name, "level": cell.level, "notes": "x"}
        record |= {
            "notes_json": json.dumps(notes),
            "series_json": json.dumps(SERIES),
            "reason": None,
            "reason_code": None,
        }
        if cell.condition.group == "foraminal":
            nothing = dict.fromkeys((*task.grade_columns, "grade", "possible_grades", "confidence", "place_uncertain"))
            records.append(record | nothing | {"reason": T1_REASON, "reason_code": "series-not-used"})
            continue
        grade, possible = said.get(cell.column, (task.grades[0], task.grades[0]))
        chances = [0.8 if name == grade else 0.2 / (len(task.grades) - 1) for name in task.grades]
        uncertain = cell.level == task.levels[0]
        record |= {"grade": grade, "possible_grades": possible, "confidence": 0.1 if uncertain else 0.9}
        records.append(record | dict(zip(task.grade_columns, chances, strict=True)) | {"place_uncertain": uncertain})
    return records


def plain(lines: list[Text]) -> list[str]:
    assert max(len(line.plain) for line in lines) <= 80
    return [line.plain for line in lines]


def words(lines: list[Text]) -> str:
    return " ".join(" ".join(plain(lines)).split())


SEVERE = ("Severe", "Moderate;Severe")
OPEN = ("Normal/Mild", "Normal/Mild;Moderate;Severe")
FOUND = {
    "spinal_canal_stenosis_l4_l5": SEVERE,
    "left_subarticular_stenosis_l5_s1": ("Moderate", "Moderate"),
    "right_subarticular_stenosis_l1_l2": OPEN,
}


def test_worst_findings_come_first_in_words(rsna: GradingTask) -> None:
    lines = grade_grid(answer(rsna, **FOUND), rsna)
    told = plain(lines)
    assert told[0] == "Severe: L4/L5 spinal canal stenosis 80%."
    assert told[1] == "Moderate: L5/S1 left subarticular stenosis 80%."
    assert told[2] == "Severe cannot be excluded: right subarticular stenosis at L1/L2."
    assert ("red" in str(lines[0].style), "yellow" in str(lines[1].style)) == (True, True)


def test_the_grid_has_a_row_a_level_and_the_right_side_before_the_left(rsna: GradingTask) -> None:
    told = plain(grade_grid(answer(rsna, **FOUND), rsna))
    head = next(number for number, line in enumerate(told) if line.lstrip().startswith("Spinal"))
    assert told[head].split() == ["Spinal", "Foraminal", "R", "Foraminal", "L", "Subarticu.", "R", "Subarticu.", "L"]
    rows = [line.split("  ") for line in told[head + 1 : head + 6]]
    assert [row[0] for row in rows] == list(rsna.levels)
    assert "SEV  80% ms" in told[head + 4]
    assert told[head + 5].rstrip().endswith("Mod  80% m")
    assert all(line.count("- (1)") == 2 for line in told[head + 1 : head + 6])
    assert "N/Mi 80% nms?" in told[head + 1]


def test_each_reason_is_said_once(rsna: GradingTask) -> None:
    told = words(grade_grid(answer(rsna), rsna))
    assert told.count(REFUSED) == 1
    assert f"(1) 10 sites not graded: {T1_REASON}." in told
    assert "Not used: series 3 (sagittal T1): see (1)." in told
    assert "? 3 of 15 places are uncertain (found with less than 30% confidence)" in told
    assert told.count("Note: ") == 1


def test_it_is_said_on_what_was_read(rsna: GradingTask) -> None:
    told = words(grade_grid(answer(rsna), rsna))
    assert "Read on: spinal series 4 (sagittal T2); subarticular series 5 (axial T2)." in told
    assert "Not used: series 6 (axial T2): another one is used: series 5 (axial T2)." in told


def test_an_answer_of_before_has_no_series(rsna: GradingTask) -> None:
    records = [{k: v for k, v in record.items() if k != "series_json"} for record in answer(rsna)]
    assert "Read on" not in words(grade_grid(records, rsna))


def test_no_finding_is_said_with_how_many_sites_it_is_of(rsna: GradingTask) -> None:
    assert plain(grade_grid(answer(rsna), rsna))[0] == "No moderate or severe finding at 15 of 25 sites."
    all_open = {cell.column: OPEN for cell in rsna.cells}
    assert "Severe cannot be excluded at any graded site." in plain(grade_grid(answer(rsna, **all_open), rsna))


def test_a_study_without_any_grade_says_so(rsna: GradingTask) -> None:
    nothing = {"grade": None, "reason": "it is not of a spine", "reason_code": "x"}
    told = plain(grade_grid([record | nothing for record in answer(rsna)], rsna))
    assert told[0] == "Nothing could be graded in this study."
    assert "(1) 25 sites not graded: it is not of a spine." in told


def test_another_task_has_its_own_grid(disc: GradingTask) -> None:
    told = plain(grade_grid(answer(disc, disc_degeneration_l5_s1=("Severe", "Severe")), disc))
    assert told[0] == "Severe: L5/S1 disc degeneration 80%."
    assert "Disc" in told[2]
    assert told[7].split() == ["L5/S1", "SEV", "80%", "s"]


def test_many_conditions_stand_in_blocks_that_fit(rsna: GradingTask) -> None:
    wide = tuple(
        Condition(
            name=f"c{n}_{side}", label=f"Condition {n} {side}", group=f"a_long_group_{n}", series="Axial T2", side=side
        )
        for n in range(4)
        for side in ("left", "right")
    )
    parts = {"conditions": wide, "levels": ("T12/L1", *rsna.levels), "any_severe_group": None}
    task = GradingTask.model_validate(rsna.model_dump() | parts)
    told = plain(grade_grid(answer(task), task))
    assert sum(line.startswith("T12/L1") for line in told) == 2
    assert any(line.startswith(" ") and line.count(" R") == 3 for line in told)


@pytest.mark.parametrize(
    ("grades", "short"),
    [
        (("Normal/Mild", "Moderate", "Severe"), ["N/Mi", "Mod", "SEV"]),
        (("Grade 1", "Grade 2", "Grade 3"), ["Grade 1", "Grade 2", "GRADE 3"]),
        (("Mild", "Mixed", "Moderate"), ["Mil", "Mix", "MOD"]),
        (("Moderate", "Modest"), ["Moder", "MODES"]),
    ],
)
def test_short_grades_can_be_told_apart(rsna: GradingTask, grades: tuple[str, ...], short: list[str]) -> None:
    weights = tuple(map(float, range(1, len(grades) + 1)))
    task = GradingTask.model_validate(rsna.model_dump() | {"grades": grades, "grade_weights": weights})
    assert list(short_grades(task).values()) == short
