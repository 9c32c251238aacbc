"""What lies between vertebra and arch: fat, thecal sac with its nerves, and the roots on their way out."""

import numpy as np

from lumbargrade.phantom.anatomy import FIRST_SACRAL
from lumbargrade.phantom.arch import Arch, roof
from lumbargrade.phantom.canvas import Array, Canvas, bell, ellipse, overlap
from lumbargrade.phantom.segment import Segment

_TRACK = np.array([0.0, 0.30, 0.55, 0.75, 0.95, 1.10, 1.25], dtype=np.float32)
_TRACK_BACK = np.array([3.0, 3.2, 3.6, 3.0, 0.5, -2.0, -4.0], dtype=np.float32)
_TRACK_RADIUS = np.array([1.5, 1.6, 2.0, 2.9, 2.3, 2.0, 2.0], dtype=np.float32)


def paint_canal_fat(canvas: Canvas, segment: Segment) -> None:
    """Fills canal and foramina with fat; vertebra, arch and sac are painted over it."""
    inner = roof(segment)
    behind = np.clip(segment.v - segment.wall - 1.0, 0.0, None)
    lateral = segment.across - segment.between(segment.spine.pedicle_at) - 12.0 + 1.1 * behind
    space = overlap(np.maximum(segment.wall - 8.0 - segment.v, segment.v - inner - 3.0), lateral, 6.0)
    canvas.paint(canvas.inside(space, 1.2), "fat", 0.95 + 0.08 * segment.cloud)


def paint_narrowed_foramen(canvas: Canvas, segment: Segment) -> None:
    """Lets what bulges, and scar, take the place of foraminal and recess fat as the place narrows."""
    spine = segment.spine
    foramen = segment.foramen
    box = squared(segment.across - segment.between(spine.pedicle_at), segment.v - segment.wall - 3.5, 9.0, 6.5)
    canvas.paint(canvas.inside(box, 1.5) * np.clip(1.5 * foramen - 0.35, 0, 1), "protrusion", 1 + 0.1 * segment.grain)
    recess = segment.recess
    round_sac = squared(segment.u, segment.v - segment.wall - 8.0, 11.0, 10.0)
    crowded = np.clip(1.6 * segment.canal - 0.5, 0, 0.95)
    canvas.paint(canvas.inside(round_sac, 2.0) * crowded, "protrusion", 1 + 0.1 * segment.grain)
    nook = ellipse(segment.across - segment.between(spine.recess_at) - 1.5, segment.v - segment.wall - 3.0, 4.2, 4.2)
    canvas.paint(canvas.inside(nook, 1.2) * np.clip(1.5 * recess - 0.35, 0, 1), "protrusion", 1 + 0.1 * segment.grain)


def squared(x: Array, y: Array, radius_x: float, radius_y: float) -> Array:
    """Returns the signed distance to a rectangle around the origin."""
    return np.maximum(np.abs(x) - np.float32(radius_x), np.abs(y) - np.float32(radius_y))


def paint_sac(canvas: Canvas, segment: Segment, disc: Array, arch: Arch) -> None:
    """Paints dura, CSF, cord and cauda equina; the sac gives way to disc, facets and flavum."""
    spine = segment.spine
    loss = spine.sac_loss
    depth = np.maximum(segment.between(spine.sac_depth) - segment.at_discs(loss[0]), 0.3)
    pinch = segment.recess * 0.30 * segment.between(spine.sac_width)
    width = np.maximum(segment.between(spine.sac_width) - segment.at_discs(loss[1]) - pinch, 0.3)
    middle = segment.wall + segment.between(spine.sac_gap) + depth + segment.at_discs(0.95 * loss[0])
    y = (segment.v - middle).astype(np.float32)
    triangular = 0.05 + 0.05 * min(max(segment.index - 3, 0), 5) + 0.25 * segment.canal
    x = segment.u / np.maximum(1.0 - triangular * y / depth, 0.4)
    sac = np.maximum(ellipse(x, y, width, depth), np.maximum(0.4 - disc, 0.3 - arch.bone))
    sac = np.maximum(sac, 0.2 - arch.flavum)
    canvas.paint(canvas.inside(sac - 0.8), "dura")
    share = canvas.inside(sac)
    index = np.flatnonzero(share)
    if not index.size:
        return
    part = canvas.part(index)
    part.paint(share[index], "csf", 1.0 + 0.02 * segment.cloud[index])
    crowd = np.clip(1.5 * segment.canal[index] - 0.55 + 0.1 * segment.grain[index], 0, 1)
    nerve = np.maximum(
        _roots(part, segment, index, x[index] / width[index], y[index] / depth[index], np.sqrt(width * depth)[index]),
        0.75 * crowd,
    )
    part.paint(share[index] * nerve, "nerve", 1.0 + 0.06 * segment.grain[index])
    _paint_cord(part, segment, index, x[index], y[index], share[index])
    canvas.restore(index, part)


