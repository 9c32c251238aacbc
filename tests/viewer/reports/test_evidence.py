"""A report is made whatever the images' headers are like, is valid, and says what was mended or left out."""

import shutil
import subprocess
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import highdicom as hd
import pydicom
import pytest
from pydicom.uid import EnhancedMRImageStorage, MRImageStorage

from lumbargrade.config.task import GradingTask, load_task
from lumbargrade.errors import InputError
from lumbargrade.viewer.reports.evidence import Evidence, read_evidence

from ..reading import FACTS
from .headers import comments_of, report_on, write_image

LONG_UID = "1." * 40 + "1"
DAMAGED_SEQUENCE = {
    "IssuerOfPatientID": "\x04\0\0\0GARB",
    "bytes_instead": (b"\x10\0!\0LO\x08\0", b"\x10\0$\0SQ\0\0"),
}
"""Another attribute's bytes, which become those of IssuerOfPatientIDQualifiersSequence."""


class Case(NamedTuple):
    """A header, what the report has of it, and the codes of what it says about it."""

    name: str
    tags: dict[str, Any]
    told: Mapping[str, str] = MappingProxyType({})
    codes: tuple[str, ...] = ()


EMPTY, MENDED = ("evidence-left-empty",), ("evidence-mended",)
KEPT = ("evidence-uids-kept",)
APART, ALONE = ("evidence-study-uid-made",), ("evidence-image-without-uid",)
CASES = [
    Case("as it should be", {}, {"PatientName": "Meyer^Anna", "StudyInstanceUID": "1.2.3"}),
    Case("sex unknown", {"PatientSex": "U"}, {"PatientSex": ""}, EMPTY),
    Case("sex of an anonymiser", {"PatientSex": "A"}, {"PatientSex": ""}, EMPTY),
    Case("sex in words", {"PatientSex": "male"}, {"PatientSex": "M"}),
    Case("sex in a small letter", {"PatientSex": "f "}, {"PatientSex": "F"}),
    Case("two sexes", {"PatientSex": ["M", "F"]}, {"PatientSex": ""}, EMPTY),
    Case("no sex", {"PatientSex": None}, {"PatientSex": ""}),
    Case("day and month unknown", {"PatientBirthDate": "19500000"}, {"PatientBirthDate": ""}, EMPTY),
    Case("no date", {"PatientBirthDate": "Anonymous"}, {"PatientBirthDate": ""}, EMPTY),
    Case("only a year", {"PatientBirthDate": "1950"}, {"PatientBirthDate": ""}, EMPTY),
    Case("a date as ACR-NEMA", {"PatientBirthDate": "1950.01.31"}, {"PatientBirthDate": "19500131"}),
    Case("a date as ISO", {"StudyDate": "2026-01-31"}, {"StudyDate": "20260131"}),
    Case("a date as in the USA", {"StudyDate": "01/31/2026"}, {"StudyDate": ""}, EMPTY),
    Case("a range of dates", {"StudyDate": "20240101-20240102"}, {"StudyDate": ""}, EMPTY),
    Case("a time with colons", {"StudyTime": "12:00:30.5"}, {"StudyTime": "120030.5"}),
    Case("no time of a day", {"StudyTime": "256199"}, {"StudyTime": ""}, EMPTY),
    Case("a time in words", {"StudyTime": "noon"}, {"StudyTime": ""}, EMPTY),
    Case("an odd age", {"PatientAge": "76 years"}),
    Case("a charset in part", {"SpecificCharacterSet": "ISO 2022 IR 100"}, {"PatientName": "Meyer^Anna"}),
    Case("an empty charset", {"SpecificCharacterSet": ""}, {"PatientName": "Meyer^Anna"}),
    Case("an unknown charset", {"SpecificCharacterSet": "UNKNOWN"}, {"PatientName": "Meyer^Anna"}),
    Case(
        "letters of another charset",
        {"PatientName": "Müller^Jörg", "bytes_instead": (b"ISO_IR 100", b"ISO_IR 192")},
        {"PatientName": "M?ller^J?rg"},
        MENDED,
    ),
    Case(
        "an id of another charset",
        {"PatientID": "Ü1", "bytes_instead": (b"ISO_IR 100", b"ISO_IR 192")},
        {"PatientID": ""},
        EMPTY,
    ),
    Case(
        "another alphabet",
        {"PatientName": "Wang^XiaoDong=王^小东", "SpecificCharacterSet": "GB18030"},
        {"PatientName": "Wang^XiaoDong=王^小东"},
    ),
    Case("a long name in letters of several bytes", {"PatientName": "王" * 70, "SpecificCharacterSet": "GB18030"},
         {"PatientName": "王" * 21}, MENDED),
    Case("a UID of noughts", {"StudyInstanceUID": "0.0.0"}, codes=APART),
    Case("a long name", {"PatientName": "x" * 300}, {"PatientName": "x" * 64}, MENDED),
    Case("a name with a backslash", {"PatientName": "Meyer\\Anna"}, {"PatientName": "Meyer Anna"}, MENDED),
    Case("a name of many parts", {"PatientName": "a^b^c^d^e^f^g"}, {"PatientName": "a^b^c^d^e"}, MENDED),
    Case("a name of four groups", {"PatientName": "a=b=c=d"}, {"PatientName": "a=b=c"}, MENDED),
    Case("a name of two lines", {"PatientName": "Meyer\r\nAnna"}, {"PatientName": "Meyer  Anna"}, MENDED),
    Case("a name as a number", {"PatientName": None, "x00100010": b"\xff\xfe\x01\x02"}, codes=MENDED),
    Case("a physician in parts", {"ReferringPhysicianName": "a^^^^^^Dr.\\b"}, codes=MENDED),
    Case("a long accession number", {"AccessionNumber": "1" * 17}, {"AccessionNumber": ""}, EMPTY),
    Case("two accession numbers", {"AccessionNumber": ["1", "2"]}, {"AccessionNumber": ""}, EMPTY),
    Case("a long patient id", {"PatientID": "1" * 65}, {"PatientID": ""}, EMPTY),
    Case("a long study id", {"StudyID": "1" * 17}, {"StudyID": ""}, EMPTY),
    Case("a long description", {"StudyDescription": "y" * 99}, {"StudyDescription": "y" * 64}, MENDED),
    Case("a damaged sequence", DAMAGED_SEQUENCE),
    Case("private tags", {f"x0029{n:04x}": b"\x00\xff" * 20 for n in range(0x1000, 0x1020)}),
    Case("a challenge study", {"StudyInstanceUID": "100206310", "SeriesInstanceUID": "100206310.1",
                              "SOPInstanceUID": "100206310.1.20"}, {"StudyInstanceUID": "100206310"}, KEPT),
    Case("no class", {"SOPClassUID": None}, {"class": MRImageStorage}),
    Case("class in the file's head", {"SOPClassUID": None, "meta_class": EnhancedMRImageStorage},
         {"class": EnhancedMRImageStorage}),
    Case("no class anywhere", {"SOPClassUID": None, "meta_class": ""}, {"class": MRImageStorage},
         ("evidence-class-assumed",)),
    Case("a class of a maker's own", {"SOPClassUID": "1.3.46.670589.11.0.0.12.1", "meta_class": "1.3.46.670589.11.0.0.12.1"},
         {"class": MRImageStorage}, ("evidence-class-assumed",)),
    Case("a date of signs", {"StudyDate": ".."}, {"StudyDate": ""}, EMPTY),
    Case("a class that is none", {"SOPClassUID": "MR"}, {"class": MRImageStorage}),
    Case("a study UID with a zero", {"StudyInstanceUID": "1.02.3"}, {"StudyInstanceUID": "1.02.3"},
         KEPT),
    Case("no study UID", {"StudyInstanceUID": None}, codes=APART),
    Case("a long study UID", {"StudyInstanceUID": LONG_UID}, codes=APART),
    Case("a study UID of letters", {"StudyInstanceUID": "unknown"}, codes=APART),
    Case("no instance UID", {"SOPInstanceUID": None}, codes=ALONE),
    Case("a long instance UID", {"SOPInstanceUID": LONG_UID}, codes=ALONE),
    Case("no series UID", {"SeriesInstanceUID": None}, codes=ALONE),
    Case("no UID at all", {"SOPInstanceUID": "", "SeriesInstanceUID": "", "StudyInstanceUID": ""}, codes=APART + ALONE),
    Case("two things wrong", {"PatientSex": "U", "StudyInstanceUID": ""}, codes=EMPTY + APART),
]  # fmt: skip


