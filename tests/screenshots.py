"""Makes the pictures in `docs/screenshots/`: a person lifts the cube by keys, in Chromium, and has a first drive.

`make screenshots` takes all, `make screenshots ARGS=guide` those of the first drive.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize

from armshare.cli.platform import SHOWN
from armshare.platform.processes import platform
from sim.catalogue import make_world
from sim.physics.world import World
from tests.browser import chromium

Scheme = Literal["light", "dark"]
TARGET = Path(__file__).parents[1] / "docs" / "screenshots"
SIZES: Final[tuple[tuple[Scheme, int, int], ...]] = (
    ("light", 1440, 900),
    ("dark", 1440, 900),
    ("light", 390, 844),
)
SEEN = "[...document.querySelectorAll('[data-testid=camera]')].every((each) => +each.dataset.frames > 0)"
ARMED = "document.querySelector('[data-testid=safety-state]')?.dataset.state === 'armed'"
DRIVING = "document.querySelector('[data-testid=safety-state]').dataset.state === 'driving'"
DRAWN = "document.querySelector('[data-testid=drive-view]')?.dataset.loaded === 'true'"
DONE = "document.querySelector('[data-testid=guide-{}]').dataset.done === 'true'"
HALF = "+document.querySelector('[data-testid=guide-{}]').dataset.share >= 0.5"
HOLDING = "document.querySelector('[data-testid=safety-state]').dataset.state === 'holding'"
LOST = (
    "document.querySelector('[data-testid=safety-state]').dataset.state === 'expired'"
    " || document.querySelector('[data-testid=blind]') !== null"
)
UNSEEN = "document.querySelector('[data-testid=blind][data-seen=false]')"
KEYS = (("w", "s"), ("a", "d"), ("r", "f"))
SETTLE_S = 0.4
GIVE_UP_S = 20.0


class GaveUpError(Exception):
    """The hand did not get where it should in time."""


@dataclass(frozen=True)
class Person:
    """Someone who sees the cube, and presses keys until the hand is there."""

    page: Page
    data: Path
    world: World

    def cube(self) -> np.ndarray:
        """Return where the cube lies: the eyes' part, taken from the seed."""
        with sqlite3.connect(self.data / "armshare.sqlite") as db:
            (seed,) = db.execute("SELECT seed FROM tickets ORDER BY issued_ms DESC LIMIT 1").fetchone()
        return self.world.reset(seed).values["cube_pose"]

    def hand(self) -> np.ndarray:
        """Read the page's own display, m."""
        return np.array([float(word) for word in self.page.get_by_test_id("ee-position").inner_text().split()[-3:]])

    def move(self, axis: int, target: float, tolerance: float) -> None:
        """Hold a key until the hand is near, then slowly the rest."""
        for slow in (False, True):
            away = target - self.hand()[axis]
            if abs(away) < tolerance:
                return
            if slow or abs(away) < 0.04:
                self.page.keyboard.down("Shift")
            key = KEYS[axis][int(away < 0)]
            self.hold(key, axis, target, 0.0 if slow else 0.02)
            self.page.keyboard.up(key)
            self.page.keyboard.up("Shift")
            time.sleep(SETTLE_S)

    def hold(self, key: str, axis: int, target: float, early: float = 0.0) -> None:
        """Press a key until the hand is that near."""
        away = target - self.hand()[axis]
        self.page.keyboard.down(key)
        until = time.monotonic() + GIVE_UP_S
        while (target - self.hand()[axis]) * np.sign(away) > early:
            self.keep_driving(key)
            if time.monotonic() > until:
                raise GaveUpError(
                    f"axis {axis}: expected {target:.3f} m, the hand is at {self.hand()}, {self.safety()}"
                )

    def keep_driving(self, key: str) -> None:
        """After a gap in the connection, let go of the key, so that the arm is armed again."""
        if self.page.evaluate(LOST):
            self.page.keyboard.up(key)
            self.page.wait_for_function(f"({ARMED} || {HOLDING}) && !{UNSEEN}")
            self.page.keyboard.down(key)

    def safety(self) -> str | None:
        """Read the state that the page shows."""
        return self.page.get_by_test_id("safety-state").get_attribute("data-state")

    def grasp(self) -> None:
        """Bring the hand over the cube, down to it, and close it."""
        cube = self.cube()
        for height in (None, 0.10, 0.022):
            if height is not None:
                self.move(2, height, 0.006)
            self.move(0, cube[0], 0.004)
            self.move(1, cube[1], 0.004)
        self.page.keyboard.press("Space")
        time.sleep(1.5)


