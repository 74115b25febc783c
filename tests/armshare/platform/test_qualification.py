"""The first drive in the real processes: a new wallet is not paid, shows that it can drive, and is paid after that."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from armshare.moments import costs_of
from armshare.operator.drive import Outcome, lines
from armshare.operator.handing import Episode
from armshare.platform.demo import demo
from tests.armshare.platform.test_house import armshare
from tests.armshare.web.test_browser import AXE, LOST, PATIENCE_MS, READY, TRIES, checked, opened, sign_in, take_robot
from tests.browser import chromium, complaints
from tests.conftest import House


def test_the_demo_drives_the_first_drive_first_and_is_paid_for_the_rest(untouched: House, tmp_path: Path) -> None:
    outcome = asyncio.run(demo(untouched.url, untouched.admin_token, 1, tmp_path, lambda _: None))
    assert outcome.practice is not None
    assert (outcome.practice.practice, outcome.practice.missing, outcome.practice.pay) == (True, [], "0")
    assert [one.practice for one in outcome.episodes] == [False]
    assert int(outcome.balance) == int(outcome.episodes[0].pay) > 0


def test_a_terminal_says_what_was_practice_and_what_was_missing(untouched: House, tmp_path: Path) -> None:
    key = str(tmp_path / "operator.key")

    def driven(how: str) -> tuple[dict, str]:
        done = armshare("drive", "--hub", untouched.url, "--key", key, "--task", "lift", how, "--json")
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout)
        outcome = Outcome(
            **{**said, "episodes": [Episode(**{**one, "costs": costs_of(one)}) for one in said["episodes"]]}
        )
        return said, "\n".join(lines(outcome))

    lifted, text = driven("--expert")
    assert lifted["episodes"][0]["accepted"]
    assert lifted["episodes"][0]["pay"] == "0"
    assert "practice, not paid, and not qualified yet" in text
    assert all(one in text for one in lifted["episodes"][0]["missing"])
    shown, text = driven("--first-drive")
    assert shown["episodes"][0]["missing"] == []
    assert not shown["episodes"][0]["accepted"], "it does not do the task"
    assert "passed[/green]" in text
    assert "not accepted" not in text
    assert "every check of the first drive passed" in text
    known = httpx.get(f"{untouched.url}/api/operators/{lifted['operator']}").json()
    assert (known["qualified"], known["episode"]) == (True, shown["episodes"][0]["episode"])
    lifted, text = driven("--expert")
    assert int(lifted["episodes"][0]["pay"]) > 0
    assert "practice" not in text


def hold(page: Page, key: str, until: str) -> None:
    """Hold a key until the page shows what is waited for; press anew if the robot was lost meanwhile."""
    shown = f"document.querySelector('{until}') !== null"
    for _ in range(TRIES):
        if page.evaluate(shown):
            return
        page.wait_for_function(READY)
        page.keyboard.down(key)
        page.wait_for_function(f"{shown} || {LOST}")
        page.keyboard.up(key)
    pytest.fail(f"{until} did not come in {TRIES} tries of {key}")


def done(step: str) -> str:
    return f'[data-testid=guide-{step}][data-done="true"]'


def there_and_back(page: Page, away: str, back: str, step: str) -> None:
    """Move the hand away until the guide has seen it, and back until that is done too."""
    hold(page, away, f'[data-testid=guide-{step}]:is([data-share^="0.5"], [data-done="true"])')
    hold(page, back, done(step))


def grip(page: Page, until: str) -> None:
    """Press the gripper's key; where the drive expires on the way, the next motion takes the gripper along."""
    page.wait_for_function(READY)
    page.keyboard.press("Space")
    page.wait_for_function(f"document.querySelector('{until}') !== null || {LOST}")
    hold(page, "f", until)


def test_a_new_wallet_is_guided_through_its_first_drive_is_told_and_is_paid_from_then_on(untouched: House) -> None:
    with chromium() as browser:
        context = browser.new_context(reduced_motion="reduce")
        context.add_init_script(path=AXE)
        page = opened(context, untouched.url)
        sign_in(page)
        page.get_by_test_id("not-qualified").wait_for()
        page.get_by_test_id("robot-card").first.wait_for()
        faults = checked(page, "lobby before the first drive")
        take_robot(page)
        guide = page.get_by_test_id("guide")
        expect(guide).to_have_attribute("data-due", "move_x")
        expect(guide.locator(".now kbd")).to_have_text(["W", "S"])

        faults += checked(page, "guide")
        hold(page, "w", '[data-testid=guide-move_x][data-share^="0.5"]')
        expect(guide).to_have_attribute("data-due", "move_x")
        hold(page, "s", done("move_x"))
        page.get_by_test_id("finish").click()
        missing = page.get_by_test_id("practice")
        missing.wait_for()
        expect(missing).to_have_attribute("data-passed", "false")
        expect(page.get_by_test_id("check-move_x")).to_have_attribute("data-passed", "true")
        expect(page.get_by_test_id("check-gripper")).to_have_attribute("data-passed", "false")
        expect(missing).to_contain_text("What you have shown already counts")
        faults += checked(page, "practice")
        assert faults == [], "\n".join(faults)
        page.get_by_test_id("again").click()

        page.set_viewport_size({"width": 1280, "height": 800})
        expect(guide).to_have_attribute("data-due", "move_y", timeout=PATIENCE_MS)
        for away, back, step in (("a", "d", "move_y"), ("r", "f", "move_z")):
            there_and_back(page, away, back, step)
        grip(page, '[data-testid=guide-gripper][data-share="0.5"]')
        grip(page, done("gripper"))
        rested = "[data-testid=guide-let_go]:is([data-share='0.9'], [data-done=true])"  # done before, on a slow machine
        page.locator(rested).wait_for(state="attached")
        hold(page, "s", done("let_go"))
        expect(guide).to_have_attribute("data-due", "finish")
        page.locator("[data-testid=guide-finish][data-share='1']").wait_for(state="attached")
        page.keyboard.press("Enter")
        passed = page.get_by_test_id("practice")
        passed.wait_for()
        expect(passed).to_have_attribute("data-passed", "true")
        expect(passed).to_contain_text("from now on, accepted episodes are paid")
        expect(page.get_by_test_id("balance").first).to_have_attribute("data-earned", "0")

        page.get_by_test_id("again").click()
        page.get_by_test_id("safety-state").wait_for()
        expect(page.get_by_test_id("step-count")).to_have_text("0", timeout=PATIENCE_MS)
        expect(guide).to_have_count(0)
        hold(page, "w", "[data-testid=finish]:enabled")
        page.get_by_test_id("finish").click()
        page.get_by_test_id("score").wait_for()
        expect(page.get_by_test_id("practice")).to_have_count(0)
        page.goto(f"{untouched.url}/#/")
        page.get_by_test_id("robot-card").first.wait_for()
        expect(page.get_by_test_id("not-qualified")).to_have_count(0)
        assert complaints(page) == []
        context.close()
