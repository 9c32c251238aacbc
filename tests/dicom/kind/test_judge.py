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
        ("", 95, None, None, "T2"),
        ("SAG T1", 95, None, None, "T2"),
        ("", None, 600, None, None),
        ("T2 FLAIR", 110, None, None, "T2 FLAIR"),
        ("SAG T1", 24, 2300, None, "T1"),
        ("WB MYELOMA STIR SAG", 60, 4000, 150, "STIR"),
        ("MYELOPATHY SAG T2", 100, 3500, None, "T2"),
        ("DIFFICULT PATIENT SAG T2", 100, 3500, None, "T2"),
        ("S/P FUSION L4/5 SAG T2", 100, 3500, None, "T2"),
        ("T2 plano sagital", 100, 3500, None, "T2"),
        ("MYELO BTFE", 3, 6, None, "myelogram"),
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


@pytest.mark.parametrize(
    ("echo", "repetition", "weighting"),
    [(None, None, None), (20, 2200, "T1 FLAIR"), (12, 600, "T1"), (110, 9000, "T2 FLAIR"), (110, None, "T2 FLAIR")],
)
def test_a_flair_of_no_weighting_is_weighted_by_its_times(
    echo: float | None, repetition: float | None, weighting: str | None
) -> None:
    assert timed("SAG FLAIR", echo, repetition, None).weighting == weighting


@pytest.mark.parametrize(
    ("description", "protocol", "words"),
    [("sag post Gd", "t1_tse_fs", "T1 fat-suppressed after contrast"), ("SUB", "t1_tse_sag", "T1 (a subtraction)"),
     ("sag_opp", "t2_tse_dixon", "T2 Dixon opposed-phase image"), ("fatsat", "T2W_TSE", "T2 fat-suppressed"),
     ("SAG T1", "LUMBAR W CONTRAST T2", "T1"), ("sag", "LUMBAR W CONTRAST", None)],
)  # fmt: skip
def test_a_protocol_tells_the_weighting_and_the_description_the_rest(
    description: str, protocol: str, words: str | None
) -> None:
    assert kind_of(description, ProtocolName=protocol).words == words


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


@pytest.mark.parametrize(
    ("name", "weighting"),
    [("AX T2_L5-S1", "T2"), ("AX T2-L4/5", "T2"), ("t1_L3-S1_tra", "T1"), ("T1-T12 STIR", "STIR"), ("C7-T1", None),
     ("T 2 SAG", "T2"), ("T-1 sag", "T1"), ("MR 3 T 2 mm", None), ("sT1W_TSE", "T1"), ("axialT2", "T2"), ("Т2 ВИ", "T2"),
     ("Ｔ２強調", "T2"), ("écho de gradient", "gradient echo"), ("eco de gradiente T2", "gradient echo"),
     ("FFE3D", "gradient echo"), ("2D FIESTA", "gradient echo"), ("sag inv rec", "STIR"), ("MIELOGRAFIA", "myelogram"),
     ("Myeloma", None), ("T2 sag Myelon", "T2"), ("3Dmyelo", "myelogram"),
     ("Diffusion", "diffusion"), ("プロトン", "PD")],
)  # fmt: skip
def test_names_tell_the_weighting_however_they_are_written(name: str, weighting: str | None) -> None:
    assert read_name(name).weighting == weighting


@pytest.mark.parametrize(
    "name",
    ["loc", "3-plane loc", "Übersicht", "Repérage", "REPERES", "localizzatore", "centratore", "Overzicht", "Lokalizator",
     "planowanie", "kılavuz", "ichi-gime", "ichigime", "位置決め", "スカウト", "dingwei", "AASpine_Scout", "3 planos"],
)  # fmt: skip
def test_localizers_are_known_by_their_names(name: str) -> None:
    assert kind_of(name).localizer == "its name says so"


@pytest.mark.parametrize(
    ("name", "thickness", "repetition", "localizer"),
    [("SAG T2 LOC", 4, 3500, False), ("SAG T2 LOC", 8, 3500, True), ("SAG T2 LOC", 4, 1000, True), ("LOC", 4, 3500, True),
     ("SAG T2 LOC", None, 3500, True), ("SAG T1 LOC", 4, 3500, True), ("SAG T2 LOCALIZER", 4, 3500, True)],
)  # fmt: skip
def test_an_abbreviation_makes_no_localizer_of_thin_slices_measured_as_the_name_says(
    name: str, thickness: float | None, repetition: float, localizer: bool
) -> None:
    kind = kind_of(name, SliceThickness=thickness, RepetitionTime=repetition, EchoTime=100, ScanningSequence="SE")
    assert (kind.weighting == "localizer") is localizer


def test_a_short_repetition_of_a_spin_echo_is_a_t1_without_an_echo_time_too() -> None:
    assert kind_of("", RepetitionTime=500, ScanningSequence="SE").weighting == "T1"
    assert kind_of("", RepetitionTime=500, ScanningSequence="GR").weighting == "gradient echo"


def test_fat_is_nulled_before_a_gradient_echo_at_a_low_field() -> None:
    low = {"ScanningSequence": ["IR", "GR"], "RepetitionTime": 1000, "EchoTime": 16, "InversionTime": 75}
    assert kind_of("COR", MagneticFieldStrength=0.25, **low).weighting == "STIR"
    assert kind_of("COR", MagneticFieldStrength=0.25, FlipAngle=10, **low).weighting == "gradient echo"


