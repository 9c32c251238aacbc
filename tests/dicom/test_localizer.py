from typing import Any

import pytest

from lumbargrade.dicom.headers import read_headers
from lumbargrade.dicom.localizer import localizer_reason, planes_reason

NAMES = [
    "Localizer", "localiser T2", "LOKALIZATOR", "Localizador", "localisateur", "REPÉRAGE", "localizzatore", "3-plane scout",
    "Survey_32ch", "plan scan", "PilotScan", "Topogram", "Übersicht", "UEBERSICHT", "Dreiplan", "3-Plane Loc", "Lokalisator",
    "przeglądowy", "T2 SAG LOC",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_localizers_are_known_by_their_name(name: str) -> None:
    assert localizer_reason(name, (), "", 4000) == "its name says so"


@pytest.mark.parametrize("name", ["SAG T2", "t2_tse_tra_320", "AX T1 POST", "T2 SAG LOCK", "Explan"])
def test_other_names_are_not_taken_for_a_localizers(name: str) -> None:
    assert localizer_reason(name, ("ORIGINAL", "PRIMARY", "M"), "*tse2d1_17", 4000) is None


def test_localizers_are_known_by_what_they_are(write: Any) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "ImageType says so"),
        ({"ScanningSequence": "GR", "RepetitionTime": 9, "EchoTime": 4}, "repetition time of 9 ms"),
        ({"SequenceName": "*h2d1_205", "RepetitionTime": 1500, "EchoTime": 90}, "single shots"),
        ({"SeriesDescription": "", "ProtocolName": "localizador"}, "its name says so"),
    ]
    for tags, reason in cases:
        (header,) = read_headers(write.image(**tags))
        assert reason in str(header.localizer)
        assert header.contrast == "other"


def test_a_few_slices_in_several_planes_are_a_localizer() -> None:
    assert planes_reason({"sagittal": 5, "coronal": 5, "axial": 3}) == "it has a few slices in 3 planes"
    assert planes_reason({"sagittal": 15}) is None
    assert planes_reason({"sagittal": 40, "axial": 60}) is None
