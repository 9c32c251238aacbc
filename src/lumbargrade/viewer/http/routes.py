"""The addresses of the HTTP API under ``/api``. What they do is in :mod:`lumbargrade.viewer.studies.service`."""

import gzip
from collections.abc import Iterator
from threading import BoundedSemaphore

from flask import Blueprint, Response, g, request
from pydantic import BaseModel, ValidationError

from lumbargrade.viewer.errors import Problem, Refusal
from lumbargrade.viewer.http.auth import CSRF_COOKIE, csrf_token, set_cookie
from lumbargrade.viewer.http.upload import receive, too_large
from lumbargrade.viewer.reports.csv_report import csv_report
from lumbargrade.viewer.reports.pdf_report import pdf_report
from lumbargrade.viewer.schemas import (
    Accepted,
    Choices,
    CorrectionRequest,
    ErrorAnswer,
    ModelPage,
    Session,
    StudyReport,
    UploadLimits,
    task_info,
)
from lumbargrade.viewer.studies.job import StudyWork
from lumbargrade.viewer.studies.present import report_of
from lumbargrade.viewer.studies.service import ReadingRoom

MULTIPART_OVERHEAD = 4 << 20
"""Bytes that the parts' heads of an upload may take, beside the files."""

MOST_STREAMS = 32
"""Event streams that are open at a time; each holds a thread of the server."""

_CHOOSE = "Choose which one is to be graded; each is graded on its own."
_HEARTBEAT_SECONDS = 5.0
_SLICE_SECONDS = 3600


def api(room: ReadingRoom, page: ModelPage) -> Blueprint:
    """Returns the API of a reading room."""
    blueprint = Blueprint("api", __name__, url_prefix="/api")
    streams = BoundedSemaphore(MOST_STREAMS)
    settings, task = room.settings, room.task

    @blueprint.get("/session")
    def session() -> Response:
        token = csrf_token()
        response = _json(
            Session(
                csrf_token=token,
                model=room.served,
                task=task_info(task),
                research_strip=settings.research_strip,
                limits=UploadLimits(max_bytes=settings.max_bytes, max_files=settings.max_files),
                ready=room.model_is_ready(),
            )
        )
        set_cookie(response, CSRF_COOKIE, token)
        return response

    @blueprint.get("/model")
    def model() -> Response:
        return _json(page)

    @blueprint.post("/studies")
    def upload() -> Response:
        try:
            return _json(Accepted(id=_receive(room)), 202)
        except Refusal as refusal:
            room.metrics.refusals.labels(str(refusal.status)).inc()
            raise

    @blueprint.get("/studies/<study_id>/events")
    def events(study_id: str) -> Response:
        work = room.get(study_id)
        if not streams.acquire(blocking=False):
            raise Refusal(
                503, "Too many pages are waiting.", "Ask for the study itself instead.", "too-many-pages-waiting"
            )
        response = Response(_stream(work), mimetype="text/event-stream", headers={"X-Accel-Buffering": "no"})
        response.call_on_close(streams.release)
        return response

    @blueprint.get("/studies/<study_id>")
    def study(study_id: str) -> Response:
        work = room.get(study_id)
        event = work.event
        if event.error is not None:
            return _json(ErrorAnswer(error=event.error), 422)
        if event.studies:
            return _json(
                Choices(error=Problem(what=event.words, do=_CHOOSE, code="several-studies"), studies=event.studies), 300
            )
        return _json(event, 202) if work.answer is None else _json(work.answer)

    @blueprint.post("/studies/<study_id>/choices/<int:number>")
    def choose(study_id: str, number: int) -> Response:
        return _json(Accepted(id=room.choose(study_id, number).id), 202)

    @blueprint.delete("/studies/<study_id>")
    def forget(study_id: str) -> Response:
        room.get(study_id)
        room.forget(study_id)
        return Response(status=204)

    @blueprint.get("/studies/<study_id>/series/<series_id>/slices/<int:number>")
    def slice_(study_id: str, series_id: str, number: int) -> Response:
        values, offset, scale = room.slice_bytes(study_id, series_id, number)
        response = Response(values, mimetype="application/octet-stream")
        response.set_etag(f"{series_id}-{number}")
        response.headers |= {"X-Offset": f"{offset:.10g}", "X-Scale": f"{scale:.10g}", "Vary": "Accept-Encoding"}
        response.cache_control.private = True
        response.cache_control.max_age = _SLICE_SECONDS
        response.make_conditional(request)
        if response.status_code == 200 and request.accept_encodings.quality("gzip") > 0:
            response.set_data(gzip.compress(values, compresslevel=1))
            response.headers["Content-Encoding"] = "gzip"
        return response

    @blueprint.get("/studies/<study_id>/heat")
    def heat(study_id: str) -> Response:
        return _json(room.heat(study_id, request.args.get("condition", ""), request.args.get("level", "")))

    @blueprint.put("/studies/<study_id>/corrections")
    def correct(study_id: str) -> Response:
        try:
            wanted = CorrectionRequest.model_validate_json(request.get_data(cache=False)[:10_000])
        except ValidationError as error:
            raise Refusal(
                422, "The correction is not complete.", "Give condition, level and grade.", "correction-incomplete"
            ) from error
        return _json(room.correct(study_id, wanted, g.user))

    @blueprint.get("/corrections.csv")
    def corrections() -> Response:
        return _file(room.corrections.table().encode(), "text/csv", "corrections.csv")

    @blueprint.get("/studies/<study_id>/report.pdf")
    def report_pdf(study_id: str) -> Response:
        report = _report(room, study_id)
        return _file(pdf_report(report, task), "application/pdf", _name(report, "pdf"))

    @blueprint.get("/studies/<study_id>/report.sr")
    def report_sr(study_id: str) -> Response:
        name = _name(_report(room, study_id), "dcm")
        return _file(room.structured_report(study_id), "application/dicom", name)

    @blueprint.get("/studies/<study_id>/report.json")
    def report_json(study_id: str) -> Response:
        report = _report(room, study_id)
        return _file(report.model_dump_json(indent=2).encode(), "application/json", _name(report, "json"))

    @blueprint.get("/studies/<study_id>/report.csv")
    def report_csv(study_id: str) -> Response:
        report = _report(room, study_id)
        return _file(csv_report(report, task).encode(), "text/csv", _name(report, "csv"))

    return blueprint


