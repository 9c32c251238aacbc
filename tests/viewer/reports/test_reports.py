"""The answer to take along: PDF, DICOM SR, JSON, CSV."""

import csv
import io
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import highdicom as hd
import pydicom
import pytest
from pydicom.sr.codedict import codes

from lumbargrade.models.trained_on import ModelFacts, state
from lumbargrade.notes import Note
from lumbargrade.viewer.reports.dicom_sr import SCHEME

from ..reading import FACTS, MakeApp, ModelServer, Reader, edited

pytestmark = pytest.mark.slow

CELL = {"condition": "spinal_canal_stenosis", "level": "L4/L5"}


@pytest.fixture
def answer(reader: Reader, zipped: bytes) -> dict[str, Any]:
    answer = reader.graded(zipped)
    reader.correct(answer["id"], **CELL, grade="Severe", comment="=SUM(A1)")
    corrected: dict[str, Any] = reader.get(f"/api/studies/{answer['id']}").json
    return corrected


def read_sr(reader: Reader, answer: dict[str, Any]) -> pydicom.Dataset:
    response = reader.get(answer["report"]["sr"])
    assert response.mimetype == "application/dicom"
    return pydicom.dcmread(io.BytesIO(response.data))


def test_the_structured_report_says_what_the_answer_says(
    reader: Reader, answer: dict[str, Any], loose: list[bytes]
) -> None:
    document = hd.sr.ComprehensiveSR.from_dataset(read_sr(reader, answer))
    image = pydicom.dcmread(io.BytesIO(loose[0]))
    assert document.StudyInstanceUID == image.StudyInstanceUID
    assert (document.PatientID, document.PatientName) == (image.PatientID, image.PatientName)
    assert (document.VerificationFlag, document.PreliminaryFlag) == ("UNVERIFIED", "PRELIMINARY")
    assert "not for clinical use" in document.SeriesDescription
    report = document.content
    planar = report.get_planar_roi_measurement_groups()
    plain = report.get_image_measurement_groups()
    assert (len(planar), len(plain)) == (24, 1)
    groups = {group.tracking_identifier: group for group in (*planar, *plain)}
    titles = {c["name"]: c["title"] for c in reader.get("/api/session").json["task"]["conditions"]}
    for cell in answer["cells"]:
        group = groups[f"{titles[cell['condition']]} {cell['level']}"]
        assert group.finding_type.scheme_designator == SCHEME
        site = group.finding_sites[0]
        assert site.value.scheme_designator == "SCT"
        assert cell["level"] in site.value.meaning
        sides = {"left": codes.SCT.Left, "right": codes.SCT.Right}
        side = cell["condition"].split("_")[0]
        laterality = [item.ConceptCodeSequence[0].CodeValue for item in site.get("ContentSequence", [])]
        assert laterality == ([sides[side].value] if side in sides else [])
        severity = group.get_qualitative_evaluations(name=codes.SCT.Severity)[0].value.meaning
        assert severity == (cell["grade"] or "Not graded")
        probabilities = {
            m.name.meaning.removeprefix("Probability of "): float(m.value) for m in group.get_measurements()
        }
        assert probabilities == pytest.approx(cell["probabilities"] or {}, abs=1e-4)
        if cell["place"] is not None:
            region = group.roi
            assert region.graphic_type == hd.sr.GraphicTypeValues.POINT
            assert region.value[0] == pytest.approx([cell["place"]["x"] + 0.5, cell["place"]["y"] + 0.5])
    corrected = groups["Spinal Canal Stenosis L4/L5"].get_qualitative_evaluations()
    assert [item.value.meaning for item in corrected if item.name.meaning == "Grade by a reader"] == ["Severe"]
    items = document.content[0].ContentSequence
    texts = [item.value for item in items if (item.ValueType, item.RelationshipType) == ("TEXT", "CONTAINS")]
    assert texts[0] == "Not for clinical use"
    assert texts[-5:] == [sentence["text"] for sentence in answer["sentences"]]
    assert answer["request_id"] in document.to_json()


def test_dcmtk_reads_the_structured_report(reader: Reader, answer: dict[str, Any], tmp_path: Path) -> None:
    if shutil.which("dsrdump") is None:
        pytest.skip("needs dcmtk")
    (tmp_path / "report.dcm").write_bytes(reader.get(answer["report"]["sr"]).data)
    done = subprocess.run(["dsrdump", "-Ee", tmp_path / "report.dcm"], capture_output=True, text=True, check=True)
    assert "Comprehensive SR Document" in done.stdout
    assert done.stdout.count("Measurement Group") == 25
    assert done.stderr == ""


def test_the_same_report_is_the_same_document(reader: Reader, answer: dict[str, Any]) -> None:
    first, second = (read_sr(reader, answer) for _ in range(2))
    assert first.SOPInstanceUID == second.SOPInstanceUID
    reader.correct(answer["id"], **CELL, grade="Moderate")
    third = read_sr(reader, answer)
    assert third.SOPInstanceUID != first.SOPInstanceUID
    assert third.SeriesInstanceUID == first.SeriesInstanceUID


