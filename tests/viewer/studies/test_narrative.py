"""Plain sentences a level: they lead the page."""

import pytest

from lumbargrade.config.task import GradingTask
from lumbargrade.notes import Note
from lumbargrade.viewer.image_index import SeriesIndex
from lumbargrade.viewer.schemas import Cell, Place
from lumbargrade.viewer.studies.narrative import flags, level_sentences

SHORT = {
    "canal": "spinal_canal_stenosis",
    "left foramen": "left_neural_foraminal_narrowing",
    "right foramen": "right_neural_foraminal_narrowing",
    "left recess": "left_subarticular_stenosis",
    "right recess": "right_subarticular_stenosis",
}


DOUBT = Note.make("levels-doubtful", "the levels may be named one too high or too low")


def study(task: GradingTask, level: str = "L4/L5", reason: str = "it is not seen", **said: str) -> list[Cell]:
    """A study of normal cells but for what is said of a level: a grade, grades joined by ``;`` (may be), or nothing."""
    told = {SHORT[name.replace("_", " ")]: text for name, text in said.items()}
    cells = []
    for cell in task.cells:
        text = told.get(cell.condition.name, "Normal/Mild") if cell.level == level else "Normal/Mild"
        grades = [grade for grade in text.split(";") if grade]
        cells.append(
            Cell(
                condition=cell.condition.name, level=cell.level, grade=grades[0] if grades else None, probabilities=None,
                possible_grades=tuple(grades), reason=None if grades else reason, correction=None, place=None,
            )
        )  # fmt: skip
    return cells


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({}, "L4/L5: Normal/mild at every graded site."),
        ({"canal": "Severe"}, "L4/L5: severe spinal canal stenosis."),
        (
            {"left_foramen": "Moderate", "canal": "Severe"},
            "L4/L5: severe spinal canal stenosis, moderate left neural foraminal narrowing.",
        ),
        (
            {"left_foramen": "Moderate", "right_foramen": "Moderate", "right_recess": "Severe"},
            "L4/L5: severe right subarticular stenosis, moderate bilateral neural foraminal narrowing.",
        ),
        (
            {"left_recess": "", "right_recess": ""},
            "L4/L5: Normal/mild at every graded site; not graded: bilateral subarticular stenosis.",
        ),
        (
            {"canal": "Moderate", "left_recess": ""},
            "L4/L5: moderate spinal canal stenosis; not graded: left subarticular stenosis.",
        ),
        (
            {"canal": "Moderate;Severe"},
            "L4/L5: moderate spinal canal stenosis. Severe cannot be excluded at L4/L5 for spinal canal stenosis.",
        ),
        (dict.fromkeys(("canal", "left_foramen", "right_foramen", "left_recess", "right_recess"), ""),
         "L4/L5: not graded."),
        (dict.fromkeys(("canal", "left_foramen", "right_foramen", "left_recess", "right_recess"), "Normal/Mild;Severe"),
         "L4/L5: Normal/mild at every graded site. Severe cannot be excluded at any graded site."),
    ],
)  # fmt: skip
def test_a_level_in_words(rsna: GradingTask, said: dict[str, str], text: str) -> None:
    sentences = level_sentences(rsna, study(rsna, **said))
    assert [sentence.level for sentence in sentences] == list(rsna.levels)
    assert sentences[3].text == text
    assert sentences[0].text == "L1/L2: Normal/mild at every graded site."


def test_another_task_has_its_own_words(disc: GradingTask) -> None:
    cells = [
        Cell(
            condition=cell.condition.name, level=cell.level, grade="Severe" if cell.level == "L5/S1" else "Normal/Mild",
            probabilities=None, possible_grades=(), reason=None, correction=None, place=None,
        )
        for cell in disc.cells
    ]  # fmt: skip
    assert level_sentences(disc, cells)[-1].text == "L5/S1: severe disc degeneration."


def test_what_to_know_first_is_told_once(rsna: GradingTask) -> None:
    undecodable = Note.make("slices-undecodable", "{count} slices cannot be decoded", count=2)
    torn = SeriesIndex.model_construct(title="Axial T2", unreadable=2)
    assert flags(study(rsna), [DOUBT, undecodable], [torn]) == [
        "The levels may be named one too high or too low.",
        "2 slices cannot be decoded.",
    ]
    assert flags(study(rsna), [], [torn]) == ["2 slices of Axial T2 could not be decoded and are left out."]


def test_a_condition_that_is_graded_nowhere_is_not_told_at_every_level(rsna: GradingTask) -> None:
    cells = [cell for level in rsna.levels for cell in study(rsna, level, left_foramen="") if cell.level == level]
    texts = [sentence.text for sentence in level_sentences(rsna, cells)]
    assert not any("not graded" in text for text in texts)
    one = level_sentences(rsna, study(rsna, left_foramen=""))
    assert "not graded: left neural foraminal narrowing" in one[3].text


def placed(cells: list[Cell], uncertain: int) -> list[Cell]:
    """The cells with a place each, the first so many of which are uncertain."""
    place = Place(series_id="s0", slice=0, x=0, y=0, mm=(0, 0, 0), confidence=0.1)
    return [
        cell.model_copy(update={"place": place, "place_uncertain": number < uncertain})
        for number, cell in enumerate(cells)
    ]


def test_uncertain_places_are_counted_before_all_else(rsna: GradingTask) -> None:
    told = flags(placed(study(rsna), 22), [DOUBT], [])
    assert told[0] == "22 of 25 places are uncertain: check the marked places before you use these grades."
    (one,) = flags(placed(study(rsna), 1), [], [])
    assert one == "1 of 25 places is uncertain: check the marked place before you use its grade."
    assert flags(placed(study(rsna), 0), [], []) == []


def test_a_level_names_its_uncertain_places(rsna: GradingTask) -> None:
    some = level_sentences(rsna, placed(study(rsna), 1))
    assert some[0].text == "L1/L2: Normal/mild at every graded site. Place uncertain: spinal canal stenosis."
    assert "uncertain" not in some[1].text
    every = level_sentences(rsna, placed(study(rsna), 25))
    assert every[4].text == "L5/S1: Normal/mild at every graded site. Every place is uncertain."


def test_a_study_without_any_grade_says_so_first(rsna: GradingTask) -> None:
    cells = [cell.model_copy(update={"grade": None, "reason": "no image can be read"}) for cell in study(rsna)]
    assert flags(cells, [], [])[0] == "Nothing could be graded in this study."
