import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumbargrade.dicom.geometry import Plane

_MM = st.floats(-500, 500)
_SPACING = st.floats(0.1, 5)
_ANGLE = st.floats(-np.pi, np.pi)


@st.composite
def planes(draw: st.DrawFn) -> Plane:
    """Any plane: the axes of a random rotation, pixels that need not be square."""
    a, b, c = draw(_ANGLE), draw(_ANGLE), draw(_ANGLE)
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(c), -np.sin(c)], [0, np.sin(c), np.cos(c)]])
    rotation = about_z @ about_y @ about_x
    position = np.array([draw(_MM), draw(_MM), draw(_MM)])
    return Plane(position, rotation[:, 0], rotation[:, 1], (draw(_SPACING), draw(_SPACING)), (320, 240))


@given(planes(), st.lists(st.tuples(st.floats(-1000, 1000), st.floats(-1000, 1000)), min_size=1, max_size=5))
def test_pixels_come_back_from_the_patient(plane: Plane, xy: list[tuple[float, float]]) -> None:
    there_and_back = plane.to_pixel(plane.to_patient(xy))
    assert there_and_back.shape == (len(xy), 3)
    np.testing.assert_allclose(there_and_back[:, :2], xy, atol=1e-7)
    np.testing.assert_allclose(there_and_back[:, 2], 0, atol=1e-8)


@given(planes(), st.tuples(_MM, _MM, _MM))
def test_points_come_back_from_the_pixels(plane: Plane, point: tuple[float, float, float]) -> None:
    x, y, off = plane.to_pixel(point)
    np.testing.assert_allclose(plane.to_patient([x, y]) + off * plane.normal, point, atol=1e-7)


@given(planes())
def test_the_normal_is_a_unit_vector_and_rises(plane: Plane) -> None:
    assert np.linalg.norm(plane.normal) == pytest.approx(1)
    assert plane.rising_normal[np.abs(plane.rising_normal).argmax()] > 0
    np.testing.assert_allclose(np.abs(plane.rising_normal), np.abs(plane.normal))
    assert plane.distance == pytest.approx(float(plane.position @ plane.normal))


def test_spacing_is_between_rows_then_between_columns() -> None:
    plane = Plane(np.array([10.0, 20, 30]), np.array([1.0, 0, 0]), np.array([0.0, 1, 0]), (2.0, 0.5), (4, 6))
    np.testing.assert_allclose(plane.to_patient([4, 0]), [12, 20, 30])  # 4 columns of 0.5 mm
    np.testing.assert_allclose(plane.to_patient([0, 4]), [10, 28, 30])  # 4 rows of 2 mm
    np.testing.assert_allclose(plane.to_pixel([12, 28, 33]), [4, 4, 3])


def test_keeps_the_leading_dimensions() -> None:
    plane = Plane(np.zeros(3), np.array([0.0, 1, 0]), np.array([0.0, 0, -1]), (1.0, 1.0), (4, 6))
    assert plane.to_patient(np.zeros((5, 7, 2))).shape == (5, 7, 3)
    assert plane.to_pixel(np.zeros((5, 7, 3))).shape == (5, 7, 3)
    assert plane.to_patient([1.0, 2.0]).shape == (3,)


@given(planes(), st.floats(-400, 700), st.floats(-400, 700), _MM)
def test_an_image_shows_what_lies_before_its_pixels(plane: Plane, x: float, y: float, off: float) -> None:
    """The planes have 320 rows and 240 columns; distance from the image does not matter."""
    assert plane.shows(plane.to_patient([120.0, 160.0]) + off * plane.normal)
    assert not plane.shows(plane.to_patient([160.0, 320.0]))
    if min(abs(x), abs(x - 239), abs(y), abs(y - 319)) > 1e-6:
        point = plane.to_patient([x, y]) + off * plane.normal
        assert bool(plane.shows(point)) is (0 < x < 239 and 0 < y < 319)
