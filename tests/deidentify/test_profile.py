"""The profile, attribute by attribute."""

from collections.abc import Iterator

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.config import disable_value_validation
from pydicom.datadict import tag_for_keyword
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, MRImageStorage

from lumbargrade.deidentify.profile import KEPT, Person, deidentify, naming_words, refuse_unfit
from lumbargrade.deidentify.pseudonyms import Pseudonyms
from lumbargrade.dicom.errors import NotAnImage, UnreadableFile
from lumbargrade.dicom.synthetic import SYNTHETIC, is_synthetic

KEY = Pseudonyms(b"k" * 32)
PERSON = Person(KEY.patient("1"), frozenset({"short", "miller"}))
PIXELS = np.arange(12).reshape(3, 4)


@pytest.fixture(autouse=True)
def lax() -> Iterator[None]:
    """What scanners write is not always valid."""
    with disable_value_validation():
        yield


@pytest.fixture
def header() -> Dataset:
    made = Dataset()
    made.SOPClassUID, made.Modality = MRImageStorage, "MR"
    made.SOPInstanceUID, made.StudyInstanceUID, made.SeriesInstanceUID = "1.2.3", "1.2.4", "1.2.5"
    made.Rows, made.Columns, made.BitsAllocated, made.BitsStored, made.HighBit = 3, 4, 16, 12, 11
    made.PixelRepresentation, made.SamplesPerPixel, made.PhotometricInterpretation = 0, 1, "MONOCHROME2"
    return made


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("T2_TSE_SAG Miller 4711", "T2 TSE SAG"),
        ("sag STIR (Dr. Kowalski)", "sag STIR"),
        ("SHORT T1 axial", "T1 axial"),  # the patient's name is a word of the field
        ("Kowalski", None),
    ],
)
def test_descriptions_keep_terms_of_the_field(header: Dataset, told: str, kept: str | None) -> None:
    header.SeriesDescription = told
    assert deidentify(header, PIXELS, KEY, PERSON).get("SeriesDescription") == kept


@pytest.mark.parametrize(
    ("age", "born", "kept"),
    [
        ("047Y", "", "040Y"),
        ("093Y", "", "090Y"),
        ("118Y", "", "090Y"),
        ("011M", "", "000Y"),
        ("", "19800102", "040Y"),
        ("", "19800202", "030Y"),
        ("", "", None),
        ("Miller", "20300101", None),
    ],
)
def test_ages_become_decades(header: Dataset, age: str, born: str, kept: str | None) -> None:
    header.add_new("PatientAge", "AS", age)
    header.PatientBirthDate, header.StudyDate = born, "20200115"
    clean = deidentify(header, PIXELS, KEY, PERSON)
    assert clean.get("PatientAge") == kept
    assert clean.PatientBirthDate == ""


def test_what_is_not_listed_does_not_stay_at_any_depth(header: Dataset) -> None:
    measures = Dataset()
    measures.PixelSpacing, measures.InstitutionName, measures.SliceThickness = [0.5, 0.6], "Klinik", "4.0"
    measures.add_new(0x00091001, "LO", "private")
    group = Dataset()
    group.PixelMeasuresSequence, group.FrameComments = Sequence([measures]), "Miller"
    header.SharedFunctionalGroupsSequence = Sequence([group])
    clean = deidentify(header, PIXELS, KEY, PERSON)
    kept = clean.SharedFunctionalGroupsSequence[0]
    assert [element.keyword for element in kept] == ["PixelMeasuresSequence"]
    assert {element.keyword for element in kept.PixelMeasuresSequence[0]} == {"PixelSpacing", "SliceThickness"}


@pytest.mark.parametrize(
    "keyword", ["InstitutionName", "OperatorsName", "ImageComments", "ProtocolName", "PatientAddress"]
)
def test_what_the_standard_lists_is_cleaned_by_its_table_even_if_it_were_to_stay(header: Dataset, keyword: str) -> None:
    setattr(header, keyword, "Miller")
    clean = deidentify(header, PIXELS, KEY, PERSON, {*KEPT, keyword})
    assert "Miller" not in str(clean)
    assert keyword not in deidentify(header, PIXELS, KEY, PERSON)


