from collections.abc import Callable
from itertools import permutations, zip_longest
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumbargrade.dicom.headers import SliceHeader
from lumbargrade.dicom.stacks import Stack, group_stacks

Make = Callable[..., SliceHeader]

_SAGITTAL = {"row": (0, 1, 0), "column": (0, 0, -1)}  # the normal points to the right
_SAGITTAL_TURNED = {"row": (0, -1, 0), "column": (0, 0, -1)}  # the normal points to the left
_AXIAL = {"row": (1, 0, 0), "column": (0, 1, 0)}  # the normal points to the head
_AXIAL_TURNED = {"row": (-1, 0, 0), "column": (0, 1, 0)}  # the normal points to the feet
_CORONAL = {"row": (1, 0, 0), "column": (0, 0, -1)}


def _numbers(stack: Stack) -> list[int | None]:
    return [header.instance_number for header in stack.slices]


def _tilted(degrees: float) -> dict[str, tuple[float, float, float]]:
    """Axial, turned about the axis from right to left."""
    angle = np.deg2rad(degrees)
    return {"row": (1, 0, 0), "column": (0, float(np.cos(angle)), float(np.sin(angle)))}


@pytest.mark.parametrize("directions", [_SAGITTAL, _SAGITTAL_TURNED])
@pytest.mark.parametrize("numbers", [(1, 2, 3), (3, 2, 1), (2, 3, 1)])
def test_sagittal_slices_run_to_the_left(header: Make, directions: dict, numbers: tuple[int, ...]) -> None:
    headers = [header((4.0 * n, 0, 0), number=number, **directions) for n, number in enumerate(numbers)]
    (stack,) = group_stacks(headers)
    assert stack.orientation == "sagittal"
    assert [h.plane.position[0] for h in stack.slices] == [0, 4, 8]
    assert stack.spacing_between == 4


@pytest.mark.parametrize("directions", [_AXIAL, _AXIAL_TURNED])
@pytest.mark.parametrize("numbers", [(1, 2, 3), (3, 2, 1)])
def test_axial_slices_run_to_the_head(header: Make, directions: dict, numbers: tuple[int, ...]) -> None:
    headers = [header((0, 0, -5.0 * n), number=number, **directions) for n, number in enumerate(numbers)]
    (stack,) = group_stacks(headers)
    assert stack.orientation == "axial"
    assert [h.plane.position[2] for h in stack.slices] == [-10, -5, 0]


def test_coronal_slices_run_to_the_back(header: Make) -> None:
    (stack,) = group_stacks([header((0, y, 0), number=n, **_CORONAL) for n, y in enumerate((6.0, 0.0, 3.0))])
    assert stack.orientation == "coronal"
    assert [h.plane.position[1] for h in stack.slices] == [0, 3, 6]


def test_blocks_of_other_tilt_are_stacks_of_their_own(header: Make) -> None:
    blocks = [
        [header((0, 0, 100.0 * block + 4 * n), number=10 * block + n, **_tilted(tilt)) for n in range(count)]
        for block, (tilt, count) in enumerate([(-15, 3), (0, 5), (8, 4)])
    ]
    stacks = group_stacks(h for mixed in zip_longest(*blocks) for h in mixed if h is not None)
    assert [_numbers(stack) for stack in stacks] == [[10, 11, 12, 13, 14], [20, 21, 22, 23], [0, 1, 2]]
    assert {stack.orientation for stack in stacks} == {"axial"}


def test_a_tilt_of_a_degree_does_not_part_slices(header: Make) -> None:
    (stack,) = group_stacks([header((0, 0, 0), number=1, **_AXIAL), header((0, 0, 4), number=2, **_tilted(1))])
    assert _numbers(stack) == [1, 2]


def test_slices_turned_in_their_plane_are_parted(header: Make) -> None:
    turned = {"row": (0, 1, 0), "column": (-1, 0, 0)}
    assert len(group_stacks([header((0, 0, 0), **_AXIAL), header((0, 0, 4), **turned)])) == 2


def test_of_duplicates_the_lowest_number_stays(header: Make) -> None:
    for order in permutations([3, 1, 2]):
        (stack,) = group_stacks([header((0.01 * number, 0, 0), number=number) for number in order])
        assert _numbers(stack) == [1]


def test_a_number_stays_before_none(header: Make) -> None:
    (stack,) = group_stacks([header(number=None), header(number=9)])
    assert _numbers(stack) == [9]


def test_slices_side_by_side_in_a_plane_are_stacks_of_their_own(header: Make) -> None:
    upper = [header((4.0 * n, 0, 250), number=n) for n in range(3)]
    lower = [header((4.0 * n, 0, 0), number=10 + n) for n in range(3)]
    stacks = group_stacks([h for pair in zip(upper, lower, strict=True) for h in pair])
    assert [_numbers(stack) for stack in stacks] == [[0, 1, 2], [10, 11, 12]]
    assert [stack.spacing_between for stack in stacks] == [4, 4]


@pytest.mark.parametrize("other", [{"shape": (8, 6)}, {"spacing": (1.0, 1.1)}, {"position_known": False}])
def test_other_shape_spacing_or_a_guessed_place_part_slices(header: Make, other: dict) -> None:
    headers = [header((4.0 * n, 0, 0), number=n) for n in range(3)] + [header((20, 0, 0), number=5, **other)]
    assert [_numbers(stack) for stack in group_stacks(headers)] == [[0, 1, 2], [5]]


@pytest.mark.parametrize(("thickness", "expected"), [(3.5, 3.5), (None, 1.0)])
def test_the_distance_of_a_single_slice_is_its_thickness(
    header: Make, thickness: float | None, expected: float
) -> None:
    (stack,) = group_stacks([header(thickness=thickness)])
    assert stack.spacing_between == expected


def test_a_missing_slice_does_not_change_the_distance(header: Make) -> None:
    (stack,) = group_stacks([header((4.0 * n, 0, 0), number=n) for n in (0, 1, 2, 4, 5)])
    assert stack.spacing_between == 4


def test_the_distance_between_slices_half_way_between_two_body_planes(header: Make) -> None:
    def slanted(number: int, degrees: float) -> SliceHeader:
        angle = np.deg2rad(degrees)
        along = (float(-np.sin(angle)), float(np.cos(angle)), 0.0)
        normal = np.array([-np.cos(angle), -np.sin(angle), 0])
        return header(tuple(4.0 * number * normal), row=along, column=(0, 0, -1), number=number)

    (stack,) = group_stacks([slanted(1, -44.5), slanted(2, -45.5), slanted(3, -44.5)])
    assert stack.spacing_between == pytest.approx(4, abs=0.2)


def test_no_headers_make_no_stacks() -> None:
    assert group_stacks([]) == []


@given(places=st.lists(st.integers(-50, 50), min_size=1, max_size=12), seed=st.randoms())
def test_the_order_of_the_files_changes_nothing(header: Make, places: list[int], seed: Random) -> None:
    headers = [header((3.0 * place, 0, 0), number=number) for number, place in enumerate(places)]
    expected = [_numbers(stack) for stack in group_stacks(headers)]
    seed.shuffle(headers)
    stacks = group_stacks(headers)
    assert [_numbers(stack) for stack in stacks] == expected
    assert [h.plane.position[0] for h in stacks[0].slices] == sorted({3.0 * place for place in places})
