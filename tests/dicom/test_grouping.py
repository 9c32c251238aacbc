from collections.abc import Callable, Iterable
from typing import Any

import pytest

from lumbargrade.dicom.grouping import SeriesGroup, group_series, name_series
from lumbargrade.dicom.headers import SliceHeader, read_headers

Make = Callable[..., SliceHeader]


@pytest.fixture
def sagittal(header: Make) -> Callable[..., list[SliceHeader]]:
    """Slices 4 mm apart, of one series if not said otherwise; each tag may be a function of the slice's place."""

    def make(name: str, places: Iterable[int], **tags: Any) -> list[SliceHeader]:
        slices = []
        for place in places:
            values = {"series_uid": name, "sop_uid": f"{name}.{place}", "number": place + 1} | {
                tag: value(place) if callable(value) else value for tag, value in tags.items()
            }
            slices.append(header((4.0 * place, 0, 0), **values))
        return slices

    return make


def shown(groups: Iterable[SeriesGroup]) -> list[list[str]]:
    return sorted(sorted(header.sop_uid for header in group.slices) for group in groups)


def uids(slices: Iterable[SliceHeader]) -> list[str]:
    return sorted(header.sop_uid for header in slices)


def test_series_are_told_apart_by_their_uids(sagittal: Any) -> None:
    one, other = sagittal("a", range(5)), sagittal("b", range(5))
    assert shown(group_series(one + other)) == [uids(one), uids(other)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"series_number": 3}, {"series_number": 4}),
        ({"series_description": "SAG T2"}, {"series_description": "SAG STIR"}),
        ({"contrast": "T1"}, {"contrast": "T2"}),
    ],
)
@pytest.mark.parametrize("uid", ["1.2.3", ""], ids=["one uid", "no uid"])
def test_series_of_one_uid_are_told_apart_by_what_their_tags_say(
    sagittal: Any, one: dict[str, Any], other: dict[str, Any], uid: str
) -> None:
    first, second = sagittal("a", range(6), **one), sagittal("b", range(6), **other)
    slices = [*sagittal("a", range(6), series_uid=uid, **one), *sagittal("b", range(6), series_uid=uid, **other)]
    assert shown(group_series(slices)) == [uids(first), uids(second)]


def test_a_slice_whose_tag_is_lost_stays_with_its_series(sagittal: Any) -> None:
    slices = sagittal("a", range(6), contrast=lambda place: None if place == 2 else "T1")
    assert shown(group_series(slices)) == [uids(slices)]


@pytest.mark.parametrize("tag", ["series_number", "series_description"])
def test_a_tag_that_differs_with_each_slice_splits_no_series(sagittal: Any, tag: str) -> None:
    value = (lambda place: place) if tag == "series_number" else (lambda place: f"slice {place}")
    slices = sagittal("a", range(6), **{tag: value})
    assert shown(group_series(slices)) == [uids(slices)]


def each(name: str) -> dict[str, Any]:
    """A SeriesInstanceUID for each slice."""
    return {"series_uid": lambda place: f"{name}.{place}"}


def test_slices_with_a_uid_each_are_put_together(sagittal: Any) -> None:
    t1 = sagittal("a", range(7), series_number=1, contrast="T1", **each("a"))
    t2 = sagittal("b", range(7), series_number=2, contrast="T2", **each("b"))
    groups = group_series(t1 + t2)
    assert shown(groups) == [uids(t1), uids(t2)]
    assert not any(group.torn for group in groups)
    assert [header.instance_number for header in groups[0].slices] == [1, 2, 3, 4, 5, 6, 7]


def test_blocks_that_a_number_holds_together_are_put_together(sagittal: Any, header: Make) -> None:
    """Axial slices are planned in blocks along the discs, some of a slice or two."""
    blocks = [
        header((0, 0, 30.0 * block + 4 * n), row=(1, 0, 0), column=(0, 1, 0.1 * block), number=10 * block + n,
               sop_uid=f"{block}.{n}", series_uid=f"{block}.{n}", series_number=8, contrast="T2")
        for block in range(5) for n in range(1 + block % 3)
    ]  # fmt: skip
    assert shown(group_series(blocks)) == [uids(blocks)]


def test_series_without_number_and_name_are_told_apart_by_their_times(sagittal: Any) -> None:
    t2 = sagittal("a", range(6), series_uid="1", contrast="T2", echo_time=110.0, repetition_time=3203.0)
    stir = sagittal("b", range(6), series_uid="1", contrast="T2", echo_time=80.0, repetition_time=3320.0)
    assert shown(group_series(t2 + stir)) == [uids(t2), uids(stir)]


