"""The best drive from a like start: of the same task and robot model, accepted, by somebody else if there is one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, text

from recorder.hub.states import EpisodeState
from recorder.hub.store import UnknownFileError
from recorder.hub.tables import EpisodeRow
from rewards.hub import judging, scoring, starts
from rewards.hub.starts import NEAREST, PER_CELL, Best
from rewards.hub.verdicts import scores
from rewards.score.starts import LIKE_M, Start, start_cells
from rewards.tables import StartRow
from tests.rewards.hub.test_pipeline import submitted
from tests.rewards.other_rules import OtherRules
from tests.rewards.world import ADA, BOB, DictVault, World, make_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path, DictVault())
    yield made
    made.database.kw["bind"].dispose()


def drove(world: World, episode: str, x_m: float = 0.3, score: int = 500_000, **other: Any) -> str:
    """Note an episode that began with the cube at x, as it is kept once it is scored."""
    who, state = other.pop("operator", BOB), other.pop("state", EpisodeState.VERIFIED)
    world.listed(episode, state, who)
    start = Start("lift", 1, "panda", True, (x_m, 0.02, 0.02), 8.0)
    row = {name: getattr(start, name) for name in ("task", "task_version", "model", "simulated", "duration_s", "cell")}
    row |= {"things_m": list(start.things_m or ()), "version": "2", "accepted": True, "score_ppm": score}
    with world.database() as db, db.begin():
        db.add(StartRow(episode=episode, operator=who, **row | other))
    return episode


def best(world: World, episode: str = "mine") -> Best | None:
    return asyncio.run(world.pipeline().best(episode))


def best_episode(world: World, episode: str = "mine") -> str | None:
    found = best(world, episode)
    return None if found is None else found.episode


def test_of_the_drives_from_a_like_start_it_is_the_one_with_the_highest_score(world: World) -> None:
    drove(world, "mine", operator=ADA)
    drove(world, "good", 0.31, 800_000)
    drove(world, "better", 0.34, 900_000)
    drove(world, "elsewhere", 0.3 + LIKE_M + 0.001, 1_000_000)
    assert best(world) == Best("better", 900_000, 8.0, pytest.approx(0.04))


def test_of_many_only_the_nearest_count(world: World) -> None:
    drove(world, "mine", operator=ADA)
    for number in range(NEAREST):
        drove(world, f"near-{number}", 0.3 + 0.001 * number, 700_000 + number)
    drove(world, "farther", 0.34, 1_000_000)
    assert best_episode(world) == f"near-{NEAREST - 1}"


def test_a_drive_across_the_edge_of_a_cell_is_found(world: World) -> None:
    for number, x_m in enumerate((-0.0001, 0.0001, LIKE_M - 0.0001, LIKE_M + 0.0001)):
        drove(world, f"mine-{number}", x_m, operator=ADA)
    drove(world, "other", 0.02)
    assert {best_episode(world, f"mine-{number}") for number in range(4)} == {"other"}


OTHERS: dict[str, dict[str, Any]] = {
    "another task": {"task": "stack"},
    "another version of the task": {"task_version": 2},
    "another robot model": {"model": "xarm7"},
    "a real robot": {"simulated": False},
    "not accepted": {"accepted": False},
    "rejected since": {"state": EpisodeState.REJECTED},
    "discarded": {"state": EpisodeState.DISCARDED},
    "with other things": {"things_m": [0.3, 0.02, 0.02, 0.3, 0.02, 0.02]},
    "with unknown things": {"things_m": None},
}


@pytest.mark.parametrize("what", OTHERS)
def test_what_is_not_alike_or_does_not_count_is_nobodys_example(world: World, what: str) -> None:
    drove(world, "mine", operator=ADA)
    drove(world, "other", score=1_000_000, **OTHERS[what])
    assert best(world) is None


def test_what_was_erased_is_nobodys_example(world: World) -> None:
    drove(world, "mine", operator=ADA)
    drove(world, "erased", score=1_000_000)
    with world.database() as db, db.begin():
        db.get_one(EpisodeRow, "erased").erased_ms = 1
    assert best(world) is None


def test_ones_own_drive_is_shown_only_if_nobody_else_has_one(world: World) -> None:
    drove(world, "mine", operator=ADA)
    drove(world, "mine-too", score=1_000_000, operator=ADA)
    assert best_episode(world) == "mine-too"
    drove(world, "bobs", score=300_000)
    assert best_episode(world) == "bobs"


def test_a_crowd_of_ones_own_drives_hides_nobody_elses(world: World) -> None:
    """Whoever fills a cell with drives of their own would else be the only example there."""
    drove(world, "mine", operator=ADA)
    for number in range(PER_CELL + 8):
        drove(world, f"ada-{number}", score=1_000_000, operator=ADA)
    drove(world, "bobs", score=300_000)
    assert best_episode(world) == "bobs"


def test_a_scored_episode_has_a_start_and_a_failed_one_finds_its_example(world: World) -> None:
    asyncio.run(submitted(world, world.verified("mine", success=False), world.verified("bobs", operator=BOB, seed=9)))
    found = best(world)
    assert found is not None
    assert (found.episode, found.apart_m, found.duration_s) == ("bobs", 0.0, 3.0)


def test_an_episode_without_a_score_has_no_example(world: World) -> None:
    world.verified("mine")
    assert best(world) is None
    assert best(world, "nothing") is None


def test_the_start_of_an_episode_of_an_earlier_release_is_read_when_it_is_asked_for_and_kept(world: World) -> None:
    asyncio.run(submitted(world, world.verified("mine"), world.verified("bobs", operator=BOB, seed=9)))
    with world.database() as db, db.begin():
        db.execute(delete(StartRow).where(StartRow.episode == "mine"))
    assert best_episode(world) == "bobs"
    world.store.path("mine", "episode.h5").unlink()
    assert best_episode(world) == "bobs"  # its file is not read again


def test_a_crowd_that_asks_for_an_old_start_has_its_file_read_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(submitted(world, world.verified("mine"), world.verified("bobs", operator=BOB, seed=9)))
    with world.database() as db, db.begin():
        db.execute(delete(StartRow).where(StartRow.episode == "mine"))
    read: list[str] = []

    def counted(file: Path) -> Start:
        read.append(file.parent.name)
        return judging.start_in(file)

    monkeypatch.setattr(scoring, "start_in", counted)

    async def crowd() -> list[Best | None]:
        running = world.pipeline()
        return list(await asyncio.gather(*(running.best("mine") for _ in range(20))))

    assert {one.episode for one in asyncio.run(crowd()) if one is not None} == {"bobs"}
    assert read == ["mine"]


def test_rescoring_fills_in_the_starts_of_earlier_releases_and_the_newest_score_counts(world: World) -> None:
    asyncio.run(submitted(world, world.verified("mine"), world.verified("bobs", operator=BOB, seed=9)))
    with world.database() as db, db.begin():
        db.execute(delete(StartRow))
    running = world.pipeline(**OtherRules({"9": 123_400}).options)
    for episode in ("mine", "bobs"):
        asyncio.run(running.scoring.rescore(episode, "9"))
    found = best(world)
    assert found is not None
    assert (found.episode, found.score_ppm) == ("bobs", 123_400)


def test_older_rules_do_not_take_the_place_of_newer_ones(world: World) -> None:
    asyncio.run(submitted(world, world.verified("bobs")))
    assert asyncio.run(world.pipeline().scoring.rescore("bobs", "1"))
    with world.database() as db:
        assert [row.version for row in scores(db, "bobs")] == ["2", "1"]
        assert db.get_one(StartRow, "bobs").version == "2"


def test_a_file_that_is_gone_is_said_to_be(world: World) -> None:
    asyncio.run(submitted(world, world.verified("mine")))
    with world.database() as db, db.begin():
        db.execute(delete(StartRow))
    world.store.path("mine", "episode.h5").unlink()
    with pytest.raises(UnknownFileError):
        best(world)


def test_the_search_goes_by_the_index(world: World) -> None:
    """However many drives there are: no table is read from end to end, and nothing is sorted."""
    drove(world, "mine", operator=ADA)
    with world.database() as db:
        query = starts._candidates(db.get_one(StartRow, "mine"), StartRow.operator != ADA)
        said = query.compile(db.get_bind(), compile_kwargs={"literal_binds": True})
        plan = [row[-1] for row in db.execute(text(f"EXPLAIN QUERY PLAN {said}"))]
    reads = [line for line in plan if line.startswith(("SEARCH", "SCAN"))]
    by_cell = [line for line in reads if "ix_starts_like" in line and "cell=?" in line]
    assert len(by_cell) == len(start_cells([0.3, 0.02, 0.02]))
    assert not any(line.startswith(("SCAN starts", "SCAN episodes")) or "TEMP B-TREE" in line for line in plan), plan
