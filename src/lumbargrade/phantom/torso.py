"""Everything that is not spine: skin, fat, muscles, vessels and the belly, painted once through the middle of a slice."""

import numpy as np

from lumbargrade.phantom.anatomy import Spine
from lumbargrade.phantom.canvas import Array, Canvas, bell, ellipse, overlap
from lumbargrade.phantom.tissues import sample_texture


class Torso:
    """Points of a slice relative to the spine's axis.

    Attributes:
        u, v: mm to the left of and behind the axis at that height.
        under_skin: Depth under the back's skin, mm.
        level: Position along the spine in planes of a spine with five lumbar vertebrae, from the height alone.
    """

    def __init__(self, spine: Spine, points: tuple[Array, Array, Array]) -> None:
        x, y, z = points
        self.spine = spine
        heights, axis = spine.centre[::-1, 2], spine.centre[::-1]
        self.u = (x - np.interp(z, heights, axis[:, 0])).astype(np.float32)
        self.v = (y - np.interp(z, heights, axis[:, 1])).astype(np.float32)
        last = len(heights) - 1
        self.level = (last - np.interp(z, heights, last - spine.place[::-1])).astype(np.float32)
        bounded = np.clip(z, heights[0] + 10, heights[-1])
        furrow = 4.0 * bell(self.u, 11.0)
        self.under_skin = (np.polyval(spine.skin, bounded) - np.square(self.u) / 480.0 - furrow - y).astype(np.float32)
        shift = spine.shift
        self.fibre = sample_texture("fibre", points, 0.8, shift)
        self.cloud = sample_texture("cloud", points, 1.1, shift + 31)
        self.other = sample_texture("cloud", points, 1.2, shift + 93)
        self.grain = sample_texture("grain", points, 0.7, shift + 77)


def paint_torso(canvas: Canvas, torso: Torso) -> None:
    """Paints the background of a slice."""
    canvas.paint(canvas.inside(-torso.under_skin), "fat", 0.94 + 0.07 * torso.cloud + 0.04 * torso.grain)
    torso.u = torso.u + 2.2 * torso.other
    torso.v = torso.v + 2.2 * torso.cloud
    _paint_belly(canvas, torso)
    _paint_deep_muscles(canvas, torso)
    _paint_back_muscles(canvas, torso)
    _paint_vessels(canvas, torso)
    septa = bell(torso.other + 0.5 * torso.cloud - 0.6, 0.3) * canvas.inside(5.0 - torso.under_skin)
    canvas.paint(0.16 * septa * canvas.inside(torso.under_skin - torso.spine.fat_depth), "fascia")
    canvas.paint(canvas.inside(np.abs(torso.under_skin - 0.9) - 0.9), "skin")
    canvas.paint(canvas.inside(torso.under_skin), "air")


def _paint_belly(canvas: Canvas, torso: Torso) -> None:
    aside = np.clip((np.abs(torso.u) - 42.0) / 25.0, 0.0, 1.0)
    front = -34.0 - 4.0 * torso.cloud + 40.0 * aside
    inside = canvas.inside(torso.v - front, 2.0)
    loops = canvas.inside((0.15 - torso.cloud) * 6.0, 2.0)
    canvas.paint(inside * loops, "bowel", 1.0 + 0.25 * torso.grain * 0.5)
    gas = canvas.inside((1.35 - torso.cloud) * 6.0, 1.5)
    canvas.paint(inside * gas, "air")
    kidney = ellipse(np.abs(torso.u) - 66.0, torso.v - 2.0 + 0.1 * torso.u, 24.0, 27.0)
    reach = np.clip(2.4 - np.abs(torso.level - 4.0), 0, 1)
    canvas.paint(canvas.inside(kidney, 1.2) * reach, "kidney", 1.0 + 0.06 * torso.grain)
    pelvis = ellipse(kidney * 0 + np.abs(torso.u) - 26.0, torso.v + 5.0, 10.0, 10.0)
    canvas.paint(canvas.inside(pelvis) * np.clip(torso.level - 9.0, 0, 1) * 0.3, "vessel")


