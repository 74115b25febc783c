"""Over real sockets: a drive that a lost connection interrupted is driven on, and its recording is one whole."""

from __future__ import annotations

import httpx
import pytest

from teleop.identity import new_key
from teleop.operator.driver import Driver, RefusedError
from teleop.steps import EpisodeEnd, Step
from teleop.wire.messages import Mode, Safety
from teleop.wire.reasons import EndReason
from tests.teleop.platform import Platform, platform
from tests.teleop.test_drive import drained, live, push

pytestmark = pytest.mark.anyio


@pytest.fixture
async def house(tmp_path):
    async with platform(tmp_path, away_s=60.0) as house:
        yield house


async def lost(house: Platform, driver: Driver) -> str:
    """Cut the connection as a reload does; return the lease, once the hub knows that nobody is there."""
    lease = house.hub.docks[house.robot_key.address].holder
    assert lease is not None
    assert driver._socket is not None
    driver._socket.transport.abort()
    async with httpx.AsyncClient(base_url=house.url) as http:
        while (await http.get(f"/api/robots/{house.robot_key.address}")).json()["kept_s"] is None:
            pass
    return lease.id


async def test_a_drive_goes_on_after_its_connection_was_lost_and_is_finished(house):
    wallet = new_key()
    async with house.driver(wallet) as before:
        await live(house, before)
        await push(before, 6)
        name = await lost(house, before)
        async with house.driver(wallet) as after:
            resumed = await after.resume(name)
            assert resumed["epoch"] > before._epoch
            state = await after.armed()
            assert state.recording
            await push(after, 4)
            assert after.state.safety is Safety.DRIVING
            ended = await after.finish()
    events = drained(house)
    steps = [event for event in events if isinstance(event, Step)]
    end = next(event for event in events if isinstance(event, EpisodeEnd))
    assert (end.reason, end.steps) == (EndReason.FINISHED, len(steps))
    assert (ended["valid"], ended["episode"], ended["steps"]) == (True, resumed["episode"], len(steps))
    assert [step.index for step in steps] == list(range(len(steps)))
    counted = resumed["steps"] + (after.state.seq - resumed["seq"])
    assert counted <= len(steps), "what the page counts is what is recorded"
    at = next(at for at, step in enumerate(steps) if step.commanded and step.commanded.epoch == after._epoch)
    assert all(step.safety is not Safety.DRIVING for step in steps[resumed["steps"] : at + 1]), "it was armed first"


async def test_nobody_else_has_the_robot_meanwhile_and_another_wallet_cannot_go_on(house):
    async with house.driver() as before:
        await live(house, before)
        await push(before, 4)
        name = await lost(house, before)
        async with house.driver() as other:
            with pytest.raises(RefusedError, match="lease_over"):
                await other.resume(name)
            card = await other.call("GET", f"/api/robots/{house.robot_key.address}")
            assert (card["driver"], card["state"]) == (before.wallet.address, "driven")
            assert 0 < card["kept_s"] <= 60


async def test_what_the_lost_connection_still_has_under_way_moves_nothing(house):
    wallet = new_key()
    async with house.driver(wallet) as before, house.driver(wallet) as after:
        await live(house, before)
        await push(before, 4)
        lease = house.hub.docks[house.robot_key.address].holder
        await after.resume(lease.id)
        not_holder = house.hub.counts["commands_not_holder"]
        while house.hub.counts["commands_not_holder"] == not_holder:
            await before.command(Mode.EE_TWIST, [0.25, 0.1, 0.1, 0.0, 0.0, 0.0, 1.0], dead_man=True)
            await after.next_state()
        assert after.state.safety is not Safety.DRIVING
