"""Of several series of one contrast: the one that shows most, then T2 before STIR, T1 before contrast agent before after it."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import lumbargrade.localization.localize as module
from lumbargrade.dicom.kind.image_kind import ImageKind
from lumbargrade.localization.heatmaps import SeenStack
from lumbargrade.localization.localize import locate_study
from lumbargrade.preprocessing.pack_views import PackedViews
from lumbargrade.preprocessing.views import StackView

CANAL = "spinal_canal_stenosis"
FORAMINA = ("left_neural_foraminal_narrowing", "right_neural_foraminal_narrowing")
RECESSES = ("left_subarticular_stenosis", "right_subarticular_stenosis")

ORDER = [
    ImageKind("T2"), ImageKind("T2", contrast_agent=True), ImageKind("T2", fat_suppressed=True),
    ImageKind("STIR", fat_suppressed=True),
]  # fmt: skip


@pytest.fixture
def twins(packed: PackedViews, oracle: list[Any], monkeypatch: pytest.MonkeyPatch) -> list[StackView]:
    """A study's stacks, whose copies (``series`` with a prime) are seen as they are."""
    see = module.look_at

    def look_at(locators: Any, stack: StackView, slices: Any = None, size: float | None = None) -> SeenStack | None:
        seen = see(locators, replace(stack, series=stack.series.rstrip("'")), slices, size)
        return seen and replace(seen, stack=stack)

    monkeypatch.setattr(module, "look_at", look_at)
    return packed.stacks[packed.studies[0]]


def copy_of(stacks: list[StackView], orientation: str, contrast: str, **changes: Any) -> list[StackView]:
    return [
        replace(stack, series=f"{stack.series}'", **changes)
        for stack in stacks
        if (stack.orientation, stack.contrast) == (orientation, contrast)
    ]


def read_on(stacks: list[StackView], oracle: list[Any], *conditions: str) -> set[str]:
    """Whether the conditions are read on the copy, or on the first series."""
    places = locate_study(oracle, stacks).places
    found = {place.series.endswith("'") for (condition, _), place in places.items() if condition in conditions}
    return {"copy" if copied else "first" for copied in found}


def test_kinds_have_an_order() -> None:
    ranks = [kind.preference for kind in ORDER]
    assert ranks == sorted(set(ranks))
    assert ImageKind("T1").preference < ImageKind("T1", fat_suppressed=True).preference
    assert ImageKind("T1 FLAIR").preference < ImageKind("T1", contrast_agent=True).preference
    assert ImageKind("T1", fat_suppressed=True).preference < ImageKind("T1", contrast_agent=True).preference


@pytest.mark.parametrize(
    ("orientation", "contrast", "conditions"),
    [("sagittal", "T2", (CANAL,)), ("sagittal", "T1", FORAMINA), ("axial", "T2", RECESSES)],
)
def test_the_preferred_kind_is_read(
    twins: list[StackView], oracle: list[Any], orientation: str, contrast: str, conditions: tuple[str, ...]
) -> None:
    others = copy_of(twins, orientation, contrast, preference=ImageKind("STIR").preference)
    assert read_on([*others, *twins], oracle, *conditions) == {"first"}
    better = [stack if stack in others else replace(stack, preference=9) for stack in [*others, *twins]]
    assert read_on(better, oracle, *conditions) == {"copy"}


def test_the_series_that_shows_all_levels_is_read_before_the_preferred_one(
    twins: list[StackView], oracle: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    see = module.look_at

    def cut(locators: Any, stack: StackView, slices: Any = None, size: float | None = None) -> SeenStack | None:
        seen = see(locators, stack, slices, size)
        if seen is not None and stack.contrast == "T2" and stack.orientation == "sagittal" and stack.series[-1] != "'":
            maps = np.array(seen.maps)
            maps[:, [number for number, mark in enumerate(seen.marks) if mark.level in ("L1/L2", "L2/L3")]] = 0
            seen = replace(seen, maps=maps)
        return seen

    monkeypatch.setattr(module, "look_at", cut)
    stir = copy_of(twins, "sagittal", "T2", preference=ImageKind("STIR").preference)
    assert read_on([*twins, *stir], oracle, CANAL) == {"copy"}


def test_of_two_of_one_kind_the_finer_one_is_read(twins: list[StackView], oracle: list[Any]) -> None:
    def coarse(stack: StackView) -> StackView:
        slices = [replace(piece, source=replace(piece.source, spacing=(2.0, 2.0))) for piece in stack.slices]
        return replace(stack, slices=tuple(slices))

    copies = copy_of(twins, "sagittal", "T1")
    first = [coarse(stack) if (stack.orientation, stack.contrast) == ("sagittal", "T1") else stack for stack in twins]
    assert read_on([*first, *copies], oracle, *FORAMINA) == {"copy"}
    assert read_on([*twins, *map(coarse, copies)], oracle, *FORAMINA) == {"first"}


def test_one_series_is_read_for_both_sides(twins: list[StackView], oracle: list[Any]) -> None:
    """The first one shows the left side only, so that the other one is read for both."""
    t1 = copy_of(twins, "sagittal", "T1", preference=9)
    half = [
        replace(s, slices=s.slices[len(s.slices) // 2 - 1 :], grey=lambda index, s=s: s.grey(index + len(s.slices) // 2 - 1))
        if (s.orientation, s.contrast) == ("sagittal", "T1")
        else s
        for s in twins
    ]  # fmt: skip
    assert read_on([*half, *t1], oracle, *FORAMINA) == {"copy"}