def test_a_study_without_uids_has_a_structured_report_too(reader: Reader, loose: list[bytes]) -> None:
    nameless = (edited(data, StudyInstanceUID="", SOPInstanceUID="") for data in loose[:4])
    document = read_sr(reader, reader.graded(*nameless, part="files"))
    told = " ".join(item.get("TextValue", "") for item in document.ContentSequence)
    assert "The images have no valid StudyInstanceUID" in told
    assert "This report does not refer to the study's images" in told
    content = hd.sr.ComprehensiveSR.from_dataset(document).content
    assert len(content.get_image_measurement_groups()) == 25


@pytest.mark.parametrize("tags", [{"PatientSex": "U"}, {"SpecificCharacterSet": "ISO 2022 IR 100"}])
def test_a_study_with_an_odd_header_has_a_structured_report(
    tags: dict[str, str], reader: Reader, loose: list[bytes]
) -> None:
    answer = reader.graded(*(edited(data, **tags) for data in loose[:4]), part="files")
    told = [item.get("TextValue", "") for item in read_sr(reader, answer).ContentSequence]
    assert any("PatientSex of the images is not valid" in text for text in told) == ("PatientSex" in tags)


def test_the_pdf_is_one_page_that_says_it(reader: Reader, answer: dict[str, Any], tmp_path: Path) -> None:
    response = reader.get(answer["report"]["pdf"])
    assert response.mimetype == "application/pdf"
    assert response.headers["Content-Disposition"].startswith("attachment; filename=lumbargrade-")
    assert response.data.startswith(b"%PDF")
    if shutil.which("pdftotext") is None:
        pytest.skip("needs poppler-utils")
    (tmp_path / "report.pdf").write_bytes(response.data)
    text = subprocess.run(
        ["pdftotext", "-layout", tmp_path / "report.pdf", "-"], capture_output=True, text=True, check=True
    )
    words = " ".join(text.stdout.split())
    assert "NOT FOR CLINICAL USE" in words
    assert answer["request_id"] in words
    assert "lumbargrade-rsna2024, version 3" in words
    assert "reader: Severe" in words
    assert text.stdout.count("\f") == 1
    for sentence in answer["sentences"]:
        assert sentence["text"].removeprefix(f"{sentence['level']}: ") in words


def test_json_and_csv_agree_with_the_answer(reader: Reader, answer: dict[str, Any]) -> None:
    report = reader.get(answer["report"]["json"]).json
    assert report["cells"] == answer["cells"]
    assert report["research_strip"] == "Not for clinical use"
    assert answer["id"] not in json.dumps(report)
    rows = list(csv.DictReader(io.StringIO(reader.get(answer["report"]["csv"]).get_data(as_text=True))))
    assert [(row["condition"], row["level"], row["grade"]) for row in rows] == [
        (cell["condition"], cell["level"], cell["grade"] or "") for cell in answer["cells"]
    ]
    corrected = [row for row in rows if row["reader_grade"]]
    assert [(row["reader_grade"], row["reader_comment"]) for row in corrected] == [("Severe", "'=SUM(A1)")]
    assert {row["caution"] for row in rows} == {"Not for clinical use"}


def test_a_note_with_a_semicolon_is_one_note_everywhere(
    reader: Reader, model_server: ModelServer, zipped: bytes, tmp_path: Path
) -> None:
    model_server.notes = [
        Note.make("levels-not-seen", "{levels} cannot be seen; the images may end there", levels="L5/S1"),
        Note.make("files-unreadable", "{count} files of the study could not be read", count=2),
    ]
    told = ["L5/S1 cannot be seen; the images may end there.", "2 files of the study could not be read."]
    answer = reader.graded(zipped)
    assert answer["flags"] == told
    assert reader.get(answer["report"]["json"]).json["flags"] == told
    values = [item.get("TextValue", "") for item in read_sr(reader, answer).ContentSequence]
    assert [value for value in values if value in told] == told
    words = words_of(reader.get(answer["report"]["pdf"]).data, tmp_path)
    assert all(f"• {note}" in words for note in told)


def test_the_notes_of_an_older_model_are_one_note(reader: Reader, model_server: ModelServer, zipped: bytes) -> None:
    model_server.notes = [Note(code="a", text="one; two"), Note(code="b", text="three")]
    model_server.answers_codes = False
    assert reader.graded(zipped)["flags"] == ["One; two; three."]


def test_an_organisation_can_remove_the_strip(make_app: MakeApp, zipped: bytes) -> None:
    reader = Reader(make_app(research_strip=None))
    answer = reader.graded(zipped)
    assert reader.get("/api/session").json["research_strip"] is None
    told = "".join(reader.get(answer["report"][kind]).get_data(as_text=True) for kind in ("json", "csv"))
    told += str(read_sr(reader, answer))
    assert "clinical use" not in told.lower()


