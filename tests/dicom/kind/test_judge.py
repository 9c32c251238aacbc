"""What was measured counts before what people wrote; what disagrees is said."""

from typing import Any

import pytest
from pydicom import Dataset
from pydicom.sequence import Sequence

from lumbargrade.dicom.kind.image_kind import ImageKind
from lumbargrade.dicom.kind.judge import read_kind
from lumbargrade.dicom.kind.names import read_name


def kind_of(description: str = "", **tags: Any) -> ImageKind:
    """The kind of an image with these tags and no others."""
    dataset = Dataset()
    dataset.SeriesDescription = description
    for name, value in tags.items():
        setattr(dataset, name, value)
    return read_kind(dataset)


def timed(description: str, echo: float | None, repetition: float | None, inversion: float | None) -> ImageKind:
    times = {"EchoTime": echo, "RepetitionTime": repetition, "InversionTime": inversion}
    return kind_of(description, **{name: value for name, value in times.items() if value is not None})


@pytest.mark.parametrize(
    ("description", "echo", "repetition", "inversion", "expected"),
    [
        ("SAG T1", None, None, None, "T1"),
        ("t2_tse_sag_320", 100, 3500, None, "T2"),
        ("SAG STIR", 40, 4000, 160, "STIR"),
        ("AX PD FSE", 20, 3000, None, "PD"),
        ("AX T1 POST", 10, 600, None, "T1"),
        ("lumbar", 12, 550, None, "T1"),
        ("lumbar", 105, 4200, None, "T2"),
        ("lumbar", 45, 4800, 150, "STIR"),
        ("lumbar", 45, 2000, None, None),
        ("", None, None, None, None),
        ("SAG T1 FLAIR", 24, 2200, 860, "T1 FLAIR"),
        ("SAG T1 FLAIR", 24, 2200, None, "T1 FLAIR"),
        ("SAG T1 FLAIR", None, None, None, "T1 FLAIR"),
        ("lumbar", 24, 2200, 860, "T1 FLAIR"),
        ("sag_t2_flair", 110, 8000, 2500, "T2 FLAIR"),
        ("lumbar", 110, 8000, 2500, "T2 FLAIR"),
        ("SAG T2", 20, 3000, None, "PD"),
        ("lumbar", 20, 3000, None, "PD"),
        ("MPR T2 SPACE SAG", 129, 1700, None, "T2"),
        ("PD T2 FSE AX", 95, 4000, None, "T2"),
        ("MPR SAG", None, None, None, "other"),
        ("Sag IR", 48, 4000, None, "STIR"),
        ("Sagittal T2/STIR", None, None, None, "T2"),
        ("T2 SPAIR", 80, 4000, 110, "T2"),
        ("T1 SAG", 9, 600, 0, "T1"),
        ("AX MERGE", 13, 600, None, "gradient echo"),
    ],
)
def test_times_count_before_what_people_wrote(
    description: str, echo: float | None, repetition: float | None, inversion: float | None, expected: str | None
) -> None:
    assert timed(description, echo, repetition, inversion).weighting == expected


@pytest.mark.parametrize(
    ("description", "echo", "repetition", "inversion", "weighting"),
    [("SAG T1", 105, 3900, None, "T2"), ("SAG T2", 12, 550, None, "T1"), ("SAG STIR", 24, 2200, 860, "T1 FLAIR"),
     ("SAG T1", 50, 4000, 150, "STIR")],
)  # fmt: skip
def test_times_that_contradict_a_name_are_believed_and_said(
    description: str, echo: float, repetition: float, inversion: float | None, weighting: str
) -> None:
    kind = timed(description, echo, repetition, inversion)
    assert kind.weighting == weighting
    assert "its name says" in str(kind.disagreement)
    assert kind.confidence < timed("", echo, repetition, inversion).confidence


