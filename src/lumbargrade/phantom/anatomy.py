"""The shape of one spine: where its discs lie, how large everything is, and where the graded places are.

A spine is a chain of disc planes. Between two neighbouring planes lies a segment: half a disc, a vertebra, half a disc.
Planes are numbered so that the disc on the sacrum has the same number in every spine: where there are four or six lumbar
vertebrae, the chain begins a thoracic vertebra higher or lower, and the five graded discs are those nearest the sacrum.
Lengths are in mm, directions in the patient's frame (LPS: x to the left, y to the back, z to the head).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lumbargrade.phantom.severity import Severity, narrowing

Vector = NDArray[np.float64]
Measures = NDArray[np.floating[Any]]

PLANES = ("T9/T10", "T10/T11", "T11/T12", "T12/L1", "L1/L2", "L2/L3", "L3/L4", "L4/L5", "L5/S1", "S1/S2", "S2/S3",
          "S3/S4", "S4/S5")  # fmt: skip
FIRST_GRADED = 4
FIRST_SACRAL = 8
LUMBAR = 5

_PLACE = {
    4: (0, 0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12),
    5: (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12),
    6: (1, 2, 3, 4, 5, 5.5, 6, 7, 8, 9, 10, 11, 12),
}
_TILT = (-14, -14, -14, -13, -11, -8, -2, 9, 30, 43, 46, 40, 26)
_DISC = (5.5, 6.0, 6.5, 7.5, 8.7, 9.8, 10.8, 11.3, 10.3, 2.6, 2.0, 1.5, 1.0)
_BODY = (22.0, 23.5, 25.0, 26.5, 27.0, 27.5, 27.5, 27.0, 27.0, 23.0, 19.0, 16.0)
_DEPTH = (14.0, 14.5, 15.0, 15.6, 16.3, 16.9, 17.3, 17.4, 16.6, 11.5, 8.5, 6.5, 5.0)
_WIDTH = (15.0, 16.0, 18.0, 20.0, 22.0, 23.5, 24.8, 25.8, 26.3, 19.0, 14.0, 11.0, 8.0)
_SAC_DEPTH = (7.2, 7.2, 7.2, 7.3, 7.2, 7.0, 6.8, 6.5, 5.6, 4.2, 2.6, 0.6, 0.3)
_SAC_WIDTH = (8.2, 8.3, 8.5, 8.8, 8.8, 8.6, 8.4, 8.2, 7.4, 5.6, 3.6, 1.0, 0.5)
_SAC_GAP = (0.8, 0.8, 0.8, 0.8, 0.8, 0.9, 1.1, 1.7, 3.8, 3.5, 3.0, 3.0, 3.0)
_WEDGE = (0.0, 0.0, 0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.42, 0.0, 0.0, 0.0, 0.0)
_PEDICLE = (9.5, 10.0, 11.0, 12.5, 13.0, 14.0, 15.5, 18.0, 19.0, 15.0, 12.0, 10.0)
_PEDICLE_WIDTH = (3.2, 3.4, 3.8, 4.0, 4.2, 4.6, 5.6, 7.5, 8.5, 7.0, 6.0, 5.0)
_SPINOUS = (44.0, 44.0, 44.0, 46.0, 49.0, 50.0, 49.0, 44.0, 32.0, 26.0, 22.0, 18.0, 15.0)


@dataclass(frozen=True, eq=False)
class Spine:
    """One spine. Arrays run over the planes, as many as ``PLANES``, or over the segments below them (one fewer).

    Attributes:
        lumbar: Number of lumbar vertebrae, 4 ... 6; ``PLANES`` names the planes where there are five.
        centre, lateral, posterior, down: Frame of each disc plane: its middle, and unit vectors to the patient's left,
            back and feet.
        disc_height, wedge: Of each disc; a positive wedge opens to the front.
        depth, width: Half the front-to-back and side-to-side size of the vertebral outline.
        hydration: 1 bright nucleus ... 0 black disc.
        sac_depth, sac_width, sac_gap: Half sizes of a free sac, and the fat between it and the vertebra.
        canal: Narrowing of the canal at each plane, 0 ... 1.
        foramen, recess: The same for (left, right), (2, planes).
        skin: Polynomial in z of the back's y.
    """

    lumbar: int
    centre: Vector
    lateral: Vector
    posterior: Vector
    down: Vector
    disc_height: Measures
    wedge: Measures
    depth: Measures
    width: Measures
    hydration: Measures
    bulge: Measures
    sac_depth: Measures
    sac_width: Measures
    sac_gap: Measures
    canal: Measures
    foramen: Measures
    recess: Measures
    pedicle: Measures
    pedicle_width: Measures
    spinous: Measures
    skin: Vector
    fat_depth: float
    muscle_fat: float
    conus: float
    marrow_fat: float
    modic: Measures
    osteophyte: Measures
    spots: Measures
    roots: Measures
    shift: NDArray[np.int64] = field(default_factory=lambda: np.zeros(3, dtype=np.int64))

    @property
    def first_lumbar(self) -> int:
        """The plane on the uppermost lumbar vertebra, and that vertebra's segment."""
        return FIRST_SACRAL - self.lumbar

    @cached_property
    def place(self) -> Vector:
        """Which of ``PLANES`` each plane is most like, (planes,)."""
        return np.array(_PLACE[self.lumbar], dtype=np.float64)

    @cached_property
    def sac_loss(self) -> tuple[Measures, Measures]:
        """What the narrow canal takes from the sac's half depth and half width, mm."""
        area = 1.0 - 0.86 * self.canal
        return self.sac_depth * (1 - area**0.62), self.sac_width * (1 - area**0.38)

    @cached_property
    def recess_at(self) -> Measures:
        """Distance of the recesses from the midline at each plane, mm."""
        return self.sac_width + 1.2

    @cached_property
    def pedicle_at(self) -> Measures:
        """Distance of the foramina from the midline at each plane, mm."""
        return np.concatenate([self.pedicle[:1], self.pedicle]) + 1.0

    def __post_init__(self) -> None:
        for item in fields(self):
            if item.type is Measures:
                object.__setattr__(self, item.name, np.asarray(getattr(self, item.name), dtype=np.float32))

    def at(self, plane: int, lateral: float, posterior: float, up: float) -> Vector:
        """Returns a point given in the frame of a disc plane, in the patient's frame."""
        frame = lateral * self.lateral[plane] + posterior * self.posterior[plane] - up * self.down[plane]
        return np.asarray(self.centre[plane] + frame)

    def canal_point(self, level: int) -> Vector:
        """Returns the middle of the thecal sac at a graded disc."""
        plane = FIRST_GRADED + level
        return self.at(plane, 0.0, self.depth[plane] + self.sac_gap[plane] + self.sac_depth[plane], 0.0)

    def foramen_point(self, level: int, side: int) -> Vector:
        """Returns the middle of a neural foramen; ``side`` is +1 on the patient's left, -1 on the right."""
        plane = FIRST_GRADED + level
        return self.at(plane, side * self.pedicle_at[plane], self.depth[plane] + 2.5, 5.5)

    def recess_point(self, level: int, side: int) -> Vector:
        """Returns the middle of a lateral recess at the disc; ``side`` is +1 on the patient's left."""
        plane = FIRST_GRADED + level
        return self.at(plane, side * self.recess_at[plane], self.depth[plane] + 3.0, 0.0)