def words_of(pdf: bytes, folder: Path) -> str:
    if shutil.which("pdftotext") is None:
        pytest.skip("needs poppler-utils")
    (folder / "report.pdf").write_bytes(pdf)
    text = subprocess.run(
        ["pdftotext", "-layout", folder / "report.pdf", "-"], capture_output=True, text=True, check=True
    )
    return " ".join(text.stdout.split())


@pytest.mark.parametrize("facts", [FACTS, None])
def test_every_answer_says_what_the_model_was_trained_on(
    facts: ModelFacts | None, make_app: MakeApp, model_server: ModelServer, zipped: bytes, tmp_path: Path
) -> None:
    """Also where an organisation has removed the strip; a model of before says that nothing is recorded."""
    statement = state(facts)
    model_server.trained_on = statement.model_dump_json() if facts else None
    reader = Reader(make_app(research_strip=None))
    answer = reader.graded(zipped)
    assert answer["trained_on"] == statement.model_dump()
    assert ("synthetic spines only (38 studies)" in statement.sentence) == (facts is not None)
    assert reader.get(answer["report"]["json"]).json["trained_on"] == statement.model_dump()
    rows = list(csv.DictReader(io.StringIO(reader.get(answer["report"]["csv"]).get_data(as_text=True))))
    assert {(row["trained_on"], row["performance"]) for row in rows} == {
        (statement.sentence, statement.performance or "")
    }
    items = hd.sr.ComprehensiveSR.from_dataset(read_sr(reader, answer)).content[0].ContentSequence
    texts = [item.value for item in items if (item.ValueType, item.RelationshipType) == ("TEXT", "CONTAINS")]
    assert tuple(texts[: len(statement.lines)]) == statement.lines
    words = words_of(reader.get(answer["report"]["pdf"]).data, tmp_path)
    for line in (*statement.lines, statement.possible_grades):
        assert line in words


def test_a_grade_at_an_uncertain_place_is_marked_in_every_report(
    reader: Reader, model_server: ModelServer, zipped: bytes, tmp_path: Path
) -> None:
    model_server.confidence = 0.2999
    answer = reader.graded(zipped)
    assert [cell["place_uncertain"] for cell in answer["cells"]] == [
        cell["grade"] is not None for cell in answer["cells"]
    ]
    assert answer["flags"][0].startswith("24 of 24 places are uncertain")
    rows = list(csv.DictReader(io.StringIO(reader.get(answer["report"]["csv"]).get_data(as_text=True))))
    assert {(row["place_uncertain"], row["place_confidence"]) for row in rows if row["grade"]} == {("yes", "0.2999")}
    assert read_sr(reader, answer).to_json().count("Place uncertain: it was found") == 24
    words = words_of(reader.get(answer["report"]["pdf"]).data, tmp_path)
    assert words.count("place uncertain") == 24


@pytest.mark.parametrize(("confidence", "uncertain"), [(0.0, True), (0.3, False)])
def test_a_place_without_any_confidence_is_uncertain_and_one_at_the_bound_is_not(
    confidence: float, uncertain: bool, reader: Reader, model_server: ModelServer, zipped: bytes
) -> None:
    model_server.confidence = confidence
    cells = reader.graded(zipped)["cells"]
    assert {cell["place_uncertain"] for cell in cells if cell["grade"]} == {uncertain}


def test_a_report_that_cannot_be_made_says_why(reader: Reader, answer: dict[str, Any], monkeypatch: Any) -> None:
    monkeypatch.setattr("lumbargrade.viewer.studies.service._REPORT_SECONDS", 0.0)
    response = reader.get(answer["report"]["sr"])
    assert response.status_code == 422
    assert response.json["error"]["what"] == "Making the structured report took longer than 0 s."


@pytest.fixture
def real_study() -> list[bytes]:
    """A whole study of a real patient, as the scanner's own archive had it; it is not part of the project."""
    folder = Path(__file__).parents[4] / "shared/data/real_study"
    if not folder.is_dir():
        pytest.skip("the real study is not beside this checkout")
    return [path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()]


def test_a_real_study_has_a_structured_report(reader: Reader, real_study: list[bytes], tmp_path: Path) -> None:
    answer = reader.graded(*real_study, part="files")
    document = hd.sr.ComprehensiveSR.from_dataset(read_sr(reader, answer))
    assert len(document.content.get_planar_roi_measurement_groups()) == 24
    if shutil.which("dciodvfy") is None:
        pytest.skip("was read by highdicom only: dciodvfy is not installed")
    (tmp_path / "report.dcm").write_bytes(reader.get(answer["report"]["sr"]).data)
    checked = subprocess.run(["dciodvfy", tmp_path / "report.dcm"], capture_output=True, text=True, check=False)
    assert "Error" not in checked.stderr
