"""Promises of the pipeline: every verified episode is scored, booked with its pay at once, and paid exactly once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from recorder.hub.states import EpisodeState
from recorder.proof.bundle import TrustClass
from rewards.hub import paying
from rewards.hub.verdicts import Verdict
from rewards.ledger import ledger
from rewards.score.score import pay_wei, recompute
from rewards.tables import ScoreRow
from tests.rewards.world import ADA, BOB, PRICE_WEI, DictVault, World, make_world

WAIT_S = 20.0


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A hub whose lift pool is full."""
    made = make_world(tmp_path, DictVault())
    made.pipeline().fund("lift", 100 * PRICE_WEI, "first")
    yield made
    made.database.kw["bind"].dispose()


def earned(world: World, address: str = ADA) -> int:
    """Return what an operator has earned."""
    with world.database() as db:
        ledger.audit(db)
        return ledger.balance(db, ledger.operator(address))


async def submitted(world: World, *episodes: str) -> list[Verdict | None]:
    """Run a pipeline until `episodes` are scored."""
    async with world.pipeline() as running:
        for episode in episodes:
            running.submit(episode)
        return [await running.verdict(episode, WAIT_S) for episode in episodes]


def test_a_verified_episode_is_scored_and_paid_what_anyone_recomputes(world):
    [found] = asyncio.run(submitted(world, world.verified("e1")))
    again = recompute(world.store.path("e1", "episode.h5"))
    assert found is not None
    assert (found.score_ppm, found.vector, found.reasons) == (again.score_ppm, dict(again.vector), again.reasons)
    assert found.pay_wei == pay_wei(again, PRICE_WEI) == earned(world) > 0
    assert found.paid


def test_a_failed_episode_is_scored_with_its_reason_and_not_paid(world):
    [found] = asyncio.run(submitted(world, world.verified("e1", success=False)))
    assert not found.accepted
    assert found.reasons
    assert (found.pay_wei, found.paid, earned(world)) == (0, False, 0)


def test_an_episode_submitted_twice_is_paid_once(world):
    world.verified("e1")
    [found, _] = asyncio.run(submitted(world, "e1", "e1"))
    assert earned(world) == found.pay_wei
    asyncio.run(submitted(world, "e1"))
    assert earned(world) == found.pay_wei


def test_a_restart_finds_what_nobody_submitted(world):
    for name in ("e1", "e2"):
        world.verified(name)

    async def wait() -> list[Verdict | None]:
        async with world.pipeline() as running:
            return [await running.verdict(name, WAIT_S) for name in ("e1", "e2")]

    assert all(found is not None and found.paid for found in asyncio.run(wait()))


def test_an_episode_that_was_scored_by_earlier_rules_keeps_that_score(world: World) -> None:
    world.verified("e1")
    row = {"score_ppm": 5, "accepted": True, "vector": {}, "reasons": [], "task": "lift", "operator": ADA}
    with world.database() as db:
        db.add(ScoreRow(episode="e1", version="1", price_wei=PRICE_WEI, pay_wei=0, scored_ms=1, **row))
        db.commit()
    [found] = asyncio.run(submitted(world, "e1"))
    assert (found.version, found.score_ppm, found.pay_wei, earned(world)) == ("1", 5, 0, 0)
    with world.database() as db:
        assert len(db.scalars(select(ScoreRow)).all()) == 1


def test_a_crash_between_score_and_pay_leaves_neither(world, monkeypatch):
    world.verified("e1")

    def crash(*_: object) -> bool:
        raise RuntimeError("the power went")

    with monkeypatch.context() as broken:
        broken.setattr(paying.ledger, "post", crash)

        async def crashed() -> None:
            running = world.pipeline()
            with pytest.raises(RuntimeError):
                await running.scoring.score("e1")

        asyncio.run(crashed())
    with world.database() as db:
        assert db.scalars(select(ScoreRow)).all() == []
    [found] = asyncio.run(submitted(world, "e1"))
    assert found.paid
    assert earned(world) == found.pay_wei


