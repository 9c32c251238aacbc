"""What a hospital's protocol fixes: matrix, spacing, thickness, timings, and where the slices are put."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lumbargrade.dicom.geometry import Plane
from lumbargrade.phantom.anatomy import FIRST_GRADED, Spine

SAGITTAL_T1 = "Sagittal T1"
SAGITTAL_T2 = "Sagittal T2/STIR"
AXIAL_T2 = "Axial T2"

_MANUFACTURERS = (
    ("SIEMENS", "Aera"),
    ("SIEMENS", "Skyra"),
    ("GE MEDICAL SYSTEMS", "SIGNA Explorer"),
    ("Philips Medical Systems", "Ingenia"),
    ("TOSHIBA", "Titan"),
)


@dataclass(frozen=True)
class Station:
    """The machine that a study was done on."""

    manufacturer: str
    model: str
    field_strength: float


@dataclass(frozen=True)
class Protocol:
    """One series as it was planned; lengths in mm, times in ms.

    Attributes:
        spacing: Between rows and between columns.
        gap: Distance from slice to slice.
    """

    description: str
    name: str
    shape: tuple[int, int]
    spacing: tuple[float, float]
    thickness: float
    gap: float
    slices: int
    repetition_time: float
    echo_time: float
    inversion_time: float | None = None
    body_part: str = "LSPINE"

    def shares_geometry(self, other: "Protocol") -> bool:
        """Whether both can be scanned in one go."""
        mine = (self.shape, self.spacing, self.thickness, self.gap, self.slices)
        return mine == (other.shape, other.spacing, other.thickness, other.gap, other.slices)


def draw_station(rng: np.random.Generator) -> Station:
    """Draws a scanner."""
    manufacturer, model = _MANUFACTURERS[int(rng.integers(len(_MANUFACTURERS)))]
    return Station(manufacturer, model, float(rng.choice([1.5, 1.5, 3.0])))


def draw_protocol(
    rng: np.random.Generator, description: str, like: Protocol | None = None, stir: bool = False
) -> Protocol:
    """Draws a protocol for a kind of series; ``like`` lends its geometry."""
    axial = description == AXIAL_T2
    if like is None:
        shape, spacing = _matrix(rng, axial)
        thickness = float(rng.choice([3.5, 4.0, 4.0, 4.5] if axial else [3.5, 4.0, 4.0, 4.5, 5.0]))
        gap = round(thickness * float(rng.choice([1.0, 1.1, 1.1] if axial else [1.0, 1.1, 1.15])), 2)
        slices = int(rng.choice([4, 4, 5])) if axial else int(np.clip(round(58.0 / gap), 11, 15)) | 1
    else:
        shape, spacing, thickness, gap, slices = like.shape, like.spacing, like.thickness, like.gap, like.slices
    times: tuple[float, float, float | None] = {
        SAGITTAL_T1: (rng.uniform(450, 750), rng.uniform(8, 14), None),
        SAGITTAL_T2: (rng.uniform(3000, 4500), rng.uniform(85, 115), None),
        AXIAL_T2: (rng.uniform(3500, 5500), rng.uniform(90, 120), None),
    }[description]
    name = {SAGITTAL_T1: "SAG T1", SAGITTAL_T2: "SAG T2", AXIAL_T2: "AX T2"}[description]
    if stir:
        times, name = (rng.uniform(3500, 5500), rng.uniform(40, 70), 160.0), "SAG STIR"
    repetition, echo, inversion = times
    return Protocol(
        description, name, shape, spacing, thickness, gap, slices, round(repetition, 1), round(echo, 1), inversion
    )


def _matrix(rng: np.random.Generator, axial: bool) -> tuple[tuple[int, int], tuple[float, float]]:
    if axial:
        rows = int(rng.choice([224, 240, 256, 256, 288, 320]))
        field_of_view = float(rng.uniform(165, 205))
    else:
        rows = int(rng.choice([256, 256, 288, 288, 320, 384], p=[0.25, 0.15, 0.25, 0.15, 0.15, 0.05]))
        field_of_view = float(rng.uniform(255, 300))
    row_spacing = round(field_of_view / rows, 4)
    kind = rng.choice(["square", "narrow", "stretched"], p=[0.72, 0.16, 0.12])
    if kind == "narrow":
        return (rows, int(rows * 0.8) // 8 * 8), (row_spacing, row_spacing)
    if kind == "stretched":
        columns = int(rows * 0.875) // 8 * 8
        return (rows, columns), (row_spacing, round(row_spacing * rows / columns, 4))
    return (rows, rows), (row_spacing, row_spacing)


def sagittal_planes(rng: np.random.Generator, spine: Spine, protocol: Protocol) -> list[Plane]:
    """Returns parallel sagittal planes around the spine, from the patient's right to the left."""
    lumbar = spine.centre[FIRST_GRADED - 1 : FIRST_GRADED + 6]
    slope = np.polyfit(lumbar[:, 2], lumbar[:, 0], 1)[0]
    yaw, lean = np.radians(rng.normal(0, 1.5)), float(np.arctan(0.8 * slope))
    row = _unit(np.array([-np.sin(yaw), np.cos(yaw), 0.0]))
    column = np.array([-np.sin(lean), 0.0, -np.cos(lean)])
    column = _unit(column - (column @ row) * row)
    middle = spine.centre[FIRST_GRADED + 2] + np.array([rng.normal(0, 1.2), rng.uniform(8, 22), rng.uniform(-14, 4)])
    left = -np.cross(row, column)
    steps = (np.arange(protocol.slices) - (protocol.slices - 1) / 2) * protocol.gap
    return [_plane(middle + step * left, row, column, protocol) for step in steps]


