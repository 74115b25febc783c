"""Chromium for the browser tests: the machine's own, headless, with software WebGL."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

ARGUMENTS = [
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    # WebGL draws as before; the page around it is put together by Skia instead of by OpenGL in software.
    "--disable-gpu-compositing",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


_RUNNING: list[Browser] = []  # a thread can drive only one


@contextmanager
def chromium() -> Iterator[Browser]:
    """Yield the browser that runs already, else a new one; raise FileNotFoundError if the machine has none."""
    if _RUNNING:
        yield _RUNNING[0]
        return
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next((found for name in names if (found := shutil.which(name))), None)
    if program is None:
        raise FileNotFoundError("Chromium is missing, for the browser tests: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        _RUNNING.append(browser)
        try:
            yield browser
        finally:
            _RUNNING.clear()
            browser.close()


_HEARD: dict[Page, list[str]] = {}


_ANSWERS = re.compile(r"/api/episodes/[^/]+/best$")
"""What a page asks for that need not be there; a browser complains of that all the same."""


_OF_THE_BROWSER = "GPU stall due to ReadPixels"
"""What the browser says of itself the first time that it puts a page together without OpenGL (`ARGUMENTS`)."""


def watch(page: Page) -> None:
    """Take note of whatever a page complains of from now on."""
    heard = _HEARD.setdefault(page, [])

    def listen(said: ConsoleMessage) -> None:
        if said.type not in ("error", "warning") or _ANSWERS.search(said.location["url"]):
            return
        if _OF_THE_BROWSER not in said.text:
            heard.append(said.text)

    page.on("console", listen)
    page.on("pageerror", lambda error: heard.append(str(error)))


def complaints(page: Page) -> list[str]:
    """Return what a page that is watched has complained of."""
    return _HEARD[page]
