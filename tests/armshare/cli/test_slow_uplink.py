"""In a terminal, a slow uplink loses no drive: it is waited for, and what was not signed is decided about later."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from armshare.operator.crews import EXPERTS
from armshare.operator.drive import Outcome, drive, drive_once, lines
from teleop.identity import load_key, new_key
from teleop.operator.driver import Driver
from tests.armshare.command import armshare_here
from tests.armshare.platform.test_house import robot_of
from tests.armshare.slow_uplink import SlowHouse, slow_house
from tests.conftest import House

ARRIVING = "kB have arrived"


@pytest.fixture(scope="module")
def house_far_away(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlowHouse]:
    """A hub whose robot has a slow uplink, and is online."""

    async def online() -> None:
        async with Driver(house.url, new_key()) as visitor:
            await robot_of(visitor)

    with slow_house(tmp_path_factory.mktemp("slow")) as house:
        asyncio.run(online())
        yield house


@pytest.fixture
def slow(house_far_away: SlowHouse) -> SlowHouse:
    """The same, and slow again."""
    house_far_away.narrow()
    return house_far_away


def decide(url: str, key: Path, *arguments: str) -> dict[str, Any]:
    done = armshare_here("drive", "--hub", url, "--key", str(key), "--json", *arguments)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_a_drive_is_signed_however_long_its_upload_takes(slow: SlowHouse, tmp_path: Path) -> None:
    said: list[str] = []
    wallet = load_key(tmp_path / "key")
    outcome = Outcome(wallet.address, "panda-1", "lift", 1)

    def tell(text: str) -> None:
        said.append(text)
        if ARRIVING in text:
            slow.widen()

    asyncio.run(drive(slow.url, wallet, outcome, EXPERTS, tell))
    assert [one.accepted for one in outcome.episodes] == [True]
    assert any(ARRIVING in line for line in said), said
    assert decide(slow.url, tmp_path / "key", "--unsigned")["unsigned"] == []


def test_a_drive_that_was_interrupted_while_it_was_uploaded_is_signed_later_by_its_wallet(
    slow: SlowHouse, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    wallet = load_key(key)
    outcome = Outcome(wallet.address, "panda-1", "lift", 1)

    async def interrupted() -> None:
        def tell(text: str) -> None:
            if ARRIVING in text:
                driving.cancel()

        driving = asyncio.create_task(drive(slow.url, wallet, outcome, EXPERTS, tell))
        await driving

    asyncio.run(interrupted())
    (episode,) = outcome.unsigned
    assert outcome.interrupted
    assert any(f"--sign {episode}" in line for line in lines(outcome))

    (listed,) = decide(slow.url, key, "--unsigned")["unsigned"]
    assert (listed["episode"], listed["task"], listed["state"]) == (episode, "lift", "recording")
    assert listed["received"] < listed["length"]
    slow.widen()
    decided = decide(slow.url, key, "--sign", episode)
    assert [(one["episode"], one["accepted"]) for one in decided["signed"]] == [(episode, True)]
    assert decided["unsigned"] == []
    assert httpx.get(f"{slow.url}/api/episodes/{episode}").json()["state"] == "verified"


def test_what_was_left_unsigned_is_discarded_later(house: House, tmp_path: Path) -> None:
    key = tmp_path / "key"

    async def driven() -> str:
        async with Driver(house.url, load_key(key)) as driver:
            robot = await robot_of(driver)
            await driver.join(robot, "lift")
            ended = await drive_once(driver, robot)
            await driver.leave()
        return str(ended["episode"])

    episode = asyncio.run(driven())
    stranger = armshare_here("drive", "--hub", house.url, "--key", str(tmp_path / "other"), "--discard", episode)
    assert (stranger.returncode, "does not wait for this wallet's signature" in stranger.stderr) == (2, True)
    decided = decide(house.url, key, "--discard", episode)
    assert (decided["discarded"], decided["unsigned"]) == ([episode], [])
    with_a_pilot = armshare_here("drive", "--hub", house.url, "--unsigned", "--expert")
    assert with_a_pilot.returncode == 2
