"""What people trip over while they drive: the focus, Esc, a phone, a slow load, a limit, a page that was left open."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Route, expect

from armshare.owner import clear
from tests.armshare.web.test_browser import (
    ARMED,
    LOST,
    PATIENCE_MS,
    READY,
    STATE_IS,
    TRIES,
    drive,
    numbers,
    opened,
    sign_in,
    take_robot,
)
from tests.armshare.web.test_trouble import drives
from tests.browser import complaints
from tests.conftest import House

GRIPPER = ".keys kbd.wide"
PAUSE = "[data-testid=show-pause], [data-testid=moment][data-kind=idle]"
"""What shows a pause: the page's own word for it, or the moment that the rules tell."""
STEPS = "parseInt(document.querySelector('[data-testid=step-count]').innerText)"
NEEDS = {"moved_m": 0.05, "rest_s": 0.5, "duration_s": 5, "limited": 0.25}
WITHOUT_WEBGL = """
    const get = HTMLCanvasElement.prototype.getContext
    HTMLCanvasElement.prototype.getContext = function (kind, ...more) {
        return kind.startsWith('webgl') ? null : get.call(this, kind, ...more)
    }
"""
PHONE = {"width": 390, "height": 844}
SIDEWAYS = {"width": 844, "height": 390}


@contextmanager
def someone(browser: Browser, house: House, script: str = "", **options: Any) -> Iterator[Page]:
    """Somebody who has signed in."""
    context: BrowserContext = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
    if script:
        context.add_init_script(script)
    try:
        page = opened(context, house.url)
        sign_in(page)
        yield page
    finally:
        context.close()


def state_of_panda(house: House) -> str:
    """Return what the lobby says of the robot."""
    (robot,) = [each for each in httpx.get(f"{house.url}/api/robots").json() if each["name"] == "panda-1"]
    return str(robot["state"])


def uncovered(page: Page, shown: Locator) -> None:
    """Check that a control is whole on the screen, and under nothing."""
    expect(shown).to_be_in_viewport(ratio=1)
    on_top = """(at) => {
        const { x, y, width, height } = at.getBoundingClientRect()
        return at.contains(document.elementFromPoint(x + width / 2, y + height / 2))
    }"""
    assert shown.evaluate(on_top), shown


def test_the_keys_drive_wherever_the_focus_is_unless_somebody_writes(browser: Browser, house: House) -> None:
    with someone(browser, house) as page:
        take_robot(page)
        camera = page.get_by_test_id("open-camera").filter(has_text="front")
        camera.click()
        for focused in (camera, page.get_by_label("Next view"), page.get_by_label("Leave, back to the lobby")):
            closed = page.locator(f"{GRIPPER}.held").count()
            focused.focus()
            page.keyboard.press("Space")
            expect(page.locator(f"{GRIPPER}.held")).to_have_count(1 - closed)
            page.wait_for_function(STATE_IS, arg=["armed", "holding"])
        expect(camera).to_have_attribute("aria-pressed", "true")

        page.evaluate("document.body.append(Object.assign(document.createElement('input'), { id: 'note' }))")
        page.locator("#note").focus()
        before = numbers(page, "ee-position")
        page.keyboard.type("w h 1")
        assert page.locator("#note").input_value() == "w h 1"
        expect(page.get_by_role("complementary")).to_have_count(0)
        page.get_by_test_id("drive-view").click(position={"x": 640, "y": 150})
        assert page.evaluate("document.activeElement === document.body")
        drive(page, "w", "ee-position", 0, before[0] + 0.02)

        page.get_by_label("Next view").focus()
        page.keyboard.press("Enter")
        page.get_by_test_id("again").wait_for()  # it finished
        expect(page.get_by_test_id("estop")).to_have_count(0)
        assert complaints(page) == []


