"""The built page in a real Chromium, against the stand-in of the reading room (``web/dev``)."""

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Route, expect

from .browsing import (
    change_study,
    check_accessibility,
    choose,
    grid_cell,
    needs_browser,
    open_page,
    read_study,
    slice_of,
)

LARGEST_PAGE = 600_000
_RECEIVED = {"stage": "received", "percent": 5, "words": "No study is waiting before this one."}

pytestmark = needs_browser


@pytest.fixture
def page(context: BrowserContext, address: str) -> Iterator[Page]:
    yield from open_page(context, address)


@pytest.fixture(params=[(1024, 768), (768, 1024)], ids=["landscape", "portrait"])
def tablet(browser: Browser, address: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    width, height = request.param
    context = browser.new_context(viewport={"width": width, "height": height}, has_touch=True, is_mobile=True)
    yield from open_page(context, address)
    context.close()


@pytest.fixture
def reading(page: Page, study_zip: Path) -> Page:
    return read_study(page, study_zip)


def test_a_study_is_dropped_graded_andread_study(page: Page) -> None:
    expect(_limits(page)).to_contain_text("Not for clinical use")
    transfer = page.evaluate_handle(
        """() => {
            const transfer = new DataTransfer();
            const part = [new Uint8Array(128), 'DICM'];
            for (const name of ['a.dcm', 'b.dcm']) transfer.items.add(new File(part, name));
            return transfer;
        }"""
    )
    _tell(page, {"stage": "grading", "percent": 50, "words": "The model grades 25 places."})
    page.get_by_role("region", name="Send a study").dispatch_event("drop", {"dataTransfer": transfer})
    expect(page.get_by_text("The model grades 25 places.")).to_be_visible()
    expect(page.get_by_role("progressbar")).to_have_attribute("value", "50")
    expect(page.get_by_role("gridcell")).to_have_count(25)
    expect(page.get_by_role("region", name="Notes on this study")).to_contain_text("one too high or too low")
    expect(page.get_by_role("button", name="L4/L5 Severe spinal canal stenosis")).to_be_visible()
    expect(page.get_by_role("gridcell", name="not graded")).to_have_count(1)
    expect(
        page.get_by_text("Not graded: right subarticular stenosis at L1/L2: the level is not in the axial images")
    ).to_be_visible()


def test_a_reload_finds_the_study_again(reading: Page) -> None:
    reading.reload()
    expect(reading.get_by_role("gridcell")).to_have_count(25)


def test_a_cell_brings_all_views_to_its_place(reading: Page) -> None:
    grid_cell(reading, "L2/L3 Left neural").click()
    shown = [slice_of(reading, name) for name in ("Sagittal T2", "Sagittal T1", "Axial T2")]
    grid_cell(reading, "L5/S1 Right neural").click()
    after = [slice_of(reading, name) for name in ("Sagittal T2", "Sagittal T1", "Axial T2")]
    assert after[0] < shown[0]  # from the patient's left to the right
    assert after[1] < shown[1]
    assert after[2] > shown[2]  # axial slices are read from the head down
    assert reading.locator(".overlay .reference").count() >= 2
    expect(reading.locator("section[aria-label='Sagittal T1'] .place.here.chosen text")).to_have_text("L5/S1")


def test_slices_scroll_by_wheel_and_keys_and_change_the_picture(reading: Page) -> None:
    view = reading.get_by_role("slider", name="Sagittal T2")
    _wait_for_picture(reading, "Sagittal T2")
    start, picture = slice_of(reading, "Sagittal T2"), _brightness(reading, "Sagittal T2")
    view.hover()
    for _ in range(4):
        reading.mouse.wheel(0, -120)
    expect(view).to_have_attribute("aria-valuenow", str(start - 4))
    _wait_for_picture(reading, "Sagittal T2")
    assert _brightness(reading, "Sagittal T2") != picture
    view.press("Home")
    expect(view).to_have_attribute("aria-valuetext", "slice 1 of 15")
    view.press("PageDown")
    expect(view).to_have_attribute("aria-valuetext", "slice 6 of 15")


def test_window_zoom_and_pan_by_mouse_and_back(reading: Page) -> None:
    view = reading.get_by_role("slider", name="Sagittal T2")
    _wait_for_picture(reading, "Sagittal T2")
    before = _brightness(reading, "Sagittal T2")
    words = view.locator(".values").inner_text()
    _drag(reading, "Sagittal T2", 0, 120)
    expect(view.locator(".values")).not_to_have_text(words)
    _wait_frames(reading)
    assert _brightness(reading, "Sagittal T2") < before
    ruler = view.locator(".scale-bar path")
    length = ruler.bounding_box()["width"]
    reading.keyboard.down("Control")
    reading.mouse.wheel(0, -120)
    reading.keyboard.up("Control")
    _wait_frames(reading)
    assert ruler.bounding_box()["width"] > 1.2 * length
    mark = view.locator(".place").first.locator(".ring")
    at = mark.bounding_box()["x"]
    reading.get_by_role("button", name="Pan").click()
    _drag(reading, "Sagittal T2", -40, 0)
    assert mark.bounding_box()["x"] == pytest.approx(at - 40, abs=2)
    reading.get_by_role("button", name="Reset").click()
    expect(view.locator(".values")).to_have_text(words)
    assert ruler.bounding_box()["width"] == pytest.approx(length)


def test_the_keyboard_alone_reads_a_study(reading: Page) -> None:
    reading.keyboard.press("n")
    reading.keyboard.press("2")
    expect(reading.get_by_role("gridcell", selected=True)).to_have_accessible_name(re.compile("^L2/L3"))
    reading.get_by_role("gridcell", selected=True).focus()
    reading.keyboard.press("ArrowDown")
    expect(reading.get_by_role("gridcell", selected=True)).to_be_focused()
    expect(reading.get_by_role("gridcell", selected=True)).to_have_accessible_name(re.compile("^L3/L4"))
    reading.keyboard.press("?")
    expect(reading.get_by_role("dialog", name="Help")).to_be_visible()
    reading.keyboard.press("Escape")
    expect(reading.get_by_role("dialog")).to_have_count(0)


def test_the_heat_map_is_off_until_asked_and_called_an_explanation(reading: Page) -> None:
    expect(reading.locator(".heat-map")).to_have_count(0)
    reading.get_by_role("button", name="Show the heat map").click()
    expect(reading.locator(".heat-map image")).to_have_count(1)
    expect(reading.get_by_text("An explanation of the answer, not evidence of a finding.")).to_be_visible()
    grid_cell(reading, "L1/L2 Spinal").click()
    expect(reading.locator(".heat-map")).to_have_count(0)


def test_a_correction_stays_beside_the_models_grade(reading: Page) -> None:
    grid_cell(reading, "L4/L5 Spinal").click()
    reading.get_by_role("radio", name="Moderate").check()
    reading.get_by_label("Comment, if you like").fill("Canal is wider on the next slice")
    reading.get_by_role("button", name="Save").click()
    reading.reload()
    cell = grid_cell(reading, "L4/L5 Spinal")
    expect(cell).to_contain_text("Severe")
    expect(cell).to_contain_text("→ Moderate")
    cell.click()
    expect(reading.get_by_text("Canal is wider on the next slice")).to_be_visible()


@pytest.mark.parametrize(("name", "ending"), [("PDF", "pdf"), ("DICOM SR", "sr"), ("JSON", "json"), ("CSV", "csv")])
def test_reports_are_downloaded(reading: Page, name: str, ending: str) -> None:
    with reading.expect_download() as download:
        reading.get_by_role("navigation", name="Report downloads").get_by_role("link", name=name).click()
    assert download.value.suggested_filename == f"report.{ending}"


def test_a_report_that_cannot_be_made_says_why(reading: Page) -> None:
    link = reading.get_by_role("navigation", name="Report downloads").get_by_role("link", name="DICOM SR")
    error = {"what": "The study's files have no UIDs.", "do": "Use the PDF."}
    reading.route("**/report.sr", lambda route: route.fulfill(status=422, json={"error": error}))
    link.click()
    expect(reading.get_by_role("alert")).to_contain_text("The study's files have no UIDs.")
    reading.get_by_role("alert").get_by_role("button", name="Close").click()
    expect(reading.get_by_role("alert")).to_have_count(0)
    reading.unroute("**/report.sr")
    reading.route("**/report.sr", lambda route: route.abort())
    link.click()
    expect(reading.get_by_role("alert")).to_contain_text("The reading room does not answer.")
    reading.unroute("**/report.sr")
    with reading.expect_download():
        link.click()
    expect(reading.get_by_role("alert")).to_have_count(0)


def test_a_study_that_was_deleted_says_so(reading: Page) -> None:
    reading.on("dialog", lambda dialog: dialog.accept())
    address = reading.url
    reading.get_by_role("button", name="Delete study").click()
    expect(reading.get_by_role("region", name="Send a study")).to_be_visible()
    reading.goto(address)
    expect(reading.get_by_role("heading", level=1)).to_have_text("This study has been deleted")
    reading.get_by_role("link", name="Send a study", exact=True).click()
    expect(reading.get_by_role("region", name="Send a study")).to_be_visible()


def test_series_of_unknown_kind_are_shown_and_can_be_chosen(page: Page, study_zip: Path) -> None:
    def without_kinds(study: dict[str, Any]) -> None:
        for number, series in enumerate(study["series"]):
            series |= {"plane": "other", "weighting": "other", "title": f"Series {number}"}

    change_study(page, without_kinds)
    read_study(page, study_zip)
    for number in range(3):
        expect(page.get_by_role("slider", name=f"Series {number}")).to_be_visible()
    _wait_for_picture(page, "Series 0")
    assert _brightness(page, "Series 0") > 10
    page.get_by_role("combobox").first.select_option("Series 2")
    expect(page.get_by_role("slider", name="Series 2")).to_have_count(2)


def test_refused_uploads_say_what_and_what_next(page: Page, tmp_path: Path, study_zip: Path) -> None:
    text = tmp_path / "letter.txt"
    text.write_text("Dear colleague, ")
    choose(page, text)
    expect(page.get_by_role("alert")).to_contain_text("The upload is no zip and holds no DICOM file.")
    encrypted = tmp_path / "locked.zip"
    content = bytearray(study_zip.read_bytes())
    content[6] |= 1
    encrypted.write_bytes(content)
    choose(page, encrypted)
    expect(page.get_by_role("alert")).to_contain_text("The zip is encrypted.")
    expect(page.get_by_role("alert")).to_contain_text("Send it without a password.")


def test_a_huge_upload_is_refused_before_it_is_sent(page: Page, study_zip: Path) -> None:
    _change_session(page, limits={"max_bytes": 10, "max_files": 5})
    choose(page, study_zip)
    expect(page.get_by_role("alert")).to_contain_text("Send one study at a time.")


def test_a_study_that_fails_says_why(page: Page, study_zip: Path) -> None:
    error = {"what": "The upload holds CT images, not MR.", "do": "Send an MRI of the lumbar spine."}
    _tell(page, {"stage": "failed", "percent": 100, "words": error["what"], "error": error})
    choose(page, study_zip)
    expect(page.get_by_role("alert")).to_contain_text("The upload holds CT images, not MR.")
    expect(page.get_by_role("alert")).to_contain_text("Send an MRI of the lumbar spine.")
    page.get_by_role("link", name="Send another study").click()
    expect(page.get_by_role("region", name="Send a study")).to_be_visible()


def test_a_server_that_is_away_costs_nothing(reading: Page) -> None:
    grid_cell(reading, "L5/S1 Right neural").click()
    reading.get_by_role("radio", name="Severe").check()
    reading.get_by_label("Comment, if you like").fill("kept")
    reading.route("**/api/**", lambda route: route.abort())
    reading.get_by_role("button", name="Save").click()
    expect(reading.get_by_role("status").filter(has_text="The reading room does not answer.")).to_be_visible()
    assert reading.get_by_label("Comment, if you like").input_value() == "kept"
    reading.unroute("**/api/**")
    reading.get_by_role("button", name="Ask now").click()
    expect(reading.get_by_role("status").filter(has_text="does not answer")).to_be_hidden()
    reading.get_by_role("button", name="Save").click()
    expect(grid_cell(reading, "L5/S1 Right neural")).to_contain_text("→ Severe")


def test_an_upload_that_breaks_is_sent_again_from_what_was_chosen(page: Page, study_zip: Path) -> None:
    page.route("**/api/studies", lambda route: route.abort())
    choose(page, study_zip)
    expect(page.get_by_role("alert")).to_contain_text("The reading room does not answer.")
    page.unroute("**/api/studies")
    page.get_by_role("button", name="Send the same again").click()
    expect(page.get_by_role("gridcell")).to_have_count(25)


def test_progress_is_polled_where_events_do_not_come_through(page: Page, study_zip: Path) -> None:
    page.route("**/events", lambda route: route.abort())
    choose(page, study_zip)
    expect(page.get_by_role("gridcell")).to_have_count(25)


def test_only_the_server_takes_the_strip_away(page: Page) -> None:
    expect(_limits(page).get_by_role("button")).to_have_count(0)
    _change_session(page, research_strip=None)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_text("Not for clinical use")).to_have_count(0)
    expect(_limits(page)).to_contain_text("trained on synthetic spines only")


