from collections.abc import Callable
from itertools import permutations, zip_longest
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumbargrade.dicom.headers import SliceHeader
from lumbargrade.dicom.stacks import EQUAL_POSITIONS, Stack, choose_stacks, group_stacks, settle_positions
from lumbargrade.dicom.variants import Variant

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


def _copies(header: Make, one: dict, other: dict, turns: bool = True) -> list[SliceHeader]:
    """Two images at each of six places; by their numbers the other one comes first at every second place."""
    made = []
    for place in range(6):
        first = turns and place % 2 == 0
        numbers = (2 * place + 1, 2 * place) if first else (2 * place, 2 * place + 1)
        for number, tags in zip(numbers, (one, other), strict=True):
            contrast = tags.get("contrast", "T2")
            variant = Variant(**{key: value for key, value in tags.items() if key != "contrast"})
            made.append(
                header((4.0 * place, 0, 0), number=number, contrast=contrast, variant=variant, sop_uid=f"{number}")
            )
    return made


_ORIGINAL = ("ORIGINAL", "PRIMARY", "M", "NONE")
KINDS = [
    ({"image_type": _ORIGINAL}, {"image_type": ("DERIVED", "PRIMARY", "M", "FAT")}, "ImageType"),
    ({"image_type": _ORIGINAL}, {"image_type": ("ORIGINAL", "PRIMARY", "P", "NONE")}, "ImageType"),
    ({"image_type": ("ORIGINAL", "PRIMARY", "M", "IN_PHASE")}, {"image_type": ("DERIVED", "PRIMARY", "M", "WATER")}, "ImageType"),
    ({"image_type": ("DERIVED", "PRIMARY", "DIXON", "W")}, {"image_type": ("DERIVED", "PRIMARY", "DIXON", "F")}, "ImageType"),
    ({"component": "MAGNITUDE"}, {"component": "PHASE"}, "ComplexImageComponent"),
    ({"echo_time": 95.0}, {"echo_time": 15.0, "contrast": "other"}, "echo time"),
    ({"echo_time": 90.0, "echo_number": 2}, {"echo_time": 180.0, "echo_number": 3}, "echo time"),
    ({"temporal_position": 1}, {"temporal_position": 2}, "time"),
    ({"b_value": 0.0}, {"b_value": 800.0}, "b-value"),
    ({"inversion_time": 150.0}, {"inversion_time": 2500.0, "contrast": "other"}, "inversion time"),
    ({}, {"contrast_agent": True}, "contrast agent"),
]  # fmt: skip


@pytest.mark.parametrize(("wanted", "other", "told"), KINDS)
def test_of_several_kinds_at_one_place_the_preferred_one_stays_and_it_is_said(
    header: Make, wanted: dict, other: dict, told: str
) -> None:
    from lumbargrade.dicom.variants import WORDS

    (stack,), (aside,) = choose_stacks(_copies(header, wanted, other))
    assert len(stack.slices) == 6
    expected = Variant(**{key: value for key, value in wanted.items() if key != "contrast"})
    assert {one.variant for one in stack.slices} == {expected}
    assert len(aside.headers) == 6
    assert told in {WORDS[field] for field in aside.fields}


def test_copies_that_no_tag_tells_apart_are_duplicates(header: Make) -> None:
    (stack,), aside = choose_stacks(_copies(header, {}, {}))
    assert _numbers(stack) == [0, 2, 4, 6, 8, 10]
    assert not aside


def test_a_stray_copy_does_not_part_a_series(header: Make) -> None:
    headers = [header((4.0 * n, 0, 0), number=n, variant=Variant(image_type=_ORIGINAL)) for n in range(6)]
    stray = header((8.0, 0, 0), number=0, variant=Variant(image_type=("DERIVED", "SECONDARY")))
    (stack,), (aside,) = choose_stacks([stray, *headers])
    assert _numbers(stack) == [0, 1, 2, 3, 4, 5]
    assert list(aside.headers) == [stray]


def test_slices_of_differing_tags_at_differing_places_stay_together(header: Make) -> None:
    """Scanners state other echo times, types or times for single slices of one stack."""
    headers = [
        header((4.0 * n, 0, 0), number=n, variant=Variant(echo_time=90.0 + n % 2, temporal_position=n))
        for n in range(6)
    ]
    (stack,), aside = choose_stacks(headers)
    assert _numbers(stack) == [0, 1, 2, 3, 4, 5]
    assert not aside


@pytest.mark.parametrize("number", [7, None])
def test_slices_that_all_claim_one_position_are_ordered_by_number_and_of_unknown_position(
    header: Make, number: int | None
) -> None:
    headers = [header((0, 0, 0), number=number and number - n, sop_uid=str(n)) for n in range(5)]
    settled = settle_positions(headers)
    assert not any(one.position_known for one in settled)
    (stack,) = group_stacks(settled)
    assert len(stack.slices) == 5
    assert EQUAL_POSITIONS in str(stack.placement_fault)
    assert _numbers(stack) == ([3, 4, 5, 6, 7] if number else [None] * 5)


def test_a_file_that_is_there_three_times_has_a_position(header: Make) -> None:
    headers = [header((0, 0, 0), number=1, sop_uid="1") for _ in range(3)]
    assert settle_positions(headers) == headers


def test_gaps_between_sagittal_slices_are_slices_that_are_missing(header: Make) -> None:
    (stack,) = group_stacks([header((4.0 * n, 0, 0), number=n) for n in (0, 1, 2, 5, 6, 8)])
    assert stack.missing == (0, 0, 2, 0, 1)
    (halved,) = group_stacks([header((8.0 * n, 0, 0), number=n, between=4.0, thickness=4.0) for n in range(4)])
    assert halved.missing == (1, 1, 1)


def test_gaps_between_axial_blocks_are_planned_unless_numbers_are_missing_too(header: Make) -> None:
    heights = [0, 4, 8, 30, 34, 38]
    planned = [header((0, 0, z), number=n, **_AXIAL) for n, z in enumerate(heights)]
    assert group_stacks(planned)[0].missing == (0, 0, 0, 0, 0)
    lost = [header((0, 0, z), number=round(z / 4), **_AXIAL) for z in heights]
    assert group_stacks(lost)[0].missing == (0, 0, 5, 0, 0)
    anew = [header((0, 0, z), number=1 + n % 3, **_AXIAL) for n, z in enumerate(heights)]
    assert group_stacks(anew)[0].missing == (0, 0, 0, 0, 0)
    far = [header((0, 0, z), number=n * 2**30, **_AXIAL) for n, z in enumerate(heights)]
    assert group_stacks(far)[0].missing == (0, 0, 5, 0, 0)