@pytest.mark.parametrize("description", ["AX PD", "ep2d_DWI", "MPR", "SAG T2 FLAIR", "Mielografía", "T2* ax"])
def test_what_is_left_out_by_its_name_says_so(description: str) -> None:
    kind = kind_of(description)
    assert kind.gradable == "other"
    assert str(kind.reason).startswith("its name says that it is")


def test_a_gradient_echo_is_not_weighted_as_its_times_would_make_a_spin_echo() -> None:
    times = {"EchoTime": 26, "RepetitionTime": 700, "ScanningSequence": "GR"}
    for name in ("t2_me2d_tra", "T1 lumbar", "lumbar"):
        assert kind_of(name, **times).weighting == "gradient echo"


@pytest.mark.parametrize(
    ("tesla", "inversion", "weighting"),
    [(0.2, 85, "STIR"), (0.3, 110, "STIR"), (0.55, 120, "STIR"), (1.5, 150, "STIR"), (3.0, 220, "STIR"),
     (3.0, 900, "T1 FLAIR"), (15000, 160, "STIR")],
)  # fmt: skip
def test_fat_is_nulled_at_a_time_that_depends_on_the_field(tesla: float, inversion: float, weighting: str) -> None:
    times = {"RepetitionTime": 2200, "EchoTime": 25, "InversionTime": inversion}
    assert kind_of("SAG", MagneticFieldStrength=tesla, **times).weighting == weighting


@pytest.mark.parametrize("value", ["", "NONE", "no", "0", "Nein", "sin contraste", "W/O", "Não"])
def test_a_contrast_agent_that_is_none_is_none(value: str) -> None:
    assert not kind_of("T1", ContrastBolusAgent=value).contrast_agent


def test_a_contrast_agent_is_told_by_its_tags_or_by_the_name() -> None:
    assert kind_of("T1", ContrastBolusAgent="Gadovist").contrast_agent is True
    assert kind_of("T1", ContrastBolusVolume="7.5").contrast_agent is True
    assert kind_of("T1", ContrastBolusAgent="NONE", ContrastBolusVolume="0").contrast_agent is False
    assert kind_of("T1 post gado", ContrastBolusAgent="NONE").contrast_agent is True
    assert kind_of("T1").contrast_agent is None


@pytest.mark.parametrize(
    ("name", "given"),
    [("T1 mit KM", True), ("T1 nach KM fs", True), ("T1 ohne KM", False), ("t1 nativ", False), ("Sag TSE T1 Post", True),
     ("T1 +C", True), ("T1 C-", False), ("T1 con contraste", True), ("T1 sin contraste", False), ("T1 dopo mdc", True),
     ("T1 sem contraste", False), ("T1 z kontrastem", True), ("T1 bez kontrastu", False), ("T1 kontrastlı", True),
     ("T1 zosei", True), ("T1 tanjun", False), ("T1增强", True), ("T1 avec gado", True), ("T1 w/o contrast", False),
     ("T1 met contrast", True), ("T2 TSE TRA", None)],
)  # fmt: skip
def test_names_tell_of_a_contrast_agent_in_many_languages(name: str, given: bool | None) -> None:
    assert read_name(name).contrast_agent is given


@pytest.mark.parametrize(
    "name",
    ["T2 FS", "T2 SPAIR", "T2 fat sat", "T2 Fettsättigung", "T2 sat graisse", "T2 supresión grasa", "T2 sat. grasso",
     "T2 supressão de gordura", "T2 vetsuppressie", "T2 saturacja tłuszczu", "T2 yağ baskılı", "T2 shibo yokusei",
     "T2 zhifang yizhi", "FST2_SAGc", "T2压脂", "WATER: Sag T2 IDEAL", "t2_tse_dixon_sag_320_W"],
)  # fmt: skip
def test_names_tell_of_fat_suppression_in_many_languages(name: str) -> None:
    kind = kind_of(name)
    assert (kind.weighting, kind.fat_suppressed, kind.gradable) == ("T2", True, "T2")


