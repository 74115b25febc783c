"""What a person is told when something goes wrong: what happened and what to do, with the button that does it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from teleop.identity import new_key
from tests.armshare.web.test_browser import (
    ARMED,
    LOST,
    PATIENCE_MS,
    READY,
    STATE_IS,
    TRIES,
    opened,
    sign_in,
    take_robot,
)
from tests.browser import complaints
from tests.conftest import House

DEAFENED = """
    function before() {
        const told = new BroadcastChannel('deaf')
        let deaf = false
        told.onmessage = ({ data }) => (deaf = data)
        self.WebSocket = class extends WebSocket {
            set onmessage(hear) {
                super.onmessage = (event) => (deaf && typeof event.data !== 'string') || hear(event)
            }
        }
    }
    const script = (text) => URL.createObjectURL(new Blob([text], { type: 'text/javascript' }))
    window.Worker = class extends Worker {
        constructor(url, options) {
            super(script(`import '${script(`(${before})()`)}'; import '${new URL(url, location.href)}'`), options)
        }
    }
    const deafen = new BroadcastChannel('deaf')
    window.deaf = (deaf) => deafen.postMessage(deaf)
"""
"""`deaf(true)` keeps every state from the page, while its commands go on."""
WATCHING = "document.querySelector('[data-testid=drive-view][data-loaded=true]')"
FOR_PROGRAMS = ("expected", "Expected", "GET /api")


@pytest.fixture
def page(browser: Browser, house: House) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.add_init_script(DEAFENED)
    page = opened(context, house.url)
    sign_in(page)
    yield page
    context.close()


def is_told(page: Page, sentence: str) -> None:
    """Check that the page says that, and shows nothing that was written for programs."""
    expect(page.get_by_test_id("trouble")).to_contain_text(sentence, timeout=PATIENCE_MS)
    for text in FOR_PROGRAMS:
        expect(page.get_by_text(text)).to_have_count(0)


def drives(page: Page) -> None:
    """Hold the key until the robot is driven; press anew if it was lost meanwhile."""
    for _ in range(TRIES):
        page.wait_for_function(READY)
        page.keyboard.down("w")
        page.wait_for_function(f"({STATE_IS})(['driving']) || {LOST}")
        if page.evaluate(f"({STATE_IS})(['driving'])"):
            return
        page.keyboard.up("w")
    pytest.fail(f"the robot was not driven in {TRIES} tries")


def test_nobody_drives_blind_the_page_lets_go_says_so_and_wants_the_key_pressed_anew(page: Page) -> None:
    take_robot(page)
    drives(page)
    page.evaluate("deaf(true)")
    blind = page.get_by_test_id("blind")
    expect(blind).to_contain_text(
        "The picture of the robot stopped coming, so the robot was let go. Wait until it is back."
    )
    page.evaluate("deaf(false)")
    expect(blind).to_contain_text("It is back: press again to go on.")
    page.wait_for_function(STATE_IS, arg=["armed", "holding"])
    page.keyboard.up("w")
    drives(page)
    expect(blind).to_have_count(0)
    page.keyboard.up("w")
    assert complaints(page) == []


@pytest.mark.parametrize("where", ["watch/{}", "drive/{}/lift"], ids=["watching", "driving"])
def test_a_robot_that_is_not_registered_leads_back_to_the_lobby(page: Page, where: str) -> None:
    page.evaluate("(to) => { location.hash = to }", f"#/{where.format(new_key().address)}")
    is_told(page, "This robot is not registered here. Choose another one in the lobby.")
    page.get_by_role("link", name="Back to the lobby", exact=True).click()
    page.get_by_test_id("robot-card").first.wait_for()


def test_a_task_that_the_robot_does_not_offer_leads_back_to_the_lobby(page: Page) -> None:
    robot = page.locator("[data-testid=robot-card][data-state=free]").get_attribute("data-robot")
    page.evaluate("(to) => { location.hash = to }", f"#/drive/{robot}/juggle")
    sentence = "This robot does not offer this task. Choose another one in the lobby."
    expect(page.get_by_text(sentence)).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_text("expected")).to_have_count(0)
    page.get_by_role("link", name="Back to the lobby", exact=True).click()
    page.get_by_test_id("robot-card").first.wait_for()


@pytest.mark.parametrize("where", ["watch/{}", "drive/{}/lift"], ids=["watching", "driving"])
def test_a_sign_in_that_the_hub_has_forgotten_is_renewed_and_the_visit_goes_on(page: Page, where: str) -> None:
    robot = page.locator("[data-testid=robot-card][data-state=free]").get_attribute("data-robot")
    kept = "JSON.parse(localStorage.getItem('armshare.sign-in'))"
    page.evaluate(f"localStorage.setItem('armshare.sign-in', JSON.stringify({{ ...{kept}, token: 'forgotten' }}))")
    page.reload()
    page.evaluate("(to) => { location.hash = to }", f"#/{where.format(robot)}")
    page.wait_for_function(ARMED if where.startswith("drive") else WATCHING)
    expect(page.get_by_test_id("trouble")).to_have_count(0)