def test_the_model_page_and_back_without_losing_the_place(reading: Page) -> None:
    grid_cell(reading, "L2/L3 Spinal").click()
    reading.get_by_role("link", name="lumbargrade-rsna2024 3").click()
    expect(reading.get_by_role("row", name="Accuracy share")).to_contain_text("77.8 %")
    reading.get_by_role("link", name="Back").click()
    expect(reading.get_by_role("gridcell", selected=True)).to_have_accessible_name(re.compile("^L2/L3"))


def test_a_tablet_shows_all_and_is_read_by_touch(tablet: Page, study_zip: Path) -> None:
    read_study(tablet, study_zip)
    for name in ("Sagittal T2", "Sagittal T1", "Axial T2"):
        expect(tablet.get_by_role("slider", name=name)).to_be_in_viewport(ratio=0.99)
    assert tablet.evaluate("document.documentElement.scrollWidth <= innerWidth")
    cut = tablet.evaluate(
        "[...document.querySelectorAll('.cell .grade, .cell .sure')].filter(e => e.scrollWidth > e.clientWidth).length"
    )
    assert cut == 0
    start = slice_of(tablet, "Sagittal T2")
    _swipe(tablet, "Sagittal T2", [(0, 0)], [(0, 60)])
    assert slice_of(tablet, "Sagittal T2") > start
    ruler = tablet.get_by_role("slider", name="Sagittal T2").locator(".scale-bar path")
    length = ruler.bounding_box()["width"]
    _swipe(tablet, "Sagittal T2", [(0, -30), (0, 30)], [(0, -45), (0, 45)])
    assert ruler.bounding_box()["width"] > 1.2 * length
    grid_cell(tablet, "L2/L3 Spinal").tap()
    expect(tablet.get_by_role("gridcell", selected=True)).to_have_accessible_name(re.compile("^L2/L3"))


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (1024, 768), (768, 1024)])
def test_axe_finds_no_serious_fault(page: Page, study_zip: Path, tmp_path: Path, width: int, height: int) -> None:
    page.set_viewport_size({"width": width, "height": height})
    check_accessibility(page, "home")
    text = tmp_path / "letter.txt"
    text.write_text("Dear colleague, ")
    choose(page, text)
    expect(page.get_by_role("alert")).to_be_visible()
    check_accessibility(page, "refusal")
    choose(page, study_zip)
    expect(page.get_by_role("region", name="Progress")).to_be_visible()
    check_accessibility(page, "progress")
    expect(page.get_by_role("gridcell")).to_have_count(25)
    page.get_by_role("button", name="Show the heat map").click()
    page.get_by_role("radio", name="Not gradable").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("gridcell", name="Reader says")).to_have_count(1)
    check_accessibility(page, "reading")
    page.locator(".brand").focus()
    page.keyboard.press("?")
    check_accessibility(page, "help")
    page.keyboard.press("Escape")
    page.get_by_role("link", name="lumbargrade-rsna2024 3").click()
    expect(page.get_by_role("row", name="Accuracy share")).to_be_visible()
    check_accessibility(page, "model")


