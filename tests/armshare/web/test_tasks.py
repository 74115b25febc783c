"""A robot's task is chosen at its card, and everyone sees it as it is at the task of the moment."""

from __future__ import annotations

import re

from playwright.sync_api import Browser, Page, expect

from sim.catalogue import task
from tests.armshare.web.test_browser import ARMED, LOST, PATIENCE_MS, READY, TRIES, opened, sign_in, take_robot
from tests.browser import complaints
from tests.conftest import House

CARD = "[data-testid=robot-card][data-robot-name=panda-1]"
LOADED = "[data-testid=drive-view][data-loaded=true]"


def said(name: str) -> str:
    return task(name).spec.instruction


def move(page: Page) -> None:
    """Hold a key until a step is recorded."""
    for _ in range(TRIES):
        page.wait_for_function(READY)
        page.keyboard.down("r")
        page.wait_for_function(f"!document.querySelector('[data-testid=finish]').disabled || {LOST}")
        page.keyboard.up("r")
        if page.get_by_test_id("finish").is_enabled():
            return


def test_a_task_is_chosen_at_the_card_and_everyone_sees_the_robot_at_it(browser: Browser, house: House) -> None:
    contexts = [browser.new_context(viewport={"width": 800, "height": 600}) for _ in range(2)]
    page, other = (opened(context, house.url) for context in contexts)
    sign_in(page)
    card = page.locator(CARD)
    expect(card).to_have_attribute("data-state", "free", timeout=PATIENCE_MS)
    lift, reach = card.get_by_role("radio").all()
    expect(lift).to_be_checked(timeout=PATIENCE_MS)
    expect(card.locator("img")).to_have_attribute("src", re.compile("lift-panda"), timeout=PATIENCE_MS)
    lift.focus()
    page.keyboard.press("ArrowRight")
    expect(reach).to_be_checked(timeout=PATIENCE_MS)
    with page.expect_response("**/api/robots"):
        pass
    expect(reach).to_be_checked(timeout=PATIENCE_MS)
    expect(card.locator("img")).to_have_attribute("src", re.compile("reach-panda"), timeout=PATIENCE_MS)
    expect(card.locator(".instruction")).to_have_text(said("reach"), timeout=PATIENCE_MS)
    take_robot(page)
    assert page.url.endswith("/reach")
    expect(page.get_by_text(said("reach"))).to_be_visible(timeout=PATIENCE_MS)

    sign_in(other)
    theirs = other.locator(CARD)
    expect(theirs.locator(".state")).to_contain_text("Being driven: Reach", timeout=PATIENCE_MS)
    theirs.get_by_test_id("watch").click()
    other.locator(LOADED).wait_for()
    expect(other.get_by_text(said("reach"))).to_be_visible(timeout=PATIENCE_MS)

    page.get_by_role("link", name="Leave, back to the lobby").click()
    expect(card).to_have_attribute("data-state", "free", timeout=PATIENCE_MS)
    expect(reach).to_be_checked(timeout=PATIENCE_MS)
    card.get_by_text("Lift", exact=True).click()
    take_robot(page)
    expect(other.get_by_text(said("lift"))).to_be_visible(timeout=PATIENCE_MS)
    other.locator(LOADED).wait_for()
    assert complaints(other) == []

    other.get_by_role("link", name="Leave, back to the lobby").click()
    theirs.get_by_text("Reach", exact=True).click()
    theirs.get_by_test_id("drive").click()
    expect(other.get_by_test_id("queue-position")).to_have_text("1", timeout=PATIENCE_MS)
    other.locator(LOADED).wait_for()
    contexts[0].close()
    other.wait_for_function(ARMED)
    other.locator(LOADED).wait_for()
    move(other)
    expect(other.get_by_text(said("reach"))).to_be_visible(timeout=PATIENCE_MS)
    assert complaints(other) == []
    contexts[1].close()
