"""A gamepad that the browser does not know moves nothing until it was bound, by pressing what the page asks for."""

from __future__ import annotations

from playwright.sync_api import Browser, Page, expect

from tests.armshare.web.test_browser import HAND_X, NOTE_STATES, STATE_IS, numbers, opened, sign_in, take_robot
from tests.browser import complaints
from tests.conftest import House

UNKNOWN = """
    const REST = [0.03, -0.02, 0, 0, 0, 0, 1.2857]  // the triggers, 2 and 5, say so until they are first moved
    window.pad = { id: 'Unknown pad', index: 0, mapping: '', connected: true, axes: [...REST],
                   buttons: Array.from({ length: 11 }, () => ({ value: 0 })) }
    navigator.getGamepads = () => [window.pad]
    window.axis = (i, value) => { window.pad.axes[i] = value }
    window.button = (i, value) => { window.pad.buttons[i].value = value }
"""
ANSWERS = {
    "Push the left stick to the right": ("axis", 0, 1, 0.03),
    "Pull the left stick down": ("axis", 1, 1, -0.02),
    "Push the right stick to the right": ("axis", 3, 1, 0),
    "Pull the right stick down": ("axis", 4, 1, 0),
    "Pull the right trigger": ("axis", 5, 1, -1),
    "Press the button on the right": ("button", 1, 1, 0),
    "Press the button below": ("button", 0, 1, 0),
    "Press the cross up": ("axis", 6, -1, 1.2857),
    "Press the cross down": ("axis", 6, 0.143, 1.2857),
    "Press Start": ("button", 7, 1, 0),
}
"""What is asked for, and the control that a person moves and where it rests; the pad has no others."""


def answer(page: Page, asked: str) -> None:
    """Do what is asked for, as long as a person does, or say that there is no such control."""
    found = next((one for begins, one in ANSWERS.items() if asked.startswith(begins)), None)
    if found is None:
        page.get_by_role("button", name="It has none").click()
        return
    kind, number, pressed, rest = found
    page.evaluate(f"{kind}({number}, {pressed})")
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.evaluate(f"{kind}({number}, {rest})")


def bind(page: Page) -> None:
    """Set the pad up, from the notice to the end."""
    page.get_by_test_id("pad-unknown").get_by_role("button", name="Set it up").click()
    asked = page.get_by_test_id("pad-asked")
    dialog = page.get_by_test_id("pad-binding")
    last = ""
    while True:
        page.wait_for_function(
            """(last) => { const at = document.querySelector('[data-testid=pad-asked]')
               return at ? at.innerText !== last : !document.querySelector('[data-testid=pad-binding] h2') }""",
            arg=last,
        )
        if dialog.count() == 0:
            return
        last = asked.inner_text()
        answer(page, last)


def test_an_unknown_gamepad_drives_only_after_it_was_bound_by_pressing(browser: Browser, house: House) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.add_init_script(UNKNOWN)
    page = opened(context, house.url)
    sign_in(page)
    take_robot(page)
    before = numbers(page, "ee-position")
    page.evaluate(NOTE_STATES)
    page.evaluate("axis(2, -1), axis(5, -1), button(5, 1), button(7, 1)")  # what the standard mapping has as dead-man
    expect(page.get_by_test_id("pad-unknown")).to_contain_text("moves nothing yet")
    page.evaluate("axis(1, -1), axis(5, 1)")
    page.get_by_test_id("open-controls").click()
    expect(page.get_by_test_id("gamepad")).to_contain_text("does not know this gamepad")
    page.get_by_role("button", name="Close the controls").click()
    page.evaluate("button(5, 0), button(7, 0), axis(1, -0.02), axis(5, -1)")
    bind(page)
    assert page.evaluate("[...window.noted]").count("driving") == 0
    page.evaluate("axis(1, -1)")
    page.evaluate("axis(5, 1)")
    page.wait_for_function(f"{HAND_X} > {before[0] + 0.02}")
    page.evaluate("axis(5, -1)")
    page.wait_for_function(STATE_IS, arg=["armed", "holding", "expired"])
    page.evaluate("axis(1, -0.02)")
    assert complaints(page) == []
    page.close()
    page = opened(context, house.url)
    take_robot(page)
    expect(page.get_by_test_id("pad-unknown")).to_have_count(0)
    page.get_by_test_id("open-controls").click()
    expect(page.get_by_test_id("gamepad")).to_contain_text("Set up on this browser")
    assert complaints(page) == []
    context.close()
