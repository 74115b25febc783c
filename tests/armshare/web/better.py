"""Somebody who drove better from the same start: what a hub says of them, to a page that asks."""

from __future__ import annotations

import base64
import math
import re
from typing import Any

import numpy as np
from playwright.sync_api import Page, Route

BETTER = "driven-better"
TURNED_RAD = 0.3
_BEST = re.compile(r"/api/episodes/[^/]+/best$")
_REPLAY = re.compile(rf"/api/episodes/{BETTER}/replay$")


def somebody_drove_better(page: Page) -> None:
    """Answer what the page asks of the best drive from now on: its own, with every joint turned a little."""
    own: list[str] = []

    def best(route: Route) -> None:
        own.append(route.request.url)
        driver = {"kind": "script", "name": "expert", "sha256": ""}
        route.fulfill(json={"episode": BETTER, "score": 0.987, "duration_s": 3.2, "apart_m": 0.01, "driver": driver})

    def replay(route: Route) -> None:
        answer = route.fetch(url=own[-1].removesuffix("best") + "replay")
        route.fulfill(json=_turned(answer.json()))

    page.route(_BEST, best)
    page.route(_REPLAY, replay)


def _turned(said: dict[str, Any]) -> dict[str, Any]:
    rows = np.frombuffer(base64.b64decode(said["values"]), "<f4").reshape(len(said["t_s"]), -1).copy()
    at = 0
    for array in said["arrays"]:
        width = math.prod(array["shape"])
        if array["name"] == "joint_position":
            rows[:, at : at + width] += TURNED_RAD
        at += width
    return {**said, "episode": BETTER, "values": base64.b64encode(rows.tobytes()).decode()}