@pytest.fixture(scope="module")
def one_cell() -> GradingTask:
    """What a header does to a report, it does to a report of one cell."""
    task = load_task("rsna2024")
    parts = {"conditions": task.conditions[:1], "levels": task.levels[:1]}
    return GradingTask.model_validate(task.model_dump() | parts)


def read(*paths: Path) -> Evidence:
    return read_evidence({str(number): path for number, path in enumerate(paths)}, "hash")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, of what this test writes
def test_a_report_is_made_of_any_header(case: Case, one_cell: GradingTask, tmp_path: Path) -> None:
    evidence = read(write_image(tmp_path / "Meyer.dcm", **case.tags))
    assert tuple(note.code for note in evidence.notes) == case.codes
    (tmp_path / "report.dcm").write_bytes(report_on(evidence, one_cell))
    document = hd.sr.srread(tmp_path / "report.dcm")
    groups = document.content
    referred = "evidence-image-without-uid" not in case.codes
    assert len(groups.get_planar_roi_measurement_groups()) == (1 if referred else 0)
    assert len(groups.get_image_measurement_groups()) == (0 if referred else 1)
    for keyword, value in case.told.items():
        if keyword == "class":
            (series,) = document.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
            assert series.ReferencedSOPSequence[0].ReferencedSOPClassUID == value
        else:
            assert str(document[keyword].value or "") == value
    said = " ".join(comments_of(document))
    for note in evidence.notes:
        assert note.text[1:] in said
    refuse_invalid(tmp_path / "report.dcm", case)


