"""Between two drives nobody waits: the next begins while the last is verified, and the page says what became of it."""

from __future__ import annotations

from playwright.sync_api import Browser, Route, expect

from tests.armshare.web.test_browser import MOVED, PATIENCE_MS, opened, sign_in, take_robot
from tests.browser import complaints
from tests.conftest import House

STEPS = "parseInt(document.querySelector('[data-testid=step-count]').innerText)"
SIGNATURE = "**/api/episodes/*/signature"


def test_a_person_drives_again_before_the_last_episode_is_verified_and_is_told_of_it(
    browser: Browser, house: House
) -> None:
    with browser.new_context(viewport={"width": 800, "height": 600}) as context:  # closed, it gives the robot back
        page = opened(context, house.url)
        sign_in(page)
        take_robot(page)
        held: list[Route] = []
        page.route(SIGNATURE, lambda route: held.append(route), times=1)

        def drive_on() -> None:
            before = page.get_by_test_id("ee-position").inner_text()
            page.keyboard.down("w")
            page.wait_for_function(MOVED, arg=[before])
            page.wait_for_function(f"{STEPS} >= 5")
            page.keyboard.up("w")

        drive_on()
        with page.expect_request(SIGNATURE, timeout=PATIENCE_MS):
            page.get_by_test_id("finish").click()
        page.get_by_test_id("again").click(timeout=PATIENCE_MS)
        expect(page.get_by_test_id("step-count")).to_have_text("0", timeout=PATIENCE_MS)
        page.wait_for_function("document.querySelector('[data-testid=safety-state]').dataset.state !== 'expired'")
        drive_on()
        expect(page.get_by_test_id("before")).to_have_count(0)
        held[0].continue_()
        expect(page.get_by_test_id("before")).to_contain_text("of 100", timeout=PATIENCE_MS)
        expect(page.get_by_test_id("score")).to_have_count(0)

        page.get_by_test_id("finish").click()
        page.get_by_test_id("score").wait_for()
        assert complaints(page) == []
