import pytest

from lumbargrade.dicom.contrast import read_contrast


@pytest.mark.parametrize(
    ("description", "echo", "repetition", "inversion", "told"),
    [
        ("SAG T1", None, None, None, "T1"),
        ("t2_tse_sag_320", 100, 3500, None, "T2"),
        ("SAG STIR", 40, 4000, 160, "T2"),
        ("Localizer T2", 90, 4000, None, "other"),
        ("AX PD FSE", 20, 3000, None, "other"),
        ("AX T1 POST", 10, 600, None, "T1"),
        ("lumbar", 12, 550, None, "T1"),
        ("lumbar", 105, 4200, None, "T2"),
        ("lumbar", 45, 4800, 150, "T2"),
        ("lumbar", 45, 2000, None, None),
        ("", None, None, None, None),
    ],
)
def test_what_people_wrote_is_believed_before_the_timings(
    description: str, echo: float | None, repetition: float | None, inversion: float | None, told: str | None
) -> None:
    assert read_contrast(description, echo, repetition, inversion) == told