@pytest.mark.parametrize(
    "value",
    ["", "NONE", "no", "0", "Nein", "sin contraste", "W/O", "Não", "None given", "NO CONTRAST GIVEN", "0 ml", "0,0ML", "n/a",
     "keine", "Ohne KM", "aucun", "nessuno", "ninguno", "nenhum", "geen", "brak", "YOK", "無", "なし", "non injecté", "-"],
)  # fmt: skip
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
     ("T1 met contrast", True), ("T2 TSE TRA", None), ("T1 contrast sag", True), ("T1 c/ contraste", True),
     ("T1 s/ contraste", False), ("T1 s/mdc", False), ("T1 SAG PÓS", True), ("T1 po kontraście", True),
     ("T1 POSTKONTRAST", True), ("T1 IVKM", True), ("T1 con CIV", True), ("T1 zoueigo", True), ("T1 CE-", False),
     ("T1造影前", False), ("平扫 T1", False), ("単純 T1", False), ("T1 post op", None), ("post-operative T1", None),
     ("T1 post op +Gd", True), ("T2 mit Fettsättigung", None), ("T1 w/o fs w/ contrast", True),
     ("SAG T1 C-SPINE", None), ("T1 C+T+L", None), ("T1 C/T/L", None), ("C+ T1", True),
     ("T1 POST-CONTRAST", True), ("T1 PÓS-GD", True), ("T1 poscontraste", True), ("T1 -C", False), ("T1 Gd(-)", False)],
)  # fmt: skip
def test_names_tell_of_a_contrast_agent_in_many_languages(name: str, given: bool | None) -> None:
    assert read_name(name).contrast_agent is given


@pytest.mark.parametrize(
    "name",
    ["T2 FS", "T2 SPAIR", "T2 fat sat", "T2 Fettsättigung", "T2 sat graisse", "T2 supresión grasa", "T2 sat. grasso",
     "T2 supressão de gordura", "T2 vetsuppressie", "T2 saturacja tłuszczu", "T2 yağ baskılı", "T2 shibo yokusei",
     "T2 zhifang yizhi", "FST2_SAGc", "T2压脂", "WATER: Sag T2 IDEAL", "t2_tse_dixon_sag_320_W", "T2 Fettsupprimiert",
     "T2 yazhi", "T2 CHEM SAT", "T2 water only", "T2 sin grasa", "T2 sans graisse", "T2 z saturacją tłuszczu", "satgraisse T2",
     "T2 脂肪抑制", "(WATER) Sag T2"],
)  # fmt: skip
def test_names_tell_of_fat_suppression_in_many_languages(name: str) -> None:
    kind = kind_of(name)
    assert (kind.weighting, kind.fat_suppressed, kind.gradable) == ("T2", True, "T2")


@pytest.mark.parametrize(
    "name",
    [
        "T2 fat",
        "T2 TSE T12-S1",
        "sag T2 L1-L5",
        "C2-C7 T2",
        "t2_tse_sag_384",
        "T2 no fat sat",
        "T2 w/o FS",
        "T2 (NON FS)",
        "t2_ohne_fs",
        "T2 ohne Fettsättigung",
        "T2 sans sat graisse",
        "T2 sin saturación grasa",
        "T2 YAĞ BASKISIZ",
    ],
)
def test_other_words_suppress_nothing(name: str) -> None:
    kind = kind_of(name)
    assert (kind.weighting, kind.fat_suppressed) == ("T2", False)


@pytest.mark.parametrize(
    ("tags", "part", "gradable"),
    [({"ImageType": ["DERIVED", "PRIMARY", "DIXON", "WATER"]}, "water", "T2"),
     ({"ImageType": ["ORIGINAL", "PRIMARY", "M", "IN_PHASE"]}, "in-phase", "T2"),
     ({"ImageType": ["DERIVED", "PRIMARY", "W", "F"]}, "water", "T2"),
     ({"ImageType": ["DERIVED", "PRIMARY", "M", "FAT"]}, "fat", "other"),
     ({"ImageType": ["ORIGINAL", "PRIMARY", "M", "OPP_PHASE"]}, "opposed-phase", "other"),
     ({"ImageType": ["DERIVED", "PRIMARY", "OOP"]}, "opposed-phase", "other"),
     ({"ImageType": ["DERIVED", "PRIMARY", "FAT_ONLY"]}, "fat", "other")],
)  # fmt: skip
def test_parts_of_a_dixon_series_are_told_apart(tags: dict[str, Any], part: str, gradable: str) -> None:
    kind = kind_of("T2 DIXON", RepetitionTime=4000, EchoTime=100, **tags)
    assert (kind.part, kind.gradable) == (part, gradable)
    assert kind.contrast == "T2"  # they are of one series


@pytest.mark.parametrize(
    "code",
    [
        "PHASE",
        "SUBTRACTION",
        "MIP",
        "T2_MAP",
        "CSA MIP",
        "MAX_IP",
        "SUB",
        "FF",
        "T2STAR MAP",
        "SCREEN SAVE",
        "FAT_FRACTION",
    ],
)
def test_what_was_computed_is_not_graded(code: str) -> None:
    kind = kind_of("T2", RepetitionTime=4000, EchoTime=100, ImageType=["DERIVED", "SECONDARY", code])
    assert kind.gradable == "other"
    assert str(kind.reason).startswith("it is a ")


@pytest.mark.parametrize("code", ["CSA MPR", "COMP_SP", "COMBINED", "REFORMATTED", "OTHER", "AI"])
def test_what_was_cut_or_put_together_from_images_is_graded(code: str) -> None:
    kind = kind_of("T2", RepetitionTime=4000, EchoTime=100, ImageType=["DERIVED", "SECONDARY", code])
    assert kind.gradable == "T2"


@pytest.mark.parametrize("name", ["Fat Fraction", "Screen Save", "PosDisp: [4] t2_tse_sag", "T1 SUB", "T2 map"])
def test_what_a_name_says_was_computed_is_not_graded(name: str) -> None:
    assert kind_of(name).gradable == "other"


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
