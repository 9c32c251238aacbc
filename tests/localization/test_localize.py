"""Geometry around the networks: with maps that are right, every cell is found, named and told apart."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import lumbargrade.localization.localize as module
from lumbargrade.config.task import GradingTask
from lumbargrade.dicom.geometry import Plane
from lumbargrade.localization.heatmaps import SeenStack
from lumbargrade.localization.localize import LocatedStudy, locate_study
from lumbargrade.localization.vertebral_column import Column
from lumbargrade.preprocessing.pack_views import PackedViews
from lumbargrade.preprocessing.views import StackView, ViewSlice


def errors(located: LocatedStudy, packed: PackedViews, study: int, task: GradingTask) -> dict[tuple[str, str], float]:
    """Distance of each labelled point from where its cell was located, mm."""
    found = {}
    for point in packed.points_of(study):
        key = (task.condition(point["condition"]).name, point["level"])
        place = located.places.get(key)
        found[key] = np.inf if place is None else float(np.linalg.norm(place.position - point["position"]))
    return found


def without(stacks: list[StackView], orientation: str, contrast: str) -> list[StackView]:
    return [stack for stack in stacks if (stack.orientation, stack.contrast) != (orientation, contrast)]


def see_otherwise(monkeypatch: pytest.MonkeyPatch, change: Callable[[SeenStack], None]) -> None:
    """Lets the locators see something else than what is there."""
    see = module.look_at

    def changed(locators: list[Any], stack: StackView, slices: Any = None, size: float | None = None) -> SeenStack:
        seen = see(locators, stack, slices, size)
        change(seen)
        return seen

    monkeypatch.setattr(module, "look_at", changed)


def midline(seen: SeenStack) -> list[int]:
    """The maps of the levels' places in the midline."""
    return [number for number, mark in enumerate(seen.marks) if mark.group == "spinal"]


def test_every_cell_is_found_with_its_level_and_side(packed: PackedViews, oracle: list[Any], rsna: GradingTask) -> None:
    for study in packed.studies:
        located = locate_study(oracle, packed.stacks[study])
        off = errors(located, packed, study, rsna)
        assert max(off.values()) < 5.5, off
        assert not located.notes
        for level in rsna.levels:
            for group in ("neural_foraminal_narrowing", "subarticular_stenosis"):
                left, right = (located.places.get((f"{side}_{group}", level)) for side in ("left", "right"))
                assert left is None or right is None or left.position[0] > right.position[0]


def test_places_are_on_the_slice_that_they_name(packed: PackedViews, oracle: list[Any]) -> None:
    study = packed.studies[0]
    stacks = packed.stacks[study]
    for place in locate_study(oracle, stacks).places.values():
        piece = next(p for s in stacks if s.series == place.series for p in s.slices if p.instance == place.instance)
        np.testing.assert_allclose(piece.source.to_patient([place.x, place.y]), place.position, atol=1e-6)


def test_what_is_missing_costs_its_own_cells_only(packed: PackedViews, oracle: list[Any], rsna: GradingTask) -> None:
    stacks = packed.stacks[packed.studies[0]]
    cases = {
        ("sagittal", "T1"): ("foraminal", "the study has no Sagittal T1 series"),
        ("sagittal", "T2"): ("spinal", "the study has no Sagittal T2/STIR series"),
        ("axial", "T2"): ("subarticular", "the study has no Axial T2 series"),
    }
    for (orientation, contrast), (group, reason) in cases.items():
        located = locate_study(oracle, without(stacks, orientation, contrast))
        lost = {c.name for c in rsna.conditions if c.group == group}
        assert {condition for condition, _ in located.reasons} == lost
        assert {why.text for why in located.reasons.values()} == {reason}


def test_without_a_sagittal_series_axial_levels_are_not_guessed(packed: PackedViews, oracle: list[Any]) -> None:
    stacks = [stack for stack in packed.stacks[packed.studies[0]] if stack.orientation == "axial"]
    located = locate_study(oracle, stacks)
    assert not located.places
    assert located.reasons["left_subarticular_stenosis", "L4/L5"].text == (
        "L4/L5 is not located on a sagittal series, so that its Axial T2 slice is not known"
    )


