"""What cannot be scored blocks nobody: it waits in a table with its reason, is tried less and less often, and again."""

from __future__ import annotations

import asyncio
from concurrent.futures import BrokenExecutor
from pathlib import Path

import pytest
from sqlalchemy import select

from recorder.hub.states import EpisodeState
from rewards.hub import scoring
from rewards.hub.judging import Judged, judge
from rewards.hub.pipeline import Pipeline
from rewards.hub.scoring import AGAIN_MAX_MS, AGAIN_MS, QUEUE_MAX
from rewards.hub.verdicts import Unscored
from rewards.tables import UnscoredRow
from tests.rewards.hub.test_pipeline import WAIT_S, earned
from tests.rewards.hub.test_pipeline import world as world
from tests.rewards.other_rules import OtherRules
from tests.rewards.world import World

pytestmark = pytest.mark.usefixtures("either_database")


class Hub:
    """A pipeline whose clock a test sets, and whose episodes are judged one search at a time."""

    def __init__(self, world: World) -> None:
        self.world, self.now_ms = world, 1_000_000
        self.tried: list[str] = []
        self.fails: dict[str, Exception] = {}
        self.running = self.started()

    def started(self) -> Pipeline:
        """Return the pipeline as after a restart."""
        self.running = self.world.pipeline(clock_ms=lambda: self.now_ms, judge=self.judge)
        self.first = True
        return self.running

    def judge(self, file: Path, version: str | None = None) -> Judged:
        self.tried.append(file.parent.name)
        if file.parent.name in self.fails:
            raise self.fails[file.parent.name]
        return judge(file, version)

    def search(self) -> list[str]:
        """Search once, score what is found, and return what was tried."""
        self.tried.clear()

        async def once() -> None:
            found = self.running.scoring
            for episode in await asyncio.to_thread(found._unscored, self.first):
                found.submit(episode)
            self.first = False
            await found.work()

        asyncio.run(once())
        return list(self.tried)

    def why(self, episode: str) -> Unscored:
        found = asyncio.run(self.running.unscored(episode))
        assert found is not None
        return found


@pytest.fixture
def hub(world: World) -> Hub:
    """A hub with one episode that names rules that nobody has, and a good one behind it."""
    world.verified("strange", rules="no-such-rules")
    world.verified("good", seed=8)
    return Hub(world)


def test_rules_that_are_not_here_block_no_other_episode_and_are_named(hub: Hub) -> None:
    assert hub.search() == ["strange", "good"]
    assert earned(hub.world) > 0
    said = hub.why("strange")
    assert said.reason.startswith("UnknownRulesError: expected one of the versions of the rules 1, 2")
    assert "'no-such-rules'" in said.reason
    assert (said.tries, said.next_ms) == (1, hub.now_ms + AGAIN_MS)


def test_what_cannot_be_scored_is_tried_less_and_less_often(hub: Hub) -> None:
    """It was tried every half minute, for ever."""
    begun_ms, tries = hub.now_ms, 0
    for _ in range(7 * 24 * 6):  # a week
        tries += "strange" in hub.search() if due(hub) else 0
        hub.now_ms += 600_000
    assert 13 <= tries <= 21
    assert hub.why("strange").next_ms - hub.now_ms <= AGAIN_MAX_MS
    assert hub.why("strange").tries == tries
    assert hub.now_ms - begun_ms == 7 * 24 * 3_600_000


def due(hub: Hub) -> bool:
    """Whether a search would find anything."""
    return hub.first or bool(hub.running.scoring._unscored(False))


def test_nothing_is_found_twice_while_it_waits(hub: Hub) -> None:
    found = hub.running.scoring
    for _ in range(50):
        for episode in found._unscored(True):
            found.submit(episode)
    assert found.queued == found._work.qsize() == 2


def test_the_queue_in_memory_has_an_end_and_the_rest_is_found_later(hub: Hub) -> None:
    found = hub.running.scoring
    for number in range(QUEUE_MAX + 50):
        found.submit(f"e{number}")
    assert found.queued == found._work.qsize() == QUEUE_MAX


def test_more_than_the_queue_holds_that_cannot_be_scored_keep_no_good_one_waiting(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "QUEUE_MAX", 8)
    for number in range(12):
        world.listed(f"broken-{number}", EpisodeState.VERIFIED)
    world.verified("good", seed=8)
    hub = Hub(world)
    for _ in range(2):
        hub.search()
    assert "good" in hub.tried
    assert earned(world) > 0
    with world.database() as db:
        assert len(db.scalars(select(UnscoredRow)).all()) == 12


def test_what_waits_is_tried_at_every_start_as_the_software_may_have_changed(hub: Hub) -> None:
    hub.search()
    assert hub.search() == []
    hub.started()
    assert hub.search() == ["strange"]


def test_rules_that_come_with_a_later_release_score_what_waited(hub: Hub) -> None:
    hub.search()
    rules = OtherRules({"no-such-rules": 400_000})
    hub.running = hub.world.pipeline(clock_ms=lambda: hub.now_ms, **rules.options)
    hub.first = True
    hub.search()
    found = asyncio.run(hub.running.verdict("strange"))
    assert found is not None
    assert (found.version, found.score_ppm, found.paid) == ("no-such-rules", 400_000, True)
    assert asyncio.run(hub.running.unscored("strange")) is None


@pytest.mark.parametrize("fault", [BrokenExecutor("a worker died"), MemoryError(), OSError(5, "I/O"), KeyError("x")])
def test_a_fault_of_the_hub_is_not_laid_at_the_episodes_door(hub: Hub, fault: Exception) -> None:
    hub.fails["good"] = fault
    hub.search()
    assert hub.why("good").reason == scoring._OF_THE_HUB
    del hub.fails["good"]
    hub.now_ms += AGAIN_MS
    assert "good" in hub.search()
    assert earned(hub.world) > 0


def test_who_waits_for_a_score_is_told_at_once_that_there_is_none(hub: Hub) -> None:
    async def wait() -> object:
        async with hub.running as running:
            return await asyncio.wait_for(running.verdict("strange", 3600.0), WAIT_S)

    assert asyncio.run(wait()) is None
    assert hub.why("strange").tries == 1
