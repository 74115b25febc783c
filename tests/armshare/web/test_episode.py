"""The page of an episode: one clock for all of it, proofs that the browser checks, plain words if it is not shown."""

from __future__ import annotations

import base64
import json
import math
import re
import subprocess
import sys
from collections.abc import Iterator

import httpx
import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from recorder.pictures.channel import PictureCodec
from tests.armshare.web.test_browser import AXE, checked, opened
from tests.browser import complaints
from tests.conftest import House
from tests.recorder.pictures.encoded import FPS, HEIGHT, WIDTH, encoded

AT = "+document.querySelector('[data-testid=scrubber]').value"
DRAWN = "[data-testid=drive-view][data-loaded=true]"
PLOT = "[data-testid=plot][data-loaded=true]"
FILMED = {"desk": PictureCodec.H264, "wrist": PictureCodec.JPEG, "deep": PictureCodec.DEPTH16}
PIXEL = "(canvas, [x, y]) => [...canvas.getContext('2d').getImageData(x, y, 1, 1).data]"
BEFORE = 64
"""Bytes of the file before the pictures."""


@pytest.fixture(scope="module")
def episode(house: House, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An episode of a program that lifts the cube."""
    while not any(robot["online"] for robot in httpx.get(f"{house.url}/api/robots").json()):
        pass  # the host is still starting
    key = tmp_path_factory.mktemp("reader") / "key"
    words = ["drive", "--hub", house.url, "--expert", "--task", "lift", "--key", str(key), "--json"]
    done = subprocess.run([sys.executable, "-m", "armshare", *words], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr + done.stdout
    (driven,) = json.loads(done.stdout.splitlines()[-1])["episodes"]
    return str(driven["episode"])


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A stranger, who has not signed in."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    context.add_init_script(path=AXE)
    yield context
    context.close()


def test_a_stranger_sees_an_episode_on_one_clock_and_checks_its_proofs(
    context: BrowserContext, house: House, episode: str
) -> None:
    page = opened(context, f"{house.url}/#/episode/{episode}")
    page.locator(DRAWN).wait_for()
    page.locator(PLOT).first.wait_for()
    hz = httpx.get(f"{house.url}/api/episodes/{episode}/timeline").json()["control_hz"]

    sees_a_drawn_camera_in_step(page)
    steps_by_keys(page, 1 / hz)
    moves_by_a_pointer_over_a_plot(page)
    plays(page)

    expect(page.get_by_test_id("instruction")).to_contain_text("Lift the cube")
    page.locator("[data-testid=proof][data-done=true]").wait_for()
    for check in ("digest", "signatures", "receipt", "inclusion", "checkpoint"):
        expect(page.locator(f"[data-check={check}]")).to_have_attribute("data-result", "passed")
    stands = page.get_by_test_id("gate").evaluate_all(
        "(all) => all.map(({ dataset }) => [dataset.gate, dataset.stand])"
    )
    assert {gate for gate, stand in stands if stand != "passed"} == {"pictures", "receipt", "inclusion"}
    expect(page.get_by_test_id("files")).to_contain_text(re.compile(r"episode\.h5.*\d+ kB.*score\.json.*\d+ kB", re.S))
    expect(page.get_by_test_id("proof")).to_contain_text(f"armshare fetch . --episode {episode} --hub {house.url}")
    faults = checked(page, "episode")
    assert faults == [], "\n".join(faults)
    assert complaints(page) == []


def sees_a_drawn_camera_in_step(page: Page) -> None:
    """The camera in front is drawn by the hub, and shows the moment of everything else; another one is asked for."""
    front = page.locator("[data-testid=drawn][data-camera=front]")
    expect(front).to_have_attribute("data-picture", "0", timeout=30_000)
    count = int(front.get_attribute("data-count") or 0)
    length_s = float(page.get_by_test_id("scrubber").get_attribute("max") or 0)
    assert count == min(600, math.ceil(length_s * 10) + 1)
    for key, picture in (("End", count - 1), ("Home", 0)):
        page.keyboard.press(key)
        expect(front).to_have_attribute("data-picture", str(picture))
    page.get_by_test_id("open-drawn").filter(has_text="Wrist").click()
    expect(page.locator("[data-testid=drawn][data-camera=wrist]")).to_have_attribute(
        "data-picture", "0", timeout=30_000
    )


def steps_by_keys(page: Page, step_s: float) -> None:
    for key, at_s in (("Home", 0.0), ("ArrowRight", step_s), ("ArrowRight", 2 * step_s), ("ArrowLeft", step_s)):
        page.keyboard.press(key)
        page.wait_for_function(f"Math.abs({AT} - {at_s}) < {step_s / 4}")
    page.keyboard.press("End")
    page.wait_for_function(f"{AT} > {10 * step_s}")


def moves_by_a_pointer_over_a_plot(page: Page) -> None:
    plot = page.locator(f"{PLOT} .plot").first
    plot.evaluate("(plot) => plot.scrollIntoView({ block: 'end' })")
    box = plot.bounding_box()
    assert box is not None
    y, length_s = box["y"] + box["height"] / 2, page.evaluate("+document.querySelector('[data-testid=scrubber]').max")
    for share in (0.3, 0.7):
        page.mouse.move(box["x"] + share * box["width"], y)
        page.wait_for_function(f"Math.abs({AT} / {length_s} - {share}) < 0.1")


def plays(page: Page) -> None:
    """Space begins, wherever the focus is; it goes on by itself, and stops at the end."""
    page.get_by_test_id("speed").select_option("4")
    page.keyboard.press("Tab")
    page.locator("h1").click()
    page.keyboard.press("Home")
    page.keyboard.press(" ")
    page.wait_for_function(f"{AT} >= {page.get_by_test_id('scrubber').get_attribute('max')} - 0.06")
    expect(page.get_by_test_id("replay-play")).to_have_attribute("aria-label", "Play the replay")


def test_what_a_real_robots_cameras_saw_is_fetched_by_ranges_and_shown_at_the_moment(
    context: BrowserContext, house: House, episode: str
) -> None:
    page = context.new_page()
    asked: list[str] = []
    for name, codec in FILMED.items():
        recorded(page, name, codec, asked)
    page.route("**/timeline", with_cameras)

    page.goto(f"{house.url}/#/episode/{episode}")
    films = page.get_by_test_id("film")
    expect(films).to_have_count(3)
    for at_s, picture in ((0.5, 15), (0.7, 21), (0.1, 3)):
        page.get_by_test_id("scrubber").fill(str(at_s))
        for camera in FILMED:
            expect(page.locator(f"[data-camera={camera}]")).to_have_attribute("data-picture", str(picture))
    shown = page.locator("[data-camera=desk]").evaluate(
        "(canvas) => [...canvas.getContext('2d').getImageData(8, 40, 1, 1).data]"
    )
    assert shown[1] > 80, "the picture's lower half is green, and nothing was drawn otherwise"
    assert asked, "the pictures were asked for"
    expect(page.get_by_test_id("depth-legend")).to_have_text(re.compile(r"^0\.\d\d m51\.\d\d m$"))
    for x, y, red, blue in ((2, 1, 253, 37), (60, 46, 68, 84)):
        found = page.locator("[data-camera=deep]").evaluate(PIXEL, [x, y])
        assert abs(found[0] - red) < 12, "near is yellow, and far is purple"
        assert abs(found[2] - blue) < 12


def recorded(page: Page, name: str, codec: PictureCodec, asked: list[str]) -> None:
    """Answer as a hub whose file has 40 pictures of a camera."""
    units = encoded(codec, 40)
    sizes = np.array([len(data) for data, _ in units])
    at = BEFORE + (list(FILMED).index(name) << 24)
    file = b"".join(data for data, _ in units)

    def said(values: np.ndarray, kind: str) -> str:
        return base64.b64encode(values.astype(kind).tobytes()).decode()

    film = {
        "camera": name,
        "codec": codec.value,
        "width": WIDTH,
        "height": HEIGHT,
        "depth_unit_m": 0.001 if codec is PictureCodec.DEPTH16 else 0,
        "at": at,
        "sizes": said(sizes, "<u4"),
        "t_s": said(np.arange(40) / FPS - 0.001, "<f4"),
        "key": said(np.array([key for _, key in units]), "|u1"),
        "marks": said(np.zeros(40), "|u1"),
    }
    page.route(f"**/cameras/{name}", lambda route: route.fulfill(json=film))

    def part(route: Route) -> None:
        first, last = (int(each) - at for each in route.request.headers["range"].removeprefix("bytes=").split("-"))
        if not 0 <= first <= last < len(file):
            return route.fallback()
        asked.append(name)
        return route.fulfill(status=206, body=file[first : last + 1])

    page.route("**/files/episode.h5", part)


def with_cameras(route: Route) -> None:
    answer = route.fetch()
    one = {"width": WIDTH, "height": HEIGHT, "fps": FPS, "pictures": 40, "bytes": 1, "timed": "device", "troubles": []}
    cameras = [one | {"name": name, "codec": codec.value} for name, codec in FILMED.items()]
    route.fulfill(response=answer, json=answer.json() | {"cameras": cameras})


@pytest.mark.parametrize(
    ("changed", "title", "gate"),
    [
        ({"state": "rejected", "reason": "TimeMismatch: expected ..."}, "Not accepted by the hub", "time"),
        ({"state": "discarded"}, "It was erased", None),
        (None, "There is no such episode", None),
    ],
)
def test_an_episode_that_is_not_shown_says_why_in_plain_words(
    context: BrowserContext, house: House, episode: str, changed: dict[str, object] | None, title: str, gate: str | None
) -> None:
    page = context.new_page()
    if changed is not None:
        page.route(f"**/api/episodes/{episode}", lambda route: route.fulfill(json=route.fetch().json() | changed))
    page.goto(f"{house.url}/#/episode/{episode if changed else 'nothing'}")
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    expect(page.get_by_test_id("not-shown").get_by_role("listitem").first).to_be_visible()
    refused = page.locator("[data-stand=refused]")
    expect(refused).to_have_count(0 if gate is None else 1)
    if gate is not None:
        expect(refused).to_have_attribute("data-gate", gate)
        faults = checked(page, title)
        assert faults == [], "\n".join(faults)


def test_your_episodes_open_the_page(context: BrowserContext, house: House, episode: str) -> None:
    page = opened(context, house.url)
    page.route("**/api/episodes?operator=*", lambda route: route.fulfill(json=listed(house, episode)))
    page.get_by_test_id("make-wallet").click()
    page.get_by_test_id("episode").get_by_role("link", name="Lift", exact=True).click()
    expect(page).to_have_url(f"{house.url}/#/episode/{episode}")
    page.get_by_test_id("facts").wait_for()


def listed(house: House, episode: str) -> dict[str, object]:
    return {"episodes": [httpx.get(f"{house.url}/api/episodes/{episode}").json()], "next": None}
