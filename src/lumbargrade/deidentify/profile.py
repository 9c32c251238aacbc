"""De-identifies an image by the basic confidentiality profile of DICOM PS3.15, and keeps only what grading needs.

What the profile does with an attribute is read from the standard's table E.1-1, as dicom-anonymizer has it. It names what
is known to identify people; whatever else somebody may have typed somewhere is kept from passing by a list of attributes
that stay (:data:`KEPT`), at every depth, and by vocabularies for their texts. UIDs are replaced by key, dates are moved by
an offset of the patient, ages become decades.
"""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
from dicomanonymizer.simpledicomanonymizer import initialize_actions
from numpy.typing import NDArray
from pydicom import DataElement, Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.sr.codedict import codes
from pydicom.tag import BaseTag, Tag
from pydicom.uid import (
    UID,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    LegacyConvertedEnhancedMRImageStorage,
    MRImageStorage,
)

from lumbargrade.deidentify.pseudonyms import Pseudonyms
from lumbargrade.deidentify.vocabulary import CODE_WORDS, DESCRIPTION_WORDS, MAKER_WORDS, known_words
from lumbargrade.dicom.errors import NotAnImage, UnreadableFile
from lumbargrade.dicom.modality import is_mr, read_modality
from lumbargrade.dicom.synthetic import SYNTHETIC, is_synthetic

EDITION = "2026c"
"""Of the standard whose table is applied."""

SHOWS_PATIENT = frozenset({"text-burned-in", "secondary-capture"})
"""Codes of the errors for images that may show who the patient is."""

KEPT = frozenset((
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "StudyDate",
    "SeriesDate", "AcquisitionDate", "Modality", "PatientSex", "PatientAge", "PatientPosition", "BodyPartExamined",
    "SeriesDescription", "InstanceNumber", "ImageType", "Manufacturer", "MagneticFieldStrength",
    "ScanningSequence", "SequenceVariant", "MRAcquisitionType", "RepetitionTime", "EchoTime", "InversionTime",
    "EchoTrainLength", "FlipAngle", "EffectiveEchoTime", "ImagePositionPatient", "ImageOrientationPatient",
    "PixelSpacing", "SliceThickness", "SpacingBetweenSlices", "SliceLocation", "SamplesPerPixel",
    "PhotometricInterpretation", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
    "NumberOfFrames", "RescaleIntercept", "RescaleSlope", "WindowCenter", "WindowWidth", "LossyImageCompression",
    "BurnedInAnnotation", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
    "PixelMeasuresSequence", "PlanePositionSequence", "PlaneOrientationSequence", "PixelValueTransformationSequence",
    "MREchoSequence", "MRTimingAndRelatedParametersSequence",
))  # fmt: skip
"""Keywords of the attributes that stay; all others, private ones among them, do not."""

_TEXTS = {"SeriesDescription": DESCRIPTION_WORDS, "Manufacturer": MAKER_WORDS}
_NAMES = ("PatientName", "OtherPatientNames", "PatientBirthName", "PatientMotherBirthName")
_NUMBERS = ("PatientID", "OtherPatientIDs", "AccessionNumber", "StudyID")
_MR_CLASSES = (MRImageStorage, EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage)
_REQUIRED = (
    "AccessionNumber", "PatientBirthDate", "PatientName", "PatientSex", "ReferringPhysicianName", "StudyDate", "StudyID",
    "StudyTime",
)  # fmt: skip
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_DIGITS = re.compile(r"\d{8}")
_OVERLAYS = [Tag(group, 0x0102) for group in range(0x6000, 0x6020, 2)]
_OLDEST = 90
_SHORTEST_WORD = 2
_DEEPEST = 8
_OPTIONS = (
    codes.DCM.BasicApplicationConfidentialityProfile,
    codes.DCM.CleanDescriptorsOption,
    codes.DCM.RetainLongitudinalTemporalInformationModifiedDatesOption,
    codes.DCM.RetainPatientCharacteristicsOption,
)

HEADER_TAGS: list[BaseTag] = [
    Tag(keyword)
    for keyword in sorted(
        {
            *KEPT,
            *_NAMES,
            *_NUMBERS,
            "PatientBirthDate",
            "SpecificCharacterSet",
            "ConversionType",
            "DeidentificationMethod",
        }
    )
] + _OVERLAYS
"""What is to be read of a file before it is de-identified."""

_PROFILE: dict[tuple[int, ...], Callable[[Dataset, tuple[int, int]], None]] = initialize_actions(
    f"dicomfields_{EDITION}"
)