def test_esc_closes_what_is_open_and_only_then_stops_and_it_is_said_before_and_after(
    browser: Browser, house: House
) -> None:
    with someone(browser, house) as page:
        take_robot(page)
        expect(page.get_by_test_id("first")).to_contain_text(
            "Esc closes what is open. If nothing is open, it is the emergency stop"
        )
        page.get_by_test_id("open-camera").filter(has_text="front").click()
        page.get_by_test_id("camera").get_by_role("button").click()
        page.get_by_label("front camera, smaller").wait_for()
        page.keyboard.press("h")
        drives(page)
        page.keyboard.press("Escape")
        expect(page.get_by_role("complementary")).to_have_count(0)
        page.wait_for_function(STATE_IS, arg=["holding", "armed", "expired"])  # it let go
        page.keyboard.up("w")
        expect(page.get_by_test_id("escaped")).to_contain_text("Esc stops the robot if nothing is open")
        page.keyboard.press("Escape")
        page.get_by_label("front camera, larger").wait_for()
        page.keyboard.press("Escape")
        expect(page.get_by_test_id("camera")).to_have_count(0)
        page.get_by_label("Leave, back to the lobby").click()
        page.get_by_test_id("stay").evaluate("(button) => button.blur()")  # as a click beside the dialog does
        page.keyboard.press("Escape")
        page.get_by_test_id("leaving").wait_for(state="detached")
        expect(page.get_by_test_id("estop")).to_be_visible()
        assert state_of_panda(house) == "driven", "nothing was stopped"
        page.keyboard.press("Escape")
        try:
            told = page.get_by_test_id("stopped")
            expect(told).to_contain_text("Stopped by you.")
            expect(told).to_contain_text(
                "Only the robot's owner can clear the stop: on this page, or with armshare clear panda-1 in a terminal."
            )
            expect(page.get_by_test_id("estop")).to_have_count(0)
        finally:
            with ThreadPoolExecutor() as apart:  # this thread has a loop already, the browser's
                apart.submit(asyncio.run, clear(house.url, house.data, "panda-1")).result()
        expect(page.get_by_test_id("again")).to_be_enabled()


def not_qualified(route: Route) -> None:
    """Answer as for a wallet that has yet to show that it can drive."""
    operator = {"address": "0x", "qualified": False, "since_ms": None, "episode": None, "checks": [], "needs": NEEDS}
    route.fulfill(body=json.dumps({**operator, "shown": []}), content_type="application/json")


def overlap(one: Locator, other: Locator) -> bool:
    """Whether two things on the screen lie on each other."""
    a, b = one.bounding_box(), other.bounding_box()
    assert a is not None
    assert b is not None
    apart = (
        a["x"] + a["width"] <= b["x"]
        or b["x"] + b["width"] <= a["x"]
        or a["y"] + a["height"] <= b["y"]
        or b["y"] + b["height"] <= a["y"]
    )
    return not apart


def test_on_a_phone_the_robot_has_the_screen_and_nothing_lies_on_a_control(browser: Browser, house: House) -> None:
    with someone(browser, house, viewport=PHONE, has_touch=True) as page:
        page.route("**/api/operators/*", not_qualified)
        page.reload()
        take_robot(page)
        page.get_by_test_id("open-camera").filter(has_text="front").tap()
        controls = [page.get_by_test_id(name) for name in ("estop", "finish", "fullscreen", "open-controls")]
        controls += [page.get_by_label(name, exact=True) for name in ("Help", "Next view", "Leave, back to the lobby")]
        controls += [page.get_by_role("button", name="Close", exact=True), *page.locator(".pad").all()]
        guide, room = page.get_by_test_id("guide"), page.locator(".room")
        for size in (PHONE, SIDEWAYS):
            page.set_viewport_size(size)
            for shown in controls:
                uncovered(page, shown)
                assert not overlap(guide, shown), f"the guide lies on {shown}"
            assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
            cut = "(at) => at.scrollWidth > at.clientWidth || at.scrollHeight > at.clientHeight"
            assert not page.locator(".about .what p").first.evaluate(cut), "the whole task can be read"
        across = room.bounding_box()
        assert across is not None
        assert across["width"] * across["height"] > 0.3 * 844 * 390
        page.get_by_label("Help", exact=True).tap()
        expect(page.get_by_role("complementary")).to_contain_text("a finger is on a pad")
        expect(page.get_by_text("hold a key")).to_be_hidden()
        page.get_by_label("Close the help").tap()
        page.unroute("**/api/operators/*")
        page.reload()
        page.wait_for_function(ARMED)
        for size in (SIDEWAYS, PHONE):
            page.set_viewport_size(size)
            assert not overlap(page.get_by_test_id("cameras"), page.get_by_test_id("first"))
        upright = room.bounding_box()
        assert upright is not None
        assert upright["height"] >= 0.64 * 844
        tops = page.locator(".top .about").bounding_box(), page.locator(".bottom").bounding_box()
        assert tops[0] is not None
        assert tops[1] is not None
        assert tops[1]["y"] - tops[0]["y"] - tops[0]["height"] >= 2 / 3 * 844
        assert complaints(page) == []


