"""No caveat of the page is hidden, cut or covered, at any size of the window, on paper, or in forced colours."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from .browsing import change_study, needs_browser, open_page, read_study

pytestmark = needs_browser

DESKS = [(1024, 768), (1280, 720), (1366, 768), (1440, 789), (1440, 900), (1920, 1080), (2560, 1440)]
OTHERS = [(390, 844), (844, 390), (320, 568), (768, 1024), (720, 450), (960, 540), (640, 360)]
"""Phones and tablets upright and on their side, and common screens at 200 and 300 % zoom."""

CAVEATS = {
    "not for clinical use, and what the model was trained on": ".strip p",
    "places that are uncertain, among the notes": ".flags li",
    "Severe cannot be excluded": ".sentences small",
    "why sites are not graded": ".reasons li",
    "what possible grades mean": ".legend",
    "a place that is uncertain, in the grid": ".cell .doubt",
    "a site that is not graded, in the grid": ".cell.ungraded .grade",
    "grades in short": ".cell .grade",
    "a place that is uncertain, of the chosen site": ".sureness .doubtful",
}

FAULTS = """
([selector, scroll]) => {
    const faults = [];
    const found = [...document.querySelectorAll(selector)];
    if (found.length === 0) faults.push('there is none');
    for (const element of found) {
        const name = element.textContent.slice(0, 60);
        const style = getComputedStyle(element);
        if (scroll) element.scrollIntoView({block: 'center'});  // at an edge a part of a pixel may be beyond it
        const text = document.createRange();
        text.selectNodeContents(element);
        const boxes = [...text.getClientRects()].filter(({width}) => width > 0);
        if (boxes.length === 0 || style.visibility !== 'visible' || Number(style.opacity) < 1) faults.push(`hidden: ${name}`);
        for (const box of boxes) {
            for (let around = element; around !== null; around = around.parentElement) {
                const {overflowX, overflowY} = getComputedStyle(around);
                const edge = around.getBoundingClientRect();
                const cut = (overflowX !== 'visible' && (box.left < edge.left - 1 || box.right > edge.right + 1))
                    || (overflowY !== 'visible' && (box.top < edge.top - 1 || box.bottom > edge.bottom + 1));
                if (cut && around !== document.documentElement) faults.push(`cut by ${around.className}: ${name}`);
            }
            const cell = element.closest('.cell')?.getBoundingClientRect();
            if (cell && (box.right > cell.right || box.bottom > cell.bottom)) faults.push(`outside its cell: ${name}`);
            if (box.left < 0 || box.right > innerWidth + 1) faults.push(`beside the window: ${name}`);
            if (box.top < -1 || box.bottom > innerHeight + 1) faults.push(`below the window: ${name}`);
            const hit = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
            const covered = hit !== null && !element.contains(hit) && !hit.contains(element);
            if (covered) faults.push(`covered by ${hit.className}: ${name}`);
        }
    }
    return [...new Set(faults)];
}
"""

DARK = """
selector => [...document.querySelectorAll(selector)].every(element => {
    const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
    const light = ([red, green, blue]) => red + green + blue;
    if (light(numbers(getComputedStyle(element).color)) > 300) return false;
    for (let around = element; around !== null; around = around.parentElement) {
        const ground = numbers(getComputedStyle(around).backgroundColor);
        if (ground[3] !== 0) return light(ground) > 600;
    }
    return true;
})
"""


def worst_case(study: dict[str, Any]) -> None:
    """Long words everywhere: most places uncertain, Severe possible at all sites, a third of them not graded."""
    training = study["trained_on"]
    training["performance"] = " ".join([training["performance"]] * 2)
    study["flags"] = [f"{name}: {'what a reader has to know of these images ' * 4}" for name in "ABCDEFG"]
    for number, cell in enumerate(study["cells"]):
        if number % 3 == 2:
            cell |= {"grade": None, "probabilities": None, "possible_grades": [], "place": None}
            cell["reason"] = "no axial T2 slice passes through it"
        else:
            cell["place_uncertain"] = cell["place"] is not None
    study["not_graded"] = [
        {"code": "x", "sites": f"reason {n}", "cells": 2, "text": "no axial T2 slice passes through it " * 3}
        for n in range(4)
    ]
    for sentence in study["sentences"]:
        sites = "spinal canal stenosis, bilateral neural foraminal narrowing, bilateral subarticular stenosis"
        sentence["text"] += f" Severe cannot be excluded at {sentence['level']} for {sites}. Place uncertain: {sites}."


def faults(page: Page, scroll: bool, *selectors: str) -> dict[str, list[str]]:
    found = {selector: page.evaluate(FAULTS, [selector, scroll]) for selector in selectors or CAVEATS.values()}
    return {selector: told for selector, told in found.items() if told}


@pytest.fixture(scope="module", params=["usual", "worst"])
def reading(browser: Browser, address: str, study_zip: Path, request: pytest.FixtureRequest) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    for page in open_page(context, address):
        if request.param == "worst":
            change_study(page, worst_case)
        read_study(page, study_zip)
        page.get_by_role("gridcell", name="place uncertain").first.click()
        yield page
    context.close()


@pytest.fixture
def sized(reading: Page) -> Iterator[Page]:
    yield reading
    reading.emulate_media(media="screen", forced_colors="none")


@pytest.mark.parametrize(("width", "height"), [*DESKS, *OTHERS])
def test_no_caveat_is_hidden_cut_or_covered(sized: Page, width: int, height: int) -> None:
    sized.set_viewport_size({"width": width, "height": height})
    assert faults(sized, scroll=True) == {}
    assert sized.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert sized.get_by_role("slider").first.bounding_box()["height"] > 150


@pytest.mark.parametrize(("width", "height"), DESKS)
def test_a_desk_shows_them_without_scrolling(
    browser: Browser, address: str, study_zip: Path, width: int, height: int
) -> None:
    context = browser.new_context(viewport={"width": width, "height": height})
    for page in open_page(context, address):
        read_study(page, study_zip)
        assert faults(page, False, ".strip p", ".flags li", ".sentences small", ".reasons li") == {}
    context.close()


def test_on_paper_they_are_dark_words(sized: Page) -> None:
    sized.emulate_media(media="print")
    sized.set_viewport_size({"width": 794, "height": 3000})
    assert faults(sized, scroll=False) == {}
    for selector in (*CAVEATS.values(), ".sentences .level", ".sentences .text", ".counts b", ".verdict"):
        assert sized.evaluate(DARK, selector), selector


def test_in_forced_colours_they_stay(sized: Page) -> None:
    sized.set_viewport_size({"width": 1366, "height": 768})
    sized.emulate_media(forced_colors="active")
    assert faults(sized, scroll=True) == {}
    doubtful = sized.locator(".cell.uncertain").first
    expect(doubtful).to_have_css("border-top-style", "dotted")


def test_the_upload_and_the_model_page_say_on_what_the_model_was_trained(
    browser: Browser, address: str, study_zip: Path
) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844})
    for page in open_page(context, address):
        expect(page.get_by_role("complementary")).to_contain_text("trained on synthetic spines only")
        assert faults(page, False, ".strip p") == {}
        page.get_by_role("link", name="Model lumbargrade-rsna2024 3").click()
        first = page.get_by_role("main").locator("p").first
        expect(first).to_contain_text("trained on synthetic spines only")
        expect(page.get_by_role("main")).to_contain_text("found 3 of 24 Severe cells (recall 12 %)")
        expect(page.get_by_role("main")).to_contain_text("no better than always answering Normal/Mild")
    context.close()


def test_a_server_that_says_nothing_of_the_training_is_not_passed_over(
    browser: Browser, address: str, study_zip: Path
) -> None:
    context = browser.new_context()
    for page in open_page(context, address):
        change_study(page, lambda study: study.pop("trained_on"))
        read_study(page, study_zip)
        expect(page.get_by_role("complementary")).to_contain_text("It is not recorded what this model was trained on.")
    context.close()
