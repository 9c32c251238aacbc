"""What is no API: the page, the sign-in, the model's own pages, health and metrics."""

from collections.abc import Mapping
from pathlib import Path

from flask import Blueprint, Response, current_app, jsonify, redirect, request, send_from_directory
from markupsafe import Markup
from werkzeug.wrappers import Response as BaseResponse

from lumbargrade.viewer.errors import Refusal
from lumbargrade.viewer.http.auth import SESSION_COOKIE, Sessions, check_token, set_cookie
from lumbargrade.viewer.http.openapi import openapi_document
from lumbargrade.viewer.studies.service import ReadingRoom

PAGE = Path(__file__).parents[1] / "page"
"""Where the built page lies: ``index.html`` and ``assets``."""

_YEAR = 365 * 24 * 3600
_OWN_PAGE = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; frame-ancestors 'self'"
"""For pages that were written when the model was registered: they have styles of their own, and no script may run."""

_FRAME = Markup(
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Lumbargrade</title>'
    '<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="/login.css"></head>'
    "<body><main>{}</main></body></html>"
)
_CSS = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:0;background:#f4f6f8;color:#1b1f24}"
    "main{max-width:34rem;margin:12vh auto;padding:2rem;background:#fff;border:1px solid #c9d0d8;border-radius:.5rem}"
    "input,button{font:inherit;padding:.5rem .75rem;width:100%;box-sizing:border-box;margin:.25rem 0 1rem}"
    "p[role=alert]{color:#7a1f2b}"
)
_UNBUILT = Markup(
    "<h1>Lumbargrade</h1><p>The page is not built. Build it with Node 20 in the project's folder:</p>"
    "<pre>cd web && npm ci && npm run build</pre>"
    '<p>The HTTP API works without it: see <a href="/openapi.json">/openapi.json</a>.</p>'
)
_LOGIN = Markup(
    '<h1>Lumbargrade</h1>{}<form method="post" action="/login"><label for="token">Access token</label>'
    '<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>'
    "<button>Sign in</button></form>"
)


def pages(room: ReadingRoom, model_pages: Mapping[str, str], page: Path = PAGE) -> Blueprint:
    """Returns the addresses that are no API.

    Args:
        model_pages: HTML of the model's ``card`` and ``lineage``, where there are any.
        page: Folder of the built page.
    """
    blueprint = Blueprint("pages", __name__)

    @blueprint.get("/")
    def index() -> Response:
        if not (page / "index.html").is_file():
            return _html(_UNBUILT)
        return Response((page / "index.html").read_bytes(), mimetype="text/html", headers={"Cache-Control": "no-cache"})

    @blueprint.get("/assets/<path:name>")
    def assets(name: str) -> Response:
        response = send_from_directory(page / "assets", name, max_age=_YEAR)
        response.cache_control.immutable = True
        return response

    @blueprint.get("/favicon.ico")
    def favicon() -> Response:
        return Response(status=204)

    @blueprint.get("/login.css")
    def css() -> Response:
        return Response(_CSS, mimetype="text/css")

    @blueprint.get("/login")
    def login() -> Response:
        return _html(_LOGIN.format(""))

    @blueprint.post("/login")
    def sign_in() -> BaseResponse:
        if not check_token(room.settings.access, request.form.get("token", "")[:1000]):
            return _html(_LOGIN.format(Markup('<p role="alert">This token is not right.</p>')), 403)
        sessions: Sessions = current_app.extensions["lumbargrade_sessions"]
        response = redirect("/", 303)
        set_cookie(response, SESSION_COOKIE, sessions.begin())
        return response

    @blueprint.get("/api/model/<any(card, lineage):name>")
    def model_page(name: str) -> Response:
        if name not in model_pages:
            raise Refusal(404, "This model has no such page.", "Ask whoever registered it.", "model-page-missing")
        response = Response(model_pages[name], mimetype="text/html")
        response.headers["Content-Security-Policy"] = _OWN_PAGE
        response.headers["X-Frame-Options"] = "SAMEORIGIN"
        return response

    @blueprint.get("/healthz")
    def healthz() -> Response:
        return Response("alive\n", mimetype="text/plain")

    @blueprint.get("/readyz")
    def readyz() -> Response:
        ready = room.model_is_ready()
        return Response(
            "ready\n" if ready else "the model server does not answer\n", 200 if ready else 503, mimetype="text/plain"
        )

    @blueprint.get("/metrics")
    def metrics() -> Response:
        room.metrics.model_ready.set(room.model_is_ready())
        return Response(room.metrics.text(), content_type="text/plain; version=0.0.4; charset=utf-8")

    @blueprint.get("/openapi.json")
    def openapi() -> Response:
        return jsonify(openapi_document(needs_token=not room.settings.access.open))

    return blueprint


def _html(body: Markup, status: int = 200) -> Response:
    return Response(_FRAME.format(body), status, mimetype="text/html")
