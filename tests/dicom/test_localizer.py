from typing import Any

import pytest

from lumbargrade.dicom.headers import read_headers
from lumbargrade.dicom.kind.judge import judge_kind
from lumbargrade.dicom.kind.names import is_abbreviated_localizer, is_localizer_name
from lumbargrade.dicom.kind.tags import KindTags
from lumbargrade.dicom.localizer import planes_reason

NAMES = [
    "Localizer", "localiser T2", "LOKALIZATOR", "Localizador", "localisateur", "REPÉRAGE", "localizzatore", "3-plane scout",
    "Survey_32ch", "plan scan", "PilotScan", "Topogram", "Übersicht", "UEBERSICHT", "Dreiplan", "3-Plane Loc", "Lokalisator",
    "przeglądowy", "01 Scano GE ST", "AASpine_Scout", "3 planos", "tre piani", "3-vlakken", "kılavuz",
    "ichigime", "dingwei xiang", "定位像", "位置決め", "Overzichtsscan", "3-pl Loc GRE", "trzy płaszczyzny",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_localizers_are_known_by_their_name(name: str) -> None:
    assert is_localizer_name(name)


def test_an_abbreviation_is_a_localizers_unless_times_say_otherwise() -> None:
    assert is_abbreviated_localizer("T2 SAG LOC")
    assert judge_kind(KindTags(description="T2 SAG LOC")).weighting == "localizer"


@pytest.mark.parametrize(
    "name", ["SAG T2", "t2_tse_tra_320", "AX T1 POST", "T2 SAG LOCK", "Explan", "T2 plan", "AX T2 3 mm"]
)
def test_other_names_are_not_taken_for_a_localizers(name: str) -> None:
    assert not is_localizer_name(name)


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
