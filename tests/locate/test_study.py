"""Geometry around the networks: with maps that are right, every cell is found, named and told apart."""

from dataclasses import replace
from typing import Any

import numpy as np

from lumbargrade.locate.study import LocatedStudy, locate_study
from lumbargrade.prepare.pack_views import PackedViews
from lumbargrade.prepare.views import StackView
from lumbargrade.task import GradingTask


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
        assert set(located.reasons.values()) == {reason}


def test_without_a_sagittal_series_axial_levels_are_not_guessed(packed: PackedViews, oracle: list[Any]) -> None:
    stacks = [stack for stack in packed.stacks[packed.studies[0]] if stack.orientation == "axial"]
    located = locate_study(oracle, stacks)
    assert not located.places
    assert located.reasons["left_subarticular_stenosis", "L4/L5"] == (
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
    assert "too small for a lumbar spine" in located.reasons["spinal_canal_stenosis", "L4/L5"]
    assert ("left_neural_foraminal_narrowing", "L4/L5") in located.places
    assert any("a sagittal T2 series was not used" in note for note in located.notes)


def test_a_level_outside_the_images_is_told(packed: PackedViews, oracle: list[Any], rsna: GradingTask) -> None:
    """The sacrum is cut off: what the images do not show is not made up."""
    study = packed.studies[0]
    lowest = next(
        p["position"][2]
        for p in packed.points_of(study)
        if (p["condition"], p["level"]) == ("spinal_canal_stenosis", "L5/S1")
    )
    import lumbargrade.locate.study as module

    see = module.look_at

    def cut(locators: list[Any], stack: StackView, slices: Any = None) -> Any:
        seen = see(locators, stack, slices)
        if stack.orientation == "sagittal":
            seen.maps[np.broadcast_to((seen.positions[..., 2] < lowest + 12)[:, None], seen.maps.shape)] = 0
        return seen

    module.look_at = cut
    try:
        located = locate_study(oracle, packed.stacks[study])
    finally:
        module.look_at = see
    assert located.reasons["spinal_canal_stenosis", "L5/S1"] == (
        "L5/S1 is not seen in the study's Sagittal T2/STIR series"
    )
    assert ("spinal_canal_stenosis", "L4/L5") in located.places
    assert "L5/S1 cannot be seen; the images may end there" in located.notes
