"""What is set up for the pictures: each set is a visit, or some, to a platform of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pybullet_data
from playwright.sync_api import Route

from tests.armshare.command import armshare_here
from tests.armshare.web.test_leaving import CUT
from tests.armshare.web.test_pads import UNKNOWN
from tests.screenshots.person import lift
from tests.screenshots.studio import DRAWN, DRIVING, Studio, Visitor

DONE = "document.querySelector('[data-testid=guide-{}]').dataset.done === 'true'"
HALF = "+document.querySelector('[data-testid=guide-{}]').dataset.share >= 0.5"
SEEN = "[...document.querySelectorAll('[data-testid=camera]')].every((each) => +each.dataset.frames > 0)"
SIGNATURE = "**/api/episodes/*/signature"
MESHES = re.compile(r"/assets/models/.*\.(obj|stl|dae)$")
ADDED: Final = "xarm"
TICK_MS: Final = 50
BESIDE: Final = "document.querySelector('[data-testid=best]').dataset.shown === 'true'"
GOOD_DRIVES: Final = "10"
"""From so many starts, one is like another."""
SHORT: Final = 30
"""Steps: a drive that did not do the task."""


def newcomer(studio: Studio) -> None:
    """Somebody who has never driven: the lobby, the guide, what was missing."""
    me = studio.visitor()
    me.sign_in()
    me.page.get_by_test_id("not-qualified").wait_for()
    studio.shoot(me, "lobby-first", whole=True)
    me.take("panda-1", "lift")
    for there, back, step in (("w", "s", "move_x"), ("a", "d", "move_y")):
        me.press(there, HALF.format(step))
        me.press(back, DONE.format(step))
    me.press("r", HALF.format("move_z"))
    studio.shoot(me, "guide")
    me.page.get_by_test_id("finish").click()
    me.page.get_by_test_id("practice").wait_for()
    studio.shoot(me, "practice")
    me.page.context.close()


def paid(studio: Studio) -> None:
    """Somebody lifts the cube, is paid, and is asked to save the key."""
    me = studio.visitor()
    me.sign_in()
    studio.shoot(me, "lobby", whole=True)
    me.take("panda-1", "lift")
    studio.shoot(me, "start")
    _dialogs(studio, me)
    lift(me, studio.data)
    studio.shoot(me, "drive", posed=me.driving, true=DRIVING)
    me.page.get_by_test_id("finish").click()
    me.page.get_by_test_id("score").wait_for()
    studio.shoot(me, "result")
    me.page.get_by_test_id("scrubber").fill("4")
    studio.shoot(me, "replay")
    me.to_lobby()
    me.page.get_by_test_id("backup").wait_for()
    studio.shoot(me, "backup", whole=True)
    me.page.context.close()


def explained(studio: Studio) -> None:
    """Somebody sees what a drive lost and when, beside the best drive from a like start; at once, and again later."""
    me = studio.visitor()
    me.sign_in()
    _driven_well(studio)
    me.take("panda-1", "lift")
    me.record(2 * SHORT)
    me.page.get_by_test_id("finish").click()
    _compared(me)
    studio.shoot(me, "explained")
    me.to_lobby()
    me.page.get_by_test_id("look-at-it").first.click()
    me.page.wait_for_function(DRAWN)
    _compared(me)
    studio.shoot(me, "episode")
    me.page.context.close()


def _compared(me: Visitor) -> None:
    """Wait for the best drive, and show a moment of both."""
    me.page.locator("[data-testid=best]:not([data-found=asking])").wait_for()
    me.page.wait_for_function("document.querySelector('[data-testid=best]').dataset.found !== 'found' || " + BESIDE)
    me.page.get_by_test_id("scrubber").fill("1.2")


def _driven_well(studio: Studio) -> None:
    """Others have lifted the cube well, from several starts."""
    words = [
        "drive",
        "--hub",
        studio.url,
        "--expert",
        "--robot",
        "panda-1",
        "--task",
        "lift",
        "--episodes",
        GOOD_DRIVES,
    ]
    subprocess.run(
        [sys.executable, "-m", "armshare", *words, "--key", str(studio.data / "well.key")], check=True, timeout=300
    )


def _dialogs(studio: Studio, me: Visitor) -> None:
    """What is read before driving."""
    me.page.get_by_test_id("open-controls").click()
    studio.shoot(me, "controls")
    me.page.get_by_role("button", name="Close the controls").click()
    me.page.keyboard.press("h")
    me.page.get_by_role("complementary").wait_for()
    studio.shoot(me, "help")
    me.page.keyboard.press("h")


def people(studio: Studio) -> None:
    """One drive is not accepted and one is not signed yet; others wait for the robot, look in, and watch."""
    held: list[Route] = []
    me = studio.visitor()
    me.sign_in()
    me.take("panda-1", "lift")
    me.record(SHORT)
    me.page.route(SIGNATURE, lambda route: held.append(route), times=1)
    with me.page.expect_request(SIGNATURE):
        me.page.get_by_test_id("finish").click()
    while not held:
        me.page.wait_for_timeout(TICK_MS)
    studio.shoot(me, "handing-in")
    held[0].continue_()
    me.page.get_by_test_id("score").wait_for()
    studio.shoot(me, "not-accepted")
    me.page.get_by_test_id("review-first").check()
    me.page.get_by_test_id("again").click()
    me.ready()
    me.record(SHORT)
    me.page.get_by_test_id("finish").click()
    me.page.get_by_test_id("submit").wait_for()
    studio.shoot(me, "review")
    me.to_lobby()
    me.page.get_by_test_id("sign").wait_for()
    studio.shoot(me, "episodes", at="#episodes")
    me.take("panda-1", "lift")
    _others(studio, me)
    me.page.context.close()


def _others(studio: Studio, me: Visitor) -> None:
    """Somebody waits for the robot that is driven, a stranger looks in, and its owner watches.

    Nothing is recorded meanwhile: a drive has 60 seconds from its first motion.
    """
    other = studio.visitor()
    other.sign_in()
    other.page.locator("[data-robot-name=panda-1]").get_by_test_id("drive").click()
    other.page.get_by_test_id("queue-position").wait_for()
    studio.shoot(other, "queue")
    stranger = studio.visitor()
    stranger.page.get_by_test_id("recent").wait_for()
    studio.shoot(stranger, "front", whole=True)
    stranger.page.context.close()
    owner = studio.owner()
    owner.page.locator("[data-robot-name=panda-1]").get_by_test_id("watch").click()
    owner.page.locator("[data-testid=drive-view][data-loaded=true]").wait_for()
    for camera in ("front", "wrist"):
        me.page.get_by_test_id("open-camera").filter(has_text=camera).click()
    me.page.wait_for_function(SEEN)
    studio.shoot(me, "cameras")
    studio.shoot(owner, "watch")
    other.page.context.close()
    owner.page.context.close()


def wallets(studio: Studio) -> None:
    """Two wallets in the menu and signed out, and what is said when a key is gone, or the hub."""
    me = studio.visitor()
    me.sign_in()
    me.page.get_by_test_id("signed-in").click()
    me.page.get_by_test_id("make-another").click()  # the menu stays open
    me.page.get_by_test_id("switch-wallet").wait_for()
    studio.shoot(me, "account")
    me.page.get_by_test_id("switch-wallet").click()
    me.page.keyboard.press("Escape")
    me.page.route("**/api/**", lambda route: route.abort())
    me.page.locator("[data-testid=robot-card][data-state=unknown]").first.wait_for()
    studio.shoot(me, "hub-away")
    me.page.unroute("**/api/**")
    me.page.reload()
    me.page.get_by_test_id("signed-in").click()
    me.page.get_by_role("button", name="Sign out").click()
    me.page.get_by_test_id("wallet-more").first.click()
    me.page.get_by_test_id("ask-delete").click()
    studio.shoot(me, "wallets", at="[data-testid=wallet]")
    me.page.get_by_test_id("make-wallet").click()
    me.page.get_by_test_id("robot-card").first.wait_for()
    me.page.evaluate("localStorage.clear()")
    me.page.get_by_test_id("key-lost").wait_for()
    studio.shoot(me, "key-lost")
    me.page.reload()
    me.page.get_by_test_id("lost-wallet").first.wait_for()
    studio.shoot(me, "lost-wallet", at="[data-testid=lost-wallet]")
    me.page.context.close()


def left(studio: Studio) -> None:
    """A drive that is left, lost, or stopped."""
    me = studio.visitor(CUT)
    me.sign_in()
    me.take("panda-1", "lift")
    for picture in ("leaving", "left", "return"):  # a robot is kept for a minute, and each takes a part of it
        me.record(SHORT)
        me.page.get_by_label("Leave, back to the lobby").click()
        me.page.get_by_test_id("leaving").wait_for()
        if picture == "leaving":
            studio.shoot(me, "leaving")
        me.page.get_by_test_id("leave").click()
        told = me.page.get_by_test_id("left-drive")
        told.wait_for()
        if picture == "left":
            studio.shoot(me, "left")
        told.get_by_role("link", name="Go back to it").click()
        me.page.get_by_test_id("return").wait_for()
        if picture == "return":
            studio.shoot(me, "return")
        me.page.get_by_test_id("give-up").click()
        me.ready()
    me.record(SHORT)
    me.page.evaluate("cut()")
    me.page.get_by_role("heading", name="Disconnected").wait_for()
    studio.shoot(me, "disconnected")
    me.page.get_by_role("button", name="Try again").click()
    me.ready()
    _stopped(studio, me)
    me.page.context.close()


def _stopped(studio: Studio, me: Visitor) -> None:
    """Stopped by the operator, and cleared by the owner."""
    me.page.keyboard.press("Escape")
    me.page.get_by_test_id("stopped").wait_for()
    studio.shoot(me, "stopped")
    me.page.context.close()
    owner = studio.owner()
    card = owner.page.locator("[data-robot-name=panda-1][data-state=stopped]")
    card.get_by_test_id("drive").click()
    owner.page.get_by_role("heading", name="The robot is stopped").wait_for()
    owner.page.get_by_test_id("clear").wait_for()
    studio.shoot(owner, "stopped-open")
    owner.to_lobby()
    card.get_by_test_id("watch").click()
    owner.page.get_by_test_id("clear").wait_for()
    studio.shoot(owner, "stopped-owner")
    owner.page.get_by_test_id("clear").click()
    owner.page.get_by_test_id("stopped").wait_for(state="detached")
    owner.page.context.close()


def about(studio: Studio) -> None:
    """What is read, what is not there, a gamepad that nobody knows, and a base that drives."""
    stranger = studio.visitor()
    stranger.page.get_by_test_id("live-robot").nth(1).wait_for()
    stranger.page.evaluate("location.hash = '#/rules'")
    stranger.page.get_by_role("table").wait_for()
    studio.shoot(stranger, "rules", whole=True)
    stranger.page.context.close()
    me = studio.visitor(UNKNOWN)
    me.sign_in()
    me.page.goto(f"{studio.url}/#/drive/husky-1/juggle")
    me.page.get_by_test_id("trouble").wait_for()
    studio.shoot(me, "nowhere")
    me.page.route(MESHES, lambda _route: None)  # it is under way
    me.to_lobby()
    me.page.locator("[data-robot-name=husky-1]").get_by_test_id("drive").click()
    me.page.get_by_test_id("loading").wait_for()
    studio.shoot(me, "loading")
    me.page.unroute(MESHES)  # lets go on what was held
    me.ready()
    me.page.get_by_test_id("pad-unknown").wait_for()
    studio.shoot(me, "pad-unknown")
    me.page.get_by_test_id("pad-unknown").get_by_role("button", name="Set it up").click()
    me.page.get_by_test_id("pad-asked").wait_for()
    studio.shoot(me, "pad")
    me.page.get_by_test_id("pad-binding").get_by_role("button", name="Close").click()
    me.page.context.close()
    me = studio.visitor()
    me.sign_in()
    me.take("husky-1")
    me.page.get_by_test_id("part").nth(1).click()
    me.record(SHORT)
    studio.shoot(me, "base")
    me.page.context.close()


def added(studio: Studio) -> None:
    """A robot that was added from its URDF."""
    me = studio.visitor()
    me.sign_in()
    me.take(f"{ADDED}-1")
    studio.shoot(me, "added")
    me.page.context.close()


def published(data: Path) -> None:
    """Add a robot to a platform's data as its maker publishes it: an xArm6 with its gripper."""
    urdf = Path(pybullet_data.getDataPath()) / "xarm" / "xarm6_with_gripper.urdf"
    done = armshare_here("robot", "add", str(urdf), "--name", ADDED, "--data", str(data))
    if done.returncode:
        raise RuntimeError(done.stderr)