def _paint_deep_muscles(canvas: Canvas, torso: Torso) -> None:
    down = np.clip((torso.level - 3.4) / 4.6, 0.0, 1.0)
    size = 5.0 + 15.0 * down
    psoas = ellipse(np.abs(torso.u) - (27.0 + 13.0 * down), torso.v + 1.0 + 5.0 * down, size, size * 1.15)
    share = canvas.inside(psoas + 0.5 * torso.cloud) * (torso.level > 3.4)
    _paint_muscle(canvas, torso, share, 0.08)
    square = ellipse(np.abs(torso.u) - 62.0, torso.v - 22.0 + 0.2 * (np.abs(torso.u) - 62.0), 17.0, 8.0)
    share = (
        canvas.inside(square + 0.6 * torso.cloud) * np.clip(torso.level - 3.5, 0, 1) * np.clip(8.3 - torso.level, 0, 1)
    )
    _paint_muscle(canvas, torso, share, 0.12)
    iliac = np.abs(torso.v - 18.0 - 0.45 * (np.abs(torso.u) - 72.0)) - 7.0
    iliac = np.maximum(iliac, 50.0 + 6.0 * (9.0 - torso.level) - np.abs(torso.u))
    share = np.clip((torso.level - 7.5) * 2.0, 0, 1)
    canvas.paint(canvas.inside(iliac) * share, "cortex")
    canvas.paint(canvas.inside(iliac + 1.8) * share, "marrow", 1.0 + 0.06 * torso.grain)


def _paint_back_muscles(canvas: Canvas, torso: Torso) -> None:
    spine = torso.spine
    across = np.abs(torso.u)
    depth = torso.under_skin - np.float32(spine.fat_depth) * (1.0 + 0.25 * np.clip(torso.level - 7.5, 0, 3))
    fascia = depth - 0.0035 * np.square(np.clip(across - 20.0, 0, None))
    lower = torso.v - 19.0 - 0.10 * np.clip(across - 20.0, 0, None)
    aside = across - (67.0 - 4.0 * np.clip(torso.level - 7, 0, 4))
    compartment = overlap(overlap(-fascia, -lower, 14.0), aside, 22.0)
    share = canvas.inside(compartment)
    canvas.paint(0.6 * canvas.inside(compartment - 1.0), "fascia")
    deep = bell(across - 10.0, 12.0) * np.clip(0.4 + 0.2 * (torso.level - 5.0), 0.2, 1.0)
    _paint_muscle(canvas, torso, share, 0.22 + 0.75 * spine.muscle_fat * np.clip(0.25 + deep, 0, 1))
    septum = np.abs(across - 27.0 - 0.25 * (torso.v - 45.0) - 1.5 * torso.cloud) - 0.7
    canvas.paint(0.8 * canvas.inside(septum) * share, "fat")
    septum = np.abs(across - 45.0 + 0.35 * (torso.v - 45.0) + 1.5 * torso.cloud) - 0.4
    canvas.paint(0.7 * canvas.inside(septum) * share, "fat")


def _paint_muscle(canvas: Canvas, torso: Torso, share: Array, fat: Array | float) -> None:
    """Muscle with streaks of fat; ``fat`` is about the share that fat takes."""
    canvas.paint(share, "muscle", 1.0 + 0.12 * torso.grain + 0.16 * torso.fibre)
    streak = torso.fibre + 0.6 * torso.other + 0.3 * torso.grain
    cut = 1.7 - 2.2 * np.asarray(fat, dtype=np.float32)
    canvas.paint(np.clip((streak - cut) * 0.55, 0.0, 0.9) * share, "fat")


def _paint_vessels(canvas: Canvas, torso: Torso) -> None:
    wander = 2.0 * np.sin(torso.level * 0.9)
    split = np.clip(torso.level - 7.2, 0.0, 3.0)
    above = torso.level < 8.6
    for middle, spread, front, radius in ((9.0, 13.0, -29.0, 8.5), (-13.0, -12.0, -27.0, 9.5)):
        lateral = torso.u - middle - spread * split - wander
        vessel = ellipse(
            lateral, torso.v - front - 4.0 * split, radius - 2.5 * split / 3, radius * (0.9 - 0.15 * split / 3)
        )
        share = canvas.inside(vessel - 1.0) * above
        canvas.paint(share, "fascia")
        canvas.paint(canvas.inside(vessel, 1.0) * above, "vessel", 1.0 + 0.8 * np.clip(torso.cloud, 0, None))
