"""Parts of the spine as series are named on scanners set to several languages."""

import pytest

from lumbargrade.dicom.body_part import other_part


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("SAG T2 C-SPINE", "cervical"),
        ("t2_tse_sag_HWS", "cervical"),
        ("T2 kregoslup szyjny", "cervical"),
        ("Rachis cervical SAG", "cervical"),
        ("T2 sag BWS", "thoracic"),
        ("Sag T2 FRFSE T-SPINE", "thoracic"),
        ("columna dorsal T1", "thoracic"),
        ("SAG T2 L-SPINE", None),
        ("thoracolumbar", None),
        ("dorso-lombaire", None),
        ("HWS/BWS/LWS", None),
        ("SAG T2 CTL", None),
        ("T2 total spine", None),
        ("AX T2 L4-S1 dorsal", None),
        ("t2_space_3D_SPINE", None),
        ("3 D SPINE", None),
        ("T1 +C SPINE", None),
        ("SAG T2 TRA", None),
        ("T2 sag", None),
        ("", None),
    ],
)
def test_another_part_is_known_by_its_name(name: str, part: str | None) -> None:
    assert other_part(name) == part


def test_the_first_name_that_says_anything_counts() -> None:
    assert other_part("T2 sag", "HWS", "CSPINE") is None
    assert other_part(" ", "HWS", "LSPINE") == "cervical"
    assert other_part("", "", "CSPINE") == "cervical"