@dataclass(frozen=True)
class Person:
    """Whose images they are.

    Attributes:
        patient: The stand-in.
        words: Lower-case words that name the patient; none of them stays, wherever it stands.
    """

    patient: str
    words: frozenset[str]


def naming_words(header: Dataset) -> frozenset[str]:
    """The lower-case words of a header that name its patient or study."""
    texts = [str(header.get(keyword) or "") for keyword in (*_NAMES, *_NUMBERS)]
    words = (word.lower() for text in texts for word in re.split(r"[^A-Za-z0-9]+", text))
    return frozenset(word for word in words if len(word) > _SHORTEST_WORD)


def refuse_unfit(header: Dataset, name: str) -> None:
    """Refuses what is no MR image, and what says that it shows who the patient is.

    Args:
        name: How the message calls the file.

    Raises:
        NotAnImage: It is refused.
    """
    if str(header.get("BurnedInAnnotation") or "").strip().upper() == "YES":
        raise NotAnImage(
            f"{name} says that text is burned into its image (BurnedInAnnotation), which may name the patient",
            "",
            "text-burned-in",
        )
    if header.get("ConversionType") or "SecondaryCapture" in _class_name(header):
        raise NotAnImage(
            f"{name} is a secondary capture, whose image may show who the patient is", "", "secondary-capture"
        )
    told = header.get("SOPClassUID")
    if not is_mr(read_modality(header)) or (told and told not in _MR_CLASSES):
        raise NotAnImage(f"{name} is no MR image", "", "not-mr")


def deidentify(
    header: Dataset, pixels: NDArray[np.generic], pseudonyms: Pseudonyms, person: Person, kept: Collection[str] = KEPT
) -> Dataset:
    """Makes the de-identified image, ready to be saved.

    Args:
        header: Its :data:`HEADER_TAGS`.
        pixels: Stored values, (rows, columns) or (frames, rows, columns).
        kept: Keywords of the attributes that stay.

    Raises:
        UnreadableFile: Its pixels are of a kind that is not kept.
    """
    clean = _Cleaner(header, pseudonyms, person, kept).clean(header)
    framed = "PerFrameFunctionalGroupsSequence" in clean
    clean.SOPClassUID = clean.get("SOPClassUID") or (EnhancedMRImageStorage if framed else MRImageStorage)
    clean.Modality = "MR"
    for keyword in _REQUIRED:
        if keyword not in clean:
            setattr(clean, keyword, "")
    clean.PatientID = person.patient
    clean.PatientIdentityRemoved = "YES"
    clean.LongitudinalTemporalInformationModified = "MODIFIED"
    method = f"DICOM PS3.15 {EDITION} basic profile; only listed attributes kept"
    clean.DeidentificationMethod = [SYNTHETIC, method] if is_synthetic(header) else method
    clean.DeidentificationMethodCodeSequence = Sequence(map(_code_item, _OPTIONS))
    _set_pixels(clean, header, pixels)
    clean.file_meta = FileMetaDataset()
    clean.file_meta.MediaStorageSOPClassUID = clean.SOPClassUID
    clean.file_meta.MediaStorageSOPInstanceUID = clean.SOPInstanceUID
    clean.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return clean


