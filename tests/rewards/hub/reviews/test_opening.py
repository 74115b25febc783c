"""Promises of the score: a filmed episode of a real robot waits for people, and a robot's owner gets a share."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path

import pytest

from recorder.hub.states import EpisodeState
from recorder.proof.bundle import TrustClass
from rewards.ledger import ledger
from rewards.ledger.shares import Shares
from rewards.score.reviewed import recompute_reviewed
from rewards.score.versions import NEWEST
from rewards.tables import UnderReviewRow
from teleop.hub.tables import LeaseRow, RobotRow, TicketRow
from tests.recorder.bundles import good_bundle
from tests.recorder.factory import fixed_key
from tests.recorder.filming import head, seen
from tests.rewards.hub.test_pipeline import earned, submitted
from tests.rewards.hub.test_pipeline import world as world
from tests.rewards.world import ADA, PRICE_WEI, World

OWNER = fixed_key("owner").address
SHARES = Shares(owner_ppm=100_000, reviewer_ppm=50_000)


def begun(world: World, episode: str, *, owner: str = OWNER, shares: Shares | None = SHARES) -> None:
    """Note whose robot it is, and what was published when the episode began."""
    robot = fixed_key("robot").address
    same = {"name": "r", "model": "panda", "simulated": False, "signature": "0x", "epoch": 1, "created_ms": 1}
    lease = {"lease": "L", "robot": robot, "operator": ADA, "epoch": 1, "grant": {}, "signature": "0x"}
    ticket = {"lease": "L", "robot": robot, "operator": ADA, "task": "lift", "seed": 1, "nonce": "0x", "issued_ms": 1}
    said = {"price_wei": PRICE_WEI, "shares": None if shares is None else asdict(shares), "said": True}
    with world.database() as db, db.begin():
        db.merge(RobotRow(address=robot, owner=owner, **same))
        db.flush()
        db.merge(LeaseRow(**lease, started_ms=1))
        db.flush()
        db.add(TicketRow(episode=episode, **ticket, **said))


def filmed(world: World, episode: str, **changed: object) -> Path:
    """Put a real robot's verified episode into the store."""
    folder = good_bundle(world.folder / episode, made=seen(episode=episode, steps=60, **changed))
    world.store.adopt(episode, "episode.h5", folder / "episode.h5")
    world.listed(episode, EpisodeState.VERIFIED, trust=TrustClass.WITNESSED)
    return folder / "episode.h5"


@pytest.fixture
def opened(world: World) -> World:
    begun(world, "e1")
    return world


def test_a_filmed_episode_waits_for_people_with_what_it_is_worth_and_pays_nothing(opened: World) -> None:
    file = filmed(opened, "e1", cameras=(head(),))
    [found] = asyncio.run(submitted(opened, "e1"))
    again = recompute_reviewed(opened.store.path("e1", "episode.h5"))
    assert found is not None
    assert found.review is not None
    assert again is not None, file
    assert (found.review.state, found.review.score_ppm) == ("open", again.score_ppm)
    assert (found.awaiting_review, found.pay_wei, earned(opened), earned(opened, OWNER)) == (True, 0, 0, 0)
    with opened.database() as db:
        row = db.get_one(UnderReviewRow, "e1")
        assert (row.author, row.owner, row.said, row.price_wei) == (ADA, OWNER, True, PRICE_WEI)
        assert Shares.of(row.shares) == SHARES, "as published when it began"


def test_what_no_camera_has_seen_is_shown_to_nobody_and_says_why(opened: World) -> None:
    filmed(opened, "e1", cameras=())
    [found] = asyncio.run(submitted(opened, "e1"))
    assert found is not None
    assert found.review is not None
    assert (found.review.state, found.awaiting_review) == ("refused", False)
    assert "camera" in found.review.reasons[0]


def test_who_has_not_passed_the_first_drive_is_not_paid_for_a_real_robot_either(opened: World) -> None:
    opened.qualification = True
    filmed(opened, "e1", cameras=(head(),))
    [found] = asyncio.run(submitted(opened, "e1"))
    assert found is not None
    assert found.review is not None
    assert (found.review.state, found.practice) == ("refused", None)
    assert "first drive" in found.review.reasons[0]


def test_rescoring_what_waits_for_people_pays_nothing(opened: World) -> None:
    filmed(opened, "e1", cameras=(head(),))
    asyncio.run(submitted(opened, "e1"))

    async def again() -> None:
        async with opened.pipeline() as running:
            await running.scoring.rescore("e1", NEWEST)

    asyncio.run(again())
    assert (earned(opened), earned(opened, OWNER)) == (0, 0)


def test_the_owner_of_a_robot_that_somebody_else_drove_is_paid_a_share_once(opened: World) -> None:
    [found, _] = asyncio.run(submitted(opened, opened.verified("e1"), "e1"))
    assert found.paid
    assert earned(opened, OWNER) == found.pay_wei // 10
    with opened.database() as db:
        [line] = ledger.entries(db, ledger.operator(OWNER))
    assert (line.kind, line.episode) == ("owner", "e1")


@pytest.mark.parametrize(("owner", "shares"), [(ADA, SHARES), (OWNER, None)])
def test_who_drives_their_own_or_where_no_share_was_published_only_the_operator_is_paid(
    world: World, owner: str, shares: Shares | None
) -> None:
    begun(world, "e1", owner=owner, shares=shares)
    [found] = asyncio.run(submitted(world, world.verified("e1")))
    assert earned(world) == found.pay_wei
    assert earned(world, OWNER) == 0


def test_a_share_that_the_pool_cannot_give_waits_and_the_operator_is_paid_first(world: World) -> None:
    begun(world, "e1")
    with world.database() as db:
        left = ledger.balance(db, ledger.pool("lift"))
    gone = ledger.transfer("gone", "elsewhere", ledger.pool("lift"), ledger.pool("x"), left, 1)
    ledger.write(world.database, lambda db: ledger.post(db, gone))
    [found] = asyncio.run(submitted(world, world.verified("e1")))
    pipeline = world.pipeline()
    pipeline.fund("lift", found.pay_wei, "just enough for one")
    assert (earned(world), earned(world, OWNER)) == (found.pay_wei, 0)
    pipeline.fund("lift", PRICE_WEI, "more")
    pipeline.fund("lift", PRICE_WEI, "and more")
    assert (earned(world), earned(world, OWNER)) == (found.pay_wei, found.pay_wei // 10)
