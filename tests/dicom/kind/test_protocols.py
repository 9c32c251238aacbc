"""Published protocols of five makers: what their tags say is what they are.

``protocols.csv`` has the address or the citation of each row's times, and whether it was read there or is cited from memory.
Where a row says that its name was left out, the tags alone must tell.
"""

import csv
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset

from lumbargrade.dicom.kind.judge import read_kind

_TAGS = {
    "description": "SeriesDescription", "protocol": "ProtocolName", "scanning": "ScanningSequence",
    "acquisition": "MRAcquisitionType", "sequence": "SequenceName", "repetition": "RepetitionTime", "echo": "EchoTime",
    "inversion": "InversionTime", "train": "EchoTrainLength", "flip": "FlipAngle", "options": "ScanOptions",
    "field": "MagneticFieldStrength", "image_type": "ImageType", "manufacturer": "Manufacturer",
}  # fmt: skip
_SEVERAL = {"scanning", "options", "image_type"}

with (Path(__file__).parent / "protocols.csv").open(encoding="utf-8", newline="") as _file:
    ROWS = list(csv.DictReader(_file))


def _dataset(row: dict[str, str]) -> Dataset:
    dataset = Dataset()
    for column, keyword in _TAGS.items():
        if row[column]:
            value: Any = row[column].split("\\") if column in _SEVERAL else row[column]
            setattr(dataset, keyword, value)
    return dataset


@pytest.mark.parametrize("row", ROWS, ids=[f"{n} {r['description'] or 'unnamed'}" for n, r in enumerate(ROWS, start=2)])
def test_a_protocol_is_what_its_tags_say(row: dict[str, str]) -> None:
    kind = read_kind(_dataset(row))
    assert (kind.weighting, kind.fat_suppressed) == (row["weighting"], row["fat_suppressed"] == "yes"), row["source"]


def test_every_row_has_its_source() -> None:
    assert len([row for row in ROWS if row["source"] and row["known"] == "read"]) >= 60
    assert all(row["source"] and row["known"] in ("read", "memory") for row in ROWS)
