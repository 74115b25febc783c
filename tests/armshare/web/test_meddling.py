"""A hub that changes what an operator sends: the page lets go of the robot, or does not sign what was recorded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.armshare.web.meddling import THROUGH, BetweenGaps, Concealed, Meddler, Turning, relayed
from tests.armshare.web.test_browser import (
    LOST,
    NOTE_STATES,
    PATIENCE_MS,
    READY,
    STATE_IS,
    TRIES,
    opened,
    sign_in,
    take_robot,
)
from tests.armshare.web.test_leaving import STEPS, drives
from tests.browser import complaints
from tests.conftest import House

TOLD = "document.querySelector('[data-testid=foreign]') !== null"
KEPT = "Object.keys(localStorage).filter((key) => key.startsWith('armshare.commands.'))"


@pytest.fixture
def page(browser: Browser, house: House) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = opened(context, house.url)
    sign_in(page)
    yield page
    context.close()


@contextmanager
def behind(page: Page, house: House, meddler: Meddler) -> Iterator[None]:
    """Take the robot through a hub that meddles."""
    with relayed(httpx.URL(house.url).port or 0, meddler) as port:
        page.evaluate(THROUGH, port)
        take_robot(page)
        yield


def newest(house: House) -> dict[str, Any]:
    (episode,) = httpx.get(f"{house.url}/api/episodes", params={"limit": 1}).json()["episodes"]
    return dict(episode)


def is_refused(page: Page) -> None:
    """Check that the recording is said to be another than what was sent."""
    told = page.get_by_test_id("trouble")
    expect(told).to_contain_text("What was recorded is not what you sent, so this page did not sign it.")
    expect(told).to_have_attribute("data-code", "commands_differ")
    expect(page.get_by_test_id("sign-anyway")).to_have_count(0)


def test_a_robot_that_obeys_commands_of_others_is_let_go_and_not_driven_any_more(page: Page, house: House) -> None:
    meddler = Turning()
    with behind(page, house, meddler):
        drives(page)
        meddler.now.set()
        for _ in range(TRIES):  # a picture that did not come lets go as well
            page.wait_for_function(f"{TOLD} || ({READY})")
            page.keyboard.down("w")
            page.wait_for_function(f"{TOLD} || ({LOST})")
            if page.evaluate(TOLD):
                break
            page.keyboard.up("w")
        told = page.get_by_test_id("foreign")
        expect(told).to_contain_text("The robot obeyed a command that you did not send. This page let go of it")
        expect(told).to_contain_text("Press STOP if it still moves.")
        page.wait_for_function(STATE_IS, arg=["armed", "holding"])  # although the key is still held
        page.evaluate(NOTE_STATES)
        page.keyboard.up("w")
        page.keyboard.down("w")
        steps = page.evaluate(STEPS)
        page.wait_for_function(f"{STEPS} >= {steps + 15}")
        page.keyboard.up("w")
        assert not page.evaluate("noted.has('driving')")
        expect(page.get_by_test_id("finish")).to_be_disabled()
        expect(page.get_by_test_id("estop")).to_be_visible()

        told.get_by_test_id("discard-foreign").click()
        expect(page.get_by_test_id("cut-short")).to_have_text("What you drove is discarded.", timeout=PATIENCE_MS)
        expect(page.get_by_test_id("trouble")).to_have_attribute("data-code", "other_commands")
        assert newest(house)["state"] == "discarded"
        assert page.evaluate(KEPT) == []
        assert complaints(page) == []


@pytest.mark.parametrize("meddler", [Concealed(), BetweenGaps()], ids=["all of it", "between gaps"])
def test_what_a_hub_changed_and_concealed_is_not_signed_now_or_after_a_reload(
    page: Page, house: House, meddler: Meddler
) -> None:
    with behind(page, house, meddler):
        drives(page)
        page.get_by_test_id("finish").click()
        is_refused(page)
        expect(page.get_by_role("heading", name="Not handed in")).to_be_visible()
        expect(page.get_by_role("button", name="Discard this episode")).to_be_enabled()
        episode = newest(house)["episode"]
        page.goto("about:blank")  # the page that drove is gone
        page.goto(f"{house.url}/#/")
        waiting = page.get_by_test_id("unsigned-episode")
        expect(waiting).to_have_attribute("data-episode", episode, timeout=PATIENCE_MS)
        waiting.get_by_test_id("sign").click(timeout=PATIENCE_MS)
        is_refused(page)
        assert httpx.get(f"{house.url}/api/episodes/{episode}").json()["state"] == "uploaded"
        waiting.get_by_test_id("discard-unsigned").click()
        expect(waiting).to_have_count(0, timeout=PATIENCE_MS)
        assert page.evaluate(KEPT) == []
        assert complaints(page) == []


def test_an_episode_that_this_browser_does_not_know_is_signed_only_if_its_operator_says_so(
    page: Page, house: House
) -> None:
    take_robot(page)
    drives(page)
    page.route("**/api/episodes/*/arrival*", lambda route: route.abort())  # this page does not come to sign it
    page.get_by_test_id("finish").click()
    page.get_by_test_id("again").wait_for()
    page.goto("about:blank")
    page.goto(f"{house.url}/#/")
    page.evaluate(f"{KEPT}.forEach((key) => localStorage.removeItem(key))")  # as in any other browser
    waiting = page.get_by_test_id("unsigned-episode")
    waiting.get_by_test_id("sign").click(timeout=PATIENCE_MS)
    told = page.get_by_test_id("trouble")
    expect(told).to_contain_text("This browser does not know all of the commands of this drive")
    assert newest(house)["state"] == "uploaded"
    told.get_by_test_id("sign-anyway").click()
    expect(waiting).to_have_count(0, timeout=PATIENCE_MS)
    assert newest(house)["state"] == "verified"