def test_nothing_is_armed_before_the_robot_is_drawn_and_the_page_says_what_loads(
    browser: Browser, house: House
) -> None:
    with someone(browser, house) as page:
        page.route("**/assets/models/**/*.obj", lambda _route: None)  # it is under way
        page.locator("[data-testid=robot-card][data-robot-name=panda-1]").get_by_test_id("drive").click()
        page.get_by_role("heading", name="Loading the robot").wait_for()
        expect(page.get_by_test_id("loading")).to_contain_text("0 of")
        page.keyboard.press("w")
        expect(page.get_by_test_id("safety-state")).to_have_attribute("data-state", "expired")
        page.unroute("**/assets/models/**/*.obj")  # lets go on what was held
        page.wait_for_function(ARMED)
        assert page.get_by_test_id("drive-view").get_attribute("data-loaded") == "true"
        assert complaints(page) == []


def test_without_webgl_nobody_is_given_a_robot_and_it_is_said_what_to_do(browser: Browser, house: House) -> None:
    with someone(browser, house, WITHOUT_WEBGL) as page:
        page.locator("[data-testid=robot-card][data-robot-name=panda-1]").get_by_test_id("drive").click()
        told = page.get_by_test_id("trouble")
        expect(told).to_contain_text("This browser cannot draw in 3D (WebGL)")
        expect(told).to_contain_text("Turn on hardware acceleration")
        for absent in ("estop", "finish"):
            expect(page.get_by_test_id(absent)).to_have_count(0)
        assert state_of_panda(house) == "free"


def test_a_joint_at_the_end_of_its_range_is_said_at_its_key(browser: Browser, house: House) -> None:
    """On a busy machine the robot expires, and an episode's minute may be over before the joint is at its end."""
    lacking = "[...document.querySelectorAll('kbd[data-lacking=joint]')].map((key) => key.dataset.motion)"
    hint = "document.querySelector('[data-testid=hint][data-hint=joint]')?.innerText"
    over = "document.querySelector('[data-testid=again]')"
    with someone(browser, house) as page:
        take_robot(page)
        for _ in range(TRIES):
            page.wait_for_function(f"{READY} || {over}")
            if page.evaluate(f"{over} !== null"):
                page.get_by_test_id("again").click()
                page.wait_for_function(READY)
            page.keyboard.down("ArrowLeft")
            page.wait_for_function(f"({hint} && {lacking}.length) || {LOST} || {over}")
            shown = page.evaluate(f"({{ hint: {hint}, lacking: {lacking} }})")
            page.keyboard.up("ArrowLeft")
            if shown.get("hint") and shown["lacking"]:
                break
        assert "is at the end of its range" in str(shown.get("hint"))
        assert shown["lacking"] == ["yaw+"]
        expect(page.locator("[data-testid=hint][data-hint=joint]")).to_have_count(0)