def test_the_page_is_small_and_has_nothing_inline(built: Path) -> None:
    size = sum(len(gzip.compress(path.read_bytes())) for path in built.rglob("*") if path.is_file())
    assert size < LARGEST_PAGE
    html = (built / "index.html").read_text()
    assert "<style" not in html
    assert "style=" not in html
    assert all("src=" in script for script in html.split("<script")[1:])


def _brightness(page: Page, view: str) -> float:
    """Mean of a view's canvas, 0 to 255."""
    canvas = page.get_by_role("slider", name=view).locator("canvas")
    return canvas.evaluate(
        """canvas => {
            const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
            let sum = 0;
            for (let index = 0; index < data.length; index += 4) sum += data[index];
            return sum / (data.length / 4);
        }"""
    )


def _wait_for_picture(page: Page, view: str) -> None:
    expect(page.get_by_role("slider", name=view).locator(".no-slice")).to_have_count(0)
    _wait_frames(page)


def _wait_frames(page: Page) -> None:
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def _middle(page: Page, view: str) -> tuple[float, float]:
    """A point of the image where no mark lies."""
    box = page.get_by_role("slider", name=view).bounding_box()
    return box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.5


def _drag(page: Page, view: str, dx: float, dy: float) -> None:
    x, y = _middle(page, view)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + dx, y + dy, steps=4)
    page.mouse.up()


