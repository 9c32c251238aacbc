"""A picture of the phantom for the documentation: one spine with a mild and with a severe L4/L5.

Columns: T2 through the middle, T1 through the left foramen, axial T2 along the disc.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lumbargrade.config.task import load_task
from lumbargrade.dicom.geometry import Plane
from lumbargrade.files import replaced_file
from lumbargrade.phantom.anatomy import FIRST_GRADED, Spine, build_spine
from lumbargrade.phantom.scanner import Coil, expose, scan
from lumbargrade.phantom.severity import Severity, draw_severity
from lumbargrade.phantom.tissues import T1, T2, Contrast

PANEL = 320
_GAP = 4
_LEVEL = 3
_MILD, _SEVERE = -1.5, 1.8
_COIL = Coil(falloff=230.0, saturation=0.35, tilt=(0.0, 0.0, 0.03), noise=0.012, blur=0.5)


def save_montage(file: Path, seed: int = 7) -> None:
    """Writes the picture as a PNG of six panels without captions, mild above, severe below."""
    mild, severe = (_row(seed, grade) for grade in (_MILD, _SEVERE))
    between = np.full((_GAP, mild.shape[1]), 255, np.uint8)
    picture = np.concatenate([mild, between, severe])
    with replaced_file(file.with_suffix(".png") if file.suffix == "" else file) as temporary:
        Image.fromarray(picture).quantize(48).save(temporary, format="PNG", optimize=True)


def _row(seed: int, grade: float) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    spine = build_spine(rng, _severity(rng, grade))
    middle = spine.centre[FIRST_GRADED + 2]
    canal, foramen = spine.canal_point(_LEVEL), spine.foramen_point(_LEVEL, 1)
    panels = [
        _panel(spine, _sagittal(np.array([canal[0], middle[1] + 10, middle[2] - 12])), T2, rng),
        _panel(spine, _sagittal(np.array([foramen[0], middle[1] + 10, middle[2] - 12])), T1, rng),
        _panel(spine, _axial(spine), T2, rng),
    ]
    gap = np.full((PANEL, _GAP), 255, np.uint8)
    return np.concatenate([panels[0], gap, panels[1], gap, panels[2]], axis=1)


def _severity(rng: np.random.Generator, grade: float) -> Severity:
    severity = draw_severity(rng, load_task("rsna2024"))
    grades = np.full_like(severity.grade, _MILD)
    grades[:, _LEVEL] = grade
    degeneration = np.array([0.15, 0.3, 0.2, 0.3 if grade < 0 else 0.8, 0.5])
    return replace(severity, grade=grades, degeneration=degeneration)


def _sagittal(middle: NDArray[np.float64]) -> Plane:
    return _square(middle, np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, -1.0]), 240.0)


def _axial(spine: Spine) -> Plane:
    number = FIRST_GRADED + _LEVEL
    tilt = np.arctan2(spine.posterior[number, 2], spine.posterior[number, 1])
    column = np.array([0.0, np.cos(tilt), np.sin(tilt)])
    return _square(spine.at(number, 0.0, 22.0, 0.0), np.array([1.0, 0.0, 0.0]), column, 170.0)


def _square(middle: NDArray[np.float64], row: NDArray[np.float64], column: NDArray[np.float64], width: float) -> Plane:
    spacing = width / PANEL
    return Plane(middle - (row + column) * width / 2, row, column, (spacing, spacing), (PANEL, PANEL))


def _panel(spine: Spine, plane: Plane, contrast: Contrast, rng: np.random.Generator) -> NDArray[np.uint8]:
    image = expose(scan(spine, plane, 4.0, [contrast])[0], plane, spine, _COIL, rng)
    bright = float(np.percentile(image, 98.5))
    return np.asarray(np.clip(image / bright, 0, 1) ** 0.9 * 255, dtype=np.uint8)
