"""The whole platform behind the proxies of docs/operating.md: below a path, by a private authority's certificate."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from armshare.platform.processes import Child, hub_process
from teleop.dialing import CA, trusted
from teleop.identity import new_key
from tests.armshare.web.test_browser import PATIENCE_MS, opened, sign_in, take_robot
from tests.browser import chromium, complaints
from tests.certificates import Certificates, make_certificates
from tests.proxies import INSTALLED, free_port, proxy

DRIVE_S = 120


@dataclass(frozen=True)
class Site:
    """A platform that is reached at `url` alone."""

    url: str
    data: Path
    certificates: Certificates


@pytest.fixture(scope="module", params=INSTALLED)
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A hub behind a proxy, and a host with one robot that knows only the proxy."""
    data, port = tmp_path_factory.mktemp(request.param), free_port()
    url, certificates = f"https://localhost:{port}/arms", make_certificates(data / "tls")
    with pytest.MonkeyPatch.context() as patch, (data / "log").open("wb") as log:
        patch.setenv("ARMSHARE_PUBLIC_URL", url)
        patch.setenv(CA, str(certificates.authority))  # for this process; the others are told by --ca
        with hub_process(data / "hub", 0, log) as (inner, _hub):
            patch.delenv("ARMSHARE_PUBLIC_URL")
            patch.delenv(CA)
            with proxy(request.param, data / "proxy", port, httpx.URL(inner).port or 0, certificates):
                arguments = ["host", "--hub", url, "--data", str(data / "host"), "--robot", "panda:lift"]
                host = Child("host", [*arguments, "--ca", str(certificates.authority)], log)
                patch.setenv(CA, str(certificates.authority))
                try:
                    yield Site(url, data, certificates)
                finally:
                    host.stop()


def armshare(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "armshare", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=DRIVE_S, check=False)


@pytest.fixture
def client(site: Site) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=site.url, verify=trusted(), trust_env=False, timeout=30) as made:
        yield made


def test_what_a_wallet_signs_names_the_place_and_its_path(site: Site, client: httpx.Client) -> None:
    asked = client.post("/api/auth/challenge", json={"address": new_key().address}).json()["message"]
    assert asked.startswith(f"{httpx.URL(site.url).netloc.decode()} wants you to sign in")
    assert f"\nURI: {site.url}\n" in asked


def test_the_page_is_found_with_and_without_its_last_slash(site: Site, client: httpx.Client) -> None:
    answer = httpx.get(site.url, verify=trusted(), trust_env=False, follow_redirects=True)
    assert (answer.status_code, str(answer.url)) == (200, site.url + "/")
    assert client.get("/api/nothing").json()["error"]["code"] == "http_404"


def test_a_terminal_drives_signs_and_is_scored_through_it(site: Site, client: httpx.Client, tmp_path: Path) -> None:
    waited = client.get("/api/robots")
    while not any(robot["online"] for robot in waited.json()):  # the host is still starting
        waited = client.get("/api/robots")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(CA)
        known = ["drive", "--hub", site.url, "--expert", "--key", str(tmp_path / "key"), "--json"]
        unknown = armshare(*known)
        done = armshare(*known, "--ca", str(site.certificates.authority))
    assert unknown.returncode == 2
    assert "--ca FILE" in unknown.stderr
    assert done.returncode == 0, done.stderr + done.stdout
    (episode,) = json.loads(done.stdout.splitlines()[-1])["episodes"]
    assert episode["accepted"]
    assert client.get(f"/api/episodes/{episode['episode']}").json()["state"] == "verified"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


def test_a_browser_drives_through_it(browser: Browser, site: Site, client: httpx.Client) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, ignore_https_errors=True)
    page = opened(context, site.url)
    sign_in(page)
    take_robot(page)  # the model is drawn, and the robot armed
    page.keyboard.down("w")
    page.wait_for_function("parseInt(document.querySelector('[data-testid=step-count]').innerText) >= 12")
    page.keyboard.up("w")
    page.get_by_test_id("finish").click()
    page.get_by_test_id("score").wait_for()
    address = page.get_by_role("link", name="manifest.json").get_attribute("href") or ""
    assert address.startswith(f"{site.url}/api/episodes/")
    assert client.get(address.removeprefix(site.url)).status_code == 200
    page.get_by_role("link", name="Back to the lobby", exact=True).click()
    expect(page.get_by_test_id("episode").first).to_be_visible(timeout=PATIENCE_MS)
    assert page.url.startswith(f"{site.url}/")
    assert complaints(page) == []
    context.close()
