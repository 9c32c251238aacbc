"""The places of a condition at each level, once the levels are known: in the midline, beside it, and in axial slices."""

from collections.abc import Iterator, Sequence

import numpy as np

from lumbargrade.config.task import Condition, GradingTask, series_kind
from lumbargrade.localization.heatmaps import Place, SeenStack
from lumbargrade.localization.left_out import LeftOut, missing_reason, unused_series
from lumbargrade.localization.sagittal_series import PLACE_UNKNOWN, SagittalSeries, choose_series
from lumbargrade.localization.shown import is_aside, is_beside_gap, is_cut_off, is_lost, is_shown, nearest_level
from lumbargrade.localization.vertebral_column import offset_score
from lumbargrade.models.locator import SpineShape, place_key
from lumbargrade.notes import Note
from lumbargrade.preprocessing.views import StackView

_AXIAL_REACH_MM = 9.0
_AXIAL_GAP_MM = 14.0
"""Axial slices this near to a level are looked at; if none is nearer than the second, none shows the level."""
_FLOOR = 1e-4
WEIGHTING_UNKNOWN = "its weighting is not stated in its headers, and its images do not show it surely"


def locate_on_sagittal(
    condition: Condition,
    column: str,
    task: GradingTask,
    series: Sequence[SagittalSeries],
    levels: Sequence[Place | None],
    refused: Sequence[SagittalSeries],
    left_out: Sequence[LeftOut],
    shape: SpineShape,
) -> dict[str, Place | Note]:
    """The place of a condition at each level on the sagittal series that shows it best, or why it has none.

    Args:
        column: The group of conditions whose places are the column.
        levels: Where the study's levels lie in the patient, as far as that is known.
        refused: Series that show no lumbar spine.
    """
    contrast = series_kind(condition.series).contrast
    shown = [candidate for candidate in series if candidate.contrast == contrast]
    if not shown:
        reasons = [one.column.refusal for one in refused if one.contrast == contrast and one.column.refusal]
        if reasons:
            return dict.fromkeys(task.levels, unused_series(condition.series, reasons[0]))
        return dict.fromkeys(task.levels, missing_reason(condition.series, left_out))
    placed = [candidate for candidate in shown if candidate.known]
    if condition.side is not None and not placed:
        reason = Note.make(
            "side-unknown",
            "it has a side, but in the study's {series} series {fault}",
            series=condition.series,
            fault=shown[0].fault,
        )
        return dict.fromkeys(task.levels, reason)
    alike = [one for one in task.conditions if one.series == condition.series and (one.side is None or placed)]
    best = choose_series(placed if condition.side is not None else shown, alike, levels, shape)
    found: dict[str, Place | Note] = {}
    for number, level in enumerate(task.levels):
        middle = best.column.places[number]
        if middle is None:
            words = "the model did not find {level} in the study's {series} series; the images may be fine"
            found[level] = _cell_note("level-not-seen", words, condition, level)
        elif best.disagrees(number, levels):
            words = "place uncertain: {level} lies elsewhere in the {series} series than in the study's others"
            found[level] = _cell_note("level-elsewhere", words, condition, level)
        elif condition.group == column:
            found[level] = middle if _shows_middle(best, middle, levels[number]) else _not_shown(condition, level)
        else:
            found[level] = _on_side(best, condition, task.levels, number, middle, shape)
    return found


def _shows_middle(series: SagittalSeries, middle: Place, level: Place | None) -> bool:
    """Whether a slice passes through the midline of a level, by where another series has it, else as there is no gap."""
    if level is not None and series.known and level.series != middle.series:
        return is_shown(series.stacks, level.position)
    return not is_beside_gap(series.stacks, middle)


def _on_side(
    series: SagittalSeries, condition: Condition, levels: Sequence[str], number: int, middle: Place, shape: SpineShape
) -> Place | Note:
    """The place of a condition beside the midline of a sagittal series, if a slice shows it."""
    level = levels[number]
    offsets = shape.places.get(place_key(condition.group, condition.side))
    usual = {} if offsets is None else {
        other: place.position + np.array(offsets.mean[other]) for other, place in series.column.known.items()
    }  # fmt: skip
    if condition.side is not None and usual and not is_shown(series.stacks, usual[number]):
        return _not_shown(condition, level)
    place = _beside(series.stacks, condition, level, number, middle, shape)
    if place is None:
        return _not_seen(condition, level)
    if condition.side is not None and not is_aside(place, middle, usual[number] - middle.position):
        words = "{condition} {level}: the model did not find its place on its side in the {series} series"
        return _cell_note("place-not-seen-on-side", words, condition, level)
    if condition.side is not None and is_cut_off(series.stacks, place, usual[number]):
        return _not_shown(condition, level)
    nearest = nearest_level(place, usual)
    if nearest != number:
        words = "place uncertain: {condition} {level} would lie at the height of {other}"
        return _cell_note("place-at-other-level", words, condition, level, other=levels[nearest])
    return place


def _cell_note(code: str, template: str, condition: Condition, level: str, **more: str) -> Note:
    """A note on a cell; of condition, level and series it has those as facts that its template names."""
    facts = {"condition": condition.label, "level": level, "series": condition.series}
    return Note.make(code, template, **{key: fact for key, fact in facts.items() if f"{{{key}}}" in template}, **more)


