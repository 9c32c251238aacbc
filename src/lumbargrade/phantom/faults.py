"""What is wrong with the real dataset, put in on purpose and listed.

Faults come in pairs, a pair a study in turn; every fourteenth study is left clean.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from lumbargrade.config.task import GradingTask
from lumbargrade.dicom.geometry import Plane
from lumbargrade.phantom.anatomy import build_spine
from lumbargrade.phantom.protocol import AXIAL_T2, SAGITTAL_T1, SAGITTAL_T2, axial_planes, draw_protocol
from lumbargrade.phantom.scanner import draw_coil
from lumbargrade.phantom.study import (
    Image,
    Point,
    Series,
    Study,
    add_series,
    locate,
    renumber,
    scan_all,
    scan_study,
    true_point,
)
from lumbargrade.phantom.tissues import T1, T2, varied

_CERVICAL_SCALE = 0.62

Spoil = Callable[[Study, np.random.Generator, GradingTask], tuple[Series | None, str]]


def apply_faults(study: Study, seed: int, index: int, task: GradingTask) -> None:
    """Spoils a study in the ways that are its index's turn, and notes them in ``study.faults``."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(index, 1)))
    turn = index % (len(PAIRS) + 1)
    for kind in PAIRS[turn] if turn < len(PAIRS) else ():
        series, detail = SPOILS[kind](study, rng, task)
        study.faults.append((kind, series.series_id if series else 0, detail))


def _several_axial(study: Study, rng: np.random.Generator, task: GradingTask) -> tuple[Series, str]:
    protocol = draw_protocol(rng, AXIAL_T2)
    planes = axial_planes(rng, study.spine, protocol, continuous=True)
    images = scan_all(study.spine, planes, protocol.thickness, varied(T2, rng))
    series = add_series(study, rng, draw_coil(rng), protocol, planes, images)
    again = [point for point in study.points if task.conditions[point.condition].series == AXIAL_T2 and point.level > 2]
    study.points += [locate(study, series, point.condition, point.level, task) for point in again]
    return series, f"a second axial series, with {len(again)} points of cells that have one in the first"


def _missing(description: str) -> Spoil:
    return lambda study, rng, task: (None, f"no {description}; {_remove(study, description)} points went with it")


def _remove(study: Study, description: str) -> int:
    gone = {series.series_id for series in study.described(description)}
    before = len(study.points)
    study.series = [series for series in study.series if series.series_id not in gone]
    study.points = [point for point in study.points if point.series_id not in gone]
    return before - len(study.points)


def _t1_twice(study: Study, rng: np.random.Generator, task: GradingTask) -> tuple[Series, str]:
    first = study.described(SAGITTAL_T1)[0]
    planes = [image.plane for image in first.images]
    images = scan_all(study.spine, planes, first.protocol.thickness, varied(T1, rng))
    return add_series(study, rng, draw_coil(rng), first.protocol, planes, images), f"a second {SAGITTAL_T1}"


def _odd_numbers(study: Study, rng: np.random.Generator, task: GradingTask) -> tuple[Series, str]:
    series = study.described(SAGITTAL_T1)[0]
    numbers = rng.permutation(np.sort(rng.choice(np.arange(2, 5050), len(series.images), replace=False)))
    renumber(study, series, [int(number) for number in numbers])
    return series, f"InstanceNumber in no order, from {numbers.min()} to {numbers.max()} with gaps"


def _gaps(study: Study, rng: np.random.Generator, task: GradingTask) -> tuple[Series, str]:
    series = study.described(AXIAL_T2)[0]
    skip = len(series.images) // 2
    renumber(study, series, [7 + number + (5 if number >= skip else 0) for number in range(len(series.images))][::-1])
    return series, "InstanceNumber reversed, starts at 7 and leaves out 5"