def test_a_smaller_spine_is_refused_as_no_lumbar_one(packed: PackedViews, oracle: list[Any]) -> None:
    def shrunk(stack: StackView) -> StackView:
        if (stack.orientation, stack.contrast) != ("sagittal", "T2"):
            return stack
        views = [
            replace(piece, view=replace(piece.view, spacing=tuple(0.5 * mm for mm in piece.view.spacing)))
            for piece in stack.slices
        ]
        return replace(stack, slices=tuple(views))

    located = locate_study(oracle, [shrunk(stack) for stack in packed.stacks[packed.studies[0]]])
    assert "too small for a lumbar spine" in located.reasons["spinal_canal_stenosis", "L4/L5"].text
    assert ("left_neural_foraminal_narrowing", "L4/L5") in located.places
    assert any("a sagittal T2 series was not used" in note.text for note in located.notes)


def doubled(stack: StackView) -> StackView:
    """The stack as a pixel spacing tells it that is twice the true one."""

    def grown(plane: Plane) -> Plane:
        return replace(plane, position=2 * plane.position, spacing=(2 * plane.spacing[0], 2 * plane.spacing[1]))

    slices = [replace(piece, view=grown(piece.view), source=grown(piece.source)) for piece in stack.slices]
    return replace(stack, slices=tuple(slices))


