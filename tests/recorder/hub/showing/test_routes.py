"""A verified episode is shown to anyone, another to nobody; a browser gets its pictures by ranges of its file."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.recorder.factory import MALLORY, WALLET
from tests.recorder.filming import seen
from tests.recorder.hub.test_api import handed_in, sign
from tests.recorder.served import Hub, bearer, code

SHOWN = ("timeline", "channels", "channels/progress", "cameras/front")


@pytest.fixture
def web(hub: Hub) -> Iterator[httpx.Client]:
    with hub.served() as url, httpx.Client(base_url=url, timeout=20) as client:
        yield client


def test_nothing_is_shown_before_an_episode_is_verified(tmp_path: Path, hub: Hub, web: httpx.Client) -> None:
    bundle = handed_in(web, hub, tmp_path)
    for what in SHOWN:
        for asking in (None, bearer(MALLORY.address), bearer(WALLET.address)):
            path = f"/api/episodes/{bundle.name}/{what}"
            assert code(web.get(path, headers=asking)) == (409, "episode_state")
        assert code(web.get(f"/api/episodes/nothing/{what}")) == (404, "unknown_episode")


def test_anyone_sees_a_verified_episode(tmp_path: Path, hub: Hub, web: httpx.Client) -> None:
    bundle = handed_in(web, hub, tmp_path)
    assert sign(web, bundle).status_code == 200
    at = f"/api/episodes/{bundle.name}"

    told = web.get(f"{at}/timeline").json()
    assert told["episode"] == bundle.name
    named = web.get(f"{at}/channels").json()
    for channel in named["channels"]:
        answer = web.get(f"{at}/channels/{channel['name']}", params={"points": 64})
        assert answer.status_code == 200, answer.text
        values = np.frombuffer(base64.b64decode(answer.json()["values"]), "<f4")
        assert len(values) == len(answer.json()["t_s"]) * len(channel["columns"])
        assert answer.headers["Cache-Control"] == "max-age=3600"


def test_what_there_is_not_and_what_is_too_much_are_refused_by_name(
    tmp_path: Path, hub: Hub, web: httpx.Client
) -> None:
    bundle = handed_in(web, hub, tmp_path)
    assert sign(web, bundle).status_code == 200
    at = f"/api/episodes/{bundle.name}"
    assert code(web.get(f"{at}/channels/observation/nothing")) == (404, "unknown_channel")
    assert code(web.get(f"{at}/channels/../../meta"))[0] == 404
    assert code(web.get(f"{at}/cameras/front")) == (404, "unknown_camera")
    for points in ("1", "4001", "many", "-5"):
        assert web.get(f"{at}/channels/progress", params={"points": points}).status_code == 422


def test_a_real_robots_pictures_come_by_ranges_of_the_file(tmp_path: Path, hub: Hub, web: httpx.Client) -> None:
    bundle = handed_in(web, hub, tmp_path, made=seen())
    signed = sign(web, bundle)
    assert signed.status_code == 200, signed.text
    at = f"/api/episodes/{bundle.name}"
    whole = (bundle / "episode.h5").read_bytes()

    film = web.get(f"{at}/cameras/wrist").json()
    sizes = np.frombuffer(base64.b64decode(film["sizes"]), "<u4")
    first, last = film["at"], film["at"] + int(sizes[:3].sum()) - 1
    answer = web.get(f"{at}/files/episode.h5", headers={"Range": f"bytes={first}-{last}"})

    assert answer.status_code == 206
    assert answer.content == whole[first : last + 1]
    assert answer.content[:2] == b"\xff\xd8", "the wrist's are JPEG"