def _roots(part: Canvas, segment: Segment, index: np.ndarray, x: Array, y: Array, scale: Array) -> Array:
    position = segment.index + segment.along[index]
    below_conus = np.clip((position - np.float32(segment.spine.conus) + 0.9) * 1.5, 0.0, 1.0)
    nerve = np.zeros_like(x)
    for number, (angle, radius, wander, phase, thick) in enumerate(segment.spine.roots):
        leaves = 5.2 + 4.8 * (1 - abs(np.cos(angle)))
        if segment.index > leaves:
            continue
        turn = np.float32(wander) * np.sin(np.float32(2.2 + 0.13 * number) * position + np.float32(phase))
        root_x = np.float32(np.cos(angle) * radius) + turn
        root_y = np.float32(np.sin(angle) * radius * 0.9) + 0.5 * turn
        distance = np.sqrt(np.square(x - root_x) + np.square(y - root_y)) * scale - np.float32(thick)
        nerve = np.maximum(nerve, part.inside(distance, 0.45))
    return np.asarray(0.85 * nerve * below_conus, dtype=np.float32)


def _paint_cord(part: Canvas, segment: Segment, index: np.ndarray, x: Array, y: Array, share: Array) -> None:
    position = segment.index + segment.along[index]
    taper = np.sqrt(np.clip((np.float32(segment.spine.conus) - position) / 1.1, 0.0, 1.0))
    if not taper.any():
        return
    cord = ellipse(x, y - 0.6, 4.6 * taper + 0.05, 3.7 * taper + 0.05)
    part.paint(part.inside(cord) * share * (taper > 0), "cord", 1.0 + 0.04 * segment.grain[index])


def paint_exiting_roots(canvas: Canvas, segment: Segment) -> None:
    """Paints each root from the sac through the recess, under its pedicle and out of the foramen, with its veins."""
    spine = segment.spine
    near = (segment.across < 42.0) & (np.abs(segment.v - segment.wall - 2.0) < 11.0)
    index = np.flatnonzero(near)
    if not index.size:
        return
    part = canvas.part(index)
    across, back = segment.across[index], (segment.v - segment.wall)[index]
    along, flat = segment.along[index], segment.foramen[index]
    for vertebra, offset in ((segment.index, 0.0), (segment.index - 1, 1.0), (segment.index + 1, -1.0)):
        if not 0 <= vertebra <= FIRST_SACRAL:
            continue
        where = along + np.float32(offset)
        pedicle, start = spine.pedicle[vertebra], spine.recess_at[vertebra]
        track = np.array([start, start + 1.3, pedicle - 2.5, pedicle + 1, pedicle + 7, pedicle + 12, pedicle + 16])
        middle = np.interp(where, _TRACK, track).astype(np.float32)
        height = np.interp(where, _TRACK, _TRACK_BACK).astype(np.float32)
        radius = np.interp(where, _TRACK, _TRACK_RADIUS).astype(np.float32)
        distance = ellipse(across - middle, back - height, radius * 1.15, radius * (1.05 - 0.4 * flat))
        distance = distance + 30.0 * (np.clip(-0.1 - where, 0, None) + np.clip(where - 1.2, 0, None))
        part.paint(part.inside(distance), "nerve", 1.0 + 0.05 * segment.grain[index])
    vein = np.clip(segment.cloud[index] + 0.6 * segment.grain[index] - 0.9, 0, 1)
    part.paint(0.45 * vein * bell(across - segment.between(spine.pedicle_at)[index], 6.0) * (back > 0), "nerve")
    canvas.restore(index, part)