class _Cleaner:
    def __init__(self, header: Dataset, pseudonyms: Pseudonyms, person: Person, kept: Collection[str]) -> None:
        self._pseudonyms = pseudonyms
        self._person = person
        self._kept = kept
        self._shift = timedelta(days=-pseudonyms.days(person.patient))
        self._age = _decade(header)

    def clean(self, dataset: Dataset, depth: int = 0) -> Dataset:
        """The attributes that stay, cleaned; items of sequences likewise."""
        clean = Dataset()
        for element in dataset:
            if element.keyword not in self._kept or element.tag.is_private:
                continue
            if element.VR == "SQ":
                if depth < _DEEPEST:
                    items = [self.clean(item, depth + 1) for item in element.value]
                    clean.add(DataElement(element.tag, "SQ", Sequence(items)))
                continue
            self._add(clean, element)
        if depth == 0 and self._age:
            clean.PatientAge = self._age
        return clean

    def _add(self, clean: Dataset, element: DataElement) -> None:
        """The standard's table decides, but for what its options allow: UIDs, dates, descriptions, sex and age."""
        place = (element.tag.group, element.tag.element)
        value = self._value(element, listed=place in _PROFILE)
        if value is not None:
            clean.add(DataElement(element.tag, element.VR, value))
        elif place in _PROFILE and element.VR not in ("UI", "DA", "AS", "CS"):
            clean.add(DataElement(element.tag, element.VR, element.value))
            _PROFILE[place](clean, place)

    def _value(self, element: DataElement, listed: bool) -> object:
        """The cleaned value; nothing where there is none that may stay."""
        values = list(element.value) if isinstance(element.value, MultiValue) else [element.value]
        if element.value is None or element.value == "":
            return None
        if element.keyword in _TEXTS:
            text = " ".join(map(str, values))
            return known_words(text, _TEXTS[element.keyword], self._person.words) or None
        match element.VR:
            case "UI" if listed:
                return [self._pseudonyms.uid(str(value)) for value in values]
            case "UI":
                return values if all(UID(str(value)).type for value in values) else None
            case "DA":
                return [self._moved(str(value)) for value in values]
            case "CS":
                codes_known = [str(value) for value in values if self._is_code(str(value))]
                return codes_known or None
            case "DS" | "IS":
                numbers = [str(value).strip() for value in values]
                return numbers if all(_NUMBER.fullmatch(number) for number in numbers) else None
            case "US" | "SS" | "UL" | "SL" | "FD" | "FL":
                return values
        return None

    def _is_code(self, value: str) -> bool:
        code = value.strip().lower()
        return code in CODE_WORDS and (len(code) <= _SHORTEST_WORD or code not in self._person.words)

    def _moved(self, value: str) -> str:
        day = _day(value)
        try:
            return f"{day + self._shift:%Y%m%d}".rjust(8, "0") if day else ""
        except OverflowError:
            return ""


def _class_name(header: Dataset) -> str:
    told = header.get("SOPClassUID")
    return str(getattr(told, "keyword", "")) if told else ""


def _day(value: str) -> date | None:
    try:
        return datetime.strptime(value.strip(), "%Y%m%d").date() if _DIGITS.fullmatch(value.strip()) else None
    except ValueError:
        return None


def _decade(header: Dataset) -> str | None:
    """The age by decades, those of 90 and more together; from the dates where the header does not tell it."""
    told = str(header.get("PatientAge") or "").strip().upper()
    if re.fullmatch(r"\d{3}[DWMY]", told):
        years = int(told[:3]) if told[3] == "Y" else int(told[:3]) // {"M": 12, "W": 52, "D": 365}[told[3]]
    else:
        born, seen = (_day(str(header.get(keyword) or "")) for keyword in ("PatientBirthDate", "StudyDate"))
        if born is None or seen is None or seen < born:
            return None
        years = int((seen - born).days / 365.25)
    return f"{min(years // 10 * 10, _OLDEST):03d}Y"


def _code_item(code: object) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator = code.value, code.scheme_designator  # type: ignore[attr-defined]
    item.CodeMeaning = str(code.meaning)[:64]  # type: ignore[attr-defined]
    return item


def _set_pixels(clean: Dataset, header: Dataset, pixels: NDArray[np.generic]) -> None:
    """Writes the values alone: what a file hides behind them, between them or in unused bits does not come along."""
    allocated, stored = int(header.BitsAllocated), int(header.BitsStored)
    signed = bool(header.get("PixelRepresentation"))
    if allocated not in (8, 16, 32) or not np.issubdtype(pixels.dtype, np.integer) or not 1 <= stored <= allocated:
        raise UnreadableFile("its pixels are no whole numbers of 8, 16 or 32 bits", "", "pixels-of-unfit-type")
    values = pixels.astype(np.int64)
    if any(header.get(tag) is not None for tag in _OVERLAYS):  # drawings in the bits that the image leaves free
        values &= (1 << stored) - 1
        if signed:
            values -= (values >> (stored - 1)) << stored
    lowest, highest = (-(1 << stored - 1), (1 << stored - 1) - 1) if signed else (0, (1 << stored) - 1)
    if values.min() < lowest or values.max() > highest:
        stored = allocated
    clean.BitsAllocated, clean.BitsStored, clean.HighBit = allocated, stored, stored - 1
    clean.PixelRepresentation = int(signed)
    clean.SamplesPerPixel = 1
    data = values.astype(f"<{'i' if signed else 'u'}{allocated // 8}").tobytes()
    clean.add_new("PixelData", "OB" if allocated == 8 else "OW", data + b"\0" * (len(data) % 2))
