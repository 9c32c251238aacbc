from pathlib import Path

from lumbargrade.config.params import PrepareParams
from lumbargrade.dicom.headers import SliceHeader, read_headers
from lumbargrade.preprocessing.series import SeriesImages


def opened(folder: Path) -> SeriesImages:
    headers: list[SliceHeader] = [header for path in sorted(folder.iterdir()) for header in read_headers(path)]
    return SeriesImages(headers, PrepareParams().percentiles)
