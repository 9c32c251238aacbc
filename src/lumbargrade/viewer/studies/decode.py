"""Decodes a study into raw slices and an index. Runs in a guarded process: the files come from anybody."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread

from lumbargrade.archives.unpack import may_hold_dicom
from lumbargrade.config.params import PrepareParams
from lumbargrade.config.task import GradingTask
from lumbargrade.dicom.geometry import Orientation
from lumbargrade.dicom.headers import SliceHeader, UnreadableFile
from lumbargrade.dicom.limits import LIMITS
from lumbargrade.dicom.parse import bounded_file
from lumbargrade.dicom.stacks import Stack
from lumbargrade.errors import InputError
from lumbargrade.inference.contents import StudyContents
from lumbargrade.inference.study import Study, open_studies
from lumbargrade.preprocessing.series import SeriesImages
from lumbargrade.viewer.image_index import Identifiers, SeriesIndex, SliceIndex, StudyIndex, Weighting
from lumbargrade.viewer.studies.parts import write_part, write_zip

UPLOAD, REPACKED = "upload.zip", "files.zip"
"""Names in a study's spool folder of what was sent, and of a zip of its files if it was no plain one."""

_HIGHEST = 65535
_PLANES = ("sagittal", "axial", "coronal")
_WEIGHTINGS = ("T1", "T2", "STIR", "other")

OnProgress = Callable[[int, int], None]


def check_upload(folder: str, max_files: int, tell: OnProgress) -> None:
    """Refuses an upload that can be refused without unpacking it.

    Raises:
        InputError: It is no archive, is encrypted or a bomb, has too many files, or none that begins as DICOM does.
    """
    if not may_hold_dicom(Path(folder) / UPLOAD, replace(LIMITS, files=max_files)):
        raise InputError(
            "the upload holds no DICOM file", "send the study's DICOM files, or a zip of them", "upload-without-dicom"
        )


def decode_upload(folder: str, task: str, identifiers: bool, tell: OnProgress) -> dict[str, Any]:
    """Decodes the upload in a spool folder: writes ``<series>.u16`` for each stack of slices, or a zip for each study.

    Args:
        task: The grading task as JSON.
        identifiers: Whether to return who the patient is.

    Returns:
        A :class:`StudyIndex` as JSON; of an upload of several studies :class:`StudyChoice` under ``studies``, and ``notes``.

    Raises:
        InputError: It holds no MR image that can be decoded, or images of several patients.
    """
    place = Path(folder)
    with open_studies(place / UPLOAD, GradingTask.model_validate_json(task), unpack_in=place) as studies:
        if len(studies) > 1:
            choices = [write_part(study, number, place) for number, study in enumerate(studies, start=1)]
            return {"studies": choices, "notes": [note.text for note in studies[0].export_notes]}
        with studies[0].open() as study:
            return _decode_study(study, studies[0].contents, place, identifiers, tell)


def _decode_study(
    study: Study, contents: StudyContents, place: Path, identifiers: bool, tell: OnProgress
) -> dict[str, Any]:
    files, archive = study.members, UPLOAD
    headers = [header for series in study.series.values() for header in series]
    if any(
        header.path not in files for header in headers
    ):  # they came out of an archive in the archive, or out of a tar
        archive = REPACKED
        files = write_zip(contents, place / archive)
    index = StudyIndex(
        study_uid=headers[0].study_uid,
        series=tuple(_write_all(study.series, place, tell)),
        identifiers=_identifiers(headers[0].path) if identifiers else None,
        archive=archive,
        members={header.sop_uid: files[header.path] for header in headers},
    )
    if not index.series:
        raise InputError(
            "none of the study's images can be decoded",
            "export the study again, uncompressed if possible",
            "no-image-decodable",
        )
    return index.model_dump(mode="json")


@dataclass(frozen=True, eq=False)
class _Scroll:
    """Slices of a series that are scrolled through together: one orientation, shape and spacing.

    Blocks that are angled to the discs are one scroll, though their slices are not parallel.

    Attributes:
        pictures: Slices that can be decoded, by place: toward the patient's left, head or back.
    """

    orientation: Orientation
    pictures: list[tuple[SliceHeader, NDArray[np.float32]]]
    window: tuple[float, float]
    unreadable: int