def _not_shown(condition: Condition, level: str) -> Note:
    words = "{condition} {level}: no slice of the study's {series} series passes through its place"
    return _cell_note("place-not-shown", words, condition, level)


def _not_seen(condition: Condition, level: str) -> Note:
    words = "{condition} {level}: the model did not find its place in the {series} series; the images may be fine"
    return _cell_note("place-not-seen", words, condition, level)


def _beside(
    stacks: Sequence[SeenStack], condition: Condition, level: str | None, number: int, middle: Place, shape: SpineShape
) -> Place | None:
    """The place of a condition near a level's: what is seen, weighed by where it usually is."""
    offsets = shape.places.get(place_key(condition.group, condition.side))
    if offsets is None:
        return None
    best: tuple[float, Place] | None = None
    for seen in stacks:
        mark = seen.mark(condition.group, level, condition.side if level is None else None)
        usual = offset_score(seen.positions - middle.position, offsets, number)
        score = np.log(seen.masses[:, mark] + _FLOOR) + usual
        index, row, column = (int(value) for value in np.unravel_index(int(score.argmax()), score.shape))
        if best is None or score[index, row, column] > best[0]:
            best = (float(score[index, row, column]), seen.place(mark, index, row, column))
    return best[1] if best is not None else None


def axial_unused_reason(
    condition: Condition, stacks: Sequence[StackView], reference: SagittalSeries | None, left_out: Sequence[LeftOut]
) -> Note | None:
    """Why no slice of an axial series can be chosen, whatever the level."""
    kind = series_kind(condition.series)
    axial = [stack for stack in stacks if stack.orientation == "axial"]
    lying = [stack for stack in axial if stack.contrast == kind.contrast]
    if not lying:
        doubtful = any(stack.contrast is None for stack in axial)
        return (
            unused_series(condition.series, WEIGHTING_UNKNOWN)
            if doubtful
            else missing_reason(condition.series, left_out)
        )
    if not any(stack.known for stack in lying):
        return unused_series(condition.series, lying[0].fault or PLACE_UNKNOWN)
    if reference is not None and not reference.known:
        return Note.make(
            "slice-unknown",
            "its {series} slice is not known: in the study's sagittal series {fault}",
            series=condition.series,
            fault=reference.fault,
        )
    return None


def near_slices(stack: StackView, place: Place) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Slices that pass near a place and show it; the nearest one at least, if it is not too far."""
    distances = stack.distances(place.position)
    if not stack.slices[0].view.shows(place.position):
        return np.zeros(0, dtype=np.int64)
    limit = max(_AXIAL_REACH_MM, float(distances.min())) if distances.min() <= _AXIAL_GAP_MM else -1.0
    return np.flatnonzero(distances <= limit)


def locate_on_axial(
    condition: Condition,
    task: GradingTask,
    axial: Sequence[SeenStack],
    levels: Sequence[Place | None],
    unused: Note | None,
    shape: SpineShape,
) -> dict[str, Place | Note]:
    """The place of a condition at each level in the axial slices near it, or why it has none.

    Args:
        axial: What was seen near the levels.
        levels: Where the study's levels lie in the patient.
        unused: Why no axial slice can be chosen at all, if so.
    """
    if unused is not None:
        return dict.fromkeys(task.levels, unused)
    found: dict[str, Place | Note] = {}
    for number, level in enumerate(task.levels):
        middle = levels[number]
        if middle is None:
            words = "{level} is not located on a sagittal series, so that its {series} slice is not known"
            found[level] = _cell_note("level-not-located", words, condition, level)
            continue
        tried = [_on_axial(condition, some, level, number, middle, shape) for some in _by_preference(axial)]
        places = (place for place in tried if isinstance(place, Place))
        found[level] = next(places, None) or (tried[0] if tried else _no_slice(condition, level))
    return found


def _by_preference(axial: Sequence[SeenStack]) -> list[list[SeenStack]]:
    """The stacks of each kind, the preferred kind first."""
    ranks = sorted({seen.stack.preference for seen in axial})
    return [[seen for seen in axial if seen.stack.preference == rank] for rank in ranks]


def _on_axial(
    condition: Condition, axial: Sequence[SeenStack], level: str, number: int, middle: Place, shape: SpineShape
) -> Place | Note:
    """The place of a condition at a level in the slices near it, or why it has none."""
    near = [part for seen in axial for part in _only(seen, near_slices(seen.stack, middle).tolist())]
    if near and is_lost([seen.stack for seen in axial], near, middle.position):
        return _not_shown(condition, level)
    place = _beside(near, condition, None, number, middle, shape) if near else None
    return place or (_not_seen(condition, level) if near else _no_slice(condition, level))


def _no_slice(condition: Condition, level: str) -> Note:
    return _cell_note("no-slice-at-level", "no {series} slice passes through {level}", condition, level)


def _only(seen: SeenStack, slices: Sequence[int]) -> Iterator[SeenStack]:
    """What was seen, of some slices only."""
    kept = [number for number, index in enumerate(seen.slices) if index in slices]
    if kept:
        chosen = tuple(seen.slices[number] for number in kept)
        yield SeenStack(seen.stack, chosen, seen.marks, seen.maps[kept], seen.contrasts)
