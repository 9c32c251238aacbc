"""Who is let in, and what a page elsewhere cannot do."""

import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from lumbargrade.errors import InputError
from lumbargrade.viewer.settings import Access, read_token

from ..reading import MakeApp, Reader

TOKEN = "a-token-of-forty-characters-for-the-tests"


def test_beyond_this_machine_only_with_a_token_or_a_proxy() -> None:
    for host in ("0.0.0.0", "192.168.1.5", "::", "reading.hospital.example"):
        with pytest.raises(InputError, match="can be reached from other machines; give --token-file"):
            Access(host=host)
        assert Access(host=host, token=TOKEN).host == host
        assert Access(host=host, proxy_user_header="X-Remote-User", proxy_address="10.0.0.5").host == host
    for host in ("127.0.0.1", "::1", "localhost"):
        assert Access(host=host).open


def test_a_proxy_header_needs_the_proxys_address() -> None:
    with pytest.raises(InputError, match="belong together"):
        Access(proxy_user_header="X-Remote-User")


def test_a_token_file_is_secret_and_long(tmp_path: Path) -> None:
    path = tmp_path / "token"
    with pytest.raises(InputError, match="cannot be read"):
        read_token(path)
    path.write_text(TOKEN)
    path.chmod(0o644)
    with pytest.raises(InputError, match="can be read by others; run: chmod 600"):
        read_token(path)
    path.chmod(0o600)
    assert read_token(path) == TOKEN
    path.write_text("short")
    with pytest.raises(InputError, match="at least 16 plain characters"):
        read_token(path)


def test_a_token_is_not_in_what_is_printed_of_settings() -> None:
    assert TOKEN not in repr(Access(token=TOKEN))


@pytest.fixture
def locked(make_app: MakeApp) -> Flask:
    return make_app(access=Access(host="0.0.0.0", token=TOKEN))


def test_without_the_token_there_is_nothing(locked: Flask) -> None:
    client = locked.test_client()
    for path in ("/api/session", "/api/model", "/api/corrections.csv", "/metrics", "/openapi.json", "/assets/x.js"):
        assert client.get(path).status_code == 401, path
    for headers in ({"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}, {"X-Remote-User": "anna"}):
        assert client.get("/api/session", headers=headers).status_code == 401
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 200
    redirected = client.get("/")
    assert (redirected.status_code, redirected.headers["Location"]) == (302, "/login")


def test_a_bearer_token_lets_in_and_needs_no_csrf(locked: Flask) -> None:
    client = locked.test_client()
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    assert client.get("/api/session", headers=bearer).status_code == 200
    assert client.post("/api/studies", headers=bearer).status_code == 415


def test_the_token_is_exchanged_once_for_a_cookie_that_is_not_the_token(locked: Flask) -> None:
    client = locked.test_client()
    assert client.get("/login").status_code == 200
    assert client.post("/login", data={"token": "wrong"}).status_code == 403
    assert client.get("/api/session").status_code == 401
    signed = client.post("/login", data={"token": TOKEN})
    cookie = signed.headers["Set-Cookie"]
    assert (signed.status_code, signed.headers["Location"]) == (303, "/")
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert TOKEN not in cookie
    assert client.get("/api/session").status_code == 200
    assert client.post("/api/studies").status_code == 403  # a cookie alone is no CSRF token


def test_tokens_cannot_be_guessed_fast(locked: Flask) -> None:
    client = locked.test_client()
    answers = [client.post("/login", data={"token": f"guess {n}"}).status_code for n in range(12)]
    assert answers[:10] == [403] * 10
    assert answers[10:] == [429, 429]


def test_the_proxys_user_is_believed_from_the_proxy_only(make_app: MakeApp, zipped: bytes) -> None:
    app = make_app(access=Access(host="0.0.0.0", proxy_user_header="X-Remote-User", proxy_address="10.0.0.5"))
    client = app.test_client()
    user = {"X-Remote-User": "dr-anna"}
    proxy: dict[str, Any] = {"environ_base": {"REMOTE_ADDR": "10.0.0.5"}}
    assert client.get("/api/session", headers=user).status_code == 401
    assert client.get("/api/session", **proxy).status_code == 401
    assert client.get("/api/session", headers=user, **proxy).status_code == 200


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_what_changes_something_needs_the_csrf_token(reader: Reader, method: str) -> None:
    path = {"post": "/api/studies", "put": "/api/studies/x/corrections", "delete": "/api/studies/x"}[method]
    send = getattr(reader.client, method)
    assert send(path).status_code == 403
    assert send(path, headers={"X-CSRF-Token": "guessed"}).status_code == 403
    assert send(path, headers=reader.csrf).status_code in (404, 415, 422)
    stranger = reader.client.application.test_client()
    assert getattr(stranger, method)(path, headers=reader.csrf).status_code == 403


def test_a_name_that_points_to_this_machine_is_not_this_machine(app: Flask) -> None:
    client = app.test_client()
    assert client.get("/api/session", headers={"Host": "evil.example"}).status_code == 400
    for host in ("127.0.0.1:8080", "localhost:8080", "[::1]:8080"):
        assert client.get("/api/session", headers={"Host": host}).status_code == 200, host


def test_every_answer_is_hardened(reader: Reader) -> None:
    for path in ("/", "/login", "/api/session", "/api/studies/none", "/nowhere"):
        response = reader.get(path)
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["X-Frame-Options"] == "DENY"
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert not re.search(rb"<script(?![^>]*\ssrc=)", response.data)  # none inline
        assert b" style=" not in response.data


def test_requests_are_limited(make_app: MakeApp) -> None:
    client = make_app(requests_a_minute=5).test_client()
    answers = [client.get("/api/session") for _ in range(7)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
    assert answers[-1].json["error"]["do"] == "Wait a minute and try again."
    assert client.get("/healthz").status_code == 200


def test_uploads_are_limited_of_each_client(make_app: MakeApp) -> None:
    reader = Reader(make_app(uploads_a_minute=2))
    assert [reader.upload(b"no").status_code for _ in range(3)] == [415, 415, 429]


def test_the_page_is_served_or_says_how_it_is_built(make_app: MakeApp, tmp_path: Path, settings) -> None:
    unbuilt = Reader(make_app(page=tmp_path / "nothing")).get("/")
    assert b"npm run build" in unbuilt.data
    (tmp_path / "page" / "assets").mkdir(parents=True)
    (tmp_path / "page" / "index.html").write_text("<p>the page</p>")
    (tmp_path / "page" / "assets" / "a-1.js").write_text("1")
    (tmp_path / "secret").write_text("no")
    built = make_app(page=tmp_path / "page", spool=tmp_path / "other").test_client()
    with built.get("/") as index, built.get("/assets/a-1.js") as asset:
        assert index.data == b"<p>the page</p>"
        assert "immutable" in asset.headers["Cache-Control"]
    for path in ("/assets/../../secret", "/assets/..%2f..%2fsecret", "/assets/%2e%2e/secret"):
        assert built.get(path).status_code == 404


def test_the_models_own_pages_run_no_script(make_app: MakeApp) -> None:
    client = make_app(pages={"card": "<script>1</script>"}).test_client()
    response = client.get("/api/model/card")
    assert response.data == b"<script>1</script>"
    assert "sandbox" in response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert client.get("/api/model/lineage").status_code == 404
