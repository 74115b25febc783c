"""Over real sockets: a camera that fails while it records is told to who drives, and again to who comes back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from teleop.identity import new_key
from teleop.wire import signalling
from tests.teleop.platform import platform
from tests.teleop.test_drive import live, push
from tests.teleop.test_returning import lost

pytestmark = pytest.mark.anyio


class Ear:
    """What a client hears of cameras, as it comes."""

    def __init__(self) -> None:
        self._heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    def __call__(self, message: dict[str, Any]) -> None:
        self._heard.put_nowait(message)

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(30):
            return await self._heard.get()


async def test_who_drives_is_told_of_a_camera_and_who_comes_back_is_told_again(tmp_path):
    async with platform(tmp_path, away_s=60.0) as house:
        wallet, ear = new_key(), Ear()
        async with house.driver(wallet) as before:
            before.camera_told = ear
            await live(house, before)
            await push(before, 3)
            episode = next(iter(before.said))
            told = signalling.CameraTroubled(episode, "front", "lost", 1, 0.25, None)
            house.host._report(told)
            heard = await ear.next()
            assert (heard["camera"], heard["trouble"], heard["until_s"]) == ("front", "lost", None)
            assert before.cameras == {episode: {("front", "lost"): heard}}
            name = await lost(house, before)
            async with house.driver(wallet) as after:
                after.camera_told = ear
                await after.resume(name)
                assert await ear.next() == heard
                await after.armed()
                await push(after, 2)
                assert (await after.finish())["valid"]
