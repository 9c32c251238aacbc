"""Vertebral bodies and discs."""

import numpy as np

from lumbargrade.phantom.anatomy import FIRST_SACRAL
from lumbargrade.phantom.canvas import Array, Canvas, bell, ellipse, squircle
from lumbargrade.phantom.segment import Segment


def outline(segment: Segment, waist: bool = True) -> Array:
    """Returns the signed distance to the column of vertebral outlines, its waists included or filled."""
    narrow = 1.0 - 0.46 * np.clip(segment.along * (1 - segment.along), 0, 1) if waist else 1.0
    width = segment.between(segment.spine.width) * narrow
    depth = segment.wall * (0.3 + 0.7 * narrow if waist else 1.0)
    hollow = 1.6 * bell(segment.across, 8.0) * (segment.v > 0)
    return squircle(segment.u, segment.v, width, depth) + hollow


def disc_distance(segment: Segment) -> Array:
    """Returns the signed distance to the nearer disc, its bulges included."""
    spine, index = segment.spine, segment.index
    upper_is_near = segment.upper < segment.lower
    nearer = np.where(upper_is_near, index, index + 1)
    height = np.minimum(segment.upper, segment.lower)
    half = _half_height(segment, nearer)
    lift = np.clip(1.0 - np.square(height / (half + 2.5)), 0.0, 1.0)
    back = segment.v > 0.25 * segment.wall
    across = segment.across
    side = np.where(segment.u > 0, 0, 1)
    posterior = (  # how far the disc presses on the canal, into the recess and into the foramen, mm
        0.95 * spine.sac_loss[0][nearer] * bell(across, 7.5)
        + 3.6 * spine.recess[side, nearer] * bell(across - spine.recess_at[nearer], 4.0)
        + 3.8 * spine.foramen[side, nearer] * bell(across - spine.pedicle_at[nearer], 5.0)
    )
    bulge = spine.bulge[nearer] * np.float32(0.6) + np.where(back, posterior, 0.0)
    sideways = outline(segment, waist=False) - bulge * lift
    thicker = 0.22 * np.clip(bulge, 0, 6) * (sideways > -bulge - 1.0)
    return np.asarray(np.maximum(sideways, height - half - thicker))


def _half_height(segment: Segment, nearer: np.ndarray) -> Array:
    spine = segment.spine
    full = (0.5 * spine.disc_height)[nearer]
    lean = spine.wedge[nearer] * segment.v / np.maximum(segment.wall, 5.0)
    radius = np.square(segment.u / segment.between(spine.width)) + np.square(segment.v / segment.wall)
    return np.asarray(np.maximum(full * (1.12 - lean - 0.30 * np.clip(radius, 0, 1.1) ** 2), 0.35))


def paint_column(canvas: Canvas, segment: Segment, disc: Array) -> None:
    """Paints vertebra and the two half discs of a segment.

    Args:
        disc: What ``disc_distance`` gave for the segment.
    """
    height = np.minimum(segment.upper, segment.lower)
    upper_is_near = segment.upper < segment.lower
    nearer = np.where(upper_is_near, segment.index, segment.index + 1)
    half = _half_height(segment, nearer)
    side = outline(segment) - _osteophyte(segment, nearer, height - half)
    body = np.maximum(side, half - height)
    rim = np.minimum(np.maximum(side, 0.6 - height), disc) - 0.35
    canvas.paint(canvas.inside(rim), "cortex", 1.4 + 0.6 * segment.grain)
    _paint_disc(canvas, segment, disc, height, half, nearer)
    _paint_marrow(canvas, segment, body, height - half, nearer)


def _osteophyte(segment: Segment, nearer: np.ndarray, below: Array) -> Array:
    size = segment.spine.osteophyte[nearer]
    front = np.clip(-segment.v / segment.wall, 0, 1) + 0.25
    return np.asarray(size * front * bell(below - 1.5, 2.5), dtype=np.float32)


def _paint_disc(canvas: Canvas, segment: Segment, disc: Array, height: Array, half: Array, nearer: np.ndarray) -> None:
    spine = segment.spine
    share = canvas.inside(disc + 0.3)
    if not share.any():
        return
    canvas.paint(share, "annulus", 1.0 + 0.10 * segment.grain)
    radius = ellipse(segment.u, segment.v + 0.5, 0.80 * segment.between(spine.width), 0.76 * segment.wall)
    hydration = spine.hydration[nearer]
    nucleus = canvas.inside(np.maximum(radius, (height - 0.85 * half) * 1.2), 2.2) * share
    canvas.paint(nucleus * (0.12 + 0.88 * hydration), "nucleus", 1.0 + 0.08 * segment.grain)
    cleft = bell(height, 0.55) * nucleus * 0.45 * hydration
    canvas.paint(cleft, "annulus")


def _paint_marrow(canvas: Canvas, segment: Segment, body: Array, below: Array, nearer: np.ndarray) -> None:
    spine = segment.spine
    share = canvas.inside(body + 0.55 + 0.15 * segment.cloud)
    texture = 1.0 + 0.075 * segment.grain + 0.085 * segment.cloud
    level = spine.marrow_fat * (1.0 + 0.03 * np.sin(2.1 * segment.index))
    canvas.paint(share, "marrow", np.asarray(level * texture, dtype=np.float32))
    modic = spine.modic[nearer]
    zone = bell(below, 3.5) * share * np.clip(0.35 - 0.6 * segment.v / segment.wall + 0.5 * segment.cloud, 0, 1)
    canvas.paint(zone * np.clip(modic, 0, 1) * 0.7, "fat")
    canvas.paint(zone * np.clip(-modic, 0, 1) * 0.8, "edema")
    vein = ellipse(segment.u, (segment.along - 0.5) * segment.length, 6.0, 1.0 + 0.10 * np.clip(segment.v, 0, 20))
    reach = np.clip((segment.v - 0.05 * segment.wall) / (0.8 * segment.wall), 0, 1)
    if segment.index < FIRST_SACRAL:
        canvas.paint(canvas.inside(vein, 1.0) * reach * share * 0.75, "vein")
    for where, u, v, along, radius, strength in spine.spots:
        if int(where) == segment.index:
            rise = (segment.along - along) * segment.length
            distance = np.sqrt(np.square(segment.u - u) + np.square(segment.v - v) + np.square(rise)) - radius
            wavy = distance.astype(np.float32) + 0.6 * segment.grain
            canvas.paint(canvas.inside(wavy, 1.5) * share * np.float32(0.6 * strength), "fat")
