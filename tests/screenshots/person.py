"""A person who sees the cube, and presses keys until the hand is there."""

from __future__ import annotations

import sqlite3
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from playwright.sync_api import Page
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from sim.catalogue import make_world
from sim.physics.world import World
from tests.armshare.web.test_browser import LOST, READY
from tests.screenshots.studio import Visitor

KEYS: Final = (("w", "s"), ("a", "d"), ("r", "f"))
LIFTED = "+document.querySelector('[role=progressbar]').ariaValueNow === 100"
DRIVES = 3
HELD_MS = 3000
GIVE_UP_S = 20.0
SETTLE_S = 0.4
GRASP_S = 1.5


class GaveUpError(Exception):
    """The hand did not get where it should in time."""


@dataclass(frozen=True)
class Person:
    """Somebody at the page of a Panda that is to lift the cube."""

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
            self.page.keyboard.up("Shift")
            time.sleep(SETTLE_S)

    def hold(self, key: str, axis: int, target: float, early: float = 0.0) -> None:
        """Press a key until the hand is that near, and let it go."""
        away = target - self.hand()[axis]
        until = time.monotonic() + GIVE_UP_S
        self.page.keyboard.down(key)
        try:
            while (target - self.hand()[axis]) * np.sign(away) > early:
                self.keep_driving(key)
                if time.monotonic() > until:
                    raise GaveUpError(f"axis {axis}: expected {target:.3f} m, the hand is at {self.hand()}")
        finally:
            self.page.keyboard.up(key)

    def keep_driving(self, key: str) -> None:
        """After a gap in the connection, let go of the key, so that the arm is armed again."""
        if self.page.evaluate(LOST):
            self.page.keyboard.up(key)
            self.page.wait_for_function(READY)
            self.page.keyboard.down(key)

    def grasp(self) -> None:
        """Bring the hand over the cube, down to it, and close it."""
        cube = self.cube()
        for height in (None, 0.10, 0.022):
            if height is not None:
                self.move(2, height, 0.006)
            self.move(0, cube[0], 0.004)
            self.move(1, cube[1], 0.004)
        self.page.keyboard.press("Space")
        time.sleep(GRASP_S)


def lift(visitor: Visitor, data: Path) -> None:
    """Grasp the cube and lift it; on a busy machine, where a hand may miss it, in a drive or two more."""
    world = make_world("panda", "lift")
    world.connect()
    person = Person(visitor.page, data, world)
    for _ in range(DRIVES):
        with suppress(GaveUpError, PlaywrightTimeoutError):
            person.grasp()
            person.hold("r", 2, 0.2)
            visitor.page.wait_for_function(LIFTED, timeout=HELD_MS)
            return
        visitor.page.get_by_test_id("finish").click()
        visitor.page.get_by_test_id("score").wait_for()
        visitor.page.get_by_test_id("again").click()
        visitor.ready()
    raise GaveUpError(f"the cube was not lifted in {DRIVES} drives")
