"""A drive that is left in the middle: the page asks first, and for a minute it can be gone on with or finished."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.armshare.web.test_browser import (
    ARMED,
    AXE,
    LOST,
    PATIENCE_MS,
    READY,
    STATE_IS,
    TRIES,
    checked,
    opened,
    sign_in,
    take_robot,
)
from tests.browser import complaints
from tests.conftest import House

CUT = """
    function before() {
        let open = null
        new BroadcastChannel('cut').onmessage = () => open?.close()
        self.WebSocket = class extends WebSocket {
            constructor(url) {
                super(url)
                open = this
            }
        }
    }
    const script = (text) => URL.createObjectURL(new Blob([text], { type: 'text/javascript' }))
    window.Worker = class extends Worker {
        constructor(url, options) {
            super(script(`import '${script(`(${before})()`)}'; import '${new URL(url, location.href)}'`), options)
        }
    }
    const channel = new BroadcastChannel('cut')
    window.cut = () => channel.postMessage('now')
"""
"""`cut()` loses the page's connection to the hub, without a word."""
STEPS = "+document.querySelector('[data-testid=step-count]').innerText"


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.add_init_script(path=AXE)
    yield context
    for page in context.pages:  # give the robot back, so that nobody waits a minute for it
        if page.get_by_test_id("give-up").count():
            page.get_by_test_id("give-up").click()
            page.wait_for_function(ARMED)
    context.close()


def drives(page: Page, steps: int = 8) -> int:
    """Press until so many steps are recorded; return how many are."""
    for _ in range(TRIES):
        page.wait_for_function(READY)
        page.keyboard.down("w")
        page.wait_for_function(f"{STEPS} >= {steps} || {LOST}")
        page.keyboard.up("w")
        if page.evaluate(f"{STEPS} >= {steps}"):
            page.wait_for_function(STATE_IS, arg=["armed", "holding"])
            return int(page.evaluate(STEPS))
    pytest.fail(f"{steps} steps were not recorded in {TRIES} tries")


def finished(page: Page, untouched: House, at_least: int) -> None:
    """Check that the episode was handed in, and is one with what was recorded before."""
    anyway, score = page.get_by_test_id("sign-anyway"), page.get_by_test_id("score")
    anyway.or_(score).first.wait_for()
    if anyway.is_visible():  # a page that was ended before it knew the last that it sent asks who drove
        anyway.click()
    score.wait_for()
    (episode,) = httpx.get(f"{untouched.url}/api/episodes", params={"limit": 1}).json()["episodes"]
    assert (episode["state"], episode["valid"], episode["reason"]) == ("verified", True, "finished")
    assert episode["steps"] >= at_least
    expect(page.get_by_test_id("step-count")).to_have_text(str(episode["steps"]))


def test_a_link_away_from_a_drive_asks_and_what_was_left_is_finished_from_the_lobby(
    context: BrowserContext, untouched: House
) -> None:
    page = opened(context, untouched.url)
    sign_in(page)
    take_robot(page)
    page.get_by_label("Leave, back to the lobby").click()  # nothing is recorded yet: nobody is asked
    page.get_by_test_id("robot-card").first.wait_for()
    take_robot(page)
    steps = drives(page)
    asked = page.get_by_test_id("leaving")
    page.get_by_label("Leave, back to the lobby").click()
    expect(asked).to_contain_text(
        "and not finished. If you leave, the robot stands still and is kept for you for a minute"
    )
    assert checked(page, "leaving") == []
    page.keyboard.press("Escape")
    expect(asked).to_have_count(0)
    page.wait_for_function(STATE_IS, arg=["armed", "holding", "expired"])
    page.go_back()
    expect(asked).to_be_visible()
    asked.get_by_test_id("leave").click()

    told = page.get_by_test_id("left-drive")
    expect(told).to_contain_text("panda-1 is waiting for you.", timeout=PATIENCE_MS)
    card = httpx.get(f"{untouched.url}/api/robots").json()[0]
    assert (card["state"], 0 < card["kept_s"] <= 60) == ("driven", True)
    told.get_by_role("link", name="Go back to it").click()
    offer = page.get_by_test_id("return")
    expect(offer).to_contain_text("Go on with your drive?")
    assert checked(page, "return") == []
    offer.get_by_test_id("finish-it").click()
    finished(page, untouched, steps)
    assert complaints(page) == []


