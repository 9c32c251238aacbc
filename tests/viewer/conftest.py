"""A reading room with a small model server beside it."""

import io
import socket
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Playwright, sync_playwright

from lumbargrade.config.task import GradingTask
from lumbargrade.data.study_zip import zip_study
from lumbargrade.viewer.http.app import create_app
from lumbargrade.viewer.settings import WebSettings

from .browsing import CHROMIUM, WEB, vite, vite_command, wait_for
from .reading import PAGE, MakeApp, ModelServer, Reader


@pytest.fixture
def model_server(rsna: GradingTask) -> Iterator[ModelServer]:
    server = ModelServer(rsna)
    yield server
    server.close()


@pytest.fixture
def settings(rsna: GradingTask, model_server: ModelServer, tmp_path: Path) -> WebSettings:
    return WebSettings(
        task=rsna,
        model_url=model_server.url,
        data=tmp_path / "data",
        spool=tmp_path / "spool",
        max_bytes=64 << 20,
        max_files=300,
    )


@pytest.fixture
def make_app(settings: WebSettings) -> Iterator[MakeApp]:
    """Makes applications with other settings, and closes them in the end."""
    made: list[Flask] = []

    def make(page: Path | None = None, pages: dict[str, str] | None = None, **changes: Any) -> Flask:
        app = create_app(settings.model_copy(update=changes), PAGE, pages, *([page] if page else []))
        made.append(app)
        return app

    yield make
    for app in made:
        app.extensions["reading_room"].close()


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    return make_app()


@pytest.fixture
def reader(app: Flask) -> Reader:
    return Reader(app)


@pytest.fixture(scope="session")
def study_ids(phantom: Path) -> list[int]:
    return sorted(int(name) for name in pd.read_csv(phantom / "train.csv")["study_id"])


@pytest.fixture(scope="session")
def zipped(phantom: Path, study_ids: list[int]) -> bytes:
    return zip_study(phantom, study_ids[0], with_points=False)


@pytest.fixture(scope="session")
def loose(zipped: bytes) -> list[bytes]:
    """The same study as loose files."""
    with zipfile.ZipFile(io.BytesIO(zipped)) as archive:
        return [archive.read(name) for name in archive.namelist()]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    vite("build", "--outDir", str(folder), "--emptyOutDir").check_returncode()
    return folder


@pytest.fixture(scope="module")
def address(built: Path) -> Iterator[str]:
    """Of the stand-in of the reading room (``web/dev``)."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = ["preview", "--mode", "mock", "--host", "127.0.0.1", "--port", str(port), "--strictPort"]
    server = subprocess.Popen(vite_command(*arguments, "--outDir", str(built)), cwd=WEB, stdout=subprocess.DEVNULL)
    try:
        wait_for(f"http://127.0.0.1:{port}/api/session")
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.terminate()
        server.wait()


@pytest.fixture(scope="module")
def study_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("study") / "study.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("1.dcm", b"\0" * 128 + b"DICM")
    return path


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
    yield browser
    browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    yield context
    context.close()
