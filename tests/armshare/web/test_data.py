"""Who looks for data finds it without signing in: as pictures that move, in an address that shows the same again."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.armshare.web.test_browser import AXE, PATIENCE_MS, checked, opened
from tests.browser import complaints
from tests.conftest import House

DRIVES = 3
LOADED = "[...document.querySelectorAll('[data-testid=moving]')].every((each) => each.dataset.there === 'true')"


@pytest.fixture(scope="module")
def driven(browser: Browser, house: House, tmp_path_factory: pytest.TempPathFactory) -> House:
    """A platform on which somebody has lifted the cube a few times."""
    with browser.new_context() as context:
        opened(context, house.url).get_by_test_id("live-robot").first.wait_for()
    key = str(tmp_path_factory.mktemp("keys") / "operator.key")
    words = ["--hub", house.url, "--expert", "--robot", "panda-1", "--task", "lift", "--episodes", str(DRIVES)]
    subprocess.run([sys.executable, "-m", "armshare", "drive", *words, "--key", key], check=True, timeout=200)
    return house


@pytest.fixture
def page(browser: Browser, driven: House) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.add_init_script(path=AXE)
    context.add_init_script("localStorage.setItem('armshare.graphics', 'full')")  # as with a graphics chip
    yield opened(context, driven.url)
    context.close()


def test_a_stranger_narrows_the_episodes_and_a_link_shows_the_same(page: Page, driven: House) -> None:
    page.get_by_role("navigation").get_by_role("link", name="Data").click()
    page.get_by_test_id("found").first.wait_for()
    page.locator("[data-testid=facet][data-value=lift]:visible").click()
    page.get_by_test_id("order").select_option("best")
    page.get_by_test_id("camera").select_option("side")
    expect(page).to_have_url(f"{driven.url}/#/data?task=lift&order=best&camera=side")
    total = page.get_by_test_id("total").inner_text()
    page.reload()
    expect(page.get_by_test_id("total")).to_have_text(total)
    expect(page.get_by_test_id("chip")).to_have_text("Lift")
    page.wait_for_function(LOADED)
    page.get_by_test_id("found").first.hover()
    page.locator("[data-testid=moving][data-moving=true] video").wait_for(timeout=PATIENCE_MS)
    assert page.locator("video").count() == 1, "only what is looked at moves"
    page.mouse.move(0, 0)
    expect(page.locator("video")).to_have_count(0)
    assert checked(page, "data") == []
    page.get_by_test_id("list").click()
    expect(page.get_by_test_id("rows")).to_be_visible()
    assert checked(page, "list of data") == []
    page.get_by_test_id("chip").click()
    expect(page).to_have_url(f"{driven.url}/#/data?order=best&camera=side&view=list")
    assert complaints(page) == []
    page.get_by_test_id("grid").click()
    comes_back_to_where_it_was(page)
    page.goto(f"{driven.url}/#/data?colour=red")
    expect(page.get_by_test_id("trouble")).to_contain_text("Choose from the filters that are shown")
    page.get_by_role("button", name="Clear all filters").click()
    page.get_by_test_id("found").first.wait_for()


def comes_back_to_where_it_was(page: Page) -> None:
    page.set_viewport_size({"width": 1280, "height": 300})
    page.evaluate("scrollTo({ top: 150, behavior: 'instant' })")
    page.wait_for_function("scrollY === 150")
    page.evaluate("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
    page.locator("[data-testid=found] a").last.evaluate("(link) => link.click()")
    page.locator("[data-testid=facts]").wait_for()
    page.go_back()
    page.wait_for_function("scrollY === 150")


def test_episodes_that_are_chosen_become_a_data_set_with_a_page(page: Page, driven: House) -> None:
    page.goto(f"{driven.url}/#/data?task=lift")
    boxes = page.locator("[data-testid=found] input")
    boxes.first.wait_for(state="attached")
    boxes.nth(0).click()
    boxes.nth(DRIVES - 1).click(modifiers=["Shift"])
    expect(page.get_by_test_id("selected")).to_contain_text(f"{DRIVES} episodes chosen")
    page.get_by_test_id("open-make").click()
    page.get_by_test_id("make-wallet").click()
    page.get_by_test_id("make-it").click()
    expect(page.get_by_test_id("make-set").get_by_role("alert")).to_contain_text("It still needs a title")
    page.get_by_label("Title").fill("Lifts, for a test")
    page.get_by_label("Whose it is").fill("page-test")
    assert checked(page, "making a data set") == []
    page.get_by_test_id("make-it").click()

    expect(page).to_have_url(f"{driven.url}/#/data/page-test/lifts-for-a-test/1")
    expect(page.get_by_role("heading", name="Lifts, for a test")).to_be_visible()
    page.get_by_test_id("coverage").wait_for()  # the hub has counted
    expect(page.get_by_test_id("plot")).not_to_have_count(0)
    expect(page.get_by_test_id("facts")).to_contain_text(re.compile(rf"Episodes\s*{DRIVES}"))
    expect(page.get_by_test_id("downloading")).to_have_text(
        f"armshare download page-test/lifts-for-a-test@1 --hub {driven.url}"
    )
    assert checked(page, "data set") == []
    page.get_by_role("link", name=re.compile("^See all")).click()
    expect(page.get_by_test_id("total")).to_have_text(f"{DRIVES} episodes")
    page.get_by_role("link", name="Data sets").click()
    page.get_by_test_id("find-sets").fill("for a test")
    expect(page.get_by_test_id("set")).to_have_count(1)
    assert checked(page, "data sets") == []
    assert complaints(page) == []
