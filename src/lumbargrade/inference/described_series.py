"""A series of a study as its headers, or its dataset's table, describe it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lumbargrade.config.task import series_kind
from lumbargrade.dicom.geometry import Orientation
from lumbargrade.dicom.kind.image_kind import Contrast, ImageKind, Weighting
from lumbargrade.dicom.stacks import Stack
from lumbargrade.preprocessing.series import SeriesImages


@dataclass(frozen=True, eq=False)
class DescribedSeries:
    """A series of a study.

    Attributes:
        key: How the study calls it.
        kind: What most of the slices that are used show.
        localizer: By what it is known for a localizer, if it is one.
    """

    key: str
    images: SeriesImages
    kind: ImageKind
    localizer: str | None = None

    @property
    def contrast(self) -> Contrast | None:
        """The weighting as graders tell it; None if nothing tells."""
        return "other" if self.localizer else self.kind.gradable

    @property
    def number(self) -> int | None:
        """SeriesNumber."""
        return self.images.stacks[0].slices[0].series_number

    @property
    def slices(self) -> int:
        """Of all its stacks."""
        return sum(len(stack.slices) for stack in self.images.stacks)

    @property
    def plane(self) -> Orientation | None:
        """The body plane of its largest stack; None if it is not known."""
        return plane_of(self.images.stacks[0])

    @property
    def weighting(self) -> str | None:
        """What it shows, in a word; None if nothing tells."""
        return "localizer" if self.localizer else self.kind.weighting or self.kind.computed

    @property
    def title(self) -> str:
        """Plane, weighting, fat suppression and contrast agent, in words of a fixed list."""
        return self._title(self.plane)

    @property
    def emptiness(self) -> str | None:
        """Why none of its slices shows anything, if so; nothing of a series that is not looked at, as slices are decoded."""
        return None if self.contrast == "other" else self.images.emptiness

    def name(self, stacks: Sequence[Stack]) -> str:
        """How notes call some of its stacks, as "series 7 (sagittal T1, 13 slices)"."""
        count = sum(len(stack.slices) for stack in stacks)
        slices = f"{count} slice{'s' if count != 1 else ''}"
        title = self._title(plane_of(stacks[0]))
        if self.number is not None:
            return f"series {self.number} ({', '.join(part for part in (title, slices) if part)})"
        if self.localizer:
            return f"a localizer of {slices}"
        return f"a{'n' if title.startswith('axial') else ''} {title} series of {slices}".replace("  ", " ")

    def _title(self, plane: Orientation | None) -> str:
        if self.localizer:
            return "localizer"
        return " ".join(word for word in (plane, self.kind.words) if word)


def describe_series(key: str, images: SeriesImages, table: str | None = None) -> DescribedSeries:
    """Describes a series by the headers of the slices that are used: those that gave way to others do not count.

    Args:
        table: What the dataset's own table says of it, as "Sagittal T1"; it counts before what headers say of the weighting.
    """
    kinds = [header.kind for stack in images.stacks for header in stack.slices]
    known = Counter(kind.weighting for kind in kinds if kind.weighting is not None)
    weighting = known.most_common(1)[0][0] if known else None
    kind = Counter(kind for kind in kinds if kind.weighting == weighting).most_common(1)[0][0]
    if table is not None and not images.localizer:
        kind = _settle_by_table(kind, series_kind(table).contrast)
    return DescribedSeries(key, images, kind, images.localizer)


def _settle_by_table(kind: ImageKind, contrast: Contrast) -> ImageKind:
    """The kind as the table has it, and as the headers do where they do not contradict it."""
    evidence = ("table", *kind.evidence)
    if kind.contrast == contrast:
        return replace(kind, confidence=1.0, evidence=evidence, part=None, computed=None, disagreement=None)
    weighting: Weighting = "T1" if contrast == "T1" else "T2"
    at_odds = f"the dataset's table says so, though the headers are those of a {kind.weighting}"
    return replace(
        kind,
        weighting=weighting,
        part=None,
        computed=None,
        confidence=1.0,
        evidence=("table",),
        disagreement=at_odds if kind.weighting else None,
        fault=None,
    )


def plane_of(stack: Stack) -> Orientation | None:
    """The body plane of a stack; None if neither orientation nor name tell it."""
    first = stack.slices[0]
    return stack.orientation if first.orientation_known or first.plane_named else None