def test_a_result_tells_when_one_paused_and_gives_the_robot_back_once_nobody_uses_it(
    browser: Browser, house: House
) -> None:
    with someone(browser, house) as page:
        page.clock.install()
        take_robot(page)
        start = numbers(page, "ee-position")
        drive(page, "w", "ee-position", 0, start[0] + 0.05)
        begun = page.evaluate(STEPS)
        page.wait_for_function(f"{STEPS} >= {begun + 50}", timeout=PATIENCE_MS)
        drive(page, "r", "ee-position", 2, start[2] + 0.05)
        page.get_by_test_id("finish").click()
        page.get_by_test_id("score").wait_for()
        show = page.locator(PAUSE).first
        at_s = float(show.get_attribute("data-at") or "nan")
        assert 0.0 < at_s < 60.0
        page.get_by_test_id("scrubber").fill("0")
        show.click()
        page.wait_for_function(f"+document.querySelector('[data-testid=scrubber]').value >= {at_s} - 0.1")
        expect(page.get_by_test_id("estop")).to_have_count(0)
        expect(page.get_by_test_id("kept")).to_contain_text("for two minutes")
        page.clock.fast_forward(90_000)
        expect(page.get_by_test_id("kept")).to_contain_text("The robot is given back in")
        assert state_of_panda(house) == "driven"
        page.clock.fast_forward(40_000)
        expect(page.get_by_test_id("given-back")).to_be_visible()
        page.wait_for_function(
            "fetch('/api/robots').then((answer) => answer.json()).then(([one]) => one.state === 'free')"
        )
        expect(page.get_by_test_id("score")).to_be_visible()
        page.get_by_test_id("again").click()
        page.wait_for_function(ARMED)


def test_a_robot_goes_from_a_result_to_whoever_waits(browser: Browser, house: House) -> None:
    with someone(browser, house) as page, someone(browser, house) as other:
        page.clock.install()
        take_robot(page)
        drive(page, "w", "ee-position", 0, numbers(page, "ee-position")[0] + 0.03)
        page.get_by_test_id("finish").click()
        page.get_by_test_id("again").wait_for()
        other.locator("[data-testid=robot-card][data-robot-name=panda-1]").get_by_test_id("drive").click()
        other.get_by_test_id("queue-position").wait_for()
        for absent in ("estop", "finish"):
            expect(other.get_by_test_id(absent)).to_have_count(0)
        expect(page.get_by_test_id("kept")).to_contain_text("Somebody is waiting")
        page.clock.fast_forward(21_000)
        other.wait_for_function(ARMED)
        expect(page.get_by_test_id("given-back")).to_be_visible()


@pytest.mark.parametrize("width", [390, 844, 1920])
def test_the_account_menu_hangs_under_its_chip(browser: Browser, house: House, width: int) -> None:
    with someone(browser, house, viewport={"width": width, "height": 900}) as page:
        chip, menu = page.get_by_test_id("signed-in"), page.locator("#account")
        chip.click()
        expect(menu).to_be_in_viewport(ratio=1)
        button, panel = chip.bounding_box(), menu.bounding_box()
        assert button is not None
        assert panel is not None
        assert 0 <= panel["y"] - button["y"] - button["height"] < 16
        assert panel["x"] <= button["x"] + button["width"]
        assert panel["x"] + panel["width"] == pytest.approx(button["x"] + button["width"], abs=1)


def test_a_card_stays_under_the_pointer_whatever_its_robot_does(browser: Browser, house: House) -> None:
    states = {"a": "free", "b": "free", "c": "driven"}

    def answered(route: Route) -> None:
        robot = httpx.get(f"{house.url}/api/robots").json()[0]
        more = [{**robot, "robot": f"0x{name}", "name": name, "state": state} for name, state in states.items()]
        route.fulfill(body=json.dumps(more), content_type="application/json")

    with someone(browser, house) as page:
        page.route("**/api/robots", answered)
        page.reload()
        cards = page.get_by_test_id("robot-card")
        expect(cards).to_have_count(3)
        names = "els => els.map((each) => each.dataset.robotName + each.dataset.state[0]).join(' ')"
        assert cards.evaluate_all(names) == "af bf cd"
        states.update(a="offline", c="free")
        cards.filter(has_text="Offline").wait_for()
        assert cards.evaluate_all(names) == "ao bf cf"
