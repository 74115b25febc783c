"""New scores stand beside old ones: what was paid stays paid, and a higher score's difference is booked once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DatabaseError

from recorder.proof.bundle import TrustClass
from rewards.hub import paying
from rewards.hub.pipeline import Pipeline
from rewards.hub.rescoring import Progress, Rescoring
from rewards.hub.verdicts import Verdict
from rewards.ledger import ledger
from rewards.score.versions import UnknownRulesError
from rewards.tables import ScoreRow, TransactionRow, UnpaidRow
from tests.rewards.hub.test_pipeline import WAIT_S, earned, submitted
from tests.rewards.hub.test_pipeline import world as world
from tests.rewards.hub.test_price_is_fixed import begun
from tests.rewards.other_rules import COSTS, SEGMENTS, SHOWN, OtherRules
from tests.rewards.world import ADA, BOB, PRICE_WEI, DictVault, World, make_world

BEST, WORST = {"9": 1_000_000}, {"9": 100_000}


async def ended(running: Pipeline, *asked: tuple[str, str | None]) -> list[Progress]:
    """Ask for jobs, and return them once they are done."""
    for version, task in asked:
        await running.rescore(version, task)
    await running.rescoring.work()
    return await running.rescorings()


def rescored(world: World, rules: OtherRules, *asked: tuple[str, str | None]) -> list[Progress]:
    """Do these jobs, or those that were begun, as after a restart."""
    return asyncio.run(ended(world.pipeline(**rules.options), *asked))


def verdict(world: World, episode: str = "e1") -> Verdict:
    found = asyncio.run(world.pipeline().verdict(episode))
    assert found is not None
    return found


def entries(world: World, address: str = ADA) -> list[tuple[str, int, str | None]]:
    """Return what was booked for an operator, oldest first."""
    with world.database() as db:
        found = ledger.entries(db, ledger.operator(address))
    return [(one.kind, one.amount_wei, one.reason) for one in reversed(found)]


def test_a_higher_score_by_later_rules_adds_its_difference_under_a_key_and_for_a_reason_of_its_own(
    world: World,
) -> None:
    [first] = asyncio.run(submitted(world, world.verified("e1")))
    assert first is not None
    [job] = rescored(world, OtherRules(BEST), ("9", None))

    more = PRICE_WEI - first.pay_wei
    assert more > 0
    assert earned(world) == PRICE_WEI
    (_, paid, none), (kind, added, reason) = entries(world)
    assert (paid, none, kind, added) == (first.pay_wei, None, "rescored", more)
    assert reason == (
        f"version 9 of the rules scores it 1.000000, which pays {PRICE_WEI} wei of {PRICE_WEI}; "
        f"the best score before paid {first.pay_wei} wei"
    )
    with world.database() as db:
        assert ledger.booked(db, "episode:e1:rules-9")
    assert (job.episodes, job.seen, job.scored, job.failed, job.added, job.added_wei) == (1, 1, 1, 0, 1, more)
    found = verdict(world)
    assert (found.version, found.score_ppm, found.pay_wei) == ("2", first.score_ppm, first.pay_wei)
    said = [(one.version, one.score_ppm, one.adds_wei, one.paid) for one in found.versions]
    assert said == [("2", first.score_ppm, first.pay_wei, True), ("9", 1_000_000, more, True)]


def test_a_lower_score_takes_nothing(world: World) -> None:
    [first] = asyncio.run(submitted(world, world.verified("e1")))
    [job] = rescored(world, OtherRules(WORST), ("9", None))
    assert earned(world) == first.pay_wei
    assert (job.scored, job.added, job.added_wei) == (1, 0, 0)
    last = verdict(world).versions[-1]
    assert (last.score_ppm, last.adds_wei, last.paid) == (100_000, 0, False)
    assert world.pipeline().pay_waiting() == 0


def test_rules_that_do_not_accept_it_take_nothing_and_rules_that_do_pay_it_after_all(world: World) -> None:
    asyncio.run(submitted(world, world.verified("e1", success=False)))
    assert earned(world) == 0
    rescored(world, OtherRules({"8": None, "9": 600_000}), ("8", None), ("9", None))
    assert earned(world) == 6 * PRICE_WEI // 10


def test_however_often_it_is_scored_it_earns_the_highest_of_its_scores_once(world: World) -> None:
    [first] = asyncio.run(submitted(world, world.verified("e1", idle=20)))
    base = first.score_ppm
    gives = {"6": base + 1000, "7": base - 1000, "8": base + 500, "9": base + 3000}
    for _ in range(2):
        for version in gives:
            rescored(world, OtherRules(gives), (version, None))
    assert earned(world) == PRICE_WEI * (base + 3000) // 1_000_000
    adds = [one.adds_wei for one in verdict(world).versions]
    assert adds == [PRICE_WEI * ppm // 1_000_000 for ppm in (base, 1000, 0, 0, 2000)]


def test_the_price_is_that_of_the_day_of_the_drive(world: World) -> None:
    begun(world, "e1", 3 * PRICE_WEI)
    asyncio.run(submitted(world, world.verified("e1"), world.verified("e2", operator=BOB, seed=9)))
    world.prices["lift"] = 50 * PRICE_WEI
    rescored(world, OtherRules(BEST), ("9", None))
    assert earned(world) == 3 * PRICE_WEI  # its ticket's
    assert earned(world, BOB) == PRICE_WEI  # noted with its first score, as it has no ticket


def test_what_nobody_is_paid_for_stays_unpaid(world: World) -> None:
    """Practice, and what rests on its host's word."""
    world.qualification = True
    asyncio.run(submitted(world, world.verified("e1"), world.verified("e2", seed=8, trust=TrustClass.WITNESSED)))
    [job] = rescored(world, OtherRules(BEST), ("9", None))
    assert (job.scored, job.added) == (2, 0)
    assert earned(world) == 0
    assert world.pipeline().pay_waiting() == 0


