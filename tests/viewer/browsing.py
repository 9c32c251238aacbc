"""What the tests of the page in a browser share: building it, looking at it, and what it must never do."""

import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, Route, expect

WEB = Path(__file__).parents[2] / "web"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
NODE = shutil.which("node")

needs_browser = [
    pytest.mark.browser,
    pytest.mark.skipif(NODE is None or not (WEB / "node_modules").is_dir(), reason="needs Node and `npm ci` in web/"),
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium"),
]


def vite_command(*arguments: str) -> list[str]:
    assert NODE is not None
    return [NODE, str(WEB / "node_modules/vite/bin/vite.js"), *arguments]


def vite(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(vite_command(*arguments), cwd=WEB, capture_output=True, text=True, check=False)


def wait_for(url: str) -> None:
    end = time.monotonic() + 120
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def open_page(context: BrowserContext, address: str) -> Iterator[Page]:
    """A page whose scripts raise nothing and whose content security policy is kept."""
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text) if "Content Security Policy" in said.text else None)
    page.set_default_timeout(60_000)
    expect.set_options(timeout=60_000)
    page.goto(address)
    expect(page.get_by_role("region", name="Send a study")).to_be_visible()
    yield page
    assert faults == []


def choose(page: Page, *files: Path) -> None:
    page.locator("input[type=file]").first.set_input_files(files)


def read_study(page: Page, study: Path) -> Page:
    """Sends a study and waits for its grades."""
    choose(page, study)
    expect(page.get_by_role("gridcell")).to_have_count(25)
    return page


def change_study(page: Page, change: Callable[[dict[str, Any]], None]) -> None:
    """Changes what the stand-in answers of every study that is graded."""

    def answer(route: Route) -> None:
        response = route.fetch()
        study = response.json() if response.status == 200 else {}
        if "cells" in study:
            change(study)
            route.fulfill(json=study)
        else:
            route.fulfill(response=response)

    page.route("**/api/studies/*", answer)


def grid_cell(page: Page, name: str) -> Locator:
    return page.get_by_role("gridcell", name=name)


def slice_of(page: Page, view: str) -> int:
    return int(page.get_by_role("slider", name=view).get_attribute("aria-valuenow") or "")


def check_accessibility(page: Page, where: str) -> None:
    """No fault that is serious, and nothing outside a landmark."""
    page.evaluate((WEB / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("() => axe.run()")["violations"]
    serious = [
        f"{fault['id']}: {[node['html'][:120] for node in fault['nodes']][:3]}"
        for fault in found
        if fault["impact"] in ("serious", "critical") or fault["id"] == "region"
    ]
    assert serious == [], where