def build_spine(rng: np.random.Generator, severity: Severity, lumbar: int = LUMBAR) -> Spine:
    """Builds a spine of random size and curvature, narrowed and worn as the severities say.

    Args:
        severity: Conditions in the order canal, left foramen, right foramen, left recess, right recess.
        lumbar: Number of lumbar vertebrae, 4 ... 6.
    """
    size = float(np.clip(rng.normal(1.0, 0.055), 0.88, 1.13))
    planes, graded = len(PLANES), slice(FIRST_GRADED, FIRST_GRADED + 5)
    narrow = np.full((5, planes), 0.04)
    narrow[:, graded] = narrowing(severity.grade)
    wear = np.full(planes, float(np.clip(severity.degeneration.mean() - 0.15, 0.05, 0.8)))
    wear[graded] = np.clip(severity.degeneration + 0.25 * (narrow[:, graded].mean(axis=0) - 0.3), 0.02, 0.98)
    loss = 0.08 * rng.random(planes) + 0.42 * wear**1.6
    disc_height = _table(_DISC, lumbar) * size * (1.0 - loss)
    centre, lateral, posterior, down = _frames(rng, size, disc_height, lumbar)
    depth = _table(_DEPTH, lumbar) * size * (1 + 0.02 * rng.standard_normal(planes))
    spinous = _table(_SPINOUS, lumbar) * size * (1 + 0.05 * rng.standard_normal(planes))
    fat_depth = float(rng.gamma(3.0, 5.0) + 7.0)
    conus = float(rng.normal(3.75, 0.35)) + (LUMBAR - lumbar)
    return Spine(
        lumbar=lumbar,
        centre=centre,
        lateral=lateral,
        posterior=posterior,
        down=down,
        disc_height=disc_height,
        wedge=_table(_WEDGE, lumbar) * (1 - 0.5 * wear),
        depth=depth,
        width=_table(_WIDTH, lumbar) * size,
        hydration=np.clip(1.05 - 1.25 * wear, 0.0, 1.0),
        bulge=0.3 + 2.2 * wear * (0.5 + rng.random(planes)),
        sac_depth=_table(_SAC_DEPTH, lumbar) * (0.5 + 0.5 * size) * rng.normal(1.0, 0.05),
        sac_width=_table(_SAC_WIDTH, lumbar) * (0.5 + 0.5 * size) * rng.normal(1.0, 0.05),
        sac_gap=_table(_SAC_GAP, lumbar) * rng.uniform(0.8, 1.3),
        canal=narrow[0],
        foramen=narrow[1:3],
        recess=narrow[3:5],
        pedicle=_table(_PEDICLE, lumbar) * size,
        pedicle_width=_table(_PEDICLE_WIDTH, lumbar) * size,
        spinous=spinous,
        skin=_skin(centre, posterior, depth + spinous, fat_depth),
        fat_depth=fat_depth,
        muscle_fat=float(np.clip(rng.normal(0.35, 0.2) + 0.3 * (wear.mean() - 0.4), 0.0, 1.0)),
        conus=conus,
        marrow_fat=float(rng.normal(1.0, 0.12)),
        modic=(rng.random(planes) < 0.45 * wear)
        * rng.uniform(0.4, 1.0, planes)
        * rng.choice([-1.0, 1.0], planes, p=[0.25, 0.75]),
        osteophyte=4.5 * wear * rng.random(planes),
        spots=_spots(rng),
        roots=_roots(rng),
        shift=rng.integers(0, 128, 3),
    )


