"""What a reader thinks instead: kept for good, exported as labels, and never in place of the model's answer."""

import json
from pathlib import Path
from typing import Any

import pytest

from lumbargrade.config.task import GradingTask
from lumbargrade.data.tables import read_labels
from lumbargrade.deidentify.study_hash import StudyHasher, study_number
from lumbargrade.serving.records.corrections import Corrections

from .reading import MakeApp, Reader

CELL = {"condition": "spinal_canal_stenosis", "level": "L4/L5"}


@pytest.fixture
def answer(reader: Reader, zipped: bytes) -> dict[str, Any]:
    return reader.graded(zipped)


def cell_of(answer: dict[str, Any]) -> dict[str, Any]:
    return next(c for c in answer["cells"] if (c["condition"], c["level"]) == (CELL["condition"], CELL["level"]))


def kept(reader: Reader) -> list[dict[str, Any]]:
    text = (reader.room.settings.data / "corrections.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_a_correction_is_kept_beside_the_models_answer(reader: Reader, answer: dict[str, Any]) -> None:
    before = cell_of(answer)
    response = reader.correct(answer["id"], **CELL, grade="Severe", comment="  flattened sac ")
    assert response.status_code == 200
    assert response.json["model_grade"] == before["grade"]
    after = cell_of(reader.get(f"/api/studies/{answer['id']}").json)
    assert after["correction"] == response.json
    assert after["correction"]["comment"] == "flattened sac"
    assert {k: v for k, v in after.items() if k != "correction"} == {
        k: v for k, v in before.items() if k != "correction"
    }
    assert reader.get(f"/api/studies/{answer['id']}").json["sentences"] == answer["sentences"]
    line = kept(reader)[0]
    assert (line["request_id"], line["study_hash"]) == (answer["request_id"], answer["study_hash"])
    assert line["model"]["version"] == "3"


def test_corrections_are_only_ever_appended(reader: Reader, answer: dict[str, Any]) -> None:
    path = reader.room.settings.data / "corrections.jsonl"
    written = b""
    for grade in ("Severe", "Moderate", None):
        assert reader.correct(answer["id"], **CELL, grade=grade).status_code == 200
        now = path.read_bytes()
        assert now.startswith(written)
        assert len(now) > len(written)
        written = now
    assert [line["correction"]["grade"] for line in kept(reader)] == ["Severe", "Moderate", None]
    assert cell_of(reader.get(f"/api/studies/{answer['id']}").json)["correction"]["grade"] is None


@pytest.mark.parametrize(
    "body",
    [
        {**CELL, "grade": "Terrible"},
        {**CELL, "condition": "cold_feet", "grade": "Severe"},
        {**CELL, "level": "L9/L10", "grade": "Severe"},
        {**CELL},
        {**CELL, "grade": "Severe", "comment": "x" * 501},
        {**CELL, "grade": "Severe", "study": "other"},
    ],
)
def test_a_correction_that_makes_no_sense_is_refused(
    reader: Reader, answer: dict[str, Any], body: dict[str, Any]
) -> None:
    assert reader.correct(answer["id"], **body).status_code == 422
    assert not (reader.room.settings.data / "corrections.jsonl").exists()


def test_the_same_study_later_shows_its_corrections(make_app: MakeApp, zipped: bytes, tmp_path: Path) -> None:
    first = Reader(make_app())
    answer = first.graded(zipped)
    first.correct(answer["id"], **CELL, grade="Severe")
    later = Reader(make_app(spool=tmp_path / "later"))
    again = later.graded(zipped)
    assert again["id"] != answer["id"]
    assert cell_of(again)["correction"]["grade"] == "Severe"


def test_corrections_are_labels_in_rsnas_columns(
    reader: Reader, answer: dict[str, Any], rsna: GradingTask, tmp_path: Path
) -> None:
    reader.correct(answer["id"], **CELL, grade="Moderate")
    reader.correct(answer["id"], **CELL, grade="Severe")
    reader.correct(answer["id"], condition="left_subarticular_stenosis", level="L5/S1", grade="Normal/Mild")
    response = reader.get("/api/corrections.csv")
    (tmp_path / "train.csv").write_bytes(response.data)
    labels = read_labels(tmp_path / "train.csv", rsna)
    assert len(labels) == 1
    assert labels["study_id"][0] == study_number(answer["study_hash"])
    filled = labels.iloc[0].dropna().to_dict()
    assert filled["spinal_canal_stenosis_l4_l5"] == "Severe"
    assert filled["left_subarticular_stenosis_l5_s1"] == "Normal/Mild"
    assert len(filled) == 3


def test_a_line_that_was_cut_off_does_no_harm(reader: Reader, answer: dict[str, Any], rsna: GradingTask) -> None:
    reader.correct(answer["id"], **CELL, grade="Severe")
    path = reader.room.settings.data / "corrections.jsonl"
    path.write_bytes(path.read_bytes() + b'{"task": "rsna2024", "requ')
    reader.correct(answer["id"], condition="spinal_canal_stenosis", level="L5/S1", grade="Moderate")
    fresh = Corrections(path.parent, rsna).of(answer["study_hash"])
    assert {key[1]: correction.grade for key, correction in fresh.items()} == {"L4/L5": "Severe", "L5/S1": "Moderate"}


def test_a_study_has_one_hash_by_a_salt_of_its_owners(tmp_path: Path) -> None:
    one, again, other = StudyHasher(tmp_path / "a"), StudyHasher(tmp_path / "a"), StudyHasher(tmp_path / "b")
    assert one("1.2.3") == again("1.2.3")
    assert one("1.2.3") != one("1.2.4")
    assert one("1.2.3") != other("1.2.3")
    assert (tmp_path / "a" / "salt").stat().st_mode & 0o777 == 0o600
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"salt", ".salt.lock"}
