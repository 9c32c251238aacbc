"""An upload of several studies: a zip for each, and what the page may say of it so that a reader can choose."""

import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

from lumbargrade.dicom.grouping import group_series, shown_words
from lumbargrade.inference.contents import StudyContents
from lumbargrade.inference.study import UnopenedStudy
from lumbargrade.viewer.schemas import StudyChoice


def part_name(number: int) -> str:
    """Name in the spool folder of the zip with one of an upload's studies.

    Args:
        number: Of the study, from 1.
    """
    return f"part-{number}.zip"


def write_part(study: UnopenedStudy, number: int, folder: Path) -> dict[str, Any]:
    """Writes a study's own zip, and returns a :class:`StudyChoice` as JSON."""
    contents = study.contents
    write_zip(contents, folder / part_name(number))
    series = group_series(contents.mr)
    shown = Counter(shown_words(group.slices) for group in series)
    choice = StudyChoice(
        number=number,
        date=contents.date or None,
        series=len(series),
        images=len(contents.mr),
        shows=tuple(words for words, _ in shown.most_common() if words),
    )
    return choice.model_dump(mode="json")


def write_zip(contents: StudyContents, path: Path) -> dict[Path, int]:
    """Writes a study's files, unreadable ones too, into a zip; files of one folder stay together.

    Returns:
        Place of each file in the zip.
    """
    files = dict.fromkeys([*(header.path for header in contents.headers), *(lost.path for lost in contents.lost)])
    folders: dict[Path, int] = {}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for number, file in enumerate(files):
            folder = folders.setdefault(file.parent, len(folders))
            archive.write(file, f"f{folder}/{number}.dcm")
    return {file: number for number, file in enumerate(files)}
