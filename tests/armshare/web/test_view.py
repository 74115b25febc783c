"""What the drive page's picture tells: where the robot was sent, which wall a hand touches, and what holds the arm."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from teleop.clock import now_ms
from teleop.host.link import Host
from teleop.host.registration import registration, signed
from teleop.identity import Domain, new_key
from teleop.steps import Events
from tests.armshare.web.test_browser import LOST, PATIENCE_MS, READY, TRIES, numbers, opened, sign_in, take_robot
from tests.browser import complaints
from tests.conftest import House
from tests.teleop.sessions import PANDA, Puppet

VIEW = "document.querySelector('[data-testid=drive-view]').dataset"
HINT = "document.querySelector('[data-testid=hint]')?.dataset.hint"


@pytest.fixture
def page(browser: Browser, house: House) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 800, "height": 600})
    page = opened(context, house.url)
    sign_in(page)
    yield page
    context.close()


@contextmanager
def held_arm(house: House, name: str) -> Iterator[None]:
    """An arm online at the hub that something holds: it stays where it is, wherever it is sent."""
    robot, key, owner = Puppet(PANDA, follows=0.0), new_key(), new_key()
    config = httpx.get(f"{house.url}/api/config").json()
    asked = httpx.post(f"{house.url}/api/robots/challenge", json={"robot": key.address}).raise_for_status().json()
    values = registration(key, owner.address, name, robot, asked["nonce"], now_ms())
    body = signed(values, owner, key, Domain(config["chain_id"], config["vault"]))
    httpx.post(f"{house.url}/api/robots", json=body).raise_for_status()
    loop, started = asyncio.new_event_loop(), queue.SimpleQueue[asyncio.Task[None]]()

    async def serve() -> None:
        host = Host(house.url, key, name, robot, Events())
        serving = asyncio.create_task(host.serve())
        await host.online.wait()
        started.put(serving)
        await asyncio.gather(serving, return_exceptions=True)

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    serving = started.get(timeout=PATIENCE_MS / 1000)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(serving.cancel)
        thread.join()
        loop.close()


def hold_until(page: Page, key: str, condition: str) -> None:
    """Hold a key until a condition is true, and go on holding it; press anew if the robot was lost meanwhile."""
    for _ in range(TRIES):
        page.wait_for_function(READY)
        page.keyboard.down(key)
        page.wait_for_function(f"() => ({condition}) || {LOST}")
        if page.evaluate(f"() => Boolean({condition})"):
            return
        page.keyboard.up(key)
    pytest.fail(f"{condition} did not become true in {TRIES} tries")


def test_a_hand_that_is_driven_into_its_workspace_lights_up_the_wall_and_it_is_said(page: Page) -> None:
    take_robot(page)
    assert page.evaluate(f"{VIEW}.walls") == ""
    hold_until(page, "w", f"{VIEW}.walls === 'x+' && {HINT} === 'edge'")
    expect(page.get_by_test_id("hint")).to_have_text("At the edge of its reach")
    page.keyboard.up("w")
    expect(page.get_by_test_id("hint")).to_have_count(0)
    x = numbers(page, "ee-position")[0]
    hold_until(page, "s", f"{VIEW}.walls === ''")
    page.keyboard.up("s")
    assert numbers(page, "ee-position")[0] < x
    assert complaints(page) == []


def test_where_something_holds_the_arm_its_target_is_drawn_and_it_is_said(page: Page, house: House) -> None:
    with held_arm(house, "held"):
        take_robot(page, "held")
        assert page.evaluate(f"{VIEW}.ghost") == "false"
        hold_until(page, "w", f"{VIEW}.ghost === 'true' && {HINT} === 'blocked'")
        expect(page.get_by_test_id("hint")).to_have_text("Blocked: something is holding the arm")
        page.keyboard.up("w")
        assert complaints(page) == []


def test_the_page_measures_how_long_a_key_takes_to_its_picture(page: Page) -> None:
    take_robot(page)
    hold_until(page, "r", "performance.getEntriesByName('input-to-picture').length > 0")
    page.keyboard.up("r")
    measured = page.evaluate("performance.getEntriesByName('input-to-picture')[0].duration")
    assert measured > 0.0
