"""What a version's answers look like without drift: the held-out studies, graded as a server grades them.

They are kept with the version's evidence, signed, and the watch compares what is served with them. No label is used.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

from lumbargrade.data.layout import RsnaDataset
from lumbargrade.data.study_zip import zip_study
from lumbargrade.errors import InputError
from lumbargrade.inference.grade import grade_with_crops
from lumbargrade.inference.study import open_study
from lumbargrade.models.bundle import LoadedModel
from lumbargrade.serving.records.prediction_log import Answered, answered_cells


def answer_reference(
    model: LoadedModel, dataset: RsnaDataset, studies: Iterable[int], progress: Callable[[int, int], None]
) -> str:
    """Grades studies and keeps what a server would have kept of them, a line each; those that cannot be opened are left out.

    Args:
        progress: Is called with the number of finished studies and of all.
    """
    task, wanted = model.config.task, list(studies)
    lines = []
    for done, study_id in enumerate(wanted, start=1):
        try:
            zipped = zip_study(dataset.root, study_id, with_points=not model.locators)
            with open_study(zipped, task) as study:
                graded = grade_with_crops(model, study)
                answered = Answered(
                    time=datetime.now(UTC).isoformat(timespec="milliseconds"),
                    request_id=f"reference-{done}",
                    model="",
                    study=f"reference-{done}",
                    input_sha256="",
                    cells=answered_cells(graded.answer, task),
                    features=graded.features(),
                )
        except InputError:
            continue
        lines.append(answered.model_dump_json())
        progress(done, len(wanted))
    return "".join(f"{line}\n" for line in lines)


def read_reference(text: str) -> Sequence[Answered]:
    """The answers that :func:`answer_reference` has kept."""
    return [Answered.model_validate_json(line) for line in text.splitlines()]