def test_a_number_that_all_series_have_holds_nothing_together(sagittal: Any) -> None:
    slices = [
        *sagittal("a", range(6), series_number=1, **each("a")),
        *sagittal("b", range(6), series_number=1, **each("b")),
    ]
    assert all(group.torn for group in group_series(slices))


def test_a_slice_may_be_missing_where_they_are_put_together(sagittal: Any) -> None:
    slices = sagittal("a", (0, 1, 2, 4, 5), contrast="T1", **each("a"))
    assert shown(group_series(slices)) == [uids(slices)]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"frame_of_reference": lambda place: f"9.{place}"}, {}),
        ({"position_known": False}, {}),
        ({"series_number": None}, {"series_number": None}),
    ],
    ids=["other frames of reference", "no places", "two series that nothing tells apart"],
)
def test_slices_that_cannot_be_put_together_are_torn(sagittal: Any, first: Any, second: Any) -> None:
    slices = sagittal("a", range(6), **({"series_number": 1, "contrast": "T1"} | first), **each("a"))
    if second:
        slices += sagittal("b", range(6), **({"contrast": "T1"} | second), **each("b"))
    groups = group_series(slices)
    assert len(groups) == len(slices)
    assert all(group.torn for group in groups)


def test_one_slice_may_be_a_series(sagittal: Any) -> None:
    """A middle slice of each weighting, as some exports have them."""
    slices = [*sagittal("a", [0], contrast="T1", series_number=1), *sagittal("b", [0], contrast="T2", series_number=2)]
    groups = group_series(slices)
    assert [len(group.slices) for group in groups] == [1, 1]
    assert not any(group.torn for group in groups)


@pytest.mark.parametrize("uid", ["", "7.7"], ids=["no uid", "a uid of its own"])
def test_a_slice_returns_to_the_series_that_it_fits(sagittal: Any, uid: str) -> None:
    slices = sagittal("a", range(7), series_number=1, series_uid=lambda place: uid if place == 3 else "a")
    assert shown(group_series(slices)) == [uids(slices)]


def test_a_slice_at_a_place_that_is_taken_is_not_put_there(sagittal: Any) -> None:
    series = sagittal("a", range(7), series_number=1)
    again = sagittal("b", [3], series_number=1)
    groups = group_series(series + again)
    assert shown(groups) == [uids(series), uids(again)]
    assert [group.torn for group in groups] == [False, True]


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ({}, 1),  # the same bytes
        ({"StudyDescription": "sent again"}, 1),  # written anew by another system
        ({"PixelData": bytes(96)}, 2),  # not what the other one shows
        ({"SeriesInstanceUID": "9.9"}, 2),  # a copy in a series of its own
        ({"InstanceNumber": 9}, 2),
    ],
)
def test_copies_of_a_sop_instance_are_one_image_and_no_others_are(
    write: Any, change: dict[str, Any], kept: int
) -> None:
    uid = {"SOPInstanceUID": "1.2.3.4.5"}
    paths = [write.image(name="1.dcm", **uid), write.image(name="2.dcm", **uid, **change)]
    headers = [header for path in paths for header in read_headers(path)]
    assert sum(len(group.slices) for group in group_series(headers)) == kept
    assert sum(len(group.slices) for group in group_series(headers[::-1])) == kept


def test_of_a_cut_copy_the_whole_one_stays(write: Any) -> None:
    whole = write.image(name="2.dcm", SOPInstanceUID="1.2.3.4.5")
    cut = write.bytes(whole.read_bytes()[:-40], name="1.dcm")
    headers = [header for path in (cut, whole) for header in read_headers(path)]
    assert [header.path for group in group_series(headers) for header in group.slices] == [whole]


def test_neither_names_nor_order_of_files_decide(sagittal: Any) -> None:
    t1, t2 = sagittal("a", range(5), series_number=2), sagittal("b", range(5), series_number=1)
    groups = group_series(t1 + t2)
    assert [group.uid for group in groups] == ["b", "a"]
    assert [group.uid for group in group_series(reversed(t1 + t2))] == ["b", "a"]


@pytest.mark.parametrize(
    ("tags", "name"),
    [
        ({"series_number": 4, "contrast": "T1", "series_description": "MEYER ANNA"}, "series 4 (sagittal T1)"),
        ({"contrast": "other"}, "the sagittal series"),
        ({"orientation_known": False}, "a series"),
    ],
)
def test_a_series_is_named_by_what_it_shows(sagittal: Any, tags: dict[str, Any], name: str) -> None:
    assert name_series(sagittal("a", range(3), **tags)) == name
