"""A person's keys: kept side by side, saved and read back, asked for at the first pay, missed when they are gone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from eth_account import Account
from playwright.sync_api import Browser, Page, expect

from teleop.identity import new_key
from tests.armshare.web.test_browser import AXE, checked, opened, sign_in
from tests.browser import complaints
from tests.conftest import House

EARNED = {"earned": str(9 * 10**17), "settled": "0", "claimed": "0", "wallet": "0", "entries": []}


@pytest.fixture
def page(browser: Browser, house: House) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True)
    context.add_init_script(path=AXE)
    page = opened(context, house.url)
    yield page
    context.close()


def address(page: Page) -> str:
    return str(page.get_by_test_id("signed-in").get_attribute("data-address"))


def sign_out(page: Page) -> None:
    page.get_by_test_id("signed-in").click()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_test_id("signed-in").wait_for(state="detached")


def saved(page: Page, inside: str) -> Path:
    """Save the key, as a person does; return the file."""
    with page.expect_download() as download:
        page.locator(inside).get_by_test_id("save-key").click()
    return download.value.path()


def earns(page: Page) -> None:
    """Let every wallet have earned something: what the page says to that is what is tested."""
    page.route("**/api/balances/*", lambda route: route.fulfill(json={**EARNED, "address": route.request.url[-42:]}))


def test_an_imported_key_is_kept_beside_the_one_that_was_there_and_both_can_be_used(page: Page) -> None:
    sign_in(page)
    first = address(page)
    sign_out(page)
    other = new_key()
    page.get_by_role("button", name="Import a key").click()
    page.get_by_label("Private key").fill(bytes(other.key).hex())
    page.get_by_role("button", name="Use it").click()
    page.get_by_test_id("signed-in").wait_for()
    assert address(page) == other.address
    page.get_by_test_id("signed-in").click()
    page.get_by_test_id("switch-wallet").click()
    expect(page.get_by_test_id("signed-in")).to_have_attribute("data-address", first)
    page.reload()
    expect(page.get_by_test_id("signed-in")).to_have_attribute("data-address", first)
    sign_out(page)
    expect(page.get_by_test_id("wallet")).to_have_count(2)
    assert {one.get_attribute("data-address") for one in page.get_by_test_id("wallet").all()} == {first, other.address}
    assert complaints(page) == []


def test_signed_out_a_key_can_still_be_saved_read_back_and_deleted_only_after_a_question(page: Page) -> None:
    sign_in(page)
    mine = address(page)
    sign_out(page)
    earns(page)
    row = f"[data-testid=wallet][data-address='{mine}']"
    page.locator(row).get_by_test_id("wallet-more").click()
    file = saved(page, row)
    backup = json.loads(file.read_text())
    assert Account.from_key(backup["private_key"]).address == backup["address"] == mine
    check = page.locator(row).get_by_test_id("check-key")
    check.set_input_files({"name": "other.json", "mimeType": "application/json", "buffer": b'{"private_key": "0x12"}'})
    expect(page.locator(row).get_by_role("alert")).to_contain_text("not a wallet backup")
    expect(page.locator(row).locator("[data-saved=true]")).to_have_count(0)
    check.set_input_files(file)
    expect(page.locator(row).locator("[data-saved=true]")).to_have_count(1)

    page.locator(row).get_by_test_id("ask-delete").click()
    expect(page.locator(row).get_by_role("alert")).to_contain_text("This wallet has earned 0.9 ARM.")
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    assert page.evaluate("document.querySelector('h1').getBoundingClientRect().right") <= 390
    assert checked(page, "signed out") == []
    page.locator(row).get_by_role("button", name="Keep it").click()
    expect(page.get_by_test_id("wallet")).to_have_count(1)
    page.locator(row).get_by_test_id("ask-delete").click()
    page.locator(row).get_by_test_id("delete-key").click()
    expect(page.get_by_test_id("wallet")).to_have_count(0)
    page.get_by_role("button", name="Import a key").click()
    page.get_by_test_id("import-file").set_input_files(file)
    expect(page.get_by_test_id("signed-in")).to_have_attribute("data-address", mine)


def test_at_the_first_pay_the_page_asks_to_save_the_key_until_it_was_read_back(page: Page) -> None:
    sign_in(page)
    page.get_by_test_id("robot-card").first.wait_for()
    expect(page.get_by_test_id("backup")).to_have_count(0)
    earns(page)
    page.reload()
    asked = page.get_by_test_id("backup")
    expect(asked).to_contain_text("You have earned 0.9 ARM. Save the key of your wallet now.")
    assert checked(page, "backup") == []
    file = saved(page, "[data-testid=backup]")
    asked.get_by_test_id("check-key").set_input_files(file)
    expect(asked.get_by_role("status")).to_contain_text("The file holds the key of")
    page.reload()
    page.get_by_test_id("robot-card").first.wait_for()
    expect(page.get_by_test_id("balance")).to_have_attribute("data-earned", EARNED["earned"])
    expect(asked).to_have_count(0)


def test_when_the_browsers_data_is_cleared_the_open_page_still_has_the_key_and_says_so(page: Page) -> None:
    sign_in(page)
    page.evaluate("localStorage.clear()")
    lost = page.get_by_test_id("key-lost")
    expect(lost).to_contain_text("This browser's data was cleared.")
    assert json.loads(saved(page, "[data-testid=key-lost]").read_text())["address"] == address(page)
    lost.get_by_test_id("keep-key").click()
    expect(lost).to_have_count(0)
    assert page.evaluate("JSON.parse(localStorage.getItem('armshare.wallets')).length") == 1


def test_after_the_keys_are_gone_the_page_says_what_is_lost_and_how_it_comes_back(page: Page) -> None:
    sign_in(page)
    mine = address(page)
    key = page.evaluate("JSON.parse(localStorage.getItem('armshare.wallets'))[0].key")
    earns(page)
    page.evaluate("localStorage.clear()")
    page.reload()
    told = page.locator(f"[data-testid=lost-wallet][data-address='{mine}']")
    expect(told).to_contain_text("is no longer in this browser")
    expect(told).to_contain_text("It has earned 0.9 ARM, and holds 0 ARM.")
    assert checked(page, "lost wallet") == []
    told.get_by_role("button", name="Import a saved key").click()
    page.get_by_label("Private key").fill(key)
    page.get_by_role("button", name="Use it").click()
    expect(page.get_by_test_id("signed-in")).to_have_attribute("data-address", mine)
    sign_out(page)
    expect(told).to_have_count(0)
