"""Two people at one robot: the first hears of the second, who sees place and wait, and is called when it is time."""

from __future__ import annotations

import re

from playwright.sync_api import Browser, expect

from tests.armshare.web.test_browser import ARMED, HIDE, opened, sign_in, take_robot
from tests.browser import complaints
from tests.conftest import House

ASKED_AND_HEARD = """
    window.Notification = class {
        static permission = 'default'
        static requestPermission = async () => (Notification.permission = 'granted')
        constructor(title, options) { window.notified = [title, options.body] }
    }
    const Real = AudioContext
    window.AudioContext = class extends Real { constructor() { super(); window.chimed = true } }
"""
SHOW = HIDE.replace("value: true", "value: false")


def test_who_waits_sees_place_and_wait_and_is_called_when_it_is_their_turn(browser: Browser, house: House) -> None:
    first, second = (browser.new_context(viewport={"width": 800, "height": 600}) for _ in range(2))
    second.add_init_script(ASKED_AND_HEARD)
    page = opened(first, house.url)
    sign_in(page)
    take_robot(page)

    waiting = opened(second, house.url)
    sign_in(waiting)
    card = waiting.locator("[data-testid=robot-card][data-robot-name=panda-1]")
    expect(card).to_have_attribute("data-state", "driven")
    expect(card.get_by_test_id("wait")).to_contain_text(re.compile("wait: (about|less than) "))
    expect(card.locator("img")).to_have_attribute("src", re.compile("lift-panda"))
    assert card.locator("img").evaluate("(img) => img.decode().then(() => img.naturalWidth)") == 640
    card.get_by_test_id("drive").click()
    expect(waiting.get_by_test_id("queue-position")).to_have_text("1")
    expect(waiting.get_by_test_id("queue-wait")).to_have_attribute("data-seconds", re.compile(r"^\d+$"))
    assert waiting.evaluate("Notification.permission") == "default", "nobody is asked unasked"
    waiting.get_by_test_id("tell-me").click()
    expect(waiting.get_by_test_id("tell-me")).to_have_count(0)
    assert waiting.title() == "armshare"

    told = page.get_by_test_id("waiting")
    expect(told).to_have_text(re.compile(r"^1 person waiting; yours for \d+ (min|s) more$"))
    expect(page.get_by_role("status").filter(has_text="1 person waiting for this robot.")).to_have_count(1)
    waiting.get_by_role("link", name="Leave the queue").click()
    expect(told).to_have_count(0)
    card.get_by_test_id("drive").click()
    expect(told).to_be_visible()

    waiting.evaluate(HIDE)
    first.close()
    waiting.wait_for_function("document.title === 'Your turn: panda-1'")
    assert waiting.evaluate("window.notified") == ["Your turn", "panda-1 is yours now."]
    assert waiting.evaluate("window.chimed")
    waiting.evaluate(SHOW)
    assert waiting.title() == "armshare"
    waiting.wait_for_function(ARMED)
    assert complaints(waiting) == []
    second.close()
