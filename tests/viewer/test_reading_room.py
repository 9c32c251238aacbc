"""The reading room as its users have it: the built page in a real Chromium, its HTTP server, MLflow's model server."""

import json
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import highdicom as hd
import pandas as pd
import pydicom
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from lumbargrade.config.task import GradingTask
from lumbargrade.data.study_zip import zip_study
from lumbargrade.serving.ports import listening
from lumbargrade.viewer.http.server import running
from lumbargrade.viewer.settings import Access
from tests.served import served_model

from .browsing import choose, grid_cell, needs_browser, open_page, slice_of
from .reading import MakeApp, edited
from .uploads import bomb, encrypted, zip_of

pytestmark = needs_browser

_LARGEST_UPLOAD = 32 << 20


class Switch:
    """A server that can be switched off, and on again at the same address."""

    def __init__(self, serve: Callable[[int], AbstractContextManager[str]]) -> None:
        self._serve = serve
        self._stack = ExitStack()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port: int = probe.getsockname()[1]
        self.address = ""

    def on(self) -> None:
        self.address = self._stack.enter_context(self._serve(self._port))

    def off(self) -> None:
        self._stack.close()


@pytest.fixture(scope="module")
def model(model_folder: Path) -> Iterator[Switch]:
    switch = Switch(lambda port: served_model(str(model_folder), port))
    switch.on()
    yield switch
    switch.off()


@pytest.fixture
def room(make_app: MakeApp, built: Path, model: Switch) -> Iterator[Switch]:
    @contextmanager
    def serve(port: int) -> Iterator[str]:
        app = make_app(page=built, model_url=model.address, max_bytes=_LARGEST_UPLOAD)
        with listening("127.0.0.1", port) as listener, running(app, Access(), listener) as address:
            yield address

    switch = Switch(serve)
    switch.on()
    yield switch
    switch.off()


@pytest.fixture
def page(context: BrowserContext, room: Switch) -> Iterator[Page]:
    yield from open_page(context, room.address)


@pytest.fixture(params=[(1440, 900), (1024, 768)], ids=["desk", "tablet"])
def any_size(browser: Browser, room: Switch, request: pytest.FixtureRequest) -> Iterator[Page]:
    width, height = request.param
    context = browser.new_context(viewport={"width": width, "height": height}, reduced_motion="reduce")
    yield from open_page(context, room.address)
    context.close()


@pytest.fixture(scope="module")
def study(phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with a point for each of its cells: the small model has no locator."""
    points = pd.read_csv(phantom / "train_label_coordinates.csv").groupby("study_id").size()
    path = tmp_path_factory.mktemp("upload") / "study.zip"
    path.write_bytes(zip_study(phantom, int(points[points >= 25].index[0])))
    return path


def test_a_study_from_drop_to_report(any_size: Page, study: Path, rsna: GradingTask, tmp_path: Path) -> None:
    page = any_size
    choose(page, study)
    expect(page.get_by_role("progressbar")).to_be_visible()
    expect(page.get_by_role("gridcell")).to_have_count(len(rsna.cells))
    view = page.get_by_role("slider", name="Sagittal T2")
    expect(view.locator(".no-slice")).to_have_count(0)
    before = slice_of(page, "Sagittal T2")
    view.hover()
    page.mouse.wheel(0, 120)
    expect(view).to_have_attribute("aria-valuenow", str(before + 1))
    grid_cell(page, "L2/L3 Left neural").click()
    left = slice_of(page, "Sagittal T1")
    grid_cell(page, "L5/S1 Right neural").click()
    assert slice_of(page, "Sagittal T1") < left  # from the patient's left to the right
    page.get_by_role("button", name="Show the heat map").click()
    expect(page.locator(".heat-map image")).to_have_count(1)
    page.get_by_role("radio", name="Not gradable").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("gridcell", name="Reader says")).to_have_count(1)

    files = {name: _download(page, name, tmp_path) for name in ("PDF", "DICOM SR", "JSON", "CSV")}
    assert files["PDF"].read_bytes().startswith(b"%PDF")
    document = hd.sr.ComprehensiveSR.from_dataset(pydicom.dcmread(files["DICOM SR"]))
    groups = (*document.content.get_planar_roi_measurement_groups(), *document.content.get_image_measurement_groups())
    assert len(groups) == len(rsna.cells)
    if dsrdump := shutil.which("dsrdump"):
        read = subprocess.run([dsrdump, files["DICOM SR"]], capture_output=True, text=True, check=True)
        assert "Lumbar" in read.stdout
    report = json.loads(files["JSON"].read_text())
    assert {cell["grade"] for cell in report["cells"]} <= set(rsna.grades)
    assert len(files["CSV"].read_text().splitlines()) == 1 + len(rsna.cells)


def test_what_is_no_study_is_refused_in_clear_words(
    page: Page, study: Path, loose: list[bytes], tmp_path: Path
) -> None:
    cases = {
        "The upload is no zip and holds no DICOM file.": b"Dear colleague, ",
        "The study's zip is encrypted.": encrypted(study.read_bytes()),
        "which no real study does.": bomb(),
        "Send one study at a time.": bytes(_LARGEST_UPLOAD + 1),
        "The study holds CT images, not MR.": zip_of(**{"1.dcm": edited(loose[0], Modality="CT")}),
    }
    for words, content in cases.items():
        path = tmp_path / "upload.zip"
        path.write_bytes(content)
        choose(page, path)
        expect(page.get_by_role("alert")).to_contain_text(words)
        page.goto(page.url.partition("#")[0])
        expect(page.get_by_role("alert")).to_have_count(0)
    choose(page, study)
    expect(page.get_by_role("gridcell")).to_have_count(25)


def test_the_model_server_goes_and_comes_back(page: Page, study: Path, model: Switch) -> None:
    model.off()
    choose(page, study)
    expect(page.get_by_role("alert")).to_contain_text("The model server does not answer.")
    model.on()
    page.get_by_role("link", name="Send another study").click()
    choose(page, study)
    expect(page.get_by_role("gridcell")).to_have_count(25)


def test_the_reading_room_goes_and_comes_back(page: Page, study: Path, room: Switch) -> None:
    choose(page, study)
    expect(page.get_by_role("gridcell")).to_have_count(25)
    away = page.get_by_role("status").filter(has_text="The reading room does not answer.")
    room.off()
    grid_cell(page, "L4/L5 Spinal").click()
    page.get_by_role("button", name="Show the heat map").click()
    expect(away).to_be_visible()
    expect(page.get_by_role("gridcell")).to_have_count(25)
    room.on()
    page.get_by_role("button", name="Ask now").click()
    expect(away).to_be_hidden()
    page.reload()  # a study is kept by the server that had it alone
    expect(page.get_by_role("heading", level=1)).to_have_text("This study has been deleted")


def _download(page: Page, name: str, folder: Path) -> Path:
    with page.expect_download() as download:
        page.get_by_role("navigation", name="Report downloads").get_by_role("link", name=name).click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path