@pytest.mark.parametrize("name", ["T2 fat", "T2 TSE T12-S1", "sag T2 L1-L5", "C2-C7 T2", "t2_tse_sag_384"])
def test_other_words_suppress_nothing(name: str) -> None:
    kind = kind_of(name)
    assert (kind.weighting, kind.fat_suppressed) == ("T2", False)


@pytest.mark.parametrize(
    ("tags", "part", "gradable"),
    [({"ImageType": ["DERIVED", "PRIMARY", "DIXON", "WATER"]}, "water", "T2"),
     ({"ImageType": ["ORIGINAL", "PRIMARY", "M", "IN_PHASE"]}, "in-phase", "T2"),
     ({"ImageType": ["DERIVED", "PRIMARY", "W", "F"]}, "water", "T2"),
     ({"ImageType": ["DERIVED", "PRIMARY", "M", "FAT"]}, "fat", "other"),
     ({"ImageType": ["ORIGINAL", "PRIMARY", "M", "OPP_PHASE"]}, "opposed-phase", "other")],
)  # fmt: skip
def test_parts_of_a_dixon_series_are_told_apart(tags: dict[str, Any], part: str, gradable: str) -> None:
    kind = kind_of("T2 DIXON", RepetitionTime=4000, EchoTime=100, **tags)
    assert (kind.part, kind.gradable) == (part, gradable)
    assert kind.contrast == "T2"  # they are of one series


@pytest.mark.parametrize("code", ["PHASE", "SUBTRACTION", "MIP", "T2_MAP"])
def test_what_was_computed_is_not_graded(code: str) -> None:
    kind = kind_of("T2", RepetitionTime=4000, EchoTime=100, ImageType=["DERIVED", "SECONDARY", code])
    assert kind.gradable == "other"
    assert str(kind.reason).startswith("it is a ")


def enhanced(**modifier: Any) -> Dataset:
    """An enhanced multi-frame header: everything in its functional groups."""
    timing, echo, change, shared = Dataset(), Dataset(), Dataset(), Dataset()
    timing.RepetitionTime, timing.RFEchoTrainLength, echo.EffectiveEchoTime = 4200, 15, 60
    for name, value in modifier.items():
        setattr(change, name, value)
    shared.MRTimingAndRelatedParametersSequence = Sequence([timing])
    shared.MREchoSequence, shared.MRModifierSequence = Sequence([echo]), Sequence([change])
    dataset = Dataset()
    dataset.EchoPulseSequence, dataset.MRAcquisitionType = "SPIN", "2D"
    dataset.SharedFunctionalGroupsSequence = Sequence([shared])
    return dataset


def test_functional_groups_of_an_enhanced_file_tell_as_much() -> None:
    assert read_kind(enhanced()).weighting == "T2"
    assert read_kind(enhanced(InversionRecovery="YES", InversionTimes=[220.0])).weighting == "STIR"
    suppressed = enhanced()
    suppressed.SpectrallySelectedSuppression = "FAT"
    assert read_kind(suppressed).fat_suppressed
    gradient = enhanced()
    gradient.EchoPulseSequence = "GRADIENT"
    assert read_kind(gradient).weighting == "gradient echo"


def test_names_of_series_are_made_of_known_words() -> None:
    kind = kind_of("T1 FS MUELLER", RepetitionTime=600, EchoTime=10, ContrastBolusAgent="MUELLER")
    assert kind.words == "T1 fat-suppressed after contrast"


def test_fluid_alone_is_left_at_a_very_long_echo() -> None:
    assert kind_of("RADIAL", RepetitionTime=8000, EchoTime=1100, MRAcquisitionType="2D").weighting == "myelogram"
    assert kind_of("", RepetitionTime=4500, EchoTime=900, SequenceName="*h2d1_256").weighting == "myelogram"
    assert kind_of("T2", RepetitionTime=3200, EchoTime=563, MRAcquisitionType="3D").weighting == "T2"
