"""Headers as scanners and anonymisers leave them make a valid report, which says what was left empty."""

import io
from pathlib import Path
from typing import Any

import highdicom as hd
import pydicom
import pytest
from pydicom.config import disable_value_validation

from lumbargrade.config.task import GradingTask
from lumbargrade.errors import InputError
from lumbargrade.models.trained_on import ModelFacts, state
from lumbargrade.serving.records.corrections import ServedVersion
from lumbargrade.viewer.reports.dicom_sr import build_report
from lumbargrade.viewer.reports.evidence import read_evidence
from lumbargrade.viewer.schemas import Cell, StudyReport

from ..reading import FACTS


def changed(phantom: Path, folder: Path, **tags: Any) -> Path:
    """An image with other tags, valid or not; None removes one."""
    dataset = pydicom.dcmread(min(phantom.rglob("*.dcm")))
    with disable_value_validation():
        for keyword, value in tags.items():
            if value is None:
                delattr(dataset, keyword)
            else:
                setattr(dataset, keyword, value)
        dataset.save_as(folder / "Meyer^Anna.dcm")
    return folder / "Meyer^Anna.dcm"


def report_on(path: Path, task: GradingTask, facts: ModelFacts | None = None) -> pydicom.Dataset:
    """The report as a PACS reads it."""
    evidence = read_evidence(path)
    cells = tuple(
        Cell(
            condition=cell.condition.name, level=cell.level, grade="Severe", probabilities=None,
            possible_grades=("Severe",), reason=None, correction=None, place=None,
        )
        for cell in task.cells
    )  # fmt: skip
    report = StudyReport(
        research_strip="Not for clinical use", trained_on=state(facts), request_id="r", task=task.title,
        model=ServedVersion(name="m", version="1"), graded_at="2026-01-01T00:00:00+00:00", study_hash="h",
        flags=(), sentences=(), cells=cells, identifiers=None,
    )  # fmt: skip
    headers = {evidence.header.SOPInstanceUID: evidence.header}
    buffer = io.BytesIO()
    build_report(report, headers, {}, task, evidence.changes).save_as(buffer, enforce_file_format=True)
    document: pydicom.Dataset = hd.sr.ComprehensiveSR.from_dataset(pydicom.dcmread(io.BytesIO(buffer.getvalue())))
    return document


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, of what this test writes
@pytest.mark.parametrize(
    ("tags", "left_empty"),
    [
        ({"PatientSex": "U"}, "PatientSex"),
        ({"PatientSex": ["M", "F"]}, "PatientSex"),
        ({"PatientBirthDate": "19500000"}, "PatientBirthDate"),
        ({"PatientBirthDate": "Anonymous"}, "PatientBirthDate"),
        ({"StudyDate": "20240101-20240102"}, "StudyDate"),
        ({"StudyTime": "12:00"}, "StudyTime"),
        ({"PatientSex": None}, None),
        ({"PatientSex": "f "}, None),
        ({"PatientBirthDate": "1950.01.31"}, None),
        ({"SpecificCharacterSet": "ISO 2022 IR 100"}, None),
        ({"SpecificCharacterSet": ""}, None),
        ({"SpecificCharacterSet": "UNKNOWN"}, None),
        ({"StudyInstanceUID": "1.02.3"}, None),
        ({"FrameOfReferenceUID": ""}, None),
    ],
)
def test_a_report_is_made_of_odd_headers(
    tags: dict[str, Any], left_empty: str | None, phantom: Path, rsna: GradingTask, tmp_path: Path
) -> None:
    document = report_on(changed(phantom, tmp_path, **tags), rsna)
    comments = [item.value for item in document.content[0].ContentSequence if item.ValueType == "TEXT"]
    told = [comment for comment in comments if "left empty" in comment]
    if left_empty is None:
        assert told == []
    else:
        assert told == [f"{left_empty} of the images is not valid in DICOM and is left empty here."]
        assert document[left_empty].value in ("", None)


def test_letters_of_a_long_text_decide_on_the_character_set_too(
    phantom: Path, rsna: GradingTask, tmp_path: Path
) -> None:
    """A folder's name stands in the sentence on training."""
    facts = FACTS.model_copy(
        update={"trained_on": FACTS.trained_on.model_copy(update={"synthetic_studies": 0, "datasets": ("Küche",)})}
    )
    document = report_on(changed(phantom, tmp_path), rsna, facts)
    assert document.SpecificCharacterSet == "ISO_IR 192"
    assert "(dataset Küche)" in str([item.get("TextValue") for item in document.content[0].ContentSequence])


def test_a_missing_class_is_taken_from_the_files_head_or_said(phantom: Path, rsna: GradingTask, tmp_path: Path) -> None:
    path = changed(phantom, tmp_path, SOPClassUID=None)
    assert read_evidence(path).changes == ()
    whole = pydicom.dcmread(path)
    whole.file_meta.MediaStorageSOPClassUID = ""
    whole.save_as(path)
    assert read_evidence(path).changes == ("The images have no SOPClassUID; MR Image Storage is taken here.",)
    assert len(report_on(path, rsna).content.get_image_measurement_groups()) == 25


def test_a_name_in_another_alphabet_stays_as_it_is(phantom: Path, rsna: GradingTask, tmp_path: Path) -> None:
    path = changed(phantom, tmp_path, PatientName="Wang^XiaoDong=王^小东", SpecificCharacterSet="GB18030")
    assert str(report_on(path, rsna).PatientName) == "Wang^XiaoDong=王^小东"


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
@pytest.mark.parametrize("value", ["", "unknown", "1." * 40 + "1"])
def test_a_uid_that_is_missing_is_named(keyword: str, value: str, phantom: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"no valid {keyword}, so no PACS could file"):
        read_evidence(changed(phantom, tmp_path, **{keyword: value}))


def test_a_file_that_is_gone_is_not_called_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read again") as caught:
        read_evidence(tmp_path / "Meyer^Anna.dcm")
    assert "Meyer" not in str(caught.value)