def _table(values: Sequence[float], lumbar: int) -> Vector:
    """Fits a quantity of ``PLANES``, or of the segments below them, to a spine with this many lumbar vertebrae."""
    return np.interp(_PLACE[lumbar][: len(values)], np.arange(len(values)), values)


def _frames(
    rng: np.random.Generator, size: float, disc_height: Vector, lumbar: int
) -> tuple[Vector, Vector, Vector, Vector]:
    planes = np.arange(len(PLANES))
    lordosis = float(np.clip(rng.normal(1.0, 0.22), 0.5, 1.5))
    bend = np.where(planes > FIRST_SACRAL, 0.4 + 0.6 * lordosis, lordosis)
    tilt = np.radians(_table(_TILT, lumbar) * bend + rng.normal(0, 3.0) + 1.2 * rng.standard_normal(len(planes)))
    curve = rng.normal(0, 3.0) * np.cos((planes - rng.uniform(4, 8)) * rng.uniform(0.5, 1.0))
    roll = np.radians(np.where(planes > FIRST_SACRAL, 0.5, 1.0) * curve + rng.normal(0, 1.0))
    turn = np.radians(rng.normal(0, 1.0) + 0.5 * curve)
    down = np.stack([np.sin(roll), np.sin(tilt) * np.cos(roll), -np.cos(tilt) * np.cos(roll)], axis=1)
    posterior = np.stack([-np.sin(turn), np.cos(tilt), np.sin(tilt)], axis=1)
    posterior -= (posterior * down).sum(axis=1, keepdims=True) * down
    posterior /= np.linalg.norm(posterior, axis=1, keepdims=True)
    lateral = np.cross(down, posterior)
    lateral *= np.sign(lateral[:, :1])
    half = disc_height / 2
    length = half[:-1] + _table(_BODY, lumbar) * size * (1 + 0.02 * rng.standard_normal(len(planes) - 1)) + half[1:]
    along = down[:-1] + down[1:]
    steps = length[:, None] * along / np.linalg.norm(along, axis=1, keepdims=True)
    centre = np.concatenate([np.zeros((1, 3)), np.cumsum(steps, axis=0)])
    middle = centre[6] + np.array([rng.normal(0, 4.0), rng.normal(0, 10.0), rng.normal(0, 12.0)])
    return centre - middle, lateral, posterior, down


def _skin(centre: Vector, posterior: Vector, reach: Vector, fat_depth: float) -> Vector:
    tips = (centre + reach[:, None] * posterior)[:12]
    curve = np.polyfit(tips[:, 2], tips[:, 1], 3)
    curve[-1] += (tips[:, 1] - np.polyval(curve, tips[:, 2])).max() + 2.0 + fat_depth
    return np.asarray(curve)


def _spots(rng: np.random.Generator) -> Vector:
    """Islands of fatty marrow: segment, lateral, posterior, height (0 ... 1), radius, strength."""
    count = rng.poisson(2.5)
    return np.stack(
        [
            rng.integers(0, 9, count),
            rng.uniform(-15, 15, count),
            rng.uniform(-10, 10, count),
            rng.uniform(0.25, 0.75, count),
            rng.uniform(2.0, 6.0, count),
            rng.uniform(0.3, 1.0, count),
        ],
        axis=1,
    )


def _roots(rng: np.random.Generator) -> Vector:
    """Cauda equina: angle and relative radius in the sac, wander, phase and thickness of each root."""
    count = 22
    angle = np.linspace(-0.25, np.pi + 0.25, count) + 0.12 * rng.standard_normal(count)
    return np.stack(
        [
            angle,
            np.clip(rng.normal(0.66, 0.16, count), 0.25, 0.88),
            rng.uniform(0.02, 0.10, count),
            rng.uniform(0, 2 * np.pi, count),
            rng.uniform(0.62, 1.0, count),
        ],
        axis=1,
    )
