"""Everything of the vertebra behind its body: pedicles, facets, laminae, processes, and the flavum between them."""

from typing import NamedTuple

import numpy as np

from lumbargrade.phantom.anatomy import FIRST_SACRAL
from lumbargrade.phantom.canvas import Array, Canvas, bell, ellipse, overlap, union
from lumbargrade.phantom.segment import Segment

_FAR = np.float32(99.0)


class Arch(NamedTuple):
    """Signed distances in mm of the parts that others must give way to."""

    bone: Array
    superior_facet: Array
    inferior_facet: Array
    flavum: Array


def roof(segment: Segment) -> Array:
    """Returns the ``v`` of the inner face of laminae and flavum."""
    depth = 17.6 + 2.2 * (segment.near_upper + segment.near_lower) - 0.2 * min(max(segment.index - 6, 0), 4)
    depth = depth * np.clip(1.0 - 0.14 * (segment.index - FIRST_SACRAL + segment.along), 0.45, 1.0)
    return np.asarray(segment.wall + depth - 0.42 * segment.across, dtype=np.float32)


def arch_distances(segment: Segment) -> Arch:
    """Measures the posterior elements of the segment's vertebra and what its neighbours send into the segment."""
    inner = roof(segment)
    above_roof = (segment.v - inner) * np.float32(0.92)
    superior = _superior_facet(segment)
    inferior = _inferior_facet(segment)
    front = union(union(_pedicle(segment), _wing(segment), 2.0), _pars(segment), 4.0)
    back = union(_lamina(segment, above_roof), _spinous_processes(segment, inner), 5.0)
    bone = np.minimum(union(front, superior, 4.0), union(back, inferior, 4.0))
    return Arch(bone, superior, inferior, _flavum(segment, above_roof))


def paint_flavum(canvas: Canvas, segment: Segment, arch: Arch) -> None:
    """Paints the flavum and the dark rim of the bones, before the vertebral body that they grow from."""
    canvas.paint(canvas.inside(arch.flavum), "flavum", 1.0 + 0.1 * segment.grain)
    canvas.paint(canvas.inside(arch.bone), "cortex", 1.5 + 0.5 * segment.grain)


def paint_arch(canvas: Canvas, segment: Segment, arch: Arch) -> None:
    """Paints the marrow of the arch and the facet joints."""
    texture = segment.spine.marrow_fat * (1.02 + 0.10 * segment.grain + 0.08 * segment.cloud)
    rim = 1.0 + 0.25 * segment.cloud
    canvas.paint(canvas.inside(arch.bone + rim), "marrow", np.asarray(texture, dtype=np.float32))
    gap = np.abs(arch.superior_facet - arch.inferior_facet)
    both = np.maximum(arch.superior_facet, arch.inferior_facet)
    canvas.paint(0.85 * canvas.inside(gap - 1.5) * canvas.inside(both - 1.2), "cortex")
    canvas.paint(0.8 * canvas.inside(gap - 0.5, 0.5) * canvas.inside(both - 0.8), "joint")


def _range(segment: Segment, first: float, last: float) -> Array:
    return np.asarray(np.maximum(first - segment.along, segment.along - last) * segment.length, dtype=np.float32)


def _pedicle(segment: Segment) -> Array:
    spine, index = segment.spine, segment.index
    wide = spine.pedicle_width[index]
    high = (6.0 if index < FIRST_SACRAL else 8.0) + 0.04 * np.square(np.clip(segment.v - segment.wall - 4.0, -9, 9))
    ring = ellipse(
        segment.across - np.float32(spine.pedicle[index]), (segment.along - 0.33) * segment.length, wide, high
    )
    return overlap(ring, np.abs(segment.v - segment.wall - 2.0) - 9.5, 3.0)


def _superior_facet(segment: Segment) -> Array:
    """The process that reaches up from this vertebra, and the one from the vertebra below; it narrows what it overhangs."""
    spine, index = segment.spine, segment.index
    recess, foramen = segment.recess, segment.foramen
    across = segment.across + 3.6 * recess
    forward = 1.2 * recess + 5.0 * foramen
    result = np.full_like(segment.u, _FAR)
    for vertebra, first, last in ((index, -0.22, 0.42), (index + 1, 0.80, 1.5)):
        if vertebra < len(spine.pedicle) and vertebra <= FIRST_SACRAL:
            x = across - np.float32(spine.pedicle[vertebra] + 1.4)
            y = segment.v - segment.wall - 11.5 + 0.5 * forward
            shape = ellipse(
                0.82 * x + 0.57 * y, 0.82 * y - 0.57 * x, 7.4 + 1.3 * recess, 4.4 + 0.5 * forward + 0.6 * recess
            )
            result = np.minimum(result, overlap(shape, _range(segment, first, last), 4.0))
    return result


def _inferior_facet(segment: Segment) -> Array:
    spine, index = segment.spine, segment.index
    grown = segment.at_discs(spine.recess.mean(axis=0)) * 1.2
    result = np.full_like(segment.u, _FAR)
    for vertebra, first, last in ((index, 0.62, 1.5), (index - 1, -0.5, 0.17)):
        if 0 <= vertebra < FIRST_SACRAL:
            middle = max(spine.pedicle[vertebra] - 2.5, 9.0)
            x, y = segment.across - np.float32(middle), segment.v - segment.wall - 18.6
            shape = ellipse(0.80 * x + 0.60 * y, 0.80 * y - 0.60 * x, 8.0 + grown, 5.0 + grown)
            result = np.minimum(result, overlap(shape, _range(segment, first, last), 4.0))
    return result


