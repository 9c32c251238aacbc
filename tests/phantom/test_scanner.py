from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from lumbargrade.config.task import load_task
from lumbargrade.dicom.geometry import Plane
from lumbargrade.phantom.anatomy import FIRST_GRADED, FIRST_SACRAL, build_spine
from lumbargrade.phantom.scanner import Coil, expose, scan
from lumbargrade.phantom.severity import draw_severity
from lumbargrade.phantom.tissues import T1, T2

MILD, MODERATE, SEVERE = -1.5, 0.5, 2.0
CANAL, LEFT_FORAMEN, RIGHT_FORAMEN, LEFT_RECESS, RIGHT_RECESS = range(5)
L4_L5 = 3


def spine(grades, seed=3, lumbar=5):
    """A spine that is mild everywhere but at L4/L5, where ``grades`` maps conditions to severities."""
    rng = np.random.default_rng(seed)
    severity = draw_severity(rng, load_task("rsna2024"))
    grade = np.full_like(severity.grade, MILD)
    for condition, value in grades.items():
        grade[condition, L4_L5] = value
    return build_spine(rng, replace(severity, grade=grade, degeneration=np.full(5, 0.3)), lumbar)


def square(middle, row, column, width, pixels=128):
    row, column = np.asarray(row, float), np.asarray(column, float)
    spacing = width / pixels
    return Plane(middle - (row + column) * width / 2, row, column, (spacing, spacing), (pixels, pixels))


def axial(made, width=60.0):
    number = FIRST_GRADED + L4_L5
    row = made.lateral[number]
    return square(made.canal_point(L4_L5), row, made.posterior[number], width)


def sagittal(middle, width=60.0):
    return square(middle, [0, 1, 0], [0, 0, -1], width)


def bright_area(image, plane, threshold):
    return float((image > threshold).sum() * plane.spacing[0] * plane.spacing[1])


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_severity_narrows_the_sac(seed):
    areas = []
    for grade in (MILD, MODERATE, SEVERE):
        made = spine({CANAL: grade}, seed)
        plane = axial(made, 26.0)
        areas.append(bright_area(scan(made, plane, 4.0, [T2])[0], plane, 0.78))
    assert areas[0] > 70
    assert areas[1] < 0.75 * areas[0]
    assert areas[2] < 0.30 * areas[0]


@pytest.mark.parametrize("seed", [3, 4, 5])
@pytest.mark.parametrize(("condition", "side"), [(LEFT_FORAMEN, 1), (RIGHT_FORAMEN, -1)])
def test_severity_takes_the_fat_of_its_own_foramen(condition, side, seed):
    def fat(made, which):
        plane = sagittal(made.foramen_point(L4_L5, which), 20.0)
        return bright_area(scan(made, plane, 4.0, [T1])[0], plane, 0.72)

    mild, severe = spine({}, seed), spine({condition: SEVERE}, seed)
    assert fat(mild, side) > 40
    assert fat(severe, side) < 0.4 * fat(mild, side)
    assert fat(severe, -side) == pytest.approx(fat(mild, -side), rel=0.1)


@pytest.mark.parametrize("seed", [3, 4, 5])
@pytest.mark.parametrize(("condition", "side"), [(LEFT_RECESS, 1), (RIGHT_RECESS, -1)])
def test_severity_darkens_its_own_recess(condition, side, seed):
    def brightness(made, which):
        plane = axial(made, 60.0)
        x, y, _ = plane.to_pixel(made.recess_point(L4_L5, which))
        image = scan(made, plane, 4.0, [T2])[0]
        return float(image[round(y) - 6 : round(y) + 7, round(x) - 6 : round(x) + 7].mean())

    mild, severe = spine({}, seed), spine({condition: SEVERE}, seed)
    assert brightness(severe, side) < 0.65 * brightness(mild, side)
    assert brightness(severe, -side) > 0.85 * brightness(mild, -side)


def test_points_lie_in_csf_fat_and_recess():
    made = spine({})
    plane = sagittal(made.canal_point(L4_L5), 40.0)
    t1, t2 = scan(made, plane, 4.0, [T1, T2])
    x, y, off = plane.to_pixel(made.canal_point(L4_L5))
    assert abs(off) < 1e-9
    assert t2[round(y), round(x)] > 0.7 and t1[round(y), round(x)] < 0.3
    disc = plane.to_pixel(made.at(FIRST_GRADED + L4_L5, 0, 0, 0))
    assert disc[0] < x and t2[round(disc[1]), max(round(disc[0]), 0)] < 0.7


@pytest.mark.parametrize("lumbar", [4, 5, 6])
def test_as_many_lumbar_vertebrae_are_painted_as_there_are(lumbar):
    made = spine({}, lumbar=lumbar)
    plane = sagittal(made.centre[FIRST_GRADED + 1], 300.0)
    image = scan(made, plane, 4.0, [T1])[0]
    ends = [made.centre[number] for number in range(made.first_lumbar, FIRST_SACRAL + 1)]
    chain = np.concatenate([np.linspace(*pair, 40, endpoint=False) for pair in pairwise(ends)])
    profile = [image[round(y), round(x)] for x, y, _ in (plane.to_pixel(place) for place in chain)]
    marrow = np.convolve(profile, np.full(5, 0.2), mode="valid") > 0.39
    assert np.count_nonzero(marrow[1:] & ~marrow[:-1]) == lumbar


def test_a_thick_slice_is_the_mean_of_what_it_passes_through():
    made = spine({CANAL: SEVERE})
    plane = axial(made)
    thin, thick = scan(made, plane, 0.01, [T2])[0], scan(made, plane, 9.0, [T2])[0]
    steps = [
        scan(made, replace(plane, position=plane.position + step * plane.normal), 0.01, [T2])[0] for step in (-3, 0, 3)
    ]
    middle = slice(40, 88)
    assert np.abs(np.mean(steps, axis=0) - thick)[middle, middle].mean() < 0.03
    assert np.abs(thin - thick)[middle, middle].mean() > 0.03


def test_noise_is_rician():
    made = spine({})
    plane = square(made.canal_point(0) + np.array([0, 300.0, 0]), [1, 0, 0], [0, 1, 0], 60.0)
    coil = Coil(falloff=1e6, saturation=1.0, tilt=(0, 0, 0), noise=0.02, blur=0.4)
    air = expose(np.zeros(plane.shape, np.float32), plane, made, coil, np.random.default_rng(0))
    assert air.mean() == pytest.approx(0.02 * np.sqrt(np.pi / 2), rel=0.03)
