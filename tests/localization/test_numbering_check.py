"""The cord's end tells of four or six lumbar vertebrae: where it does, how, and where it can say nothing."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from torch import Tensor

from lumbargrade.config.task import GradingTask
from lumbargrade.dicom.geometry import Plane
from lumbargrade.localization.localize import locate_study
from lumbargrade.localization.numbering_check import canal_slices, canal_tensors, cord_offset, usual_offsets
from lumbargrade.models.conus_net import PLACES, CordNet, canal_strips
from lumbargrade.preprocessing.pack_views import PackedViews
from lumbargrade.training.locator.fit import random_changes
from lumbargrade.training.locator.targets import labelled_canal

NOTE = (
    "the cord ends {} than usual for the levels' names: there may be {} lumbar vertebrae; count them (some spines "
    "with five are told so too)"
)


class Off(CordNet):
    """A network that takes every strip for one that lies somewhat lower than the level that is asked for."""

    def __init__(self, off: float) -> None:
        super().__init__()
        self.off = off
        self.usual.copy_(torch.tensor([0.1, 0.3]))
        self.asked = iter([-0.8, -0.6, -0.4, -0.2, 0.0] * 9)

    def forward(self, strips: Tensor) -> Tensor:
        return torch.full((len(strips),), next(self.asked) + self.off)


@pytest.mark.parametrize(
    ("offs", "told"),
    [
        ([0.75], [NOTE.format("higher", "six")]),
        ([-0.55], [NOTE.format("lower", "four")]),
        ([0.65], []),
        ([-0.45], []),
        ([1.4, 0.3], [NOTE.format("higher", "six")]),
        ([1.4, -0.5], []),
    ],
)
def test_a_cord_that_ends_elsewhere_is_told(
    packed: PackedViews, oracle: list[Any], offs: list[float], told: list[str]
) -> None:
    locators = [type(oracle[0])(config=oracle[0].config, cord=Off(off)) for off in offs]
    assert [note.text for note in locate_study(locators, packed.stacks[packed.studies[0]]).notes] == told


def test_nothing_is_told_without_the_canal(packed: PackedViews, oracle: list[Any]) -> None:
    locators = [type(oracle[0])(config=oracle[0].config, cord=Off(2.0))]
    stacks = packed.stacks[packed.studies[0]]
    unknown = [replace(stack, known=False) for stack in stacks]
    assert not any("the cord" in note.text for note in locate_study(locators, unknown).notes)


def test_only_slices_in_the_canal_show_it(packed: PackedViews, rsna: GradingTask) -> None:
    shown = next(slices[0] for study in packed.studies if (slices := labelled_canal(packed, rsna, study)))
    stack, view = shown.stack, shown.stack.slices[shown.index].view
    column = np.array([view.to_patient(pixel) for pixel in shown.column])
    assert shown.index in [one.index for one in canal_slices(rsna, stack, "T2", column)]
    beside = replace(stack, slices=tuple(replace(p, view=moved(p.view, 90.0)) for p in stack.slices))
    assert not list(canal_slices(rsna, beside, "T2", column))
    assert not list(canal_slices(rsna, stack, "T2", column[:2])), "two levels have no direction to go on in"


def moved(plane: Plane, right: float) -> Plane:
    return replace(plane, position=np.asarray(plane.position) + np.array([right, 0.0, 0.0]))


def test_canal_is_where_it_is_labelled(packed: PackedViews, rsna: GradingTask) -> None:
    study = next(study for study in packed.studies if labelled_canal(packed, rsna, study))
    spinal = [p for p in packed.points_of(study) if rsna.condition(p["condition"]).group == "spinal"]
    points = {point["level"]: point["position"] for point in spinal}
    slices = labelled_canal(packed, rsna, study)
    assert {one.stack.contrast for one in slices} == {"T1", "T2"}
    for one in slices:
        view = one.stack.slices[one.index].view
        for level, pixel in zip(rsna.levels, one.column, strict=True):
            *expected, apart = view.to_pixel(np.asarray(points[level], dtype=float))
            np.testing.assert_allclose(pixel, expected)
            assert abs(apart) <= 7 or level in rsna.levels[3:]


def test_behind_discs_lies_the_canal(packed: PackedViews, rsna: GradingTask) -> None:
    stack = next(s for s in packed.stacks[packed.studies[0]] if s.orientation == "sagittal")
    middle = stack.slices[len(stack.slices) // 2]
    x = float(middle.view.to_patient(np.array([64.0, 64.0]))[0])
    column = np.array([[x, -20.0, 70.0 - 35 * level] for level in range(5)])
    discs = rsna.model_copy(update={"midline": "discs"})
    before = next(one for one in canal_slices(rsna, stack, "T2", column) if stack.slices[one.index] is middle)
    behind = next(one for one in canal_slices(discs, stack, "T2", column) if stack.slices[one.index] is middle)
    shifts = middle.view.to_pixel(column + np.array([0.0, 21.0, 0.0]))[:, :2] - middle.view.to_pixel(column)[:, :2]
    np.testing.assert_allclose(behind.column - before.column, shifts, atol=0.7)


def check_usual(spines: list[float], wrong: float) -> None:
    """What spines about 0.1 with a spread of 0.2 tell, and that a tenth more with wrong names widens it little."""
    middle, spread = usual_offsets(spines)
    assert abs(middle - 0.1) < 0.25
    assert 0.15 <= spread < 0.3
    spoilt = [*spines, *[wrong] * (len(spines) // 10)]
    with_wrong = usual_offsets(spoilt)
    assert abs(with_wrong[0] - middle) < 0.15
    assert with_wrong[1] < min(1.5 * max(spread, 0.2), np.std(spoilt))  # which they would widen


@given(st.integers(20, 200))
def test_what_is_usual_is_not_widened_by_a_few_names_one_level_off(count: int) -> None:
    check_usual((0.1 + 0.2 * norm.ppf((np.arange(count) + 0.5) / count)).tolist(), 1.1)


@given(st.integers(0, 10**6), st.integers(60, 200))
def test_what_is_usual_is_not_widened_by_a_few_names_far_off_whatever_spines_tell_it(seed: int, count: int) -> None:
    check_usual(np.random.default_rng(seed).normal(0.1, 0.2, count).tolist(), 1.6)


@pytest.mark.parametrize("count", [8, 13, 100])
def test_one_usual_spine_in_twenty_is_rare_however_few_have_told_what_is_usual(count: int) -> None:
    drawn = np.random.default_rng(count).normal(0.1, 0.3, (2000, count + 1))
    known = np.array([usual_offsets(spines[:-1]) for spines in drawn.tolist()])
    rare = np.abs(drawn[:, -1] - known[:, 0]) > 1.96 * known[:, 1]
    assert 0.035 < rare.mean() < 0.085


def test_too_few_spines_tell_nothing() -> None:
    assert usual_offsets([0.0, 0.1, 5.0, 0.2, 0.1, 0.0, 0.1]) == (0.0, float("inf"))


@pytest.mark.slow
def test_the_network_learns_where_the_cord_ends(packed: PackedViews, rsna: GradingTask) -> None:
    """On spines that it has seen: names that lie one level lower are told from the right ones."""
    spines = [slices for study in packed.studies if (slices := labelled_canal(packed, rsna, study))]
    torch.manual_seed(0)
    network, generator = CordNet(), torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    images, contrasts, columns = canal_tensors([one for slices in spines for one in slices], torch.device("cpu"))
    for _ in range(300):
        rows = torch.randint(len(images), (32,), generator=generator)
        places = PLACES[0] + torch.rand(32, generator=generator) * (PLACES[1] - PLACES[0])
        changes = random_changes(32, 0.0, generator)
        strips = canal_strips(images[rows], contrasts[rows], columns[rows], places, changes)
        loss = torch.nn.functional.smooth_l1_loss(network(strips), places)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network.eval()
    for slices in spines:
        right = cord_offset(network, slices)
        lower = [replace(one, column=one.column[1:]) for one in slices]
        assert cord_offset(network, lower) > right + 0.4
