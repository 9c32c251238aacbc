"""One study in memory: which series are scanned, how, their pixels, the labels and the points."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from lumbargrade.config.task import GradingTask, load_task
from lumbargrade.dicom.geometry import Plane
from lumbargrade.phantom.anatomy import FIRST_GRADED, Spine, Vector, build_spine
from lumbargrade.phantom.protocol import (
    AXIAL_T2,
    SAGITTAL_T1,
    SAGITTAL_T2,
    Protocol,
    Station,
    axial_planes,
    draw_protocol,
    draw_station,
    sagittal_planes,
)
from lumbargrade.phantom.scanner import Coil, draw_coil, expose, scan
from lumbargrade.phantom.severity import DISC, Severity, draw_labels, draw_severity
from lumbargrade.phantom.tissues import STIR, T1, T2, Contrast, varied

KINDS = (SAGITTAL_T1, SAGITTAL_T2, AXIAL_T2)
"""What a study is scanned in, unless less is asked for."""
STENOSES = "rsna2024"
"""The task whose conditions a phantom's severity is of, whatever it is graded for."""


@dataclass(eq=False)
class Image:
    """One slice, ready to be written.

    Attributes:
        pixels: uint16, or int16 where the scanner stores signed numbers.
        instance: InstanceNumber, and the name of the file.
        without: DICOM keywords that are left out.
    """

    plane: Plane
    pixels: NDArray[np.uint16] | NDArray[np.int16]
    instance: int
    rescale: tuple[float, float] | None = None
    without: tuple[str, ...] = ()


@dataclass(eq=False)
class Series:
    """One series of images in the order of their instance numbers.

    Attributes:
        transfer_syntax: One of :data:`lumbargrade.phantom.encode.TRANSFER_SYNTAXES`.
        encoding_fixed: Whether it is kept whatever the headers' usual encoding.
    """

    series_id: int
    description: str
    protocol: Protocol
    images: list[Image]
    transfer_syntax: str = "explicit"
    encoding_fixed: bool = False


@dataclass(frozen=True)
class Point:
    """One row of ``train_label_coordinates.csv``; ``condition`` and ``level`` number the task's."""

    series_id: int
    instance: int
    condition: int
    level: int
    x: float
    y: float


@dataclass(eq=False)
class Study:
    """One study: what is written to disk, and the truth behind it.

    Attributes:
        labels: Grade numbers or -1, (conditions, levels).
        faults: What was done to it: kind, series and a sentence each.
        headers: The profile of headers that it is written with.
    """

    study_id: int
    station: Station
    spine: Spine
    severity: Severity
    labels: NDArray[np.int64]
    series: list[Series]
    points: list[Point]
    faults: list[tuple[str, int, str]] = field(default_factory=list)
    numbered: int = 0
    headers: str = "plain"

    def described(self, description: str) -> list[Series]:
        """Returns the series of this description."""
        return [series for series in self.series if series.description == description]


def study_number(seed: int, index: int) -> int:
    """Returns the id of a study; distinct for all studies of a seed, whatever their number."""
    return 10_000_000 + (seed * 7_368_787 + (index + 1) * 2_654_435_761) % 4_294_967_291


def draw_study(rng: np.random.Generator, number: int, task: GradingTask) -> Study:
    """Draws who is scanned and on what machine; nothing is scanned yet.

    Args:
        number: The study's id.
        task: ``rsna2024``, or ``disc_degeneration`` of the same spines.
    """
    severity = draw_severity(rng, load_task(STENOSES))
    labels = draw_labels(rng, severity, task)
    spine = build_spine(rng, severity)
    return Study(number, draw_station(rng), spine, severity, labels, [], [])


def study_rng(seed: int, index: int) -> np.random.Generator:
    """Returns the random numbers of one study, the same however many studies there are."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(index,)))


def build_study(seed: int, index: int, task: GradingTask, crops_only: bool = False) -> Study:
    """Draws study ``index`` of a seed, scans it and finds its points, see :func:`scan_study`."""
    rng = study_rng(seed, index)
    study = draw_study(rng, study_number(seed, index), task)
    scan_study(study, rng, task, crops_only)
    return study


def scan_study(study: Study, rng: np.random.Generator, task: GradingTask, crops_only: bool = False) -> None:
    """Scans the spine of a study in new series, in place of those that it had, and finds their points.

    Args:
        crops_only: Scans no more than crops of the task's cells show: the kinds of series in which it is graded, and the
            sagittal slices near its points.
    """
    study.series = []
    kinds = {condition.series for condition in task.conditions} if crops_only else KINDS
    _scan_sagittal(study, rng, draw_coil(rng), kinds, task if crops_only else None)
    if AXIAL_T2 in kinds:
        _scan_axial(study, rng, draw_coil(rng))
    study.points = points_of(study, task)
    order = rng.permutation(len(study.series))
    study.series = [study.series[position] for position in order]


def _scan_sagittal(
    study: Study, rng: np.random.Generator, coil: Coil, kinds: Collection[str], cropped: GradingTask | None
) -> None:
    first = draw_protocol(rng, SAGITTAL_T1)
    stir = rng.random() < 0.15
    second = draw_protocol(rng, SAGITTAL_T2, like=first if rng.random() < 0.7 else None, stir=stir)
    contrasts = {SAGITTAL_T1: varied(T1, rng), SAGITTAL_T2: varied(STIR if stir else T2, rng)}
    planes = sagittal_planes(rng, study.spine, first)
    if cropped is None and second.shares_geometry(first):
        both = [scan(study.spine, plane, first.thickness, list(contrasts.values())) for plane in planes]
        stacks = [(first, planes, [pair[0] for pair in both]), (second, planes, [pair[1] for pair in both])]
    else:
        stacks = []
        for protocol in (first, second):
            if protocol.description in kinds:
                planes = sagittal_planes(rng, study.spine, protocol)
                if cropped is not None:
                    planes = _near_points(planes, study.spine, cropped, protocol.description)
                contrast = contrasts[protocol.description]
                stacks.append((protocol, planes, scan_all(study.spine, planes, protocol.thickness, contrast)))
    for protocol, where, images in stacks:
        add_series(study, rng, coil, protocol, where, images)


def _near_points(planes: list[Plane], spine: Spine, task: GradingTask, description: str) -> list[Plane]:
    """The planes that pass nearest to the task's points in a kind of series, and a neighbour on each side."""
    points = [
        true_point(spine, number, level, task)
        for number, condition in enumerate(task.conditions)
        if condition.series == description
        for level in range(len(task.levels))
    ]
    nearest = [int(np.argmin([abs(float(plane.to_pixel(point)[2])) for plane in planes])) for point in points]
    return planes[max(min(nearest) - 1, 0) : max(nearest) + 2]


