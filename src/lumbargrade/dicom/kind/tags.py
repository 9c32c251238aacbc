"""The tags that tell what an image is, of a classic file or of a frame of an enhanced one."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pydicom import Dataset

from lumbargrade.dicom.kind.vocabulary import NOTHING_SIGNS, NOTHING_STEMS, NOTHING_WORDS
from lumbargrade.dicom.values import find_value, read_number, read_positive, read_texts
from lumbargrade.dicom.words import fold_words

KIND_KEYWORDS = (
    "SeriesDescription", "ProtocolName", "ImageType", "ScanningSequence", "SequenceVariant", "ScanOptions",
    "SequenceName", "PulseSequenceName", "MRAcquisitionType", "RepetitionTime", "EchoTime", "InversionTime",
    "EchoTrainLength", "FlipAngle", "MagneticFieldStrength", "SliceThickness", "ComplexImageComponent",
    "DiffusionBValue", "EchoPulseSequence", "EchoPlanarPulseSequence", "SpectrallySelectedSuppression",
    "AcquisitionContrast", "ContrastBolusAgent", "ContrastBolusVolume", "ContrastBolusTotalDose",
    "ContrastBolusAgentSequence", "ContrastBolusIngredient", "VolumeBasedCalculationTechnique",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
)  # fmt: skip

_NO_VOLUME = re.compile(r"0*([.,]0*)?\s*(ml|cc|mmol)?", re.IGNORECASE)
_INVERTED_NAMES = ("tir", "fir", "spcir", "ir_", "irtse", "tseir", "fseir")
_GAUSS = 100.0
"""A larger field than this is not in Tesla."""


@dataclass(frozen=True)
class KindTags:
    """Tags of one image. Texts and codes are in upper case but for the names.

    Attributes:
        description, protocol, sequence_name: As people or the scanner wrote them.
        scanning: ScanningSequence, or what an enhanced file says of it: SE, GR, IR, EP, RM.
        three_d: Whether the acquisition is of a volume; None if nothing tells.
        repetition, echo, inversion: ms; an inversion time of 0 is none.
        field: Tesla.
        thickness: mm.
        suppression: SpectrallySelectedSuppression.
        stated: AcquisitionContrast.
        contrast_agent: None if no tag tells.
    """

    description: str = ""
    protocol: str = ""
    sequence_name: str = ""
    image_type: tuple[str, ...] = ()
    scanning: frozenset[str] = frozenset()
    options: frozenset[str] = frozenset()
    three_d: bool | None = None
    repetition: float | None = None
    echo: float | None = None
    inversion: float | None = None
    echo_train: float | None = None
    flip: float | None = None
    field: float | None = None
    thickness: float | None = None
    b_value: float | None = None
    component: str = ""
    suppression: str = ""
    stated: str = ""
    calculated: str = ""
    contrast_agent: bool | None = None

    @property
    def inverted(self) -> bool:
        """Whether a tag says that the magnetisation is inverted first."""
        named = self.sequence_name.lower().lstrip("*_ ").startswith(_INVERTED_NAMES)
        return self.inversion is not None or named or "IR" in self.scanning or "IR" in self.options


def read_kind_tags(dataset: Dataset, groups: Sequence[Dataset] = ()) -> KindTags:
    """Reads the tags.

    Args:
        groups: The functional groups of a frame, its own first, and the file's top level last; that alone for a classic file.
    """
    groups = groups or [dataset]
    timing, modifier = "MRTimingAndRelatedParametersSequence", "MRModifierSequence"
    frame_type = "MRImageFrameTypeSequence"
    repetition = read_positive(find_value(groups, timing, "RepetitionTime"))
    inversion = _first_positive(find_value(groups, modifier, "InversionTimes") or dataset.get("InversionTime"))
    train = find_value(groups, timing, "RFEchoTrainLength") or find_value(groups, timing, "EchoTrainLength")
    field = read_positive(dataset.get("MagneticFieldStrength"))
    return KindTags(
        description=str(dataset.get("SeriesDescription") or ""),
        protocol=str(dataset.get("ProtocolName") or ""),
        sequence_name=str(dataset.get("SequenceName") or dataset.get("PulseSequenceName") or ""),
        image_type=_codes(find_value(groups, frame_type, "FrameType") or dataset.get("ImageType")),
        scanning=_scanning(dataset, _code(find_value(groups, modifier, "InversionRecovery"))),
        options=_options(dataset, _code(find_value(groups, modifier, "SpectrallySelectedExcitation"))),
        three_d={"3D": True, "2D": False}.get(_code(dataset.get("MRAcquisitionType"))),
        repetition=repetition,
        echo=read_positive(find_value(groups, "MREchoSequence", "EffectiveEchoTime") or dataset.get("EchoTime")),
        inversion=None if inversion is None or (repetition is not None and inversion >= repetition) else inversion,
        echo_train=read_positive(train),
        flip=read_positive(find_value(groups, timing, "FlipAngle")),
        field=field / 1e4 if field is not None and field > _GAUSS else field,
        thickness=read_positive(find_value(groups, "PixelMeasuresSequence", "SliceThickness")),
        b_value=read_number(find_value(groups, "MRDiffusionSequence", "DiffusionBValue")),
        component=_code(find_value(groups, frame_type, "ComplexImageComponent")),
        suppression=_code(dataset.get("SpectrallySelectedSuppression")),
        stated=_code(find_value(groups, frame_type, "AcquisitionContrast")),
        calculated=_code(find_value(groups, frame_type, "VolumeBasedCalculationTechnique")),
        contrast_agent=_contrast_agent(dataset),
    )


def _first_positive(value: object) -> float | None:
    return next((number for text in read_texts(value) if (number := read_positive(text)) is not None), None)


def _scanning(dataset: Dataset, inversion_recovery: str) -> frozenset[str]:
    codes = set(_codes(dataset.get("ScanningSequence")))
    echo = _code(dataset.get("EchoPulseSequence"))
    codes |= {"SPIN": {"SE"}, "GRADIENT": {"GR"}, "BOTH": {"SE", "GR"}}.get(echo, set())
    if _code(dataset.get("EchoPlanarPulseSequence")) == "YES":
        codes.add("EP")
    if inversion_recovery == "YES":
        codes.add("IR")
    return frozenset(codes)


def _options(dataset: Dataset, excitation: str) -> frozenset[str]:
    codes = set(_codes(dataset.get("ScanOptions")))
    return frozenset(codes | ({"WE"} if excitation == "WATER" else set()))


def _contrast_agent(dataset: Dataset) -> bool | None:
    agent = dataset.get("ContrastBolusAgent")
    told = [agent is not None and str(agent).strip() != "", bool(dataset.get("ContrastBolusAgentSequence"))]
    volumes = [read_number(dataset.get(keyword)) for keyword in ("ContrastBolusVolume", "ContrastBolusTotalDose")]
    if agent is not None and not _means_nothing(str(agent)):
        return True
    if any(volume is not None and volume > 0 for volume in volumes):
        return True
    if told[0] or any(volume == 0 for volume in volumes):
        return False
    return True if told[1] else None


def _means_nothing(agent: str) -> bool:
    """Whether a ContrastBolusAgent means that none was given, or says nothing."""
    words = fold_words(agent)
    if not words or _NO_VOLUME.fullmatch(agent.strip()) or any(sign in agent.casefold() for sign in NOTHING_SIGNS):
        return True
    return words[0] in NOTHING_WORDS or words[0].startswith(NOTHING_STEMS) or words[:2] == ["w", "o"]


def _codes(value: object) -> tuple[str, ...]:
    return tuple(part for text in read_texts(value) if (part := text.strip(" \0").upper()))


def _code(value: object) -> str:
    return "" if value is None else str(value).strip(" \0").upper()
