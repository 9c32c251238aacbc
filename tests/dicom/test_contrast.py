import pytest

from lumbargrade.dicom.contrast import read_contrast


@pytest.mark.parametrize(
    ("description", "echo", "repetition", "inversion", "expected"),
    [
        ("SAG T1", None, None, None, "T1"),
        ("t2_tse_sag_320", 100, 3500, None, "T2"),
        ("SAG STIR", 40, 4000, 160, "T2"),
        ("AX PD FSE", 20, 3000, None, "other"),
        ("AX T1 POST", 10, 600, None, "T1"),
        ("lumbar", 12, 550, None, "T1"),
        ("lumbar", 105, 4200, None, "T2"),
        ("lumbar", 45, 4800, 150, "T2"),
        ("lumbar", 45, 2000, None, None),
        ("", None, None, None, None),
        ("SAG T1 FLAIR", 24, 2200, 860, "T1"),
        ("SAG T1 FLAIR", None, None, None, "T1"),
        ("lumbar", 24, 2200, 860, "T1"),
        ("sag_t2_flair", 110, 8000, 2500, "other"),
        ("lumbar", 110, 8000, 2500, "other"),
        ("SAG T2", 20, 3000, None, "other"),
        ("lumbar", 20, 3000, None, "other"),
        ("MPR T2 SPACE SAG", 129, 1700, None, "T2"),
        ("PD T2 FSE AX", 95, 4000, None, "T2"),
        ("MPR SAG", None, None, None, "other"),
    ],
)
def test_timings_count_before_what_people_wrote(
    description: str, echo: float | None, repetition: float | None, inversion: float | None, expected: str | None
) -> None:
    assert read_contrast(description, echo, repetition, inversion).contrast == expected


@pytest.mark.parametrize(
    ("description", "echo", "repetition", "inversion", "contrast"),
    [("SAG T1", 105, 3900, None, "T2"), ("SAG T2", 12, 550, None, "T1"), ("SAG STIR", 24, 2200, 860, "T1"),
     ("SAG T1", 50, 4000, 150, "T2")],
)  # fmt: skip
def test_timings_that_contradict_a_name_are_believed_and_said(
    description: str, echo: float, repetition: float, inversion: float | None, contrast: str
) -> None:
    weighting = read_contrast(description, echo, repetition, inversion)
    assert weighting.contrast == contrast
    assert weighting.reason is not None
    assert "its name says" in weighting.reason


@pytest.mark.parametrize("description", ["AX PD", "ep2d_DWI", "MPR", "SAG T2 FLAIR"])
def test_what_is_left_out_by_its_name_says_so(description: str) -> None:
    weighting = read_contrast(description, None, None, None)
    assert weighting.contrast == "other"
    assert str(weighting.reason).startswith("its name says that it is")


def test_a_gradient_echo_is_not_weighted_as_its_timings_would_make_a_spin_echo() -> None:
    assert read_contrast("t2_me2d_tra", 26, 700, None, gradient_echo=True).contrast == "T2"
    assert read_contrast("lumbar", 26, 700, None, gradient_echo=True).contrast is None
