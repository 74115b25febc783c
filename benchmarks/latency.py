"""From a key press to the picture, in a real browser: the view that the page draws from states, and a camera's images.

Hub, host, camera process and Chromium share the machine, over loopback; Chromium renders in software (SwiftShader), as
there is no GPU here. Keys are pressed and released repeatedly, at random moments, with the robot at rest.

`input_to_picture_p50_ms`, `_p95_ms`: from the keydown event to the end of the first frame of the page in which the pose
that answers it was drawn (the page's own `input-to-picture` measures). Of that, `input_to_state_p50_ms`, `_p95_ms`:
until the state that was drawn reached the page's thread; `drawing_p50_ms`: what the graphics took.

`camera_path_p50_ms`, `_p95_ms`: from the observation of a state to its picture (640x480, JPEG) on the page: drawn in
the camera process, encoded, relayed, decoded, and put on the canvas. Host and page share one clock here.
`input_to_camera_p50_ms`, `_p95_ms`: from the keydown event to the first camera picture of a state that answers it.
`round_trip_p50_ms`: as the page shows it.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page, sync_playwright

from armshare.platform.processes import platform

PATIENCE_MS = 60_000
ARGUMENTS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
NOTE = """
    window.noted = { input: [], camera: [] }
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) {
            const at = performance.timeOrigin + entry.startTime
            if (entry.name === 'input-to-picture') noted.input.push({ at, ms: entry.duration, ...entry.detail })
            else if (entry.name === 'camera') noted.camera.push(entry.detail)
        }
    }).observe({ entryTypes: ['measure', 'mark'] })
"""
STANDS = "['armed', 'holding'].includes(document.querySelector('[data-testid=safety-state]')?.dataset.state)"
SEEN = "(count) => noted.camera.length > count"


def measure(url: str, presses: int, width: int, height: int) -> dict[str, Any]:
    """Return the figures."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(PATIENCE_MS)
        page.add_init_script(NOTE)
        page.goto(url)
        page.get_by_test_id("make-wallet").click()
        page.get_by_test_id("signed-in").wait_for()
        page.get_by_test_id("drive").first.click()
        page.locator("[data-testid=drive-view][data-loaded=true]").wait_for()
        page.wait_for_function(STANDS)
        press(page, presses // 4, 0)  # the first presses compile what is new
        page.evaluate("noted.input.length = 0")
        press(page, presses, 0)
        inputs = page.evaluate("noted.input")
        page.get_by_test_id("open-camera").first.click()
        page.wait_for_function(SEEN, arg=10)
        page.evaluate("noted.camera.length = noted.input.length = 0")
        offset_ms = (time.time_ns() - time.monotonic_ns()) / 1e6
        press(page, presses, 1)
        cameras, answered = page.evaluate("noted.camera"), page.evaluate("noted.input")
        trip = page.get_by_test_id("round-trip").inner_text()
        browser.close()
    path_ms = [shown["atMs"] - (shown["tHostUs"] / 1e3 + offset_ms) for shown in cameras]
    to_camera_ms = [
        min(shown["atMs"] for shown in cameras if shown["state"] >= one["state"]) - one["at"]
        for one in answered
        if any(shown["state"] >= one["state"] for shown in cameras)
    ]
    return {
        "window": f"{width}x{height}",
        "presses": len(inputs),
        "input_to_picture_p50_ms": percentile([one["ms"] for one in inputs], 50),
        "input_to_picture_p95_ms": percentile([one["ms"] for one in inputs], 95),
        "input_to_state_p50_ms": percentile([one["heardMs"] for one in inputs], 50),
        "input_to_state_p95_ms": percentile([one["heardMs"] for one in inputs], 95),
        "drawing_p50_ms": percentile([one["ms"] - one["handedMs"] for one in inputs], 50),
        "camera_frames": len(cameras),
        "camera_path_p50_ms": percentile(path_ms, 50),
        "camera_path_p95_ms": percentile(path_ms, 95),
        "input_to_camera_p50_ms": percentile(to_camera_ms, 50),
        "input_to_camera_p95_ms": percentile(to_camera_ms, 95),
        "round_trip_p50_ms": float(trip.split()[0]),
    }


def press(page: Page, presses: int, first: int) -> None:
    """Press and release, back and forth so that the hand stays where it has room."""
    for number in range(presses):
        key = "ws"[(first + number) % 2]
        page.wait_for_function(STANDS)
        page.wait_for_timeout(400 + random.uniform(0, 100))  # it has come to rest
        page.keyboard.down(key)
        page.wait_for_timeout(150)
        page.keyboard.up(key)
    page.wait_for_timeout(500)


def percentile(values: list[float], percent: float) -> float:
    """Return a percentile, or NaN if there are no values."""
    return round(float(np.percentile(values, percent)), 1) if values else float("nan")


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--presses", type=int, default=60)
    parser.add_argument("--size", type=int, nargs=2, default=[1280, 800], help="of the window, pixels")
    parser.add_argument("--json", action="store_true", help="print one JSON object (the default)")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        (Path(folder) / "log").open("wb") as log,
        platform(Path(folder), 0, ["panda:lift"], log) as (url, _children),
    ):
        figures = measure(url, options.presses, *options.size)
    json.dump(figures, sys.stdout)
    print()


if __name__ == "__main__":
    main()
