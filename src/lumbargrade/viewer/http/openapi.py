"""The OpenAPI 3.1 document of the HTTP API, made from the models of its JSON.

``python -m lumbargrade.viewer.http.openapi > web/openapi.json`` writes the file that the page's types are made from.
"""

import json
import sys
from typing import Any, NamedTuple

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

import lumbargrade
from lumbargrade.serving.records.corrections import Correction
from lumbargrade.viewer import schemas as api

_REF = "#/components/schemas/{model}"


class Operation(NamedTuple):
    """One address and method.

    Attributes:
        answers: By status: a model of JSON, or a media type.
        takes: A model of JSON, or a media type; None if there is no body.
        query: Names of query parameters, all required.
    """

    method: str
    path: str
    summary: str
    answers: dict[int, type[BaseModel] | str]
    takes: type[BaseModel] | str | None = None
    query: tuple[str, ...] = ()


_STUDY = "/api/studies/{study_id}"
_STATUS_WORDS = {
    200: "The answer.", 202: "Accepted, or at work.", 204: "Done.", 300: "One of several is to be chosen.", 304: "Unchanged.",
}  # fmt: skip

OPERATIONS = (
    Operation("get", "/healthz", "Whether the process lives.", {200: "text/plain"}),
    Operation("get", "/readyz", "Whether the model server answers.", {200: "text/plain", 503: "text/plain"}),
    Operation("get", "/metrics", "Metrics for Prometheus.", {200: "text/plain"}),
    Operation("get", "/openapi.json", "This document.", {200: "application/json"}),
    Operation("get", "/api/session", "What a client needs first, the CSRF token among it.", {200: api.Session}),
    Operation("get", "/api/model", "The model that serves.", {200: api.ModelPage}),
    Operation("get", "/api/model/card", "The model's card, if there is one.", {200: "text/html", 404: api.ErrorAnswer}),
    Operation(
        "get", "/api/model/lineage", "The model's lineage, if there is one.", {200: "text/html", 404: api.ErrorAnswer}
    ),
    Operation(
        "post", "/api/studies", "Upload a study: a zip as part `file`, or DICOM files as parts `files`.",
        {202: api.Accepted, 400: api.ErrorAnswer, 413: api.ErrorAnswer, 415: api.ErrorAnswer, 503: api.ErrorAnswer},
        takes="multipart/form-data",
    ),
    Operation(
        "get", f"{_STUDY}/events",
        "Server-sent events, each with an `Event` as data: the last one, then each change, until the end.",
        {200: "text/event-stream", 404: api.ErrorAnswer},
    ),
    Operation(
        "get", _STUDY,
        "The answer; 202 with the last event while the study is at work, 300 if it is several studies, 422 if it failed.",
        {200: api.StudyAnswer, 202: api.Event, 300: api.Choices, 404: api.ErrorAnswer, 422: api.ErrorAnswer},
    ),
    Operation(
        "post", f"{_STUDY}/choices/{{number}}", "Grade one of an upload's studies, as a study of its own.",
        {202: api.Accepted, 404: api.ErrorAnswer, 503: api.ErrorAnswer},
    ),
    Operation("delete", _STUDY, "Forget a study now.", {204: "", 404: api.ErrorAnswer}),
    Operation(
        "get", f"{_STUDY}/series/{{series_id}}/slices/{{number}}",
        "A slice: little-endian uint16, rows x columns; scanner value = value * X-Scale + X-Offset.",
        {200: "application/octet-stream", 304: "", 404: api.ErrorAnswer},
    ),
    Operation(
        "get", f"{_STUDY}/heat", "What spoke for the grade of a cell.",
        {200: api.Heat, 404: api.ErrorAnswer, 503: api.ErrorAnswer}, query=("condition", "level"),
    ),
    Operation(
        "put", f"{_STUDY}/corrections", "Keep what a reader thinks instead; the model's answer stays.",
        {200: Correction, 404: api.ErrorAnswer, 422: api.ErrorAnswer}, takes=api.CorrectionRequest,
    ),
    Operation("get", "/api/corrections.csv", "All corrections, with the columns of RSNA's train.csv.", {200: "text/csv"}),
    Operation("get", f"{_STUDY}/report.pdf", "The report as PDF.", {200: "application/pdf", 404: api.ErrorAnswer}),
    Operation(
        "get", f"{_STUDY}/report.sr", "The report as DICOM SR.",
        {200: "application/dicom", 404: api.ErrorAnswer, 422: api.ErrorAnswer},
    ),
    Operation("get", f"{_STUDY}/report.json", "The report as JSON.", {200: api.StudyReport, 404: api.ErrorAnswer}),
    Operation("get", f"{_STUDY}/report.csv", "The report as a table.", {200: "text/csv", 404: api.ErrorAnswer}),
)  # fmt: skip


def openapi_document(needs_token: bool) -> dict[str, Any]:
    """Returns the document.

    Args:
        needs_token: Whether clients must send a bearer token.
    """
    models: list[tuple[type[BaseModel], Any]] = []
    for operation in OPERATIONS:
        models += [(model, "serialization") for model in operation.answers.values() if not isinstance(model, str)]
        if operation.takes is not None and not isinstance(operation.takes, str):
            models.append((operation.takes, "validation"))
    _, definitions = models_json_schema(list(dict.fromkeys(models)), ref_template=_REF)
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation)
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "Lumbargrade reading room",
            "version": lumbargrade.__version__,
            "description": "Not a medical device. Refusals are `{error: {what, do, code}}`: two plain sentences and a name.",
        },
        "paths": paths,
        "components": {"schemas": definitions.get("$defs", {})},
    }
    if needs_token:
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
    return document


def openapi_text() -> str:
    """Returns the document of a server that asks for no token, as ``web/openapi.json`` holds it."""
    return json.dumps(openapi_document(needs_token=False), indent=2) + "\n"


def _operation(operation: Operation) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "integer" if name == "number" else "string"}}
        for name in (part[1:-1] for part in operation.path.split("/") if part.startswith("{"))
    ]
    parameters += [
        {"name": name, "in": "query", "required": True, "schema": {"type": "string"}} for name in operation.query
    ]
    if operation.method not in ("get", "head"):
        parameters.append(
            {
                "name": "X-CSRF-Token",
                "in": "header",
                "required": False,
                "description": "csrf_token of /api/session; not needed with a bearer token.",
                "schema": {"type": "string"},
            }
        )
    described: dict[str, Any] = {
        "summary": operation.summary,
        "operationId": _operation_id(operation),
        "responses": {
            str(status): {"description": _STATUS_WORDS.get(status, "Refused."), **_content(answer)}
            for status, answer in operation.answers.items()
        },
    }
    if parameters:
        described["parameters"] = parameters
    if operation.takes is not None:
        described["requestBody"] = {"required": True, **_content(operation.takes)}
    return described


def _content(what: type[BaseModel] | str) -> dict[str, Any]:
    if what == "multipart/form-data":
        binary = {"type": "string", "contentMediaType": "application/octet-stream"}
        properties = {"file": binary, "files": {"type": "array", "items": binary}}
        return {"content": {what: {"schema": {"type": "object", "properties": properties}}}}
    if isinstance(what, str):
        return {"content": {what: {}}} if what else {}
    return {"content": {"application/json": {"schema": {"$ref": _REF.format(model=what.__name__)}}}}


def _operation_id(operation: Operation) -> str:
    parts = [part.strip("{}") for part in operation.path.replace(".", "/").split("/") if part and part != "api"]
    return "_".join([operation.method, *parts])


if __name__ == "__main__":
    sys.stdout.write(openapi_text())
