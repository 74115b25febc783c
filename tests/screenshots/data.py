"""The pictures of whoever looks for data: the grid, what it says when it cannot, a choice, data sets, an episode."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

from playwright.sync_api import Route

from tests.screenshots.studio import DRAWN, Studio, Visitor

DRIVEN: Final = (("stack", 3), ("lift", 6))
SETS: Final = (
    ("lab/lifts", "Cubes, lifted", "task=lift"),
    (
        "lab/everything-that-a-script-has-driven",
        "Everything that a script has driven here, to compare policies with",
        "state=verified",
    ),
)
PICTURES: Final = (
    "[...document.querySelectorAll('[data-testid=moving]')].slice(0, 4).every((one) => one.dataset.there === 'true')"
)
EVERY: Final = "[...document.querySelectorAll('[data-testid=moving]')].every((one) => one.dataset.there === 'true')"
WHOLE: Final = "* { content-visibility: visible !important }"
SEEN: Final = "[...document.querySelectorAll('[data-testid=drawn]')].every((one) => one.dataset.picture)"
AWAY: Final = {"error": {"code": "unavailable", "message": "the database does not answer"}}


def data(studio: Studio) -> None:
    """Somebody looks for data, who has not signed in, and makes a data set, for which they have."""
    made(studio)
    me = studio.visitor()
    _grid(studio, me)
    _trouble(studio, me)
    _sets(studio, me)
    _episode(studio, me)
    me.page.context.close()


def made(studio: Studio) -> None:
    """Others have driven, and have made data sets of it."""
    key = str(studio.data / "lab.key")
    for task, many in DRIVEN:
        _said(studio, "drive", "--expert", "--robot", "panda-1", "--task", task, "--episodes", str(many), "--key", key)
    for name, title, search in SETS:
        more = ("--title", title, "--licence", "CC-BY-4.0", "--search", search, "--splits", "0.8,0.1,0.1", "--key", key)
        _said(studio, "dataset", "create", name, *more)


def _said(studio: Studio, *words: str) -> None:
    subprocess.run([sys.executable, "-m", "armshare", *words, "--hub", studio.url], check=True, timeout=300)


def _go(me: Visitor, address: str) -> None:
    me.page.evaluate("(address) => (location.hash = address)", address)


def _grid(studio: Studio, me: Visitor) -> None:
    _go(me, "#/data")
    me.page.get_by_test_id("found").first.wait_for()
    studio.shoot(me, "data", true=PICTURES)
    _go(me, "#/data?task=lift&score_min=0.5&order=best&view=list")
    me.page.get_by_test_id("rows").wait_for()
    studio.shoot(me, "data-list")
    _go(me, "#/data?task=lift")
    boxes = me.page.locator("[data-testid=found] input")
    boxes.first.wait_for(state="attached")
    boxes.nth(0).click()
    boxes.nth(2).click(modifiers=["Shift"])
    studio.shoot(me, "data-chosen", true=PICTURES)
    me.page.get_by_test_id("open-make").click()
    me.page.get_by_test_id("make-wallet").click()
    me.page.get_by_test_id("make-it").wait_for()
    studio.shoot(me, "data-make")
    me.page.keyboard.press("Escape")


def _trouble(studio: Studio, me: Visitor) -> None:
    """Nothing is found, and the hub cannot answer."""
    _go(me, "#/data?task=lift&score_max=0.01")
    me.page.get_by_test_id("nothing").wait_for()
    studio.shoot(me, "data-nothing")

    def away(route: Route) -> None:
        route.fulfill(status=503, json=AWAY)

    me.page.route("**/api/episodes?*", away)
    _go(me, "#/data?task=stack")
    me.page.get_by_test_id("trouble").wait_for()
    studio.shoot(me, "data-away")
    me.page.unroute("**/api/episodes?*")


def _sets(studio: Studio, me: Visitor) -> None:
    _go(me, "#/data/sets")
    me.page.get_by_test_id("set").first.wait_for()
    studio.shoot(me, "sets")
    _go(me, "#/data/lab/lifts")
    me.page.get_by_test_id("coverage").wait_for()  # the hub has counted
    style = me.page.add_style_tag(content=WHOLE)  # what is not on the screen is in the picture, too
    for tile in me.page.get_by_test_id("found").all():
        tile.scroll_into_view_if_needed()
    me.page.evaluate("scrollTo(0, 0)")
    studio.shoot(me, "set", whole=True, true=EVERY)
    style.evaluate("(style) => style.remove()")


def _episode(studio: Studio, me: Visitor) -> None:
    """The newest stack, at a moment, from two of its cameras."""
    _go(me, "#/data?task=stack")
    me.page.locator("[data-testid=found] a").first.click()
    me.page.wait_for_function(DRAWN)
    me.page.get_by_test_id("open-drawn").filter(has_text="Wrist").click()
    me.page.locator("[data-testid=drawn][data-camera=wrist][data-picture]").wait_for()
    me.page.get_by_test_id("scrubber").fill("2")
    studio.shoot(me, "seen", true=SEEN)
