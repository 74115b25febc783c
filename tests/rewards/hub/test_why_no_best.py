"""Why there is no best drive to show: each reason has a true sentence, and a bad file is read once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor
from pathlib import Path

import pytest
from sqlalchemy import delete

from recorder.hub.states import EpisodeState
from rewards.hub import judging, pipeline, scoring
from rewards.hub.pipeline import BestBusyError
from rewards.score.starts import Start
from rewards.tables import StartRow
from tests.rewards.hub.test_api import refused, served
from tests.rewards.hub.test_best import best, best_episode, drove
from tests.rewards.hub.test_pipeline import submitted
from tests.rewards.other_rules import OtherRules
from tests.rewards.world import ADA, BOB, DictVault, World, make_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path, DictVault())
    yield made
    made.database.kw["bind"].dispose()


def of_an_earlier_release(world: World, *episodes: str) -> None:
    """Forget how they began."""
    with world.database() as db, db.begin():
        db.execute(delete(StartRow).where(StartRow.episode.in_(episodes)))


def old_and_bad(world: World, *episodes: str) -> None:
    """Have episodes that an earlier release scored, and whose files are no episodes any more."""
    numbered = enumerate(episodes)
    asyncio.run(submitted(world, *(world.verified(episode, seed=7 + number) for number, episode in numbered)))
    of_an_earlier_release(world, *episodes)
    for episode in episodes:
        world.store.path(episode, "episode.h5").write_bytes(b"not an episode")


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The episodes whose files are read for their starts."""
    names: list[str] = []

    def counted(file: Path) -> Start:
        names.append(file.parent.name)
        return judging.start_in(file)

    monkeypatch.setattr(scoring, "start_in", counted)
    return names


def test_a_file_that_cannot_be_read_is_read_once_and_said_to_be_unreadable(world: World, read: list[str]) -> None:
    old_and_bad(world, "mine")
    with served(world) as client:
        for _ in range(3):
            said = refused(client.get("/api/episodes/mine/best"), 404, "start_unknown")
            assert said == "nobody knows how mine began: its file cannot be read on this hub"
    assert read == ["mine"]


def test_what_cannot_be_read_is_nobodys_example_and_is_known_again_once_it_is_rescored(world: World) -> None:
    asyncio.run(submitted(world, world.verified("mine"), world.verified("bobs", operator=BOB, seed=9)))
    file = world.store.path("bobs", "episode.h5")
    whole = file.read_bytes()
    of_an_earlier_release(world, "bobs")
    file.write_bytes(b"not an episode")
    assert best(world, "bobs") is None
    assert best(world) is None
    file.write_bytes(whole)
    asyncio.run(world.pipeline(**OtherRules({"9": 123_400}).options).scoring.rescore("bobs", "9"))
    assert best_episode(world) == "bobs"


def test_an_episode_without_a_score_is_said_to_have_none(world: World) -> None:
    world.listed("coming", EpisodeState.UPLOADED)
    world.listed("thrown-away", EpisodeState.DISCARDED)
    with served(world) as client:
        said = refused(client.get("/api/episodes/coming/best"), 404, "not_scored")
        assert said == "coming is uploaded and has no score yet; a verified one gets it in seconds"
        refused(client.get("/api/episodes/thrown-away/best"), 404, "never_scored")
        refused(client.get("/api/episodes/nothing/best"), 404, "unknown_episode")


def test_a_start_that_nobody_knows_is_said_to_be_unknown(world: World) -> None:
    drove(world, "mine", operator=ADA, things_m=None, cell="", simulated=False)
    drove(world, "alone", 5.0, operator=ADA)
    with served(world) as client:
        said = refused(client.get("/api/episodes/mine/best"), 404, "start_unknown")
        assert said == "nobody knows how mine began: its robot observes none of the task's things"
        assert "no other accepted drive" in refused(client.get("/api/episodes/alone/best"), 404, "no_best")


def test_a_file_that_is_gone_is_said_to_be_gone(world: World) -> None:
    old_and_bad(world, "mine")
    world.store.path("mine", "episode.h5").unlink()
    with served(world) as client:
        said = refused(client.get("/api/episodes/mine/best"), 404, "start_unknown")
    assert said == "nobody knows how mine began: this hub does not have its file any more"


def test_a_worker_that_is_lost_says_nothing_against_the_file(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asyncio.run(submitted(world, world.verified("mine"), world.verified("bobs", operator=BOB, seed=9)))
    of_an_earlier_release(world, "mine")

    def died(_file: Path) -> Start:
        raise BrokenExecutor("a worker died")

    with served(world) as client:
        with monkeypatch.context() as patch:
            patch.setattr(scoring, "start_in", died)
            answer = client.get("/api/episodes/mine/best")
            refused(answer, 503, "best_unread")
            assert answer.headers["Retry-After"] == "5"
        assert client.get("/api/episodes/mine/best").json()["episode"] == "bobs"


def test_only_so_many_wait_for_old_files(world: World, read: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "FILLING_MAX", 2)
    old_and_bad(world, *(f"old-{number}" for number in range(5)))

    async def crowd() -> list[object]:
        running = world.pipeline()
        return await asyncio.gather(*(running.best(f"old-{number}") for number in range(5)), return_exceptions=True)

    told = asyncio.run(crowd())
    turned_away = [one for one in told if isinstance(one, BestBusyError)]
    assert 1 <= len(turned_away) <= 2, "one is read, two wait"
    assert len(turned_away) + len(read) == 5
