"""Sampling a spine through the geometry of real slices: partial volume, coil, blur and noise."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from lumbargrade.dicom.geometry import Plane
from lumbargrade.phantom.anatomy import FIRST_SACRAL, PLANES, Spine
from lumbargrade.phantom.arch import arch_distances, interspinous, paint_arch, paint_flavum
from lumbargrade.phantom.canal import paint_canal_fat, paint_exiting_roots, paint_narrowed_foramen, paint_sac
from lumbargrade.phantom.canvas import Array, Canvas
from lumbargrade.phantom.segment import Segment
from lumbargrade.phantom.tissues import Contrast, sample_texture
from lumbargrade.phantom.torso import Torso, paint_torso
from lumbargrade.phantom.vertebra import disc_distance, paint_column

SUBPLANES = 3
_WARP = 0.65
_FRONT, _BACK, _ASIDE = -27.0, 70.0, 56.0
_FORAMEN_FRONT = 10.5


@dataclass(frozen=True)
class Coil:
    """How the signal falls off through the patient.

    Attributes:
        falloff: Distance in mm from the back over which a surface coil loses a factor e.
        saturation: What a saturation band in front of the spine leaves, 0 ... 1.
        tilt: Slow change per 100 mm along x, y and z.
        noise: Deviation of each channel, relative to the brightest tissue.
        blur: Deviation of the point spread in pixels.
    """

    falloff: float
    saturation: float
    tilt: tuple[float, float, float]
    noise: float
    blur: float


def draw_coil(rng: np.random.Generator) -> Coil:
    """Draws one scanner's coil and noise."""
    return Coil(
        falloff=float(rng.uniform(80.0, 230.0)),
        saturation=float(rng.choice([0.12, 0.25, 0.5, 1.0])),
        tilt=(float(rng.normal(0, 0.05)), 0.0, float(rng.normal(0, 0.10))),
        noise=float(rng.uniform(0.008, 0.022)),
        blur=float(rng.uniform(0.45, 0.65)),
    )


def scan(spine: Spine, plane: Plane, thickness: float, contrasts: Sequence[Contrast]) -> NDArray[np.float32]:
    """Returns the brightness of one slice without coil and noise, (contrasts, rows, columns).

    Args:
        thickness: mm; the slice is the mean of several planes across it.
    """
    points = _grid(plane)
    softness = 0.55 * max(plane.spacing)
    ground = Canvas(np.zeros((len(contrasts), *plane.shape), np.float32), contrasts, max(softness, 0.5))
    torso = Torso(spine, points)
    paint_torso(ground, torso)
    near = (np.abs(torso.u) < _ASIDE) & (torso.v > _FRONT - 12) & (torso.v < _BACK + 25) & (torso.under_skin > 3)
    index = np.flatnonzero(near)
    if not index.size:
        return ground.values
    flat = ground.values.reshape(len(contrasts), -1)
    offsets = (np.arange(SUBPLANES) - (SUBPLANES - 1) / 2) * thickness / SUBPLANES
    here = [
        (np.broadcast_to(axis, plane.shape).ravel()[index] + (offsets[:, None] * along).astype(np.float32)).ravel()
        for axis, along in zip(points, plane.normal, strict=True)
    ]
    fine = (
        sample_texture("grain", points, 0.75, spine.shift + 5),
        sample_texture("cloud", points, 0.4, spine.shift + 55),
    )
    textures = [
        np.tile(array.ravel()[index], SUBPLANES) for array in (fine[0], torso.fibre, torso.cloud, torso.other, fine[1])
    ]
    canvas = Canvas(np.tile(flat[:, index], SUBPLANES), contrasts, softness)
    _paint_spine(canvas, spine, here, textures)
    flat[:, index] = canvas.values.reshape(len(contrasts), SUBPLANES, -1).mean(axis=1)
    return ground.values


def expose(image: Array, plane: Plane, spine: Spine, coil: Coil, rng: np.random.Generator) -> NDArray[np.float32]:
    """Returns what the scanner records of a slice: coil profile, point spread and Rician noise; (rows, columns)."""
    x, y, z = _grid(plane)
    behind = np.clip(float(spine.skin[-1]) - y, -20.0, 300.0)
    gain = np.exp(-behind / np.float32(coil.falloff)) * 1.6
    gain = gain * (1.0 + (coil.tilt[0] * x + coil.tilt[2] * z) / 100.0)
    heights = spine.centre[::-1]
    front = y - np.interp(z, heights[:, 2], heights[:, 1]) + 30.0
    gain = gain * (coil.saturation + (1 - coil.saturation) / (1.0 + np.exp(-front / 6.0)))
    signal = gaussian_filter(image * np.clip(gain, 0.02, None).astype(np.float32), coil.blur)
    noise = coil.noise * rng.standard_normal((2, *plane.shape), dtype=np.float32)
    return np.asarray(np.hypot(signal + noise[0], noise[1]), dtype=np.float32)