def _scan_axial(study: Study, rng: np.random.Generator, coil: Coil) -> None:
    protocol = draw_protocol(rng, AXIAL_T2)
    planes = axial_planes(rng, study.spine, protocol, continuous=rng.random() < 0.18)
    images = scan_all(study.spine, planes, protocol.thickness, varied(T2, rng))
    add_series(study, rng, coil, protocol, planes, images)


def scan_all(spine: Spine, planes: list[Plane], thickness: float, contrast: Contrast) -> list[NDArray[np.float32]]:
    """Returns the bare images of parallel slices in one contrast."""
    return [scan(spine, plane, thickness, [contrast])[0] for plane in planes]


def add_series(
    study: Study,
    rng: np.random.Generator,
    coil: Coil,
    protocol: Protocol,
    planes: list[Plane],
    images: list[NDArray[np.float32]],
) -> Series:
    """Exposes images, numbers them up or down at random and adds them to the study as a series."""
    exposed = [expose(image, plane, study.spine, coil, rng) for image, plane in zip(images, planes, strict=True)]
    bright = float(np.percentile(np.concatenate([image[::4, ::4].ravel() for image in exposed]), 99.5))
    scale = rng.uniform(500, 1800) / max(bright, 1e-3)
    falls = rng.random() < 0.4
    numbers = range(len(planes), 0, -1) if falls else range(1, len(planes) + 1)
    slices = [
        Image(plane, np.clip(np.rint(image * scale), 0, 4095).astype(np.uint16), number)
        for plane, image, number in zip(planes, exposed, numbers, strict=True)
    ]
    slices.sort(key=lambda image: image.instance)
    syntax = "rle" if rng.random() < 0.25 else "explicit"
    study.numbered += 1
    series_id = 20_000_000 + (study.study_id * 16 + study.numbered) % 4_294_967_291
    series = Series(series_id, protocol.description, protocol, slices, syntax)
    study.series.append(series)
    return series


def renumber(study: Study, series: Series, numbers: list[int]) -> None:
    """Gives the slices of a series other instance numbers, which its points follow."""
    new = {image.instance: number for image, number in zip(series.images, numbers, strict=True)}
    study.points = [
        replace(point, instance=new[point.instance]) if point.series_id == series.series_id else point
        for point in study.points
    ]
    for image in series.images:
        image.instance = new[image.instance]


def points_of(study: Study, task: GradingTask) -> list[Point]:
    """Returns a point for every cell that has a grade, in the first series of the right kind."""
    points = []
    for number, condition in enumerate(task.conditions):
        candidates = study.described(condition.series)
        if candidates:
            points += [
                locate(study, candidates[0], number, level, task)
                for level in range(len(task.levels))
                if study.labels[number, level] >= 0
            ]
    return points


def locate(study: Study, series: Series, condition: int, level: int, task: GradingTask) -> Point:
    """Projects the true place of a cell onto the slice of a series that passes nearest to it."""
    truth = true_point(study.spine, condition, level, task)
    off = [abs(float(image.plane.to_pixel(truth)[2])) for image in series.images]
    if series.description == AXIAL_T2:
        tilt = [float(image.plane.normal @ -study.spine.down[FIRST_GRADED + level]) for image in series.images]
        off = [distance + (0.0 if cosine > 0.94 else 0.5) for distance, cosine in zip(off, tilt, strict=True)]
    image = series.images[int(np.argmin(off))]
    x, y, _ = image.plane.to_pixel(truth)
    return Point(series.series_id, image.instance, condition, level, round(float(x), 2), round(float(y), 2))


def true_point(spine: Spine, condition: int, level: int, task: GradingTask) -> Vector:
    """Returns where a cell is in the patient, mm."""
    group, side = task.conditions[condition].group, task.conditions[condition].side
    if group == DISC:
        return np.asarray(spine.centre[FIRST_GRADED + level])
    if group == "spinal":
        return spine.canal_point(level)
    sign = 1 if side == "left" else -1
    return spine.foramen_point(level, sign) if group == "foraminal" else spine.recess_point(level, sign)