def _pars(segment: Segment) -> Array:
    middle = segment.spine.pedicle[segment.index] - 1.0
    shape = ellipse(segment.across - np.float32(middle), segment.v - segment.wall - 13.5, 4.2, 4.6)
    return overlap(shape, _range(segment, 0.32, 0.76), 3.0)


def _lamina(segment: Segment, above_roof: Array) -> Array:
    slab = np.abs(above_roof - 3.2) - 3.0
    lean = np.float32(0.008) * (segment.across - 6.0)
    last = 0.98 if segment.index < FIRST_SACRAL else 1.5
    rows = np.maximum(0.50 - segment.along - lean, segment.along - last) * segment.length
    aside = segment.across - np.float32(segment.spine.pedicle[segment.index])
    return overlap(overlap(slab, rows.astype(np.float32), 4.0), aside, 2.0)


def _spinous_processes(segment: Segment, inner: Array) -> Array:
    own = _spinous_process(segment, inner, segment.index, segment.along)
    if not 0 < segment.index <= FIRST_SACRAL:
        return own
    return np.minimum(own, _spinous_process(segment, inner, segment.index - 1, segment.along + 1.0))


def _spinous_process(segment: Segment, inner: Array, index: int, along: Array) -> Array:
    spine = segment.spine
    tip = segment.wall + np.float32(0.5 * (spine.spinous[index] + spine.spinous[index + 1]))
    base = inner + 2.0
    run = np.clip((segment.v - base) / np.maximum(tip - base, 5.0), 0.0, 1.0)
    middle = 0.68 + 0.20 * run if index < FIRST_SACRAL else 0.6
    half = (0.215 + 0.05 * run) if index < FIRST_SACRAL else 0.45
    rows = (np.abs(along - middle) - half) * segment.length
    thick = segment.across - (3.0 + 2.6 * np.square(run))
    ends = np.maximum(segment.v - tip + 1.5 * np.square((along - middle) / half), base - segment.v)
    rows, ends, thick = rows.astype(np.float32), ends.astype(np.float32), thick.astype(np.float32)
    return overlap(overlap(rows, ends, 7.0), thick, 2.0)


def _wing(segment: Segment) -> Array:
    """Transverse processes; on the sacrum its alae, with holes where the sacral roots leave."""
    spine, index = segment.spine, segment.index
    if index < FIRST_SACRAL:
        middle = segment.wall + 8.0 + 0.08 * (segment.across - 20.0)
        bar = ellipse(segment.v - middle, (segment.along - 0.33) * segment.length, 3.0, 5.0)
        reach = np.float32(spine.width[index] + (16.0 if index >= spine.first_lumbar else 6.0))
        bar = np.maximum(bar, segment.across - reach)
        return np.asarray(np.maximum(bar, spine.pedicle[index] - segment.across))
    reach = np.float32(52.0 - 8.0 * (index - FIRST_SACRAL))
    plate = np.abs(segment.v - 0.4 * segment.wall + 0.0045 * np.square(segment.across)) - (14.0 - 0.18 * segment.across)
    hole = ellipse(segment.across - np.float32(spine.pedicle[index] + 1), segment.lower - 3.0, 4.5, 5.0)
    hole = np.minimum(
        hole, ellipse(segment.across - np.float32(spine.pedicle[index] + 1), segment.upper + 3.0, 4.5, 5.0)
    )
    if index == FIRST_SACRAL:
        plate = np.maximum(plate, 2.0 + 0.25 * (segment.across - 20.0) - segment.upper)
    plate = np.maximum(np.maximum(plate, segment.across - reach), spine.pedicle[index] - 3.0 - segment.across)
    return np.asarray(np.maximum(plate, -hole), dtype=np.float32)


def _flavum(segment: Segment, above_roof: Array) -> Array:
    """Two plates inside the laminae that thicken where the canal narrows."""
    spine = segment.spine
    loss = segment.at_discs(spine.sac_loss[0])
    thick = (1.3 + 0.8 * (segment.near_upper + segment.near_lower) + 1.15 * loss) * np.clip(
        segment.across * 0.2 + 0.15 + 0.25 * loss, 0.0, 1.0
    )
    plate = np.maximum(-above_roof - thick, above_roof - 1.0)
    aside = segment.across - segment.between(spine.pedicle_at) + 1.0
    gate = (np.minimum(segment.upper / segment.length, segment.lower / segment.length) - 0.36) * segment.length
    if segment.index >= FIRST_SACRAL:
        gate = (segment.along - 0.12) * segment.length
    return np.asarray(np.maximum(np.maximum(plate, aside), gate), dtype=np.float32)


def interspinous(segment: Segment) -> Array:
    """Returns how much of each point lies in the midline ligaments between spinous processes, 0 ... 1."""
    tip = segment.wall + segment.between(segment.spine.spinous)
    inside = (segment.v > roof(segment)) & (segment.v < tip)
    return np.asarray(bell(segment.across, 2.6) * inside, dtype=np.float32)