def axial_planes(rng: np.random.Generator, spine: Spine, protocol: Protocol, continuous: bool) -> list[Plane]:
    """Returns axial planes from the head down: one stack along each disc, or one straight stack through all."""
    if continuous:
        first, last = spine.centre[FIRST_GRADED], spine.centre[FIRST_GRADED + 4]
        tilt = np.radians(rng.normal(4.0, 3.0))
        row, column = np.array([1.0, 0.0, 0.0]), np.array([0.0, np.cos(tilt), np.sin(tilt)])
        length = first[2] - last[2] + 26.0
        count = int(np.ceil(length / (protocol.gap * 1.15)))
        heights = first[2] + 13.0 - np.arange(count) * length / (count - 1)
        back = np.interp(heights, spine.centre[::-1, 2], spine.centre[::-1, 1]).mean() + 24.0
        aside = spine.centre[FIRST_GRADED + 3, 0]
        return [_plane(np.array([aside, back, height]), row, column, protocol) for height in heights]
    planes = []
    for level in range(5):
        number = FIRST_GRADED + level
        tilt = np.arctan2(spine.posterior[number, 2], spine.posterior[number, 1]) * 0.93 + np.radians(
            rng.normal(0, 1.0)
        )
        row, column = np.array([1.0, 0.0, 0.0]), np.array([0.0, np.cos(tilt), np.sin(tilt)])
        normal = np.cross(row, column)
        middle = spine.at(number, rng.normal(0, 2.0), 22.0, rng.normal(0, 0.7))
        steps = ((protocol.slices - 1) / 2 - np.arange(protocol.slices)) * protocol.gap
        planes += [_plane(middle + step * normal, row, column, protocol) for step in steps]
    return planes


def _plane(
    middle: NDArray[np.float64], row: NDArray[np.float64], column: NDArray[np.float64], protocol: Protocol
) -> Plane:
    rows, columns = protocol.shape
    corner = middle - row * protocol.spacing[1] * (columns - 1) / 2 - column * protocol.spacing[0] * (rows - 1) / 2
    return Plane(np.round(corner, 4), np.round(row, 8), np.round(column, 8), protocol.spacing, protocol.shape)


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(vector / np.linalg.norm(vector))