def test_uids_are_replaced_and_classes_are_not(header: Dataset) -> None:
    clean = deidentify(header, PIXELS, KEY, PERSON)
    for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        assert clean[keyword].value == KEY.uid(header[keyword].value)
    assert clean.SOPClassUID == clean.file_meta.MediaStorageSOPClassUID == MRImageStorage
    assert clean.file_meta.MediaStorageSOPInstanceUID == clean.SOPInstanceUID


@pytest.mark.parametrize("value", ["2020", "20201399", "Miller", ""])
def test_dates_that_are_none_do_not_stay(header: Dataset, value: str) -> None:
    header.add_new(tag_for_keyword("StudyDate"), "DA", value)
    assert deidentify(header, PIXELS, KEY, PERSON).StudyDate == ""


def test_codes_and_numbers_stay_if_they_are_such(header: Dataset) -> None:
    header.ImageType = ["ORIGINAL", "PRIMARY", "M", "MILLER"]
    header.PatientSex, header.BodyPartExamined, header.PatientPosition = "Miller", "LSPINE", "HFS"
    header.add_new("EchoTime", "DS", "96.5")
    header.add_new("SliceThickness", "DS", "nan")
    clean = deidentify(header, PIXELS, KEY, PERSON)
    assert list(clean.ImageType) == ["ORIGINAL", "PRIMARY", "M"]
    assert (clean.PatientSex, clean.BodyPartExamined, clean.PatientPosition) == ("", "LSPINE", "HFS")
    assert clean.EchoTime == 96.5
    assert "SliceThickness" not in clean


@pytest.mark.parametrize(
    ("maker", "kept"), [("SIEMENS", "SIEMENS"), ("GE MEDICAL SYSTEMS", "GE MEDICAL SYSTEMS"), ("Miller", None)]
)
def test_makers_are_kept_if_they_are_known(header: Dataset, maker: str, kept: str | None) -> None:
    header.Manufacturer = maker
    assert deidentify(header, PIXELS, KEY, PERSON).get("Manufacturer") == kept


def test_drawings_in_free_bits_are_cut_off(header: Dataset) -> None:
    header.add_new(0x60000102, "US", 12)
    assert deidentify(header, PIXELS | 1 << 12, KEY, PERSON).pixel_array.tolist() == PIXELS.tolist()


def test_values_beyond_the_stated_bits_stay_without_drawings(header: Dataset) -> None:
    clean = deidentify(header, PIXELS + 60_000, KEY, PERSON)
    assert (clean.pixel_array == PIXELS + 60_000).all()
    assert clean.BitsStored == 16


def test_signed_values_keep_their_sign(header: Dataset) -> None:
    header.PixelRepresentation = 1
    header.add_new(0x60000102, "US", 12)
    free = (PIXELS - 6) & 0xFFF | 1 << 13
    assert deidentify(header, free, KEY, PERSON).pixel_array.tolist() == (PIXELS - 6).tolist()


def test_pixels_of_other_kinds_are_refused(header: Dataset) -> None:
    header.BitsAllocated = 64
    with pytest.raises(UnreadableFile, match="its pixels are no whole numbers of 8, 16 or 32 bits"):
        deidentify(header, PIXELS, KEY, PERSON)


def test_other_objects_are_refused_before(header: Dataset) -> None:
    header.SOPClassUID = CTImageStorage
    with pytest.raises(NotAnImage, match="x is no MR image"):
        refuse_unfit(header, "x")


def test_a_patient_is_named_by_the_words_of_name_and_numbers(header: Dataset) -> None:
    header.PatientName, header.PatientID, header.AccessionNumber = "van Miller^Ann-Lee", "AB/4711", "X"
    assert naming_words(header) == {"van", "miller", "ann", "lee", "4711"}


@pytest.mark.parametrize("told", [SYNTHETIC, [SYNTHETIC, "another method"], "another method", None])
def test_a_phantom_that_is_de_identified_is_still_synthetic(header: Dataset, told: str | list[str] | None) -> None:
    if told is not None:
        header.DeidentificationMethod = told
    clean = deidentify(header, PIXELS, KEY, PERSON)
    assert is_synthetic(clean) == (SYNTHETIC in (told or []))
    assert "basic profile" in str(clean.DeidentificationMethod)
    assert "another method" not in str(clean.DeidentificationMethod)
