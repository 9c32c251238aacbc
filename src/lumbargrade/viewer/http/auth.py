"""Who is let in, and what every answer carries: token or proxy, CSRF, security headers."""

import hmac
import secrets
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from flask import Flask, Response, g, redirect, request
from werkzeug.wrappers import Response as BaseResponse

from lumbargrade.viewer.errors import Refusal
from lumbargrade.viewer.settings import Access, is_loopback

SESSION_COOKIE, CSRF_COOKIE = "lumbargrade_session", "lumbargrade_csrf"
CSRF_HEADER = "X-CSRF-Token"
_SESSION_SECONDS = 12 * 3600
_OPEN_PATHS = {"/healthz", "/readyz", "/login", "/login.css"}
_SAFE = {"GET", "HEAD", "OPTIONS"}
_SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; "
        "frame-ancestors 'none'; form-action 'self'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@dataclass
class Sessions:
    """Sessions of browsers that sent the token once; the cookie is no token, and ends with the server."""

    _ends: dict[str, float] = field(default_factory=dict)

    def begin(self) -> str:
        """Returns the cookie of a new session."""
        now = time.monotonic()
        self._ends = {cookie: end for cookie, end in self._ends.items() if end > now}
        cookie = secrets.token_urlsafe(32)
        self._ends[cookie] = now + _SESSION_SECONDS
        return cookie

    def has(self, cookie: str) -> bool:
        """Whether a cookie is of a session that has not ended."""
        return self._ends.get(cookie, 0) > time.monotonic()


def guard_app(app: Flask, access: Access) -> None:
    """Lets in only who may, and adds security headers to every answer."""
    sessions = Sessions()
    app.extensions["lumbargrade_sessions"] = sessions

    @app.before_request
    def let_in() -> BaseResponse | None:
        g.user = "reader"
        if access.open and not _names_this_machine(request.host):
            raise Refusal(
                400, "The reading room is not known by this name.", "Open it as http://127.0.0.1.", "host-unknown"
            )
        if request.path in _OPEN_PATHS:
            return None
        by_header = _enter(access, sessions)
        if by_header is None:
            if request.path == "/":
                return redirect("/login")
            raise Refusal(401, "This needs a sign-in.", "Open /login and give the access token.", "not-signed-in")
        if request.method not in _SAFE and not by_header:
            _check_csrf()
        return None

    @app.after_request
    def harden(response: Response) -> Response:
        for name, value in _SECURITY_HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers.setdefault("Cache-Control", "no-store")
        return response


def check_token(access: Access, sent: str) -> bool:
    """Whether a token is the right one, in a time that does not tell how much of it is."""
    return access.token is not None and hmac.compare_digest(sent.encode(), access.token.encode())


def client_key() -> str:
    """By what the rate limit knows a client: the proxy's user, else the address."""
    user = g.get("user", "reader")
    return user if user != "reader" else request.remote_addr or ""


def csrf_token() -> str:
    """The token of this browser: that of its cookie, or a new one for :func:`set_csrf`."""
    return request.cookies.get(CSRF_COOKIE) or secrets.token_urlsafe(32)


def set_cookie(response: BaseResponse, name: str, value: str) -> None:
    """Sets a cookie that no script reads and no other site sends."""
    response.set_cookie(
        name, value, httponly=True, samesite="Strict", secure=request.is_secure, max_age=_SESSION_SECONDS
    )


def _names_this_machine(host: str) -> bool:
    """Whether a Host header is this machine's own: a page elsewhere may reach it by another name (DNS rebinding)."""
    try:
        return is_loopback(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False


def _enter(access: Access, sessions: Sessions) -> bool | None:
    """None for who may not; else whether a header said so that no other site can make a browser send."""
    if access.open:
        return False
    if access.proxy_user_header and request.remote_addr == access.proxy_address:
        user = request.headers.get(access.proxy_user_header, "").strip()
        if user:
            g.user = user[:100]
            return False
    kind, _, sent = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "bearer" and check_token(access, sent.strip()):
        return True
    return False if sessions.has(request.cookies.get(SESSION_COOKIE, "")) else None


def _check_csrf() -> None:
    """Double submit: the header must repeat the cookie, which another site can neither read nor set."""
    cookie, header = request.cookies.get(CSRF_COOKIE, ""), request.headers.get(CSRF_HEADER, "")
    if not cookie or not hmac.compare_digest(cookie.encode(), header.encode()):
        raise Refusal(403, "The page is out of date.", "Reload it and try again.", "page-out-of-date")