def test_a_reload_in_the_middle_asks_and_the_drive_goes_on(context: BrowserContext, untouched: House) -> None:
    page = opened(context, untouched.url)
    sign_in(page)
    take_robot(page)
    steps = drives(page)
    (kept,) = json.loads(page.evaluate("localStorage['armshare.drives']"))
    assert set(kept) == {"lease", "robot", "task", "operator", "nonce", "sessionKey", "seconds", "atMs"}, "no secret"
    asked: list[str] = []
    page.once("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.reload()
    assert asked == ["beforeunload"]
    page.get_by_test_id("go-on").click()
    page.wait_for_function(ARMED)
    assert page.evaluate(STEPS) >= steps
    more = drives(page, int(page.evaluate(STEPS)) + 8)
    page.get_by_test_id("finish").click()
    finished(page, untouched, more)
    page.once("dialog", lambda dialog: asked.append(dialog.type))
    page.reload()
    page.wait_for_function(ARMED)
    assert asked == ["beforeunload"], "after the end nobody is asked"
    expect(page.get_by_test_id("interrupted")).to_have_count(0)
    assert complaints(page) == []


def test_a_closed_tab_leaves_a_drive_that_another_goes_on_with_or_starts_over(
    context: BrowserContext, untouched: House
) -> None:
    page = opened(context, untouched.url)
    sign_in(page)
    take_robot(page)
    drives(page)
    page.close()
    other = opened(context, f"{untouched.url}/#/drive/panda-1/lift")
    other.get_by_test_id("give-up").click()
    other.wait_for_function(ARMED)
    expect(other.get_by_test_id("step-count")).to_have_text("0")
    (episode,) = httpx.get(f"{untouched.url}/api/episodes", params={"limit": 1}).json()["episodes"]
    assert episode["reason"] in ("operator_lost", "finished")


def test_a_second_window_takes_a_drive_over_and_the_first_takes_it_back(
    context: BrowserContext, untouched: House
) -> None:
    first = opened(context, untouched.url)
    sign_in(first)
    take_robot(first)
    steps = drives(first)
    second = opened(context, f"{untouched.url}/#/drive/panda-1/lift")
    offer = second.get_by_test_id("elsewhere")
    expect(offer).to_contain_text("You are driving it in another window")
    expect(offer).to_contain_text("You have recorded")
    assert checked(second, "elsewhere") == []
    expect(first.get_by_role("heading", name="Taken over")).to_have_count(0)
    offer.get_by_test_id("take-over").click()
    second.wait_for_function(ARMED)
    expect(first.get_by_role("heading", name="Taken over")).to_be_visible()
    expect(first.get_by_test_id("trouble")).to_have_text(
        "You took this drive over in another window, where it goes on."
    )
    expect(first.get_by_test_id("cut-short")).to_have_count(0)
    assert second.evaluate(STEPS) >= steps
    more = drives(second, int(second.evaluate(STEPS)) + 8)

    first.bring_to_front()
    first.get_by_role("button", name="Take it back here").click()
    first.wait_for_function(ARMED)
    expect(second.get_by_role("heading", name="Taken over")).to_be_visible()
    assert first.evaluate(STEPS) >= more
    more = drives(first, int(first.evaluate(STEPS)) + 8)
    first.get_by_test_id("finish").click()
    finished(first, untouched, more)
    assert complaints(first) == complaints(second) == []


def test_a_connection_that_is_lost_in_the_middle_is_made_again_and_the_drive_goes_on(
    context: BrowserContext, untouched: House
) -> None:
    context.add_init_script(CUT)
    page = opened(context, untouched.url)
    sign_in(page)
    take_robot(page)
    steps = drives(page)
    page.evaluate("cut()")
    page.get_by_role("heading", name="Disconnected").wait_for()
    expect(page.get_by_test_id("cut-short")).to_contain_text("Your drive is kept for you for a minute.")
    page.get_by_role("button", name="Try again").click()
    page.wait_for_function(ARMED)
    assert page.evaluate(STEPS) >= steps
    more = drives(page, int(page.evaluate(STEPS)) + 8)
    page.get_by_test_id("finish").click()
    finished(page, untouched, more)
