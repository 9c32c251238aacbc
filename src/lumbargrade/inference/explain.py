"""Where the graders looked in a study: a heat map a graded cell, beside the answer and never instead of it."""

import base64
import io
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from lumbargrade.config.params import PrepareParams
from lumbargrade.config.task import Cell, CellKey
from lumbargrade.inference.grade import GradedCrops, grade_with_crops
from lumbargrade.inference.predict import cell_codes
from lumbargrade.inference.schema import ANSWER_HEAT
from lumbargrade.inference.study import Study
from lumbargrade.models.bundle import LoadedModel
from lumbargrade.models.explain import explain_crops
from lumbargrade.preprocessing.crop import NEIGHBOURS


class Look(NamedTuple):
    """A graded cell's crop and what in it spoke for its grade, both the way the slice is displayed.

    Attributes:
        grey: The slice of the answer, 0 to 255, (crop_pixels, crop_pixels).
        heat: 0 to 1, over the same pixels.
    """

    grey: NDArray[np.uint8]
    heat: NDArray[np.float32]


def explain_study(model: LoadedModel, study: Study, abstain_above: int = 0) -> tuple[pd.DataFrame, dict[CellKey, Look]]:
    """Grades a study and explains its grades.

    Returns:
        What :func:`lumbargrade.inference.grade.grade_study` returns, unchanged; and by condition and level, for each
        explained cell that was graded, the crop at the answer's place and its heat map.
    """
    found = grade_with_crops(model, study, abstain_above)
    return found.answer, explain_graded(model, found.graded_crops)


def explain_graded(model: LoadedModel, graded: GradedCrops, only: Cell | None = None) -> dict[CellKey, Look]:
    """The crop at the answer's place and its heat map, of each graded cell, or of one.

    Args:
        only: The cell to explain; all if not given, which takes as many times as long.
    """
    answer = graded.answer
    wanted = answer["grade"].notna()
    if only is not None:
        wanted &= (answer["condition"] == only.condition.name) & (answer["level"] == only.level)
    rows = answer[wanted]
    if not len(rows):
        return {}
    task = model.config.task
    keys: list[CellKey] = list(zip(rows["condition"], rows["level"], strict=True))
    crops = [graded.crops[key] for key in keys]
    grades = np.array([task.grades.index(grade) for grade in rows["grade"]])
    heats = explain_crops(model.graders, np.stack([crop.pixels for crop in crops]), cell_codes(rows, task), grades)
    looks = {}
    for key, crop, heat in zip(keys, crops, heats, strict=True):
        columns = slice(None, None, -1 if crop.reflected else 1)
        looks[key] = Look(crop.pixels[NEIGHBOURS.index(0), :, columns], heat[:, columns])
    return looks


def with_heat_maps(answer: pd.DataFrame, looks: Mapping[CellKey, Look], params: PrepareParams) -> pd.DataFrame:
    """Adds the columns of :data:`lumbargrade.inference.schema.ANSWER_HEAT` to an answer; None where there is no grade."""
    found = [looks.get(key) for key in zip(answer["condition"], answer["level"], strict=True)]
    side = params.crop_pixels * params.pixel_mm
    values = [(None, None) if look is None else (_png(look.heat), side) for look in found]
    return answer.join(pd.DataFrame(values, columns=list(ANSWER_HEAT), index=answer.index, dtype=object))


def _png(heat: NDArray[np.float32]) -> str:
    buffer = io.BytesIO()
    Image.fromarray(np.round(heat * 255).astype(np.uint8)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")
