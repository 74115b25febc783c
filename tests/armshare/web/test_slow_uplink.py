"""In the page, a slow uplink loses no drive: it is waited for, and after a reload it is signed from the lobby."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.armshare.slow_uplink import SlowHouse, slow_house
from tests.armshare.web.test_browser import PATIENCE_MS, opened, sign_in, take_robot
from tests.armshare.web.test_leaving import drives
from tests.browser import complaints

STEPS = "parseInt(document.querySelector('[data-testid=step-count]').innerText)"
SOME = "document.querySelector('[data-testid=arriving]')?.dataset.received > 0"


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlowHouse]:
    with slow_house(tmp_path_factory.mktemp("slow")) as house:
        yield house


@pytest.fixture
def page(browser: Browser, slow: SlowHouse) -> Iterator[Page]:
    slow.narrow()
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = opened(context, slow.url)
    sign_in(page)
    yield page
    context.close()


def drive(page: Page, steps: int = 60) -> None:
    """Drive so long that the upload takes several seconds, and finish."""
    drives(page, steps)
    page.get_by_test_id("finish").click()


def test_the_page_waits_for_a_slow_uplink_says_how_far_it_is_and_signs(page: Page, slow: SlowHouse) -> None:
    page.clock.install()
    take_robot(page)
    drive(page)
    page.wait_for_function(SOME)
    page.clock.fast_forward(60_000)  # whatever the page would do by itself after so long, it does now
    expect(page.get_by_test_id("arriving")).to_contain_text("kB have arrived")
    expect(page.get_by_test_id("trouble")).to_have_count(0)
    slow.widen()
    page.get_by_test_id("score").wait_for()
    expect(page.get_by_test_id("arriving")).to_have_count(0)
    assert complaints(page) == []


def test_after_a_reload_it_is_listed_with_its_progress_and_signed_from_the_lobby(page: Page, slow: SlowHouse) -> None:
    take_robot(page)
    drive(page)
    page.wait_for_function(SOME)
    page.goto("about:blank")  # the page that drove, and its session key, are gone
    page.goto(f"{slow.url}/#/")
    waiting = page.get_by_test_id("unsigned-episode")
    expect(waiting).to_have_count(1, timeout=PATIENCE_MS)
    expect(waiting).to_contain_text("On its way")
    episode = waiting.get_attribute("data-episode")
    slow.widen()
    waiting.get_by_test_id("sign").click(timeout=PATIENCE_MS)
    expect(waiting).to_have_count(0, timeout=PATIENCE_MS)
    signed = httpx.get(f"{slow.url}/api/episodes/{episode}").json()
    assert (signed["state"], signed["receipt"]["episode"]) == ("verified", episode)
    expect(page.get_by_test_id("episode").first).to_have_attribute("data-state", "verified", timeout=PATIENCE_MS)
    assert complaints(page) == []


def test_what_was_not_signed_can_be_discarded_from_the_lobby(page: Page, slow: SlowHouse) -> None:
    take_robot(page)
    drive(page, steps=12)
    page.get_by_test_id("arriving").wait_for()
    page.goto("about:blank")
    page.goto(f"{slow.url}/#/")
    waiting = page.get_by_test_id("unsigned-episode")
    expect(waiting).to_have_count(1, timeout=PATIENCE_MS)
    episode = waiting.get_attribute("data-episode")
    waiting.get_by_test_id("discard-unsigned").click()
    expect(waiting).to_have_count(0, timeout=PATIENCE_MS)
    assert httpx.get(f"{slow.url}/api/episodes/{episode}").json()["state"] == "discarded"
