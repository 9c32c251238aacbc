"""What the tests of the page in a browser share: building it, looking at it, and what it must never do."""

import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

WEB = Path(__file__).parents[2] / "web"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
NODE = shutil.which("node")

needs_browser = [
    pytest.mark.skipif(NODE is None or not (WEB / "node_modules").is_dir(), reason="needs Node, and npm ci in web/"),
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


def grid_cell(page: Page, name: str) -> Locator:
    return page.get_by_role("gridcell", name=name)


def slice_of(page: Page, view: str) -> int:
    return int(page.get_by_role("slider", name=view).get_attribute("aria-valuenow") or "")


def check_accessibility(page: Page, where: str) -> None:
    page.evaluate((WEB / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("() => axe.run()")["violations"]
    serious = [
        f"{fault['id']}: {[node['html'][:120] for node in fault['nodes']][:3]}"
        for fault in found
        if fault["impact"] in ("serious", "critical")
    ]
    assert serious == [], where
