"""A pilot drives over real sockets: what becomes of one that sees nothing, is too slow, breaks, or is held up."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from itertools import groupby
from types import SimpleNamespace

import numpy as np
import pytest

from sim.motion.control import Twist
from teleop.identity import new_key
from teleop.operator import pilot
from teleop.operator.driver import Driver, RefusedError
from teleop.operator.first_drive import SPEED_M_S, FirstDrive
from teleop.operator.pilot import Ask, expert, fly
from teleop.steps import EpisodeEnd, Step
from teleop.wire.messages import Safety
from teleop.wire.reasons import EndReason
from tests.netsim import Way, network
from tests.teleop.platform import platform

pytestmark = pytest.mark.anyio

UP = Twist(np.array([[0.0, 0.0, 0.05, 0.0, 0.0, 0.0]]), np.ones(1))
BRAKING = 12
"""Periods in which any arm has come to rest."""


@pytest.fixture
async def house(tmp_path):
    async with platform(tmp_path) as house:
        yield house


@dataclass
class Counting:
    """Goes up for so many states, then does what is said."""

    states: int
    then: object = Ask.FINISH
    seen: list = field(default_factory=list)

    def __call__(self, _robot, _task):
        return self

    def act(self, state, values):
        self.seen.append(state)
        if len(self.seen) < self.states:
            return UP
        if callable(self.then):
            return self.then()
        return self.then


def steps_of(house) -> tuple[list[Step], EpisodeEnd]:
    events = [house.events.get_nowait() for _ in range(house.events.qsize())]
    return [event for event in events if isinstance(event, Step)], events[-1]


async def test_the_scripted_operator_lifts(house):
    async with house.driver() as driver:
        await driver.join(house.robot_key.address, "lift")
        flight = await fly(driver, expert)
    assert (flight.ended["success"], flight.ended["valid"], flight.discard) == (True, True, False)


async def test_episodes_follow_each_other_and_each_begins_with_a_fresh_pilot(house):
    made = []

    def make(_robot, task):
        made.append(task)
        return Counting(6)

    async with house.driver() as driver:
        await driver.join(house.robot_key.address, "lift")
        flights = [await fly(driver, make) for _ in range(3)]
    assert made == ["lift"] * 3
    assert len({flight.ended["episode"] for flight in flights}) == 3
    assert all(flight.ended["valid"] and flight.ended["steps"] >= 4 for flight in flights)


async def test_a_pilot_that_never_presses_leaves_no_episode(house):
    async with house.driver() as driver:
        await driver.join(house.robot_key.address, "lift")
        flight = await fly(driver, Counting(1))
    assert (flight.ended["episode"], flight.ended["steps"]) == (None, 0)


async def test_a_pilot_that_breaks_leaves_a_robot_that_holds(house):
    def broken():
        raise ZeroDivisionError

    async with house.driver() as driver:
        await driver.join(house.robot_key.address, "lift")
        with pytest.raises(ZeroDivisionError):
            await fly(driver, Counting(6, broken))
        await driver.leave()
        with pytest.raises(RefusedError, match="state"):
            await driver.begin()
    events = [await asyncio.to_thread(house.events.get, timeout=10)]
    while not isinstance(events[-1], EpisodeEnd):
        events.append(await asyncio.to_thread(house.events.get, timeout=10))
    steps, end = [event for event in events if isinstance(event, Step)], events[-1]
    assert (end.reason, end.reason.valid) == (EndReason.LEFT, False)
    assert all(step.commanded.dead_man for step in steps if step.safety is Safety.DRIVING)


async def test_a_pilot_that_sees_nothing_lets_go_and_goes_on_once_it_sees(house):
    async with house.driver() as driver, house.driver() as watcher:
        await watcher.send({"type": "watch", "robot": house.robot_key.address})
        await driver.join(house.robot_key.address, "lift")
        flying = Counting(40)
        task = asyncio.create_task(fly(driver, flying))
        while len(flying.seen) < 6:
            await watcher.next_state()
        take, driver._take = driver._take, lambda state: None
        while (await watcher.next_state()).safety is not Safety.HOLDING:
            pass
        driver._take = take
        while (await watcher.next_state()).safety is not Safety.DRIVING:
            pass
        flight = await task
    assert flight.ended["valid"]
    steps, _ = steps_of(house)
    held = [step for step in steps if step.safety is Safety.HOLDING]
    assert held
    assert not any(step.commanded.dead_man for step in held)


async def test_a_pilot_that_is_too_slow_expires_and_arms_again(house):
    slow = iter([0.4])

    def act():
        time.sleep(next(slow, 0.0))
        return UP if len(flying.seen) < 20 else Ask.FINISH

    async with house.driver() as driver:
        await driver.join(house.robot_key.address, "lift")
        flying = Counting(6, act)
        flight = await fly(driver, flying)
    steps, _ = steps_of(house)
    assert flight.ended["valid"]
    expired = [step.index for step in steps if step.safety is Safety.EXPIRED]
    assert expired
    assert any(step.safety is Safety.DRIVING for step in steps[expired[-1] :]), "it was armed again, and went on"


async def test_a_steady_delay_never_expires_the_robot(house):
    port = int(house.url.rpartition(":")[2])
    async with (
        network(port, Way(delay_s=0.15)) as between,
        Driver(f"http://127.0.0.1:{between.port}", new_key()) as driver,
    ):
        await driver.join(house.robot_key.address, "lift")
        expiries = []
        while 0 not in expiries and len(expiries) < 4:  # this machine may stall by itself
            expiries.append((await fly(driver, Counting(20))).expiries)
        assert 0 in expiries
        assert min(driver.round_trips_us) > 300_000
    steps, _ = steps_of(house)
    assert sum(step.safety is Safety.DRIVING for step in steps) >= 15


async def test_a_stall_of_the_network_stops_the_robot_which_stands_until_it_is_armed_again(house):
    port = int(house.url.rpartition(":")[2])
    async with network(port, Way()) as between, house.driver() as watcher:
        await watcher.send({"type": "watch", "robot": house.robot_key.address})
        async with Driver(f"http://127.0.0.1:{between.port}", new_key()) as driver:
            await driver.join(house.robot_key.address, "lift")
            flying = Counting(30)
            task = asyncio.create_task(fly(driver, flying))
            while len(flying.seen) < 8:
                await watcher.next_state()
            between.passing.clear()
            expired = 0
            while expired < BRAKING + 8:
                expired += (await watcher.next_state()).safety is Safety.EXPIRED
            between.passing.set()
            flight = await task
        assert flight.ended["valid"]
    steps, _ = steps_of(house)
    # A busy machine may expire the drive by itself before: the stall is where the robot stood longest.
    runs = [list(run) for expired, run in groupby(steps, lambda step: step.safety is Safety.EXPIRED) if expired]
    stalled = max(runs, key=len)
    standing = [step.applied.joint_position for step in stalled[BRAKING:]]
    assert len(standing) >= 6
    assert all(np.allclose(joints, standing[0], rtol=0, atol=1e-9) for joints in standing)
    stopped = stalled[0].index
    again = [step.index for step in steps if step.safety is Safety.DRIVING and step.index > stopped]
    assert again, "the pilot let go, and pressed again"


async def test_a_hub_that_closes_ends_the_drive_in_words(house):
    async with house.driver() as driver:
        await driver.join(house.robot_key.address, "lift")

        def close():
            house.hub.docks[house.robot_key.address].holder.seat.outbox.close(1012)
            return UP

        with pytest.raises(RefusedError, match="1012"):
            await fly(driver, Counting(6, close))


async def test_an_end_that_overtakes_the_finish_is_no_error_later(house):
    """As when the step limit comes first: the hub then says that there is nothing to finish."""
    async with house.driver() as driver, house.driver() as passer_by:
        await passer_by.send({"type": "watch", "robot": house.robot_key.address})
        await driver.join(house.robot_key.address, "lift")
        await driver.begin()
        await passer_by.send({"type": "estop", "robot": house.robot_key.address})
        await passer_by.wait_for("estopped")
        assert (await driver.finish())["reason"] == "estopped"
        with pytest.raises(RefusedError, match="e-stopped"):
            await driver.begin()


def test_commands_are_as_frequent_as_the_protocol_wants():
    assert 20 <= 1 / pilot.HEARTBEAT_S <= 60


def test_the_first_drive_goes_through_every_leg_whatever_the_connection_leaves_out():
    for every in (1, 3, 50):  # one state in so many comes; a longer pause counts as a short one
        first = FirstDrive({"end_effectors": [{}, {}], "control_hz": 20.0}, "lift")
        asked = [first.act(SimpleNamespace(seq=seq), {}) for seq in range(0, 300 * every, every)]
        assert asked[-1] is Ask.FINISH
        assert Ask.HOLD in asked
        moves = [one for one in asked if isinstance(one, Twist)]
        velocities = {tuple(float(value) for value in one.twist[0, :3]) for one in moves}
        assert {velocity[axis] for velocity in velocities for axis in range(3)} == {-SPEED_M_S, 0.0, SPEED_M_S}
        assert sum(any(velocity) for velocity in velocities) == 6
        assert {tuple(one.gripper) for one in moves} == {(0.0, 0.0), (1.0, 1.0)}
        assert not any(one.twist[1].any() for one in moves), "the other hand stays"