def _grid(plane: Plane) -> tuple[Array, Array, Array]:
    rows = np.arange(plane.shape[0], dtype=np.float64)[:, None] * plane.spacing[0]
    columns = np.arange(plane.shape[1], dtype=np.float64)[None, :] * plane.spacing[1]
    x, y, z = (
        (plane.position[axis] + columns * plane.row_direction[axis] + rows * plane.column_direction[axis]).astype(
            np.float32
        )
        for axis in range(3)
    )
    return x, y, z


def _paint_spine(canvas: Canvas, spine: Spine, points: Sequence[Array], textures: Sequence[Array]) -> None:
    below = [_below(spine, plane, points) for plane in range(len(PLANES))]
    number = np.zeros(points[0].shape, np.int8)
    for plane in range(1, len(PLANES) - 1):
        number[below[plane] > 0] = plane
    for segment_index in range(len(PLANES) - 1):
        index = np.flatnonzero(number == segment_index)
        if index.size:
            segment = _segment(spine, segment_index, index, points, below, textures)
            for chosen, paint in _zones(segment):
                if chosen.size:
                    part = canvas.part(index[chosen])
                    paint(part, segment.subset(chosen))
                    canvas.restore(index[chosen], part)


def _below(spine: Spine, plane: int, points: Sequence[Array]) -> Array:
    """Returns how far points lie below a disc plane, mm."""
    x, y, z = (
        (axis - np.float32(middle)) * np.float32(down)
        for axis, middle, down in zip(points, spine.centre[plane], spine.down[plane], strict=True)
    )
    return np.asarray(x + y + z)


def _segment(
    spine: Spine,
    number: int,
    index: NDArray[np.intp],
    points: Sequence[Array],
    below: list[Array],
    textures: Sequence[Array],
) -> Segment:
    upper, lower = below[number][index], -below[number + 1][index]
    along = np.clip(upper / np.maximum(upper + lower, 4.0), -0.2, 1.2)
    u, v = np.zeros_like(along), np.zeros_like(along)
    first, second = spine.centre[number], spine.centre[number + 1]
    for axis in range(3):
        away = points[axis][index] - (np.float32(first[axis]) + along * np.float32(second[axis] - first[axis]))
        for target, frame in ((u, spine.lateral), (v, spine.posterior)):
            start, end = frame[number, axis], frame[number + 1, axis]
            target += away * (np.float32(start) + along * np.float32(end - start))
    grain, fibre, cloud, other, ripple = (texture[index] for texture in textures)
    u += np.float32(_WARP) * (other + 0.5 * ripple)
    v += np.float32(_WARP) * (cloud - 0.5 * ripple)
    shift = np.float32(0.6 * _WARP) * (cloud - other + 0.6 * ripple)
    upper, lower = upper + shift, lower - shift
    return Segment(spine, number, u, v, upper, lower, grain, fibre, cloud)


def _zones(segment: Segment) -> list[tuple[NDArray[np.intp], Callable[[Canvas, Segment], None]]]:
    """Splits a segment where that saves work: nothing but vertebra and disc lies in front of the foramina."""
    inside = (segment.v > _FRONT) & (segment.v < _BACK) & (segment.across < _ASIDE)
    split = float(segment.spine.depth[segment.index : segment.index + 2].min()) - _FORAMEN_FRONT
    front = segment.v < (split if segment.index < FIRST_SACRAL else _FRONT)
    return [(np.flatnonzero(inside & front), _paint_front), (np.flatnonzero(inside & ~front), _paint_all)]


def _paint_front(canvas: Canvas, segment: Segment) -> None:
    paint_column(canvas, segment, disc_distance(segment))


def _paint_all(canvas: Canvas, segment: Segment) -> None:
    disc = disc_distance(segment)
    arch = arch_distances(segment)
    paint_canal_fat(canvas, segment)
    middle = interspinous(segment)
    canvas.paint(middle * 0.9, "ligament", 2.2 + 0.5 * segment.grain)
    canvas.paint(middle * np.clip(0.55 * segment.fibre + 0.5 * segment.cloud + 0.25, 0.0, 0.9), "fat")
    paint_narrowed_foramen(canvas, segment)
    paint_exiting_roots(canvas, segment)
    paint_flavum(canvas, segment, arch)
    paint_column(canvas, segment, disc)
    paint_arch(canvas, segment, arch)
    paint_sac(canvas, segment, disc, arch)