def test_a_spine_of_another_size_is_looked_at_again_at_its_size(
    packed: PackedViews, oracle: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[float | None] = []
    see = module.look_at

    def looked(locators: list[Any], stack: StackView, slices: Any = None, size: float | None = None) -> SeenStack:
        sizes.append(size)
        return see(locators, stack, slices, size)

    monkeypatch.setattr(module, "look_at", looked)
    stacks = without(packed.stacks[packed.studies[0]], "axial", "T2")
    locate_study(oracle, stacks)
    assert sizes == [None, None]
    locate_study(oracle, [doubled(stack) for stack in stacks])
    assert sizes[2:4] == [None, None]
    assert sizes[4:] == [pytest.approx(2, abs=0.3)] * 2


def test_a_spine_too_large_to_be_true_is_located_and_told(packed: PackedViews, oracle: list[Any]) -> None:
    """Images of a nominal pixel spacing: what is seen counts, and whoever reads the answer knows."""
    study = packed.studies[0]
    usual = locate_study(oracle, without(packed.stacks[study], "axial", "T2"))
    large = locate_study(oracle, [doubled(stack) for stack in without(packed.stacks[study], "axial", "T2")])
    for key in [key for key in usual.places if key[0] == "spinal_canal_stenosis"]:
        np.testing.assert_allclose(large.places[key].position, 2 * usual.places[key].position, atol=4)
    (told,) = large.notes
    assert re.fullmatch(
        r"by the images' pixel spacing its vertebrae have 2\d\d% of the usual height; check the spacing: if it is wrong, the "
        r"crops show too little, and lengths in mm are wrong",
        told.text,
    )


def test_a_series_of_another_part_is_told_by_the_others(packed: PackedViews, oracle: list[Any]) -> None:
    """A neck in place of the T2: not too small for any lumbar spine, but for this patient's."""

    def scaled(stack: StackView, size: float) -> StackView:
        def grown(plane: Plane) -> Plane:
            spacing = (size * plane.spacing[0], size * plane.spacing[1])
            return replace(plane, position=size * plane.position, spacing=spacing)

        slices = [replace(piece, view=grown(piece.view), source=grown(piece.source)) for piece in stack.slices]
        return replace(stack, slices=tuple(slices))

    stacks = [stack for stack in packed.stacks[packed.studies[0]] if stack.orientation == "sagittal"]
    located = locate_study(oracle, [scaled(s, 0.8 if s.contrast == "T2" else 1.15) for s in stacks])
    assert (
        "of the height of those in the study's other series" in located.reasons["spinal_canal_stenosis", "L4/L5"].text
    )
    assert ("left_neural_foraminal_narrowing", "L4/L5") in located.places


def test_a_level_outside_the_images_is_told(
    packed: PackedViews, oracle: list[Any], rsna: GradingTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sacrum is cut off: what the images do not show is not made up."""
    study = packed.studies[0]
    lowest = next(
        p["position"][2]
        for p in packed.points_of(study)
        if (p["condition"], p["level"]) == ("spinal_canal_stenosis", "L5/S1")
    )

    def cut(seen: SeenStack) -> None:
        if seen.stack.orientation == "sagittal":
            seen.maps[np.broadcast_to((seen.positions[..., 2] < lowest + 12)[:, None], seen.maps.shape)] = 0

    see_otherwise(monkeypatch, cut)
    located = locate_study(oracle, packed.stacks[study])
    assert located.reasons["spinal_canal_stenosis", "L5/S1"].text == (
        "the model did not find L5/S1 in the study's Sagittal T2/STIR series; the images may be fine"
    )
    assert ("spinal_canal_stenosis", "L4/L5") in located.places
    assert "the model did not find L5/S1: the images may end before, or it missed them" in [
        note.text for note in located.notes
    ]


def test_a_level_that_is_not_seen_between_others_leads_to_its_axial_slices_but_is_not_graded(
    packed: PackedViews, oracle: list[Any], rsna: GradingTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def blind(seen: SeenStack) -> None:
        if seen.stack.orientation == "sagittal":
            seen.maps[:, midline(seen)[2]] = 0

    see_otherwise(monkeypatch, blind)
    for study in packed.studies:
        located = locate_study(oracle, packed.stacks[study])
        off = errors(located, packed, study, rsna)
        assert "with a confidence below" in located.reasons["spinal_canal_stenosis", "L3/L4"].text
        axial = {key: distance for key, distance in off.items() if "subarticular" in key[0]}
        assert max(axial.values()) < 5.5


def test_series_in_one_place_agree_on_the_names(
    packed: PackedViews, oracle: list[Any], rsna: GradingTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The T2 alone would be named one level too high; the T1 knows better."""

    def unsure(seen: SeenStack) -> None:
        if (seen.stack.orientation, seen.contrast) == ("sagittal", "T2"):
            levels = midline(seen)
            right = seen.maps[:, levels].copy()
            seen.maps[:, levels] = 0.1 * right
            seen.maps[:, levels[:-1]] += 0.85 * right[:, 1:]

    see_otherwise(monkeypatch, unsure)
    study = packed.studies[0]
    alone = locate_study(oracle, without(packed.stacks[study], "sagittal", "T1"))
    assert errors(alone, packed, study, rsna)["spinal_canal_stenosis", "L2/L3"] > 20
    both = locate_study(oracle, packed.stacks[study])
    assert max(errors(both, packed, study, rsna).values()) < 5.5


def test_series_in_different_places_do_not_mislead_each_other(
    packed: PackedViews, oracle: list[Any], rsna: GradingTask
) -> None:
    """The patient moved up by more than a level between the two series, or positions are wrong."""

    def moved(stack: StackView) -> StackView:
        if (stack.orientation, stack.contrast) != ("sagittal", "T1"):
            return stack
        up = np.array([0.0, 0.0, 50.0])
        slices = [
            replace(
                piece,
                source=replace(piece.source, position=piece.source.position + up),
                view=replace(piece.view, position=piece.view.position + up),
            )
            for piece in stack.slices
        ]
        return replace(stack, slices=tuple(slices))

    study = packed.studies[0]
    located = locate_study(oracle, [moved(stack) for stack in packed.stacks[study]])
    for (condition, level), off in errors(located, packed, study, rsna).items():
        expected = 50 if "foraminal" in condition else 0
        assert abs(off - expected) < 6, (condition, level)


def test_images_that_end_above_the_sacrum_are_told(packed: PackedViews, oracle: list[Any]) -> None:
    study = packed.studies[0]
    low = next(
        p["position"]
        for p in packed.points_of(study)
        if (p["condition"], p["level"]) == ("spinal_canal_stenosis", "L5/S1")
    )

    def short(stack: StackView) -> StackView:
        def end(piece: ViewSlice) -> ViewSlice:
            rows = int(piece.source.to_pixel(low)[1] + 10 / piece.source.spacing[0])
            return replace(piece, source=replace(piece.source, shape=(rows, piece.source.shape[1])))

        return replace(stack, slices=tuple(end(piece) for piece in stack.slices))

    located = locate_study(oracle, [short(stack) for stack in packed.stacks[study] if stack.orientation == "sagittal"])
    assert [note.text for note in located.notes] == [
        "the images end just below L5/S1: without the sacrum the levels may be named wrongly; count the vertebrae"
    ]


def foraminal(seen: SeenStack) -> list[int]:
    """The maps of the levels' foramina."""
    return [number for number, mark in enumerate(seen.marks) if mark.group == "foraminal"]


def loosen(oracle: list[Any]) -> None:
    """Lets the model have learned from spines that vary widely, so that what is seen counts for more."""
    config = oracle[0].config
    places = {
        key: offsets.model_copy(update={"precision": (0.02 * np.array(offsets.precision)).tolist()})
        for key, offsets in config.shape.places.items()
    }
    config.shape = config.shape.model_copy(update={"places": places})


def test_a_foramen_that_is_seen_at_another_level_is_refused_and_not_the_right_one(
    packed: PackedViews, oracle: list[Any], rsna: GradingTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is taken for the L4/L5 foramina are those of L3/L4, with more confidence."""

    def mistaken(seen: SeenStack) -> None:
        if seen.stack.orientation == "sagittal":
            levels = foraminal(seen)
            seen.maps[:, levels[3]] = seen.maps[:, levels[2]]
            seen.maps[:, levels[2]] *= 0.5

    see_otherwise(monkeypatch, mistaken)
    loosen(oracle)
    study = packed.studies[0]
    located = locate_study(oracle, packed.stacks[study])
    for side in ("left", "right"):
        key = f"{side}_neural_foraminal_narrowing"
        assert "would lie at the height of L3/L4" in located.reasons[key, "L4/L5"].text
        assert (key, "L3/L4") in located.places
    assert max(off for off in errors(located, packed, study, rsna).values() if np.isfinite(off)) < 5.5


def test_a_foramen_near_the_midline_is_of_no_side(
    packed: PackedViews, oracle: list[Any], rsna: GradingTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the slices near the midline show anything, as if all others had been put there by wrong positions."""

    def central(seen: SeenStack) -> None:
        if (seen.stack.orientation, seen.contrast) == ("sagittal", "T1"):
            levels, middle = foraminal(seen), len(seen.slices) // 2
            seen.maps[middle][levels] = seen.maps[:, levels].max(axis=0)
            others = [index for index in range(len(seen.slices)) if index != middle]
            seen.maps[np.ix_(others, levels)] = 0

    see_otherwise(monkeypatch, central)
    loosen(oracle)
    located = locate_study(oracle, packed.stacks[packed.studies[0]])
    assert not [key for key in located.places if "foraminal" in key[0]]
    assert "did not find its place on its side" in located.reasons["left_neural_foraminal_narrowing", "L3/L4"].text


def test_a_level_that_lies_elsewhere_in_one_series_than_in_the_others_is_uncertain_there(
    packed: PackedViews, oracle: list[Any], rsna: GradingTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The T1's L4/L5 is taken to lie 21 mm too high; all else agrees."""
    find = module.find_column

    def mistaken(series: Any, *given: Any, anchor: Column | None = None) -> Column:
        column = find(series, *given, anchor=anchor)
        if anchor is None or series[0][0].contrast != "T1":
            return column
        places = list(column.places)
        assert places[3] is not None
        places[3] = places[3]._replace(position=places[3].position + np.array([0.0, 0.0, 21.0]))
        return replace(column, places=tuple(places))

    monkeypatch.setattr(module, "find_column", mistaken)
    study = packed.studies[0]
    located = locate_study(oracle, packed.stacks[study])
    for side in ("left", "right"):
        reason = located.reasons[f"{side}_neural_foraminal_narrowing", "L4/L5"].text
        assert reason == "place uncertain: L4/L5 lies elsewhere in the Sagittal T1 series than in the study's others"
    assert len(located.reasons) == 2
    assert max(off for off in errors(located, packed, study, rsna).values() if np.isfinite(off)) < 5.5