def _swipe(page: Page, view: str, start: list[tuple[int, int]], end: list[tuple[int, int]]) -> None:
    """Fingers from some points to others, beside the view's middle."""
    x, y = _middle(page, view)
    session = page.context.new_cdp_session(page)

    def send(kind: str, points: list[tuple[float, float]]) -> None:
        touches = [{"x": x + dx, "y": y + dy, "id": number} for number, (dx, dy) in enumerate(points)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})

    send("touchStart", [(dx, dy) for dx, dy in start])
    for step in range(1, 5):
        share = step / 4
        moved = [(a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])) for a, b in zip(start, end, strict=True)]
        send("touchMove", moved)
    send("touchEnd", [])
    _wait_frames(page)


def _limits(page: Page) -> Locator:
    return page.get_by_role("complementary", name="Limits of use")


def _tell(page: Page, event: dict[str, object]) -> None:
    """The next study is at work at first, and its events are this one."""
    page.route("**/api/studies/*", lambda route: route.fulfill(status=202, json=_RECEIVED), times=1)
    body = f"data: {json.dumps(event)}\n\n"
    page.route("**/events", lambda route: route.fulfill(content_type="text/event-stream", body=body))


def _change_session(page: Page, **changes: object) -> None:
    def change(route: Route) -> None:
        session = route.fetch().json()
        route.fulfill(json={**session, **changes})

    page.route("**/api/session", change)
    page.reload()
