"""A study while it is worked on: its series, opened once."""

from collections.abc import Iterator, Sequence
from functools import cached_property

from lumbargrade.data.study_zip import POINTS
from lumbargrade.dicom.headers import SliceHeader
from lumbargrade.errors import InputError
from lumbargrade.inference.described_series import DescribedSeries, describe_series
from lumbargrade.inference.field_of_view import shows_other_part
from lumbargrade.inference.study import Study
from lumbargrade.models.locator import Locator
from lumbargrade.preprocessing.series import SeriesImages
from lumbargrade.preprocessing.views import StackView, view_series


class OpenedStudy:
    """A study's series, opened once for locating and for cropping."""

    def __init__(self, study: Study, percentiles: tuple[float, float]) -> None:
        self.study = study
        self._percentiles = percentiles
        self._images: dict[str, SeriesImages] = {}

    def images(self, series: int | str) -> SeriesImages:
        """The images of a series, by RSNA's number or by its key."""
        key = self.study.key(series)
        if key is None:
            raise InputError(
                f"the series that {POINTS} names is not among the study's images", "", "points-of-missing-series"
            )
        if key not in self._images:
            self._images[key] = SeriesImages(self.study.series[key], self._percentiles)
        return self._images[key]

    def described(self) -> Iterator[tuple[Sequence[SliceHeader], SeriesImages]]:
        """Headers and images of each series."""
        return ((headers, self.images(key)) for key, headers in self.study.series.items())

    @cached_property
    def series(self) -> dict[str, DescribedSeries]:
        """Each series as its headers describe it."""
        table = self.study.descriptions
        return {key: describe_series(key, self.images(key), table.get(key)) for key in self.study.series}

    def stacks(self, locator: Locator) -> list[StackView]:
        """What the locators look at."""
        views = locator.config.views
        return [
            stack
            for key, described in self.series.items()
            if key not in self.study.torn and shows_other_part(described.images) is None and described.emptiness is None
            for stack in view_series(
                key,
                described.images,
                described.contrast,
                views,
                described.kind.preference,
                described.name(described.images.stacks),
            )
        ]