def test_a_broken_file_does_not_stop_the_next_episode(world):
    world.verified("e1")
    world.store.path("e1", "episode.h5").write_bytes(b"not an episode")
    world.verified("e2", seed=8)

    async def both() -> tuple[Verdict | None, Verdict | None]:
        async with world.pipeline() as running:
            return await running.verdict("e2", WAIT_S), await running.verdict("e1")

    second, first = asyncio.run(both())
    assert second.paid
    assert first is None


@pytest.mark.parametrize("state", [EpisodeState.UPLOADED, EpisodeState.REJECTED, EpisodeState.DISCARDED])
def test_only_verified_episodes_are_scored(world, state):
    world.listed("e1", state)
    world.verified("e2")
    asyncio.run(submitted(world, "e2"))

    async def other() -> Verdict | None:
        async with world.pipeline() as running:
            await running.scoring.score("e1")
            return await running.verdict("e1")

    assert asyncio.run(other()) is None


def test_nobody_waits_longer_than_asked(world):
    async def wait() -> Verdict | None:
        async with world.pipeline() as running:
            return await running.verdict("nothing", 0.01)

    assert asyncio.run(wait()) is None


def test_everybody_who_waits_is_told(world):
    world.verified("e1")

    async def wait() -> list[Verdict | None]:
        async with world.pipeline() as running:
            waiting = [asyncio.create_task(running.verdict("e1", WAIT_S)) for _ in range(5)]
            return await asyncio.gather(*waiting)

    found = asyncio.run(wait())
    assert all(one == found[0] and one is not None for one in found)


def test_an_empty_pool_lets_pay_wait_and_funding_it_pays_the_oldest_first(tmp_path):
    world = make_world(tmp_path, DictVault())
    names = [world.verified(name, seed=seed) for seed, name in enumerate(["e1", "e2", "e3"], start=7)]
    found = asyncio.run(submitted(world, *names))
    assert all(one.accepted and not one.paid for one in found)
    assert earned(world) == 0
    needed = found[0].pay_wei + found[1].pay_wei
    assert world.pipeline().fund("lift", needed, "first")
    assert earned(world) == needed
    assert not world.pipeline().fund("lift", needed, "first")
    assert earned(world) == needed
    world.pipeline().fund("lift", PRICE_WEI, "second")
    assert earned(world) == sum(one.pay_wei for one in found)
    world.database.kw["bind"].dispose()


def test_a_task_without_a_price_is_scored_and_pays_nothing(world):
    world.prices.clear()
    [found] = asyncio.run(submitted(world, world.verified("e1")))
    assert found.accepted
    assert found.pay_wei == 0


def test_settling_runs_by_itself_when_an_interval_is_set(world):
    world.verified("e1")

    async def until_final() -> None:
        async with world.pipeline(settle_every_s=0.01) as running:
            while not (roots := await running.roots()) or roots[0].state != "final":
                await running.verdict("e1", 0.01)

    asyncio.run(asyncio.wait_for(until_final(), WAIT_S))
    assert world.vault.roots[0].total == earned(world)


def test_two_operators_are_paid_what_each_earned(world):
    world.verified("e1")
    world.verified("e2", operator=BOB, seed=9)

    async def all_the_way() -> list[int]:
        async with world.pipeline() as running:
            for name in ("e1", "e2"):
                await running.verdict(name, WAIT_S)
            await running.settle()
            return [(await running.claim(address)).amount_wei for address in (ADA, BOB)]

    assert asyncio.run(all_the_way()) == [earned(world, ADA), earned(world, BOB)]


def test_what_rests_on_a_hosts_word_is_scored_and_not_paid_and_qualifies_nobody(world):
    world.qualification = True
    [found] = asyncio.run(submitted(world, world.verified("e1", trust=TrustClass.WITNESSED)))
    assert found is not None
    assert (found.accepted, found.awaiting_review) == (True, True)
    assert (found.pay_wei, found.paid, found.practice) == (0, False, None)
    assert earned(world) == 0
    assert world.pipeline().pay_waiting() == 0
    assert not asyncio.run(world.pipeline().operator(ADA)).qualified


def test_what_the_hub_reproduced_is_paid(world):
    [found] = asyncio.run(submitted(world, world.verified("e1", trust=TrustClass.REPLAYED)))
    assert found is not None
    assert (found.awaiting_review, found.paid) == (False, True)
