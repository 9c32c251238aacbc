"""How smoothly the page scrolls: frames a second in Chromium while the wheel turns through a series.

    python benchmarks/page_scrolling.py [--stack 40x512] [--seconds 5] [--display 1440x900]

Runs the built page against its stand-in (needs Node, ``npm ci`` in ``web/``, Chromium and playwright), with stacks of so
many slices of so many pixels squared. Turns the wheel a notch a display frame, back and forth. A frame counts when the
sagittal T2 view has painted a new slice. Prints JSON: frames a second, the gaps between them, the
processor time of the page's main thread a frame (which other work on the machine does not lengthen), and the rate at
which Chromium displayed anything.
"""

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import time
import urllib.request
import zipfile
from io import BytesIO
from pathlib import Path

from playwright.sync_api import CDPSession, sync_playwright

WEB = Path(__file__).parents[1] / "web"
VITE = WEB / "node_modules/vite/bin/vite.js"

COUNT_PAINTS = """
window.paints = [];
const draw = CanvasRenderingContext2D.prototype.drawImage;
CanvasRenderingContext2D.prototype.drawImage = function (...what) {
  if (this.canvas === window.watched) window.paints.push(performance.now());
  return draw.apply(this, what);
};
"""
ARRIVED = """
slices => performance.getEntriesByType('resource').filter(({name}) => name.includes('/s0/slices/')).length >= slices
"""
TURN_WHEEL = """
async ([seconds, slices]) => {
  const view = document.querySelector('.slot.main .viewport');
  window.watched = view.querySelector('canvas');
  window.paints = [];
  const displayed = [];
  const end = performance.now() + 1000 * seconds;
  let turned = 0;
  while (performance.now() < end) {
    displayed.push(await new Promise(requestAnimationFrame));
    const deltaY = Math.floor(turned++ / (slices - 1)) % 2 ? -120 : 120;
    view.dispatchEvent(new WheelEvent('wheel', {deltaY, bubbles: true, cancelable: true}));
  }
  return {paints: window.paints, displayed};
}
"""


def main() -> None:
    """Builds the page, serves it, scrolls, prints JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stack", default="40x512", help="slices x pixels")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--display", default="1440x900", help="pixels")
    options = parser.parse_args()
    slices = int(options.stack.split("x")[0])
    width, height = map(int, options.display.split("x"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    node = shutil.which("node") or "node"
    subprocess.run([node, VITE, "build", "--logLevel", "error"], cwd=WEB, check=True)
    server = subprocess.Popen(
        [node, VITE, "preview", "--mode", "mock", "--host", "127.0.0.1", "--port", str(port), "--strictPort"],
        cwd=WEB,
        env={**os.environ, "STANDIN_STACK": options.stack},
        stdout=subprocess.DEVNULL,
    )
    try:
        print(json.dumps(measure(f"http://127.0.0.1:{port}/", slices, options.seconds, width, height), indent=2))
    finally:
        server.terminate()
        server.wait()


def measure(address: str, slices: int, seconds: float, width: int, height: int) -> dict[str, float]:
    """Scrolls the study of the stand-in at an address."""
    _wait_for(address)
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w") as study:
        study.writestr("1.dcm", b"DICM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(120_000)
        page.add_init_script(COUNT_PAINTS)
        page.goto(address)
        file = {"name": "study.zip", "mimeType": "application/zip", "buffer": archive.getvalue()}
        page.locator("input[type=file]").first.set_input_files(files=[file])
        page.get_by_role("gridcell").first.wait_for()
        page.wait_for_function(ARRIVED, arg=slices)
        page.locator(".slot.main .viewport").press("Home")
        devtools = page.context.new_cdp_session(page)
        devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
        before = _busy(devtools)
        told = page.evaluate(TURN_WHEEL, [seconds, slices])
        busy = _busy(devtools) - before
        browser.close()
    gaps = [after - before for before, after in zip(told["paints"], told["paints"][1:], strict=False)]
    shown = told["displayed"]
    return {
        "slices_painted": len(told["paints"]),
        "frames_per_second": round(1000 * len(gaps) / sum(gaps), 1),
        "median_ms": round(statistics.median(gaps), 1),
        "p95_ms": round(sorted(gaps)[int(0.95 * len(gaps))], 1),
        "main_thread_ms": round(1000 * busy / len(told["paints"]), 1),
        "display_per_second": round(1000 * (len(shown) - 1) / (shown[-1] - shown[0]), 1),
    }


def _busy(devtools: CDPSession) -> float:
    """Seconds of processor time that the page's main thread has used."""
    metrics = {metric["name"]: metric["value"] for metric in devtools.send("Performance.getMetrics")["metrics"]}
    return float(metrics["TaskDuration"])


def _wait_for(address: str) -> None:
    for _ in range(300):
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except OSError:
            time.sleep(0.2)
    raise SystemExit(f"{address} does not answer")


if __name__ == "__main__":
    main()
