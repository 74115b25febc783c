"""Takes a page's picture at each size and in each theme, without disturbing what it shows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Literal

import cv2
import numpy as np
import structlog
from playwright.sync_api import Browser, CDPSession, Page

from tests.armshare.web.test_browser import ARMED, LOST, READY, SETTLED, STATE_IS, TRIES

_log = structlog.get_logger()
Scheme = Literal["light", "dark"]
SCHEMES: Final[tuple[Scheme, ...]] = ("light", "dark")
DRAWN = "document.querySelector('[data-testid=drive-view]')?.dataset.loaded === 'true'"
DRIVING = f"({STATE_IS})(['driving']) && !document.querySelector('[data-testid=blind]')"
STEPS = "+document.querySelector('[data-testid=step-count]').innerText"
EAGER = """Promise.all([...document.images].map((each) => {
    each.loading = 'eager'
    return each.decode().catch(() => null)
}))"""
PATIENCE_MS = 60_000
SETTLE_S = 0.5
PULL_PX = 16
MIDDLE_M = 0.25
QUALITY = 80


@dataclass(frozen=True, slots=True)
class Size:
    """A screen; one of a phone is touched."""

    name: str
    width: int
    height: int
    touch: bool


SIZES: Final = (
    Size("desktop", 1440, 900, False),
    Size("upright", 390, 844, True),
    Size("sideways", 844, 390, True),
)


def file_of(name: str, size: Size, scheme: Scheme) -> str:
    """Return the name of a picture's file."""
    return f"{name}-{size.name}-{scheme}.webp"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody with a browser, which becomes a phone and a desk again while they look at a page."""

    page: Page
    tools: CDPSession

    def become(self, size: Size) -> None:
        """Give the page that screen, and fingers if it is a phone's."""
        self.tools.send("Emulation.setTouchEmulationEnabled", {"enabled": size.touch})
        self.page.set_viewport_size({"width": size.width, "height": size.height})

    def sign_in(self) -> None:
        """Make a throw-away wallet, and see robots in the lobby."""
        self.page.get_by_test_id("make-wallet").click()
        self.page.locator("[data-testid=robot-card]:is([data-state=free], [data-state=driven])").first.wait_for()

    def take(self, robot: str, task: str | None = None) -> None:
        """Take a robot from the lobby, and see it ready."""
        card = self.page.locator(f"[data-robot-name={robot}]")
        if task:
            card.locator(f"label[data-task={task}]").click()
        card.get_by_test_id("drive").click()
        self.ready()

    def ready(self) -> None:
        """Wait until a key would move the robot."""
        self.page.wait_for_function(ARMED)
        self.page.wait_for_function(DRAWN)

    def press(self, key: str, until: str) -> None:
        """Hold a key until that is so; press anew if the robot was lost meanwhile."""
        for _ in range(TRIES):
            self.page.wait_for_function(READY)
            self.page.keyboard.down(key)
            self.page.wait_for_function(f"({until}) || {LOST}")
            self.page.keyboard.up(key)
            if self.page.evaluate(until):
                return
        raise TimeoutError(f"expected {until} by {TRIES} presses of {key}")

    def record(self, steps: int, key: str = "w") -> None:
        """Drive until so many steps are recorded, and stand still."""
        self.press(key, f"{STEPS} >= {steps}")
        self.page.wait_for_function(STATE_IS, arg=["armed", "holding"])

    def to_lobby(self) -> None:
        """Go to the lobby by its address, as a link does."""
        self.page.evaluate("location.hash = '#/'")
        self.page.get_by_test_id("robot-card").first.wait_for()

    @contextmanager
    def driving(self, size: Size) -> Iterator[None]:
        """Move the hand slowly, up or down, so that it stays well over the floor; by a key, or by a finger on a pad."""
        self.page.wait_for_function(READY)
        up = float((self.page.get_by_test_id("ee-position").text_content() or "").split()[-1]) < MIDDLE_M
        with self._finger(up) if size.touch else self._key("r" if up else "f"):
            self.page.wait_for_function(f"{DRIVING} || {LOST}")
            yield

    @contextmanager
    def _key(self, key: str) -> Iterator[None]:
        self.page.keyboard.down("Shift")
        self.page.keyboard.down(key)
        try:
            yield
        finally:
            self.page.keyboard.up(key)
            self.page.keyboard.up("Shift")

    @contextmanager
    def _finger(self, up: bool) -> Iterator[None]:
        box = self.page.locator(".right .pad").bounding_box()
        assert box is not None
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        self._touch("touchStart", x, y)
        self._touch("touchMove", x, y + (-PULL_PX if up else PULL_PX))
        try:
            yield
        finally:
            self._touch("touchEnd")

    def _touch(self, kind: str, *at: float) -> None:
        points = [{"x": at[0], "y": at[1]}] if at else []
        self.tools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


