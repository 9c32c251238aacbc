"""The reference is what a server would have kept of the same studies."""

from pathlib import Path

from lumbargrade.config.task import GradingTask
from lumbargrade.data.layout import open_dataset
from lumbargrade.data.study_zip import zip_study
from lumbargrade.inference.grade import grade_with_crops
from lumbargrade.inference.study import open_study
from lumbargrade.models.bundle import LoadedModel
from lumbargrade.serving.records.reference import answer_reference, read_reference


def test_it_is_graded_as_a_server_grades(model: LoadedModel, phantom: Path, study_id: int, rsna: GradingTask) -> None:
    told: list[tuple[int, int]] = []
    dataset = open_dataset(phantom, rsna)
    text = answer_reference(model, dataset, [study_id, 1], lambda *done: told.append(done))
    (answered,) = read_reference(text)  # there is no study 1
    with open_study(zip_study(phantom, study_id), rsna) as study:
        graded = grade_with_crops(model, study)
        assert answered.features == graded.features()
    assert [cell.grade for cell in answered.cells] == graded.answer["grade"].tolist()
    assert told == [(1, 2)]
    assert str(study_id) not in text
    assert read_reference("") == []
