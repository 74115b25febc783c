"""What an episode pays was fixed when it began: a price that changes before it is scored changes nothing for it."""

from __future__ import annotations

import asyncio

import pytest

from rewards.score.verdict import ONE_PPM
from teleop.hub.tables import LeaseRow, RobotRow, TicketRow
from tests.rewards.hub.test_pipeline import submitted
from tests.rewards.hub.test_pipeline import world as world
from tests.rewards.world import ADA, PRICE_WEI, World


def begun(world: World, episode: str, price_wei: int | None) -> None:
    """Note a ticket of an episode with that price."""
    with world.database() as db, db.begin():
        robot = RobotRow(
            address="0xR", owner="0xO", name="r", model="panda", simulated=True, signature="0x", epoch=1, created_ms=1
        )
        db.merge(robot)
        db.flush()
        lease = {"lease": "L", "robot": "0xR", "operator": ADA, "epoch": 1, "grant": {}, "signature": "0x"}
        db.merge(LeaseRow(**lease, started_ms=1))
        db.flush()
        same = {"lease": "L", "robot": "0xR", "operator": ADA, "task": "lift", "seed": 1, "nonce": "0x", "issued_ms": 1}
        db.add(TicketRow(episode=episode, price_wei=price_wei, **same))


@pytest.mark.parametrize("fixed", [PRICE_WEI, 0, 3])
@pytest.mark.parametrize("now", [None, 7 * PRICE_WEI, 0])
def test_an_episode_pays_what_was_promised_when_it_began(world: World, fixed: int, now: int | None) -> None:
    begun(world, "e1", fixed)
    world.prices.clear()
    if now is not None:
        world.prices["lift"] = now
    [found] = asyncio.run(submitted(world, world.verified("e1")))

    assert found.price_wei == fixed
    assert found.pay_wei == fixed * found.score_ppm // ONE_PPM


def test_an_episode_of_an_earlier_release_pays_todays_price(world: World) -> None:
    begun(world, "e1", None)
    found = asyncio.run(submitted(world, world.verified("e1"), world.verified("e2")))

    assert [one.price_wei for one in found] == [PRICE_WEI, PRICE_WEI]
