"""What is kept of an answered study so that drift is seen later: a few hundred numbers, no pixels, no identifiers.

All of it is taken from what grading has read, decoded and computed anyway.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from lumbargrade.config.task import GradingTask
from lumbargrade.dicom.errors import UnreadableFile
from lumbargrade.dicom.geometry import Orientation
from lumbargrade.dicom.headers import SliceHeader
from lumbargrade.dicom.kind.image_kind import Contrast
from lumbargrade.frozen import Frozen
from lumbargrade.preprocessing.series import SeriesImages

EMBEDDING = 16
"""Numbers that the graders' features of a group of conditions become."""

MAKERS = (
    "siemens", "ge", "philips", "toshiba", "canon", "hitachi", "fujifilm", "esaote", "united imaging", "hyperfine",
)  # fmt: skip
OTHER = "other"
_DIGITS = 5
_PROJECTION_SEED = 20_261_124
_LAPLACE = np.array([[1.0, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float32)


class Intensities(Frozen):
    """How bright the images of a series are; all but ``white`` in its grey scale from 0 to 1.

    Attributes:
        white: What becomes white, in the scanner's units.
        percentiles: The 10th, 50th and 90th.
        noise: Standard deviation of the noise of the middle slice.
    """

    white: float
    mean: float
    deviation: float
    percentiles: tuple[float, float, float]
    noise: float


class SeriesFacts(Frozen):
    """A series as its headers and its images tell it.

    Attributes:
        orientation, contrast: Of its largest stack; no contrast if the header does not tell.
        slices: Of all its stacks.
        spacing: Between rows and between columns, mm; None if it is not known.
        between: Distance from slice to slice, mm.
        thickness: mm.
        echo_time, repetition_time: ms.
        intensities: None if no image of it was looked at.
    """

    orientation: Orientation
    contrast: Contrast | None
    slices: int
    spacing: tuple[float, float] | None
    between: float
    thickness: float | None
    echo_time: float | None
    repetition_time: float | None
    intensities: Intensities | None


class Features(Frozen):
    """What is kept of a study.

    Attributes:
        maker: A word for the manufacturer, from a list; ``other`` if it is not there, empty if the header has none.
        field_strength: Tesla.
        embedding: Of each group of conditions that was graded: what the graders' backbones made of its crops, averaged
            and projected at random onto :data:`EMBEDDING` numbers.
        notes: How many remarks the answer carries.
    """

    maker: str
    field_strength: float | None
    series: tuple[SeriesFacts, ...]
    embedding: dict[str, tuple[float, ...]]
    notes: int = 0


def study_features(
    series: Iterable[tuple[Sequence[SliceHeader], SeriesImages]],
    embedding: Mapping[str, tuple[float, ...]],
    notes: int,
) -> Features:
    """Describes a study that has been graded.

    Args:
        series: Headers and images of each series; only those that are decoded are looked at.
        embedding: As :func:`embed` gives it.
    """
    pairs = list(series)
    headers = [header for some, _ in pairs for header in some]
    first = headers[0] if headers else None
    return Features(
        maker=_maker(first.manufacturer) if first else "",
        field_strength=first.field_strength if first else None,
        series=tuple(_facts(images) for _, images in pairs),
        embedding=dict(embedding),
        notes=notes,
    )


def embed(index: pd.DataFrame, seen: Sequence[NDArray[np.float32]], task: GradingTask) -> dict[str, tuple[float, ...]]:
    """A few numbers for each group of conditions, from the features that graded it.

    Distances between the graders' mean features are kept, up to chance. Source: Johnson and Lindenstrauss 1984.

    Args:
        index: condition of each crop.
        seen: Features of each grader, (crops, features).
    """
    group_of = {condition.name: condition.group for condition in task.conditions}
    groups = np.array([group_of[name] for name in index["condition"]])
    found = {}
    for group in task.groups:
        rows = groups == group
        if rows.any():
            whole = np.concatenate([features[rows].mean(axis=0) for features in seen])
            found[group] = tuple(_short(value) for value in whole @ _projection(len(whole)))
    return found


@lru_cache(maxsize=4)
def _projection(features: int) -> NDArray[np.float32]:
    """The same matrix everywhere, or no two embeddings could be compared, (features, EMBEDDING)."""
    rng = np.random.default_rng(_PROJECTION_SEED)
    return np.asarray(rng.standard_normal((features, EMBEDDING), dtype=np.float32) / np.sqrt(EMBEDDING))


def _maker(manufacturer: str) -> str:
    words = manufacturer.lower()
    if not words.strip():
        return ""
    return next((name for name in MAKERS if words.startswith(name)), OTHER)


def _facts(images: SeriesImages) -> SeriesFacts:
    stack = images.stacks[0]
    header = stack.slices[len(stack.slices) // 2]
    return SeriesFacts(
        orientation=stack.orientation,
        contrast=header.contrast,
        slices=sum(len(each.slices) for each in images.stacks),
        spacing=(_short(header.plane.spacing[0]), _short(header.plane.spacing[1])) if header.spacing_known else None,
        between=_short(stack.spacing_between),
        thickness=header.thickness,
        echo_time=header.echo_time,
        repetition_time=header.repetition_time,
        intensities=_intensities(images) if images.decoded else None,
    )


def _intensities(images: SeriesImages) -> Intensities | None:
    with suppress(UnreadableFile):
        _, high = images.window
        greys = [images.grey(header) for header in images.sample if header in images.decoded]
        values = np.concatenate([grey[::4, ::4].ravel() for grey in greys])
        tenth, half, ninetieth = (_short(value) for value in np.percentile(values, (10, 50, 90)))
        return Intensities(
            white=_short(high),
            mean=_short(values.mean()),
            deviation=_short(values.std()),
            percentiles=(tenth, half, ninetieth),
            noise=_short(_noise(greys[len(greys) // 2])),
        )
    return None


def _noise(grey: NDArray[np.float32]) -> float:
    """Standard deviation of the noise. Source: Immerkær 1996."""
    found = ndimage.convolve(grey, _LAPLACE, mode="nearest")
    return float(np.sqrt(np.pi / 2) / 6 * np.abs(found).mean())


def _short(value: float) -> float:
    """Rounded, so that records stay small; the largest number there is for one that JSON cannot carry."""
    return float(f"{float(np.nan_to_num(value)):.{_DIGITS}g}")
