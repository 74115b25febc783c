"""Every address leads somewhere: a robot by its name, a page that says what is not there, and a sign-in that renews."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest
from eth_account.messages import encode_defunct
from playwright.sync_api import Browser, Page, expect

from teleop.identity import new_key
from tests.armshare.web.test_browser import ARMED, PATIENCE_MS, opened, sign_in
from tests.browser import complaints
from tests.conftest import House

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
KEPT = "JSON.parse(localStorage.getItem('armshare.sign-in'))"
CHANGE_KEPT = f"(to) => localStorage.setItem('armshare.sign-in', JSON.stringify({{ ...{KEPT}, ...to }}))"
LOCKED_WALLET = """
    window.ethereum = { request: async ({ method, params }) => {
        if (method === 'eth_accounts') return []
        if (method === 'eth_requestAccounts') return [await window.walletAddress()]
        if (method === 'personal_sign') return window.walletSign(params[0])
        throw new Error(method)
    } }
"""


@pytest.fixture(scope="module")
def visitor(browser: Browser, house: House) -> Iterator[Page]:
    """Somebody who is signed in; these tests only look."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = opened(context, house.url)
    sign_in(page)
    yield page
    assert complaints(page) == []
    context.close()


def go(page: Page, hash_: str) -> None:
    page.evaluate("(to) => { location.hash = to }", hash_)


@pytest.mark.parametrize("where", ["#/drive/panda-1/lift", "#/drive/Panda-1/lift/"])
def test_a_robots_name_leads_to_it(visitor: Page, where: str) -> None:
    go(visitor, where)
    visitor.locator("[data-testid=drive-view][data-loaded=true]").wait_for()
    visitor.wait_for_function(ARMED)
    expect(visitor.get_by_role("heading", name="panda-1", exact=True)).to_be_visible()
    go(visitor, "#/watch/panda-1")
    visitor.get_by_test_id("driver").wait_for()


@pytest.mark.parametrize(
    ("where", "title", "code"),
    [
        ("#/nothing/here", "There is no such page", "unknown_page"),
        ("#/drive/panda-1", "There is no such page", "unknown_page"),
        ("#/drive/%E0%A4%A/lift", "There is no such page", "unknown_page"),
        ("#/drive/panda-77/lift", "There is no robot “panda-77”", "unknown_robot"),
        ("#/watch/panda-77", "There is no robot “panda-77”", "unknown_robot"),
        ("#/drive/panda-1/juggle", "panda-1 has no task “Juggle”", "unknown_task"),
    ],
)
def test_an_address_that_leads_nowhere_says_so_with_a_way_on(visitor: Page, where: str, title: str, code: str) -> None:
    go(visitor, where)
    expect(visitor.get_by_role("heading", name=title, exact=True)).to_be_visible()
    expect(visitor.get_by_test_id("trouble")).to_have_attribute("data-code", code)
    for cockpit in ("estop", "finish", "drive-view"):
        expect(visitor.get_by_test_id(cockpit)).to_have_count(0)
    if code == "unknown_task":
        expect(visitor.get_by_role("link", name="panda-1: Lift")).to_have_attribute("href", "#/drive/panda-1/lift")
    visitor.get_by_role("link", name="Back to the lobby", exact=True).click()
    visitor.get_by_test_id("robot-card").first.wait_for()


def test_a_page_that_opens_at_a_broken_address_is_not_white(browser: Browser, house: House) -> None:
    with browser.new_context() as context:
        page = opened(context, f"{house.url}/#/drive/%E0%A4%A/lift")
        expect(page.get_by_role("heading", name="There is no such page")).to_be_visible(timeout=PATIENCE_MS)
        page.goto(f"{house.url}/drive/panda-77/lift")  # without the #, as one would type it
        assert page.url == f"{house.url}/#/drive/panda-77/lift"
        expect(page.get_by_test_id("wanted")).to_contain_text("Sign in to drive panda-77")
        assert [said for said in complaints(page) if "404" not in said] == []


@pytest.mark.parametrize(
    "path", ["/nothing", "/nothing/here", "/drive/panda-1/lift", "/index.html/x", "/%E0%A4%A", "/a b"]
)
def test_a_browser_is_sent_to_the_page_by_any_other_path(house: House, path: str) -> None:
    with httpx.Client(base_url=house.url, headers=BROWSER) as client:
        answer = client.get(path)
        assert answer.status_code == 302
        assert answer.headers["location"].startswith("/#/")
        page = client.get(answer.headers["location"].partition("#")[0])
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert client.get(path, headers={"Accept": "*/*"}).json()["error"]["code"] == "http_404"


@pytest.mark.parametrize(
    "path", ["/api/nothing", "/api/robots/0x12", "/assets/models/nobody/x.urdf", "/ws/nothing", "/static/x.js", "/api"]
)
def test_what_belongs_to_programs_keeps_its_own_errors(house: House, path: str) -> None:
    answer = httpx.get(house.url + path, headers=BROWSER)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"]


def test_a_sign_in_that_ran_out_renews_by_itself_if_the_key_is_here(browser: Browser, house: House) -> None:
    with browser.new_context() as context:
        page = opened(context, house.url)
        sign_in(page)
        before = page.get_by_test_id("signed-in").get_attribute("data-address")
        page.evaluate(CHANGE_KEPT, {"expires_ms": 1, "token": "forgotten"})
        page.reload()
        expect(page.get_by_test_id("signed-in")).to_have_attribute("data-address", str(before))
        assert page.evaluate(f"{KEPT}.expires_ms > Date.now()")
        page.evaluate(CHANGE_KEPT, {"token": "forgotten"})  # the hub forgot it before its time
        page.reload()
        go(page, "#/drive/panda-1/lift")
        page.wait_for_function(ARMED)
        expect(page.get_by_test_id("trouble")).to_have_count(0)


def test_a_sign_in_of_ones_own_wallet_that_ran_out_has_a_button(browser: Browser, house: House) -> None:
    wallet = new_key()

    def sign(text: str) -> str:
        return "0x" + bytes(wallet.sign_message(encode_defunct(hexstr=text)).signature).hex()

    with browser.new_context() as context:
        context.expose_function("walletAddress", lambda: wallet.address)
        context.expose_function("walletSign", sign)
        context.add_init_script(LOCKED_WALLET)
        kept = json.dumps({"token": "x", "address": wallet.address, "expires_ms": 1, "kind": "injected"})
        context.add_init_script(
            f"localStorage.getItem('armshare.sign-in') ?? localStorage.setItem('armshare.sign-in', {kept!r})"
        )
        page = opened(context, f"{house.url}/#/watch/panda-1")
        go(page, "#/")
        told = page.get_by_test_id("expired")
        expect(told).to_contain_text("has run out")
        told.get_by_test_id("sign-in-again").click()
        expect(page.get_by_test_id("signed-in")).to_have_attribute("data-address", wallet.address)
        expect(told).to_have_count(0)
