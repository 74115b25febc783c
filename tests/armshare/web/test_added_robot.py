"""A robot that was added is drawn by the page, whole and in its colours."""

from __future__ import annotations

from collections import Counter

import cv2
import numpy as np
from playwright.sync_api import Browser, Response

from tests.armshare.web.test_browser import opened, sign_in, take_robot
from tests.browser import complaints


def test_an_added_robot_is_drawn_in_the_page_in_its_own_colours(browser: Browser, every_robot: str) -> None:
    with browser.new_context(viewport={"width": 1000, "height": 750}) as context:
        page = opened(context, every_robot)
        asked: Counter[tuple[str, int]] = Counter()

        def note(response: Response) -> None:
            if "/assets/models/" in response.url:
                asked[response.url.rpartition("/")[2], response.status] += 1

        page.on("response", note)
        sign_in(page)
        take_robot(page, "crane-1")
        shown = cv2.imdecode(np.frombuffer(page.screenshot(), np.uint8), cv2.IMREAD_COLOR).astype(int)
        assert complaints(page) == []
    assert {name for name, _ in asked} >= {"crane.urdf", "base.obj", "upper.obj", "upper.mtl", "fore.obj", "jaw.obj"}
    assert {status for _, status in asked} == {200}
    blue, green, red = shown[..., 0], shown[..., 1], shown[..., 2]
    assert ((red > 90) & (green < 70) & (blue < 70)).sum() > 300, "the lower half of the upper arm is red"
    assert ((green > 60) & (red < 70) & (blue < 90)).sum() > 300, "the upper half is green"
    assert ((red > 120) & (green > 70) & (blue < 90)).sum() > 300, (
        "the forearm, whose file has normals of zero, is orange"
    )