def _write_all(series: dict[str, list[SliceHeader]], folder: Path, tell: OnProgress) -> list[SeriesIndex]:
    total, done = sum(map(len, series.values())), 0
    written: list[SeriesIndex] = []
    for key, headers in series.items():
        images = SeriesImages(headers, PrepareParams().percentiles)
        for orientation, slices in _scrolls(images.stacks):
            pictures = []
            for header in slices:
                done += 1
                tell(done, total)
                with suppress(UnreadableFile):
                    pictures.append((header, images.pixels(header)))
            if pictures:
                scroll = _Scroll(orientation, pictures, images.window, len(slices) - len(pictures))
                written.append(_write_scroll(scroll, f"s{len(written)}", key, folder))
    return _titled(written)


def _scrolls(stacks: Sequence[Stack]) -> Iterator[tuple[Orientation, list[SliceHeader]]]:
    groups: dict[tuple[Orientation, *tuple[object, ...]], list[SliceHeader]] = {}
    for stack in stacks:
        plane = stack.slices[0].plane
        spacing = tuple(f"{value:.3g}" for value in plane.spacing)
        key = (stack.orientation, plane.shape, spacing, stack.slices[0].plane_known)
        groups.setdefault(key, []).extend(stack.slices)
    for (orientation, *_), slices in groups.items():
        yield orientation, sorted(slices, key=_along)


def _along(header: SliceHeader) -> float:
    """Where a slice's middle lies on the axis of the patient that it is nearest to be across, mm."""
    plane = header.plane
    middle = plane.to_patient((np.array(plane.shape[::-1]) - 1) / 2)
    return float(middle[int(np.abs(plane.normal).argmax())])


def _write_scroll(scroll: _Scroll, name: str, key: str, folder: Path) -> SeriesIndex:
    pictures = scroll.pictures
    low = min(float(pixels.min()) for _, pixels in pictures)
    high = max(float(pixels.max()) for _, pixels in pictures)
    whole = all((pixels == np.round(pixels)).all() for _, pixels in pictures)
    scale = 1.0 if whole and high - low <= _HIGHEST else (high - low) / _HIGHEST or 1.0
    with (folder / f"{name}.u16").open("wb") as file:
        for _, pixels in pictures:
            file.write(np.round((pixels.astype(np.float64) - low) / scale).astype("<u2").tobytes())
    black, white = ((value - low) / scale for value in scroll.window)
    first = pictures[0][0]
    rows, columns = first.plane.shape
    return SeriesIndex(
        id=name,
        key=key,
        title=first.kind.words or "",
        plane=scroll.orientation,
        weighting=_weighting(first),
        rows=rows,
        columns=columns,
        window=((black + white) / 2, max(white - black, 1.0)),
        pixel_mm=first.plane.spacing,
        offset=low,
        scale=scale,
        geometry_known=first.plane_known,
        unreadable=scroll.unreadable,
        slices=tuple(map(_slice, (header for header, _ in pictures))),
    )


def _slice(header: SliceHeader) -> SliceIndex:
    plane = header.plane
    origin, row, column = (tuple(map(float, v)) for v in (plane.position, plane.row_direction, plane.column_direction))
    facts = {"origin_mm": origin, "row_dir": row, "column_dir": column}
    return SliceIndex.model_validate({"sop_uid": header.sop_uid, "frame": header.frame, **facts})


def _weighting(header: SliceHeader) -> Weighting:
    contrast = header.kind.gradable
    if contrast == "T2":
        return "STIR" if header.kind.weighting == "STIR" else "T2"
    return "T1" if contrast == "T1" else "other"


def _titled(series: list[SeriesIndex]) -> list[SeriesIndex]:
    """In the order in which they are read; titled by what they show, as descriptions may name somebody."""
    order = sorted(series, key=lambda s: (_PLANES.index(s.plane), _WEIGHTINGS.index(s.weighting), -len(s.slices)))
    names = [f"{found.plane.capitalize()} {found.title}".strip() for found in order]
    seen: Counter[str] = Counter()
    titled = []
    for found, name in zip(order, names, strict=True):
        seen[name] += 1
        title = name if names.count(name) == 1 else f"{name} ({seen[name]})"
        titled.append(found.model_copy(update={"title": title}))
    return titled


def _identifiers(path: Path) -> Identifiers:
    with bounded_file(path) as file:
        dataset = dcmread(file, stop_before_pixels=True, force=True)
    keywords = ("PatientName", "PatientID", "PatientBirthDate", "StudyDate", "AccessionNumber")
    values = [str(dataset.get(keyword) or "")[:64] for keyword in keywords]
    return Identifiers(**dict(zip(Identifiers.model_fields, values, strict=True)))
