"""Where headers tell no weighting, the images do: what lies in the canal is dark in T1 and bright in T2."""

from dataclasses import replace
from typing import Any

import pytest

from lumbargrade.localization.localize import locate_study
from lumbargrade.preprocessing.pack_views import PackedViews
from lumbargrade.preprocessing.views import StackView


def untold(stacks: list[StackView]) -> list[StackView]:
    return [replace(stack, contrast=None) for stack in stacks]


def test_series_of_no_stated_weighting_are_told_by_their_images(packed: PackedViews, oracle: list[Any]) -> None:
    for study in packed.studies[:2]:
        stacks = packed.stacks[study]
        told, seen = locate_study(oracle, stacks), locate_study(oracle, untold(stacks))
        kinds = {stack.series: stack.contrast for stack in stacks}
        for series, (contrast, sure) in seen.weightings.items():
            assert contrast == kinds[series]
            assert 0.95 <= sure <= 1
        assert {key: place.series for key, place in seen.places.items()}.items() <= {
            key: place.series for key, place in told.places.items()
        }.items()
        assert len(seen.places) >= 0.5 * len(told.places)


def test_what_shows_no_weighting_is_not_guessed(packed: PackedViews, oracle: list[Any]) -> None:
    grey = [
        replace(stack, contrast=None, grey=lambda index, stack=stack: stack.grey(index) // 255 + 90)
        for stack in packed.stacks[packed.studies[0]]
    ]
    located = locate_study(oracle, grey)
    assert not located.places
    assert {note.code for note in located.unused.values()} == {"weighting-unknown"}


@pytest.mark.parametrize("contrast", ["T1", "T2"])
def test_stated_weightings_are_not_second_guessed(packed: PackedViews, oracle: list[Any], contrast: str) -> None:
    stacks = [replace(s, contrast=contrast) for s in packed.stacks[packed.studies[0]] if s.orientation == "sagittal"]
    assert not locate_study(oracle, stacks).weightings