def _receive(room: ReadingRoom) -> str:
    settings = room.settings
    if (request.content_length or 0) > settings.max_bytes + MULTIPART_OVERHEAD:
        raise too_large(settings.max_bytes)
    boundary = request.mimetype_params.get("boundary", "")
    if request.mimetype != "multipart/form-data" or not boundary:
        raise Refusal(
            415,
            "Nothing was uploaded.",
            "Send a zip as part `file`, or DICOM files as parts `files`.",
            "nothing-uploaded",
        )
    work = room.admit()
    try:
        receive(request.stream, boundary.encode(), work.folder, settings.max_bytes, settings.max_files)
        room.submit(work)
    except BaseException:
        room.forget(work.id)
        raise
    return work.id


def _stream(work: StudyWork) -> Iterator[str]:
    """Server-sent events; a comment now and then finds out whether anybody still listens."""
    yield "retry: 2000\n\n"
    for event in work.events(_HEARTBEAT_SECONDS):
        yield f"data: {event.model_dump_json()}\n\n" if event is not None else ": \n\n"


def _report(room: ReadingRoom, study_id: str) -> StudyReport:
    _, _, answer = room.answer(study_id)
    return report_of(answer, room.task, room.settings.research_strip)


def _name(report: StudyReport, ending: str) -> str:
    return f"lumbargrade-{report.study_hash[:8]}.{ending}"


def _json(model: BaseModel, status: int = 200) -> Response:
    return Response(model.model_dump_json(by_alias=True), status, mimetype="application/json")


def _file(content: bytes, kind: str, name: str) -> Response:
    response = Response(content, mimetype=kind)
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response
