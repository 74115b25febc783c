"""Before sign-in: who drives now, what was driven, what it pays and why; and films that move only if one wants that."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.armshare.web.test_browser import AXE, PATIENCE_MS, STATE_IS, checked, opened, sign_in, take_robot
from tests.browser import complaints
from tests.conftest import House


@pytest.fixture
def page(browser: Browser, house: House) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    context.add_init_script(path=AXE)
    yield opened(context, house.url)
    context.close()


def test_a_stranger_watches_a_live_robot_and_cannot_touch_it(browser: Browser, house: House, page: Page) -> None:
    with browser.new_context(viewport={"width": 800, "height": 600}) as context:
        driver = opened(context, house.url)
        sign_in(driver)
        take_robot(driver)
        live = page.locator("[data-testid=live-robot][data-state=driven]")
        live.get_by_role("link", name="Watch panda-1").click(timeout=PATIENCE_MS)
        page.locator("[data-testid=drive-view][data-loaded=true]").wait_for()
        expect(page.get_by_test_id("driver")).to_contain_text("Driven by 0x")
        page.wait_for_function(STATE_IS, arg=["armed", "holding"])
        for touching in ("estop", "clear", "finish", "open-camera"):
            expect(page.get_by_test_id(touching)).to_have_count(0)
        page.set_viewport_size({"width": 844, "height": 390})
        room = page.locator(".room").bounding_box()
        assert room is not None
        assert room["height"] >= 0.9 * 390, "on a phone held sideways the robot has the height"
        page.get_by_role("link", name="Sign in to drive").click()
        expect(page.get_by_test_id("wanted")).to_contain_text("Sign in to drive")
    assert complaints(page) == []


def test_before_sign_in_a_person_learns_what_is_earned_here_and_where_to_read_on(page: Page, house: House) -> None:
    page.get_by_test_id("live-robot").first.wait_for()
    expect(page.get_by_role("heading", name="What you earn, and how")).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("Lift"))).to_contain_text("1 ARM")
    expect(page.get_by_test_id("fetching")).to_have_text(
        re.compile(rf"armshare fetch episodes --task \w+ --hub {house.url}")
    )
    expect(page.get_by_test_id("ordering")).to_have_text(
        re.compile(rf"armshare export episodes/\* --to \w+ .*--camera side .*--hub {house.url}")
    )
    assert checked(page, "front page") == []
    contract = page.get_by_role("link", name="The contract that pays, its source")
    source = page.request.get(contract.evaluate("(link) => link.href"))
    assert "contract RewardVault" in source.text()
    assert source.headers["content-type"] == "text/plain; charset=utf-8"
    config = page.request.get(f"{house.url}/api/config").json()
    expect(page.get_by_test_id("vault")).to_have_text(config["vault"])
    scoring = page.get_by_role("link", name="How a score and its pay are made")
    assert page.request.get(scoring.evaluate("(link) => link.href")).text().startswith("# Scoring and pay")
    page.get_by_role("navigation").get_by_role("link", name="Rules and pay").click()
    expect(page.get_by_role("heading", name="What counts")).to_be_visible()
    expect(page.get_by_role("navigation").get_by_role("link", name="Rules and pay")).to_have_attribute(
        "aria-current", "page"
    )
    assert checked(page, "rules") == []
    assert complaints(page) == []


def test_a_film_plays_if_one_wants_it_and_not_for_those_who_want_less_motion(page: Page) -> None:
    film = page.get_by_test_id("live-robot").get_by_test_id("film").first
    expect(film).to_have_attribute("src", re.compile("lift-panda"))
    assert film.evaluate("(video) => video.paused")
    page.get_by_test_id("live-robot").get_by_role("button", name="Play the films").click()
    page.wait_for_function("document.querySelector('[data-testid=film]').currentTime > 0.2")
    seconds = film.evaluate("(video) => [video.duration, video.loop, video.muted]")
    assert seconds == [pytest.approx(3.0, abs=0.1), True, True]
    page.get_by_role("button", name="Pause the films").first.click()
    page.wait_for_function("document.querySelector('[data-testid=film]').paused")
