"""How long somebody in a queue will wait: what the estimate is made of, and that everyone is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as some

from sim.catalogue import make_world
from teleop.clock import now_ms
from teleop.host.link import Host
from teleop.hub.leases.waiting import REMEMBERED, wait_s
from teleop.steps import Events
from tests.teleop.platform import Platform, hosted, hub_at, platform

LEASE_S = 600.0
SECONDS = some.floats(0, 5000)


@pytest.mark.parametrize(
    ("held_s", "ahead", "past_s", "expected_s"),
    [
        (None, 0, [], 0),
        (None, 0, [100], 0),
        (None, 2, [100, 200, 500], 400),
        (0, 0, [100, 200, 500], 200),
        (150, 0, [100, 200, 500], 200),
        (250, 0, [100, 200, 500], 250),
        (500, 0, [100, 200, 500], 100),
        (599, 0, [100], 1),
        (700, 0, [100], 0),
        (0, 0, [], 600),
        (200, 1, [], 1000),
        (50, 2, [100, 300], 550),
        (0, 1, [9000, 9000], 1200),
    ],
)
def test_a_wait_is_what_is_left_of_the_holders_turn_and_a_usual_turn_for_each_before(
    held_s, ahead, past_s, expected_s
) -> None:
    assert wait_s(held_s, ahead, past_s, LEASE_S) == expected_s


@given(some.none() | SECONDS, some.integers(0, 50), some.lists(SECONDS, max_size=REMEMBERED))
def test_no_estimate_is_longer_than_the_leases_allow_or_below_zero(held_s, ahead, past_s) -> None:
    left_s = 0.0 if held_s is None else max(0.0, LEASE_S - held_s)
    assert 0.0 <= wait_s(held_s, ahead, past_s, LEASE_S) <= left_s + ahead * LEASE_S


@given(some.none() | SECONDS, some.integers(0, 50), some.lists(SECONDS, max_size=REMEMBERED))
def test_who_is_further_behind_waits_no_shorter(held_s, ahead, past_s) -> None:
    assert wait_s(held_s, ahead, past_s, LEASE_S) <= wait_s(held_s, ahead + 1, past_s, LEASE_S)


@dataclass
class Clock:
    """The hub's wall clock, which stands until it is set on."""

    ms: int = field(default_factory=now_ms)

    def __call__(self) -> int:
        return self.ms

    def pass_s(self, seconds: int) -> None:
        self.ms += seconds * 1000


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def until(true: Callable[[], bool]) -> None:
    """Wait for what comes by itself."""
    while True:
        if true():
            return
        await asyncio.sleep(0.01)


async def turns(house: Platform, clock: Clock, *seconds: int) -> None:
    """Let somebody hold the robot for so long, one after the other."""
    robot = house.robot_key.address
    for count, held_s in enumerate(seconds, start=1):
        async with house.driver() as driver:
            await driver.join(robot, "lift")
            clock.pass_s(held_s)
            await driver.leave()
            await until(lambda: len(house.registry.lease_lengths_s(robot, REMEMBERED)) == count)  # noqa: B023  it is called in this round only


@pytest.mark.anyio
async def test_everyone_in_a_queue_is_told_their_place_and_wait_and_the_card_says_it_too(tmp_path, clock) -> None:
    async with platform(tmp_path, lease_s=LEASE_S, now_ms=clock) as house:
        robot = house.robot_key.address
        await turns(house, clock, 100, 300)
        async with house.driver() as holder, house.driver() as second, house.driver() as third:
            card = (await holder.call("GET", "/api/robots"))[0]
            assert (card["state"], card["queue_length"], card["wait_s"]) == ("free", 0, 0)
            await holder.join(robot, "lift")
            clock.pass_s(40)
            told: asyncio.Queue[tuple[int, int, int]] = asyncio.Queue()
            joins = []
            for driver, expected in ((second, [(1, 1, 160)]), (third, [(1, 2, 160), (2, 2, 360)])):
                joins.append(asyncio.create_task(driver.join(robot, "lift", queued=lambda *at: told.put_nowait(at))))
                assert sorted([await told.get() for _ in expected]) == expected
                here = await holder.wait_for("waiting")
                assert (here["length"], here["left_s"]) == (len(expected), LEASE_S - 40)
            card = (await holder.call("GET", "/api/robots"))[0]
            assert (card["state"], card["queue_length"], card["wait_s"]) == ("driven", 2, 560)
            clock.pass_s(60)
            await holder.leave()
            await joins[0]
            moved_up = sorted([await told.get() for _ in range(3)])
            assert moved_up == [(1, 1, 100), (1, 2, 0), (2, 2, 100)], "the leases were 100, 300 and 100 s long"
            assert (await second.wait_for("waiting"))["length"] == 1, "told with the robot itself"
            joins[1].cancel()
            await asyncio.gather(joins[1], return_exceptions=True)
            await third.leave()
            assert (await second.wait_for("waiting"))["length"] == 0, "nobody any more"


@pytest.mark.anyio
async def test_a_robot_that_comes_back_is_still_known_by_its_last_leases(tmp_path, clock) -> None:
    async with hub_at(tmp_path, LEASE_S, now_ms=clock) as (url, hub, registry), hosted(url, hub, registry) as house:
        await turns(house, clock, 100, 300, 200)
        robot = house.robot_key.address
        assert registry.lease_lengths_s(robot, 2) == [300.0, 200.0]
        known = hub.docks[robot].past_s
        assert list(known) == [100.0, 300.0, 200.0]
        await house.stop_host()
        again = Host(url, house.robot_key, "robot-1", make_world("panda", "lift"), Events())
        house.tasks[0] = asyncio.create_task(again.serve())
        await until(lambda: robot in hub.docks)
        assert hub.docks[robot].past_s is not known
        assert list(hub.docks[robot].past_s) == [100.0, 300.0, 200.0]
