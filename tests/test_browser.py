"""A person with a browser: signs in, drives by key presses, finishes, and sees score, receipt and balance."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import chromium, watched
from tests.conftest import House

ARMED = "document.querySelector('[data-testid=safety-state]')?.dataset.state === 'armed'"
MOVED = "([before]) => document.querySelector('[data-testid=ee-position]').innerText !== before"
PATIENCE_MS = 60_000  # software WebGL on a shared machine; nothing is asserted of time


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, house: House) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.complaints = watched(page)  # type: ignore[attr-defined]
    page.goto(house.url)
    yield page
    context.close()


def sign_in(page: Page) -> None:
    page.get_by_test_id("make-wallet").click()
    page.get_by_test_id("signed-in").wait_for()


def take_robot(page: Page) -> None:
    card = page.locator("[data-testid=robot-card][data-robot-name=panda-1]")
    expect(card.get_by_test_id("drive")).to_be_enabled(timeout=PATIENCE_MS)
    card.get_by_test_id("drive").click()
    page.wait_for_function(ARMED)


def test_a_person_signs_in_drives_by_keys_finishes_and_sees_score_receipt_and_balance(page: Page, house: House) -> None:
    sign_in(page)
    take_robot(page)
    before = page.get_by_test_id("ee-position").inner_text()
    page.keyboard.down("w")
    page.wait_for_function(MOVED, arg=[before])
    page.wait_for_function("parseInt(document.querySelector('[data-testid=step-count]').innerText) >= 12")
    page.keyboard.up("w")
    page.get_by_test_id("finish").click()
    score = page.get_by_test_id("score")
    score.wait_for()
    assert 0.0 <= float(score.inner_text().split()[0]) <= 100.0
    receipt = page.get_by_test_id("receipt-index")
    receipt.wait_for(state="attached")
    index = int("".join(filter(str.isdigit, receipt.inner_text())))
    proof = httpx.get(f"{house.url}/api/log/proof/{index}").json()
    assert proof["index"] == index, "what the page shows is in the log"
    assert page.get_by_test_id("balance").first.inner_text().strip()
    assert page.complaints == []  # type: ignore[attr-defined]


def test_a_drive_stops_when_the_page_loses_the_keyboard(page: Page) -> None:
    sign_in(page)
    take_robot(page)
    page.keyboard.down("w")
    driving = "document.querySelector('[data-testid=safety-state]').dataset.state === 'driving'"
    page.wait_for_function(driving)
    page.evaluate("window.dispatchEvent(new Event('blur'))")
    page.wait_for_function("document.querySelector('[data-testid=safety-state]').dataset.state === 'holding'")
    page.keyboard.up("w")


def test_a_wallet_made_in_the_page_survives_a_reload(page: Page) -> None:
    sign_in(page)
    mine = page.get_by_test_id("signed-in").inner_text()
    page.reload()
    page.get_by_test_id("signed-in").wait_for()
    assert page.get_by_test_id("signed-in").inner_text() == mine


@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_is_wider_than_its_screen(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    page.get_by_test_id("make-wallet").wait_for()
    assert page.evaluate(overflow) <= 0
    sign_in(page)
    page.get_by_test_id("robot-card").first.wait_for()
    assert page.evaluate(overflow) <= 0
    take_robot(page)
    assert page.evaluate(overflow) <= 0