def test_an_episode_that_was_never_scored_is_first_paid_by_its_own_rules(world: World) -> None:
    """The rules that pay first are not those of whoever asks first."""
    world.verified("e1")
    rescored(world, OtherRules(WORST), ("9", None))
    found = verdict(world)
    assert [one.version for one in found.versions] == ["2", "9"]
    assert earned(world) == found.pay_wei > WORST["9"] * PRICE_WEI // 1_000_000


def test_a_score_of_an_earlier_release_is_kept_and_added_to(world: World) -> None:
    world.verified("e1")
    row = {"score_ppm": 500_000, "accepted": True, "vector": {}, "reasons": [], "task": "lift", "operator": ADA}
    with world.database() as db, db.begin():
        db.add(ScoreRow(episode="e1", version="1", price_wei=PRICE_WEI, pay_wei=PRICE_WEI // 2, scored_ms=0, **row))
        db.flush()
        db.add(UnpaidRow(episode="e1", version="1", scored_ms=0))  # as the migration notes it
    assert world.pipeline().pay_waiting() == 1
    rescored(world, OtherRules(BEST), ("9", None))
    assert earned(world) == PRICE_WEI
    assert [one.adds_wei for one in verdict(world).versions] == [PRICE_WEI // 2, PRICE_WEI // 2]


def test_a_difference_waits_for_its_pool_like_any_pay(tmp_path: Path) -> None:
    world = make_world(tmp_path / "poor", DictVault())
    [first] = asyncio.run(submitted(world, world.verified("e1")))
    rescored(world, OtherRules(BEST), ("9", None))
    assert [one.paid for one in verdict(world).versions] == [False, False]
    world.pipeline().fund("lift", first.pay_wei, "first")
    assert [one.paid for one in verdict(world).versions] == [True, False]
    world.pipeline().fund("lift", PRICE_WEI, "second")
    assert [one.paid for one in verdict(world).versions] == [True, True]
    assert earned(world) == PRICE_WEI
    world.database.kw["bind"].dispose()


def test_what_costs_what_and_when_is_kept_with_the_score(world: World) -> None:
    """Of an episode that names the rules that say it."""
    world.verified("e1", rules="9")
    rules = OtherRules(BEST)
    asyncio.run(world.pipeline(**rules.options).scoring.score("e1"))
    found = verdict(world)
    assert found.version == "9"
    assert (found.costs, found.shown, found.segments) == (COSTS, SHOWN, SEGMENTS)


def test_a_job_looks_at_the_episodes_of_its_task_that_there_were_when_it_began(world: World) -> None:
    asyncio.run(submitted(world, world.verified("e1")))
    lift, stack = rescored(world, OtherRules(BEST), ("9", "stack"), ("9", "lift"))
    assert (lift.task, lift.episodes, lift.scored) == ("lift", 1, 1)
    assert (stack.task, stack.episodes, stack.scored) == ("stack", 0, 0)
    asyncio.run(submitted(world, world.verified("e2", seed=8)))
    assert len(verdict(world, "e2").versions) == 1


def test_a_job_that_a_crash_cut_off_goes_on_where_it_was(world: World) -> None:
    names = [world.verified(name, seed=seed) for seed, name in enumerate(("e1", "e2", "e3"), start=7)]
    asyncio.run(submitted(world, *names))
    rules = OtherRules(BEST)

    async def crashed() -> None:
        running = world.pipeline(**rules.options)
        job = running.rescoring
        running.rescoring.begin("9", None)
        [row] = [await asyncio.to_thread(job._open)]
        assert row is not None
        found = await asyncio.to_thread(job._next, row)
        assert found == ("e1", 1)
        await running.scoring.rescore("e1", "9")
        await asyncio.to_thread(job._note, row, 1)

    asyncio.run(crashed())
    rules.calls.clear()
    [job] = rescored(world, rules)
    assert [name for name, _version in rules.calls] == ["e2", "e3"]
    assert (job.seen, job.scored, job.failed) == (3, 3, 0)
    assert earned(world) == 3 * PRICE_WEI


def test_a_running_hub_begins_at_once_with_what_is_asked_for_and_with_what_was_left(world: World) -> None:
    names = [world.verified(name, seed=seed) for seed, name in enumerate(("e1", "e2"), start=7)]
    asyncio.run(submitted(world, *names))

    async def run() -> list[str]:
        seen: asyncio.Queue[str] = asyncio.Queue()

        async def rescore(episode: str, version: str) -> bool:
            await seen.put(f"{episode} {version}")
            return True

        jobs = Rescoring(world.database, rescore, lambda: 1, ("8", "9"))
        jobs.begin("8", None)
        running = asyncio.create_task(jobs.run())
        told = [await asyncio.wait_for(seen.get(), WAIT_S) for _ in names]
        await asyncio.to_thread(jobs.begin, "9", None)
        jobs.wake()
        told += [await asyncio.wait_for(seen.get(), WAIT_S) for _ in names]
        running.cancel()
        return told

    assert asyncio.run(run()) == ["e1 8", "e2 8", "e1 9", "e2 9"]


def test_a_job_asked_for_twice_at_once_is_one_job(world: World) -> None:
    running = world.pipeline(**OtherRules(BEST).options)
    first, again = running.rescoring.begin("9", None), running.rescoring.begin("9", None)
    assert first.id == again.id
    assert running.rescoring.begin("9", "lift").id != first.id


def test_a_file_that_cannot_be_read_is_counted_and_stops_nobody(world: World) -> None:
    asyncio.run(submitted(world, world.verified("e1"), world.verified("e2", seed=8)))
    world.store.path("e1", "episode.h5").write_bytes(b"not an episode")
    [job] = rescored(world, OtherRules(BEST), ("9", None))
    assert (job.episodes, job.seen, job.scored, job.failed) == (2, 2, 1, 1)
    assert len(verdict(world, "e1").versions) == 1


def test_nobody_rescores_by_rules_that_are_not_here(world: World) -> None:
    with pytest.raises(UnknownRulesError, match="'9'"):
        asyncio.run(world.pipeline().rescore("9"))


def test_a_crash_between_the_score_and_its_entry_leaves_neither(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    [first] = asyncio.run(submitted(world, world.verified("e1")))

    def crash(*_: object) -> bool:
        raise RuntimeError("the power went")

    rules = OtherRules(BEST)
    with monkeypatch.context() as broken:
        broken.setattr(paying.ledger, "post", crash)
        with pytest.raises(RuntimeError):
            asyncio.run(world.pipeline(**rules.options).scoring.rescore("e1", "9"))
    assert earned(world) == first.pay_wei
    assert len(verdict(world).versions) == 1
    assert asyncio.run(world.pipeline(**rules.options).scoring.rescore("e1", "9"))
    assert earned(world) == PRICE_WEI


def at_once(world: World, *versions: str) -> None:
    """Let hubs judge an episode by these versions, each without knowing of the others, and then write all at once."""
    gives = {version: 1_000_000 - 100 * int(version) for version in versions}
    judged = threading.Barrier(len(versions))
    rules = OtherRules(gives)

    def meet(file: Path, version: str | None = None) -> object:
        found = rules(file, version)
        if version is not None:
            judged.wait(WAIT_S)
        return found

    def hub(version: str) -> bool:
        running = world.pipeline(**rules.options | {"judge": meet})
        return asyncio.run(running.scoring.rescore("e1", version))

    with ThreadPoolExecutor(len(versions)) as hubs:
        told = list(hubs.map(hub, versions))
    assert sum(told) == len(set(versions))


@pytest.mark.parametrize("versions", [("9", "9", "9"), ("7", "8", "9"), ("9", "8", "9", "8")])
def test_two_hubs_at_once_pay_the_highest_of_all_scores_once(world: World, versions: tuple[str, ...]) -> None:
    asyncio.run(submitted(world, world.verified("e1", idle=20)))
    at_once(world, *versions)
    best = 1_000_000 - 100 * min(int(version) for version in versions)
    assert earned(world) == PRICE_WEI * best // 1_000_000
    with world.database() as db:
        keys = db.scalars(select(TransactionRow.key).where(TransactionRow.kind == "rescored")).all()
        assert db.scalar(select(func.count()).select_from(ScoreRow)) == 1 + len(set(versions))
    assert set(keys) <= {f"episode:e1:rules-{version}" for version in versions}


@pytest.mark.parametrize("statement", ["UPDATE scores SET adds_wei = '5'", "DELETE FROM scores"])
def test_a_score_that_stands_beside_another_cannot_be_rewritten(world: World, statement: str) -> None:
    asyncio.run(submitted(world, world.verified("e1")))
    rescored(world, OtherRules(BEST), ("9", None))
    with world.database() as db, pytest.raises(DatabaseError, match="append-only"):
        db.execute(text(statement))


def test_the_reason_is_part_of_what_is_booked() -> None:
    same = ("k", "e1", "lift", ADA, 5, 1)
    one, other = (ledger.rescored_pay(*same, reason) for reason in ("a", "b"))
    assert one.content_sha256 != other.content_sha256
    assert ledger.episode_pay("e1", "lift", ADA, 5, 1).reason is None


@pytest.fixture(autouse=True)
def _audited(either_database: str, world: World) -> Iterator[None]:
    yield
    with world.database() as db:
        ledger.audit(db)