def refuse_invalid(path: Path, case: Case) -> None:
    """Checks a report by the tools that PACS makers check theirs with, where they are installed."""
    if shutil.which("dciodvfy"):
        checked = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False).stderr
        errors = [line for line in checked.splitlines() if line.startswith("Error")]
        if case.codes == KEPT:  # the images' own, as the note says
            errors = [line for line in errors if "UID" not in line and "contains invalid data values" not in line]
        assert errors == []
    if shutil.which("dsrdump"):
        done = subprocess.run(["dsrdump", path], capture_output=True, text=True, check=False, errors="replace")
        warned = [line for line in done.stderr.splitlines() if "does not support this Specific Character" not in line]
        assert done.returncode == 0
        assert warned == [] or case.codes == KEPT


def test_the_tools_that_check_reports_are_here() -> None:
    missing = [tool for tool in ("dciodvfy", "dsrdump") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"reports were checked by highdicom only: {' and '.join(missing)} not installed")


def test_what_one_image_lacks_another_one_has(tmp_path: Path) -> None:
    first = write_image(
        tmp_path / "1.dcm", PatientSex="U", PatientName="", StudyInstanceUID="", AccessionNumber="9" * 20
    )
    second = write_image(tmp_path / "2.dcm", SOPInstanceUID="1.2.3.4.6")
    evidence = read(first, second)
    assert evidence.notes == ()
    about = evidence.about
    told = (about.PatientSex, str(about.PatientName), about.StudyInstanceUID, about.AccessionNumber)
    assert told == ("F", "Meyer^Anna", "1.2.3", "A1")
    assert {image.StudyInstanceUID for image in evidence.images.values()} == {"1.2.3"}


def test_an_image_that_cannot_be_referred_to_leaves_the_others(tmp_path: Path) -> None:
    (tmp_path / "3.dcm").write_bytes(b"cut off")
    files = write_image(tmp_path / "1.dcm"), write_image(tmp_path / "2.dcm", SOPInstanceUID="no"), tmp_path / "3.dcm"
    evidence = read(*files)
    assert list(evidence.images) == ["1.2.3.4.5"]
    assert [note.code for note in evidence.notes] == ["evidence-image-without-uid", "evidence-image-unreadable"]
    assert all("some of the study's images" in note.text for note in evidence.notes)


def test_no_value_is_in_a_note_or_a_warning(
    one_cell: GradingTask, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secret = dict.fromkeys(("PatientSex", "PatientBirthDate", "StudyDate", "StudyTime", "SOPClassUID"), "SECRET")
    path = write_image(tmp_path / "SECRET.dcm", PatientName="SECRET\\" * 20, StudyInstanceUID="SECRET", **secret)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evidence = read(path)
        report_on(evidence, one_cell)
    assert len(evidence.notes) == 6
    assert not any("SECRET" in note.text for note in evidence.notes)
    assert "SECRET" not in caplog.text


def test_letters_of_a_long_text_decide_on_the_character_set_too(one_cell: GradingTask, tmp_path: Path) -> None:
    """A folder's name stands in the sentence on training."""
    facts = FACTS.model_copy(
        update={"trained_on": FACTS.trained_on.model_copy(update={"synthetic_studies": 0, "datasets": ("Küche",)})}
    )
    path = tmp_path / "report.dcm"
    path.write_bytes(report_on(read(write_image(tmp_path / "1.dcm")), one_cell, facts))
    document = pydicom.dcmread(path)
    assert document.SpecificCharacterSet == "ISO_IR 192"
    assert "(dataset Küche)" in " ".join(comments_of(document))


def test_a_file_that_is_gone_is_not_called_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path / "Meyer^Anna.dcm")
    assert caught.value.code == "evidence-image-unreadable"
    assert "Meyer" not in str(caught.value)
