"""The Flask application of the reading room."""

import logging
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Flask, Response, request
from flask_limiter import Limiter
from werkzeug.exceptions import HTTPException

from lumbargrade.serving.records.corrections import ServedVersion
from lumbargrade.viewer.errors import Problem, Refusal
from lumbargrade.viewer.http.auth import client_key, guard_app
from lumbargrade.viewer.http.pages import PAGE, pages
from lumbargrade.viewer.http.routes import MULTIPART_OVERHEAD, api
from lumbargrade.viewer.metrics import Metrics
from lumbargrade.viewer.schemas import ErrorAnswer, ModelPage
from lumbargrade.viewer.settings import WebSettings
from lumbargrade.viewer.studies.service import ReadingRoom

_LOGINS = "10 per minute"
_WORDS = {
    400: Problem(
        what="The request cannot be understood.", do="Reload the page and try again.", code="request-not-understood"
    ),
    404: Problem(what="There is nothing at this address.", do="Go back to the start page.", code="address-unknown"),
    405: Problem(what="This cannot be done here.", do="Reload the page and try again.", code="method-not-allowed"),
    413: Problem(what="The upload is too large.", do="Send one study at a time.", code="upload-too-large"),
    429: Problem(
        what="That was too much in too short a time.", do="Wait a minute and try again.", code="too-many-requests"
    ),
}
_FAULT = Problem(
    what="Something went wrong in the reading room.", do="Try again; tell whoever runs it.", code="unexpected-fault"
)

log = logging.getLogger(__name__)


def create_app(
    settings: WebSettings, model: ModelPage, model_pages: Mapping[str, str] | None = None, page: Path = PAGE
) -> Flask:
    """Makes the application; ``app.extensions["reading_room"]`` is its room, to be closed in the end.

    Args:
        model: The model that serves.
        model_pages: HTML of its ``card`` and ``lineage``.
        page: Folder of the built page.

    Raises:
        InputError: The spool is used by another reading room.
    """
    app = Flask(__name__, static_folder=None, template_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_bytes + 2 * MULTIPART_OVERHEAD
    metrics = Metrics()
    served = ServedVersion.model_validate(model.model_dump(include=set(ServedVersion.model_fields)))
    room = ReadingRoom(settings, served, metrics)
    app.extensions["reading_room"] = room
    guard_app(app, settings.access)
    limiter = Limiter(
        client_key, app=app, default_limits=[f"{settings.requests_a_minute} per minute"], storage_uri="memory://"
    )
    app.register_blueprint(api(room, model))
    app.register_blueprint(pages(room, model_pages or {}, page))
    views: dict[str, Any] = app.view_functions
    for name, limit in (("api.upload", f"{settings.uploads_a_minute} per minute"), ("pages.sign_in", _LOGINS)):
        views[name] = limiter.limit(limit)(views[name])
    for name in ("pages.healthz", "pages.readyz"):
        limiter.exempt(views[name])
    _answer_errors(app)

    @app.after_request
    def count(response: Response) -> Response:
        pattern = request.url_rule.rule if request.url_rule else "other"
        metrics.requests.labels(request.method, pattern, str(response.status_code)).inc()
        return response

    return app


def _answer_errors(app: Flask) -> None:
    """Every refusal and fault is two plain sentences; what was sent is never repeated, nor logged."""

    @app.errorhandler(Refusal)
    def refused(refusal: Refusal) -> Response:
        return _error(refusal.status, refusal.problem)

    @app.errorhandler(HTTPException)
    def http(error: HTTPException) -> Response:
        status = error.code or 500
        response = _error(status, _WORDS.get(status, _FAULT if status >= 500 else _WORDS[400]))
        if status in (301, 302, 303, 307, 308):
            return error.get_response()  # type: ignore[return-value]
        return response

    @app.errorhandler(Exception)
    def fault(error: Exception) -> Response:
        where = traceback.extract_tb(error.__traceback__)[-1]
        log.error("%s in %s, line %s", type(error).__name__, Path(where.filename).name, where.lineno)
        return _error(500, _FAULT)


def _error(status: int, problem: Problem) -> Response:
    return Response(ErrorAnswer(error=problem).model_dump_json(), status, mimetype="application/json")
