"""The OpenAPI document is valid, names what there is, and real answers are as it says."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from flask import Flask
from openapi_spec_validator import validate

from lumbargrade.viewer.http.openapi import openapi_text

from ..reading import Reader


@pytest.fixture
def document(reader: Reader) -> dict[str, Any]:
    document: dict[str, Any] = reader.get("/openapi.json").json
    return document


def check(document: dict[str, Any], name: str, answer: Any) -> None:
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(answer)


def test_the_document_is_valid_openapi(document: dict[str, Any]) -> None:
    validate(document)
    assert document["openapi"].startswith("3.1")


def test_the_page_is_built_from_what_the_server_says() -> None:
    committed = (Path(__file__).parents[3] / "web/openapi.json").read_text(encoding="utf-8")
    command = "python -m lumbargrade.viewer.http.openapi > web/openapi.json"
    assert committed == openapi_text(), f"the schemas changed; write the page's copy anew: {command}"


def test_every_address_is_in_it(document: dict[str, Any], app: Flask) -> None:
    own = {"/", "/login", "/login.css", "/favicon.ico", "/assets/{name}", "/api/model/{name}"}
    there = {
        (method.lower(), path)
        for rule in app.url_map.iter_rules()
        for method in rule.methods or ()
        if method not in ("HEAD", "OPTIONS") and (path := re.sub(r"<(?:[^<>]*:)?(\w+)>", r"{\1}", rule.rule)) not in own
    }
    told = {(method, path) for path, methods in document["paths"].items() for method in methods}
    assert told - {("get", "/api/model/card"), ("get", "/api/model/lineage")} == there


def test_real_answers_are_as_it_says(reader: Reader, zipped: bytes, document: dict[str, Any]) -> None:
    answer = reader.graded(zipped)
    address = f"/api/studies/{answer['id']}"
    cell = next(cell for cell in answer["cells"] if cell["grade"])
    where = {"condition": cell["condition"], "level": cell["level"]}
    correction = reader.correct(answer["id"], **where, grade="Severe")
    check(document, "Session", reader.get("/api/session").json)
    events = reader.get(f"{address}/events").get_data(as_text=True)
    for data in re.findall("^data: (.*)$", events, re.MULTILINE):
        check(document, "Event", json.loads(data))
    assert "data: " in events
    check(document, "ModelPage", reader.get("/api/model").json)
    check(document, "StudyAnswer", reader.get(address).json)
    check(document, "Heat", reader.get(f"{address}/heat", query_string=where).json)
    check(document, "Correction", correction.json)
    check(document, "StudyReport", reader.get(f"{address}/report.json").json)
    check(document, "Accepted", reader.upload(zipped).json)
    for refused in (reader.upload(b"x"), reader.get("/api/studies/none"), reader.client.post("/api/studies")):
        check(document, "ErrorAnswer", refused.json)
    with pytest.raises(jsonschema.ValidationError):
        check(document, "StudyAnswer", answer | {"sentences": None})


def test_metrics_count_what_happened(reader: Reader, zipped: bytes) -> None:
    answer = reader.graded(zipped)
    reader.upload(b"no study")
    text = reader.get("/metrics").get_data(as_text=True)
    assert 'lumbargrade_studies_total{end="done"} 1.0' in text
    assert 'lumbargrade_refused_uploads_total{status="415"} 1.0' in text
    assert "lumbargrade_grading_seconds_count 1.0" in text
    assert "lumbargrade_model_ready 1.0" in text
    assert answer["id"] not in text
    assert answer["study_hash"][:8] not in text