def _mixed_shapes(study: Study, rng: np.random.Generator, task: GradingTask) -> tuple[Series, str]:
    series = study.described(SAGITTAL_T2)[0]
    for image in series.images[: len(series.images) // 3]:
        top, left = 8, 16
        plane = image.plane
        shape = (plane.shape[0] - 2 * top, plane.shape[1] - 2 * left)
        position = np.round(plane.to_patient(np.array([left, top])), 4)
        image.plane = Plane(position, plane.row_direction, plane.column_direction, plane.spacing, shape)
        image.pixels = image.pixels[top:-top, left:-left]
        study.points = [
            replace(point, x=round(point.x - left, 2), y=round(point.y - top, 2))
            if (point.series_id, point.instance) == (series.series_id, image.instance)
            else point
            for point in study.points
        ]
    return series, f"{len(series.images) // 3} slices are smaller than the others"


def _without(description: str, *keywords: str) -> Spoil:
    def spoil(study: Study, rng: np.random.Generator, task: GradingTask) -> tuple[Series, str]:
        series = study.described(description)[0]
        for image in series.images:
            image.without = keywords
        return series, f"no {', '.join(keywords)}"

    return spoil


def _rescaled(study: Study, rng: np.random.Generator, task: GradingTask) -> tuple[Series, str]:
    series = study.described(SAGITTAL_T1)[0]
    for image in series.images[::2]:
        image.pixels = np.asarray((image.pixels.astype(np.int64) + 40) // 2, dtype=np.uint16)
        image.rescale = (2.0, -40.0)
    return series, "RescaleSlope and RescaleIntercept on every other file"


def _signed(study: Study, rng: np.random.Generator, task: GradingTask) -> tuple[Series, str]:
    series = study.described(SAGITTAL_T2)[0]
    for image in series.images:
        image.pixels = (image.pixels.astype(np.int32) - 60).astype(np.int16)
    return series, "signed pixels, some below zero"


def _encoded(description: str, syntax: str) -> Spoil:
    def spoil(study: Study, rng: np.random.Generator, task: GradingTask) -> tuple[Series, str]:
        series = study.described(description)[0]
        series.transfer_syntax, series.encoding_fixed = syntax, True
        return series, f"transfer syntax {syntax}"

    return spoil


def _points_dropped(study: Study, rng: np.random.Generator, task: GradingTask) -> tuple[None, str]:
    gone = {int(number) for number in rng.choice(len(study.points), min(4, len(study.points)), replace=False)}
    study.points = [point for number, point in enumerate(study.points) if number not in gone]
    return None, f"{len(gone)} labelled cells without a coordinate"


def _labels_dropped(study: Study, rng: np.random.Generator, task: GradingTask) -> tuple[None, str]:
    for number in rng.choice(len(study.points), min(3, len(study.points)), replace=False):
        study.labels[study.points[number].condition, study.points[number].level] = -1
    return None, "3 coordinates without a label"


def _duplicates(study: Study, rng: np.random.Generator, task: GradingTask) -> tuple[Series, str]:
    series = study.described(AXIAL_T2)[0]
    last = max(image.instance for image in series.images)
    chosen = rng.choice(len(series.images), 3, replace=False)
    for step, number in enumerate(sorted(int(number) for number in chosen), start=1):
        old = series.images[number]
        series.images.append(Image(old.plane, old.pixels.copy(), last + step, old.rescale, old.without))
    return series, "3 slices at a position that another has"


def _cervical(study: Study, rng: np.random.Generator, task: GradingTask) -> tuple[Series, str]:
    """The T2 shows a neck: a smaller spine, with cord all the way down."""
    old = study.described(SAGITTAL_T2)[0]
    _remove(study, SAGITTAL_T2)
    spine = replace(study.spine, conus=99.0, canal=study.spine.canal * 0.3)
    planes = [image.plane for image in sorted(old.images, key=lambda image: image.instance)]
    images = scan_all(spine, planes, old.protocol.thickness, varied(T2, rng))
    row, column = old.protocol.spacing
    small = (round(row * _CERVICAL_SCALE, 4), round(column * _CERVICAL_SCALE, 4))
    protocol = replace(old.protocol, name="SAG T2 C-SPINE", spacing=small, body_part="CSPINE")
    series = add_series(study, rng, draw_coil(rng), protocol, planes, images)
    for image in series.images:
        plane = image.plane
        image.plane = Plane(plane.position, plane.row_direction, plane.column_direction, small, plane.shape)
    return series, f"described as {SAGITTAL_T2} but of the neck; its cells have no points"


def _sides_swapped(study: Study, rng: np.random.Generator, task: GradingTask) -> tuple[Series, str]:
    series = study.described(AXIAL_T2)[0]
    sides = [number for number, condition in enumerate(task.conditions) if condition.series == AXIAL_T2]
    other = dict(zip(sides, reversed(sides), strict=True))
    study.points = [
        replace(point, condition=other[point.condition]) if point.condition in other else point
        for point in study.points
    ]
    study.labels[sides] = study.labels[sides[::-1]]
    return series, "left and right are swapped in the axial points and labels"


def _levels_shifted(study: Study, rng: np.random.Generator, task: GradingTask) -> tuple[Series, str]:
    series = study.described(SAGITTAL_T2)[0]

    def shifted(point: Point) -> Point:
        if point.series_id != series.series_id:
            return point
        image = next(image for image in series.images if image.instance == point.instance)
        x, y, _ = image.plane.to_pixel(true_point(study.spine, point.condition, point.level - 1, task))
        return replace(point, x=round(float(x), 2), y=round(float(y), 2))

    study.points = [shifted(point) for point in study.points]
    return series, "canal points one level too high"


def _lumbar(count: int) -> Spoil:
    """Puts another spine of the same severity in place of the study's, so this has to come before other faults."""

    def spoil(study: Study, rng: np.random.Generator, task: GradingTask) -> tuple[None, str]:
        study.spine = build_spine(rng, study.severity, count)
        scan_study(study, rng, task)
        return None, f"{count} lumbar vertebrae; levels are counted up from the sacrum"

    return spoil


SPOILS: dict[str, Spoil] = {
    "several axial series": _several_axial,
    "T1 missing": _missing(SAGITTAL_T1),
    "T2 missing": _missing(SAGITTAL_T2),
    "T1 twice": _t1_twice,
    "instance numbers in no order": _odd_numbers,
    "instance numbers with gaps": _gaps,
    "mixed shapes": _mixed_shapes,
    "no orientation": _without(SAGITTAL_T2, "ImageOrientationPatient"),
    "no spacing": _without(SAGITTAL_T1, "PixelSpacing"),
    "no thickness": _without(AXIAL_T2, "SliceThickness", "SpacingBetweenSlices"),
    "rescaled": _rescaled,
    "signed pixels": _signed,
    "RLE": _encoded(SAGITTAL_T2, "rle"),
    "JPEG-LS": _encoded(AXIAL_T2, "jpeg-ls"),
    "deflated": _encoded(SAGITTAL_T1, "deflated"),
    "implicit": _encoded(SAGITTAL_T1, "implicit"),
    "label without point": _points_dropped,
    "point without label": _labels_dropped,
    "duplicate positions": _duplicates,
    "cervical series": _cervical,
    "sides swapped": _sides_swapped,
    "levels shifted": _levels_shifted,
    "six lumbar vertebrae": _lumbar(6),
    "four lumbar vertebrae": _lumbar(4),
}

PAIRS: tuple[tuple[str, str], ...] = (
    ("several axial series", "deflated"),
    ("instance numbers in no order", "mixed shapes"),
    ("duplicate positions", "rescaled"),
    ("T1 twice", "JPEG-LS"),
    ("label without point", "signed pixels"),
    ("sides swapped", "RLE"),
    ("T1 missing", "no orientation"),
    ("no spacing", "instance numbers with gaps"),
    ("cervical series", "no thickness"),
    ("levels shifted", "point without label"),
    ("T2 missing", "implicit"),
    ("six lumbar vertebrae", "RLE"),
    ("four lumbar vertebrae", "signed pixels"),
)
