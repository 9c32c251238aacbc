"""Whether the slices of a stack reach a place."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lumbargrade.dicom.geometry import Plane
from lumbargrade.localization.heatmaps import Place
from lumbargrade.localization.shown import is_cut_off

STEP_MM = 4.0


def sagittal_slice(x: float) -> Any:
    """An object with the plane of a sagittal slice, ``x`` mm to the patient's left."""
    plane = Plane(np.array([x, 0, 0]), np.array([0.0, 1, 0]), np.array([0.0, 0, -1]), (1.0, 1.0), (100, 100))
    return SimpleNamespace(view=plane, instance=0)


def seen_up_to(x: float) -> Any:
    """What was seen of slices on the right, and on the left as far as ``x``."""
    slices = [sagittal_slice(float(at)) for at in np.arange(x, -20.0, -STEP_MM)]
    return SimpleNamespace(stack=SimpleNamespace(slices=slices), slices=tuple(range(len(slices))))


def place_at(x: float, confidence: float) -> Place:
    return Place("T1", 0, 0.0, 0.0, np.array([x, 0.0, 0.0]), confidence)


@pytest.mark.parametrize(
    ("last", "confidence", "cut_off"),
    [
        (20.0, 0.06, False),  # the slices reach the usual place: what is seen faintly may be it
        (12.0, 0.06, True),  # the usual place lies a slice beyond
        (12.0, 0.60, False),  # a narrow spine, whose foramen the last slice clearly shows
        (14.0, 0.06, False),  # within half a step
    ],
)
def test_a_faint_place_on_the_last_slice_is_cut_off_if_the_usual_one_lies_beyond(
    last: float, confidence: float, cut_off: bool
) -> None:
    usual = np.array([16.0, 0.0, 0.0])
    assert is_cut_off([seen_up_to(last)], place_at(last, confidence), usual) is cut_off