Posed = Callable[[Size], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Studio:
    """A browser before a platform, the folder that its pictures go to, and which of them are taken; empty for all."""

    browser: Browser
    url: str
    data: Path
    folder: Path
    wanted: frozenset[str] = frozenset()

    def visitor(self, *scripts: str) -> Visitor:
        """Return somebody new, with a browser of their own; `scripts` run before the page's own."""
        desk = SIZES[0]
        context = self.browser.new_context(
            viewport={"width": desk.width, "height": desk.height}, reduced_motion="reduce"
        )
        for script in ("localStorage.setItem('armshare.graphics', 'full')", *scripts):  # as with a graphics chip
            context.add_init_script(script)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.goto(self.url)
        return Visitor(page, context.new_cdp_session(page))

    def owner(self) -> Visitor:
        """Return the owner of the robots, signed in."""
        owner = self.visitor()
        owner.page.get_by_role("button", name="Import a key").click()
        owner.page.get_by_label("Private key").fill((self.data / "keys" / "owner.key").read_text().strip())
        owner.page.get_by_role("button", name="Use it").click()
        owner.page.get_by_test_id("robot-card").first.wait_for()
        return owner

    def shoot(
        self,
        seen: Visitor,
        name: str,
        *,
        whole: bool = False,
        at: str | None = None,
        posed: Posed | None = None,
        true: str = "true",
    ) -> None:
        """Take a page's picture at each size and in each theme.

        `whole`: down to the page's end. `at`: what is scrolled to. `posed`: what is done meanwhile, and once more until
        `true` is so.
        """
        if self.wanted and name not in self.wanted:
            return
        for size in SIZES:
            seen.become(size)
            for scheme in SCHEMES:
                seen.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                if at:
                    seen.page.locator(at).first.evaluate("(at) => at.scrollIntoView({ block: 'center' })")
                pose = partial(posed, size) if posed else nullcontext
                picture = self._picture(seen.page, whole, pose, true)
                (self.folder / file_of(name, size, scheme)).write_bytes(small(picture))
        seen.become(SIZES[0])
        seen.page.emulate_media(color_scheme="light", reduced_motion="reduce")
        _log.info("taken", picture=name)

    def _picture(self, page: Page, whole: bool, pose: Callable[[], AbstractContextManager[None]], true: str) -> bytes:
        page.evaluate(EAGER)
        for _ in range(TRIES):
            with pose():
                page.wait_for_function(f"({true}) || {LOST}")
                page.evaluate(SETTLED)
                time.sleep(SETTLE_S)  # the picture of the robot is drawn by the processor
                if page.evaluate(true):
                    return page.screenshot(full_page=whole)
        raise TimeoutError(f"expected {true} for the length of a picture, in {TRIES} tries")


def small(png: bytes) -> bytes:
    """Return a picture as WebP."""
    pixels = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise ValueError("expected a picture that can be read")
    return cv2.imencode(".webp", pixels, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])[1].tobytes()