def pictures(browser: Browser, url: str, data: Path, scheme: Scheme, width: int, height: int) -> None:
    """Take the pictures of one colour scheme and size."""
    context = opened(browser, scheme, width, height)
    page = context.new_page()

    def shot(what: str, of: Page = page) -> None:
        of.screenshot(path=str(TARGET / f"{what}-{named(scheme, width)}.png"))

    page.goto(url)
    page.get_by_test_id("make-wallet").wait_for()
    shot("sign-in")
    page.get_by_test_id("make-wallet").click()
    page.locator("[data-testid=robot-card][data-state=free] img").nth(1).wait_for()
    time.sleep(SETTLE_S)
    shot("lobby")
    card = page.locator("[data-robot-name=panda-1]")
    card.locator("[data-task=lift]").click()
    card.get_by_test_id("drive").click()
    page.wait_for_function(ARMED)
    page.wait_for_function(DRAWN)
    page.get_by_test_id("open-controls").click()
    time.sleep(SETTLE_S)
    shot("controls")
    page.keyboard.press("Escape")
    page.get_by_test_id("controls").wait_for(state="detached")
    if width > 600:
        page.keyboard.press("h")
        time.sleep(SETTLE_S)
        shot("help")
        page.keyboard.press("h")
    lift(page, data)
    shot("drive")
    page.keyboard.up("r")
    for camera in ("front", "wrist"):
        page.get_by_test_id("open-camera").filter(has_text=camera).click()
    page.wait_for_function(SEEN)
    time.sleep(SETTLE_S)
    shot("cameras")
    owner = owner_of(browser, url, data, scheme, width, height)
    time.sleep(SETTLE_S)
    shot("watch", owner)
    owner.context.close()
    page.get_by_test_id("finish").click()
    page.get_by_test_id("score").wait_for()
    time.sleep(SETTLE_S)
    shot("result")
    page.get_by_test_id("scrubber").fill("4")
    time.sleep(SETTLE_S)
    shot("replay")
    context.close()


def first_drive(browser: Browser, url: str, _data: Path, scheme: Scheme, width: int, height: int) -> None:
    """Take the picture of the guide, two steps done and a third on its way."""
    context = opened(browser, scheme, width, height)
    page = context.new_page()
    page.goto(url)
    page.get_by_test_id("make-wallet").click()
    page.locator("[data-testid=robot-card][data-state=free]").get_by_test_id("drive").click()
    page.wait_for_function(ARMED)
    page.wait_for_function(DRAWN)
    for there, back, step in (("w", "s", "move_x"), ("a", "d", "move_y")):
        for key, until in ((there, HALF), (back, DONE)):
            press(page, key, until.format(step))
            page.keyboard.up(key)
    page.keyboard.down("Shift")
    press(page, "r", HALF.format("move_z"))
    page.screenshot(path=str(TARGET / f"guide-{named(scheme, width)}.png"))
    context.close()


def press(page: Page, key: str, until: str) -> None:
    """Hold a key until that is so; after a gap in the connection, let go for a moment, so that the arm is armed."""
    while not page.evaluate(until):
        page.wait_for_function(f"({ARMED} || {DRIVING} || {HOLDING}) && !{UNSEEN}")
        page.keyboard.down(key)
        page.wait_for_function(f"{until} || {LOST}")
        if not page.evaluate(until):
            page.keyboard.up(key)


def named(scheme: Scheme, width: int) -> str:
    """Return the end of a picture's name."""
    return f"{'phone' if width < 600 else 'desktop'}-{scheme}"


def opened(browser: Browser, scheme: Scheme, width: int, height: int) -> BrowserContext:
    """Return a browser of this colour scheme and size."""
    size: ViewportSize = {"width": width, "height": height}
    touch = width < 600
    context = browser.new_context(viewport=size, color_scheme=scheme, has_touch=touch, reduced_motion="reduce")
    context.add_init_script("localStorage.setItem('armshare.graphics', 'full')")  # as with a graphics chip
    context.set_default_timeout(60_000)
    return context


def owner_of(browser: Browser, url: str, data: Path, scheme: Scheme, width: int, height: int) -> Page:
    """Return the page on which the robot's owner watches it."""
    page = opened(browser, scheme, width, height).new_page()
    page.goto(url)
    page.get_by_role("button", name="Import a key").click()
    page.get_by_label("Private key").fill((data / "keys" / "owner.key").read_text().strip())
    page.get_by_role("button", name="Use it").click()
    page.locator("[data-testid=robot-card][data-state=driven]").get_by_test_id("watch").click()
    page.locator("[data-testid=drive-view][data-loaded=true]").wait_for()
    return page


def lift(page: Page, data: Path) -> None:
    """Grasp the cube and hold it, on its way up."""
    world = make_world("panda", "lift")
    world.connect()
    person = Person(page, data, world)
    person.grasp()
    person.hold("r", 2, 0.14)
    time.sleep(SETTLE_S)
    person.keep_driving("r")
    page.wait_for_function(DRIVING)


TAKEN: Final = {"drive": ("false", [*SHOWN], pictures), "guide": ("true", ["panda"], first_drive)}
"""Of each set: whether wallets must have a first drive, the robots, and who takes it."""


def main(wanted: Sequence[str]) -> None:
    """Take these sets of pictures, each on a platform of its own."""
    TARGET.mkdir(parents=True, exist_ok=True)
    os.environ["ARMSHARE_AWAY_S"] = "0"  # the next size has the robot at once, though the last one left it in a drive
    for one in wanted:
        os.environ["ARMSHARE_QUALIFICATION"], robots, take = TAKEN[one]
        with tempfile.TemporaryDirectory(prefix="armshare-screenshots-") as name:
            data = Path(name)
            with (
                (data / "log").open("wb") as log,
                platform(data, 0, robots, log) as (url, _children),
                chromium() as browser,
            ):
                for scheme, width, height in SIZES:
                    take(browser, url, data, scheme, width, height)


if __name__ == "__main__":
    main(sys.argv[1:] or list(TAKEN))
