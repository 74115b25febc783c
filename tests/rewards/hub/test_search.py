"""Searching episodes: pages that are whole, words that go together, what stands beside one; on both databases."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select, text

from recorder.hub import motions
from recorder.hub.states import EpisodeState
from recorder.hub.tables import EpisodeRow
from recorder.proof.bundle import TrustClass
from recorder.proof.checks.copies import Motion
from recorder.proof.checks.copies import Path as MotionPath
from recorder.proof.checks.paths import POINTS
from rewards.datasets.words import LIMIT_MAX, WORDS, DatasetName, FilterValueError, Order, Words
from rewards.hub import searched
from rewards.hub.counting import WORDS as WORDS_COUNTED
from rewards.hub.search import CursorError, Search
from rewards.tables import PracticeRow, ScoreRow, SearchedRow
from teleop.hub.db import SlowQueryError
from teleop.wire.driver import DriverKind
from tests.recorder.factory import fixed_key
from tests.rewards.world import DictVault, World, make_world

ADA, BOB = fixed_key("ada").address, fixed_key("bob").address
ARM, LEG = fixed_key("arm").address, fixed_key("leg").address


@pytest.fixture
def world(tmp_path: Path, either_database: str) -> Iterator[World]:
    made = make_world(tmp_path, DictVault())
    yield made
    made.database.kw["bind"].dispose()


@pytest.fixture
def search(world: World) -> Search:
    return Search(world.database)


def add(world: World, number: int, **changes: Any) -> str:
    """Put an episode into the table, as the recorder's room does; it begins with others of its three milliseconds."""
    values = {"state": EpisodeState.VERIFIED, "robot": ARM, "operator": ADA, "task": "lift", "model": "panda"}
    with world.database() as db, db.begin():
        db.add(EpisodeRow(episode=f"e{number:03}", created_ms=1000 + number // 3, **(values | changes)))
    return f"e{number:03}"


def score(world: World, episode: str, ppm: int, *, version: str = "3", practice: bool = False, **vector: float) -> None:
    """Score an episode, as the pipeline does."""
    with world.database() as db, db.begin():
        db.add(
            ScoreRow(
                episode=episode,
                version=version,
                score_ppm=ppm,
                accepted=ppm >= 500_000,
                vector=vector,
                reasons=[],
                task="lift",
                operator=ADA,
                price_wei=1,
                pay_wei=1,
                scored_ms=1,
                rescored=version != "3",
            )
        )
        if practice:
            db.add(PracticeRow(episode=episode, operator=ADA, passed=True, checks=[], checked_ms=1))
        searched.keep(db, episode)


def found(search: Search, **words: str) -> list[str]:
    """Return every episode that the words find, page after page."""
    episodes, after = [], None
    while True:
        page = search.page(Words.of({**words, **({} if after is None else {"after": after})}.items()))
        episodes += [one.episode for one in page.episodes]
        after = page.next
        if after is None:
            return episodes


@pytest.mark.parametrize("limit", ["1", "2", "7", "100"])
def test_pages_together_are_everything_once_newest_first(world, search, limit):
    for number in range(20):
        add(world, number)
    assert found(search, limit=limit) == [f"e{number:03}" for number in range(19, -1, -1)]
    assert found(search, limit=limit, order="oldest") == [f"e{number:03}" for number in range(20)]


@pytest.mark.parametrize("order", [one.value for one in Order])
def test_pages_in_every_order_are_whole_even_if_many_are_alike(world, search, order):
    for number in range(12):
        episode = add(world, number, duration_ms=1000 * (number % 3))
        score(world, episode, 250_000 * (number % 4))
    rank = {
        "newest": lambda n: (-(n // 3), -n),
        "oldest": lambda n: (n // 3, n),
        "best": lambda n: (-(n % 4), -n),
        "worst": lambda n: (n % 4, n),
        "longest": lambda n: (-(n % 3), -n),
        "shortest": lambda n: (n % 3, n),
    }[order]
    expected = [f"e{number:03}" for number in sorted(range(12), key=rank)]
    assert found(search, order=order, limit="2") == expected == found(search, order=order)


def test_an_order_by_score_or_length_lists_those_that_have_one(world, search):
    score(world, add(world, 0, duration_ms=5), 700_000)
    add(world, 1)
    assert found(search, order="best") == found(search, order="shortest") == ["e000"]
    assert search.page(Words.of({"order": "best"}.items())).total == 1
    assert found(search) == ["e001", "e000"]


def test_what_comes_in_meanwhile_moves_no_page(world, search):
    for number in range(10):
        add(world, number)
    first = search.page(Words(limit=5))
    add(world, 99)
    assert [one.episode for one in search.page(Words(limit=5, after=first.next)).episodes] == [
        "e004",
        "e003",
        "e002",
        "e001",
        "e000",
    ]


def test_a_page_has_an_end(world, search):
    for number in range(LIMIT_MAX + 5):
        add(world, number)
    page = search.page(Words(limit=LIMIT_MAX))
    assert (len(page.episodes), page.total, page.more) == (LIMIT_MAX, LIMIT_MAX + 5, False)


def test_a_total_is_counted_up_to_a_bound(world, search, monkeypatch):
    monkeypatch.setattr("rewards.hub.search.TOTAL_MAX", 3)
    for number in range(3):
        add(world, number)
    assert [(page.total, page.more) for page in [search.page(Words())]] == [(3, False)]
    add(world, 3)
    assert [(page.total, page.more) for page in [search.page(Words())]] == [(3, True)]


@pytest.mark.parametrize("after", ["x", "newest.12", "newest.12.", "newest..e", "newest.-1.e", f"newest.{10**30}.e"])
def test_a_made_up_cursor_is_refused(search, after):
    with pytest.raises(CursorError, match="`next` of an earlier page"):
        search.page(Words(after=after))


def test_a_cursor_of_another_order_is_refused(world, search):
    for number in range(3):
        add(world, number)
    after = search.page(Words(limit=1)).next
    with pytest.raises(CursorError, match="the order too"):
        search.page(Words(order=Order.OLDEST, after=after))


def everyone(world: World) -> None:
    """Put in eight episodes that differ in everything a word is about."""
    add(world, 0, task="stack", robot=LEG, model="husky", duration_ms=4_000, success=False)
    add(world, 1, operator=BOB, driver_kind=DriverKind.POLICY, driver_name="p", driver_sha256="5" * 64, success=True)
    add(world, 2, trust=TrustClass.WITNESSED, duration_ms=20_000, driver_kind=DriverKind.PERSON)
    add(world, 3, trust=TrustClass.REPLAYED, duration_ms=10_500)
    add(world, 4, state=EpisodeState.REJECTED)
    score(world, "e000", 900_000, success=1.0, object_path=0.9, pace=0.2)
    score(world, "e001", 500_000, success=1.0, object_path=0.8, pace=0.7)
    score(world, "e002", 100_000, success=0.4, smoothness=0.5, practice=True)


WANTED = {
    "task": [("stack", "0")],
    "robot": [(LEG, "0"), (ARM, "1234")],
    "model": [("husky", "0")],
    "operator": [(BOB, "1")],
    "success": [("true", "1"), ("false", "0")],
    "state": [("rejected", "4"), ("verified", "0123")],
    "trust": [("witnessed", "2"), ("replayed", "3")],
    "driver": [("policy", "1"), ("person", "2"), ("script", "")],
    "practice": [("true", "2"), ("false", "0134")],
    "score_min": [("0.5", "01"), ("0.500001", "0"), ("1", "")],
    "score_max": [("0.5", "12"), ("0.499999", "2")],
    "success_min": [("0.5", "01")],
    "success_max": [("0.5", "2")],
    "object_path_min": [("0.8", "01"), ("0.81", "0")],
    "object_path_max": [("0.8", "1")],
    "pace_min": [("0.7", "1")],
    "pace_max": [("0.5", "0")],
    "smoothness_min": [("0.5", "2")],
    "smoothness_max": [("0.4", "")],
    "order_min": [("0", "")],
    "order_max": [("1", "")],
    "flow_min": [("0", "")],
    "flow_max": [("1", "")],
    "control_min": [("0", "")],
    "control_max": [("1", "")],
    "path_efficiency_min": [("0", "")],
    "path_efficiency_max": [("1", "")],
    "idle_min": [("0", "")],
    "idle_max": [("1", "")],
    "tracking_min": [("0", "")],
    "tracking_max": [("1", "")],
    "duration_min_s": [("10.5", "23"), ("10.501", "2")],
    "duration_max_s": [("10.5", "03")],
    "since": [("1970-01-01T00:00:01.001Z", "34"), ("1970-01-01", "01234")],
    "until": [("1970-01-01T00:00:01.001Z", "012"), ("1970-01-01", "")],
    "dataset": [("lab/lift", "03"), ("lab/lift@2", "3")],
}
"""Each word with values, and which of `everyone` they find."""


def test_every_word_finds_what_it_says_and_nothing_else(world):
    everyone(world)

    def members(_db, name):
        named = ["e000", "e003"] if name.version is None else ["e003"]
        return select(SearchedRow.episode).where(SearchedRow.episode.in_(named))

    search = Search(world.database, members)
    got = {
        word: [(value, "".join(sorted(one[-1] for one in found(search, **{word: value})))) for value, _ in cases]
        for word, cases in WANTED.items()
    }
    assert got == WANTED
    assert set(WANTED) == {name for name, word in WORDS.items() if word.filters}


def test_words_go_together(world, search):
    everyone(world)
    assert found(search, task="lift", score_min="0.2") == ["e001"]
    assert found(search, operator=ADA, state="verified", duration_min_s="5", duration_max_s="15") == ["e003"]
    assert found(search, object_path_min="0.8", object_path_max="0.85", pace_min="0.5") == ["e001"]


def test_a_data_set_that_there_is_not_is_refused_and_not_taken_for_an_empty_one(search):
    with pytest.raises(FilterValueError, match="lab/lift"):
        search.page(Words(dataset=DatasetName("lab/lift")))


def test_what_is_found_says_what_it_scored_by_the_newest_rules(world, search):
    everyone(world)
    score(world, "e001", 700_000, version="2", success=1.0, smoothness=0.5)
    page = {one.episode: one for one in search.page(Words()).episodes}
    assert (page["e001"].score, page["e001"].rules, page["e001"].accepted) == (0.5, "3", True)
    assert (page["e002"].score, page["e002"].accepted, page["e002"].practice) == (0.1, False, True)
    assert (page["e004"].score, page["e004"].rules, page["e004"].accepted, page["e004"].practice) == (
        None,
        None,
        None,
        False,
    )
    assert page["e000"].model == "husky"
    assert page["e000"].duration_s == 4.0
    assert found(search, smoothness_min="0.5") == ["e002"], "not by a part of older rules than its score's"


def test_values_are_counted_under_the_other_words(world, search):
    everyone(world)
    values = search.values(Words.of({"task": "lift", "state": "verified"}.items()))
    plain = {name: {one.value: one.episodes for one in getattr(values, name)} for name in WORDS_COUNTED}
    assert plain == {
        "task": {"lift": 3, "stack": 1},
        "model": {"panda": 3},
        "robot": {ARM: 3},
        "operator": {ADA: 2, BOB: 1},
        "driver": {"policy": 1, "person": 1},
        "trust": {"replayed": 1, "witnessed": 1},
    }


def test_the_most_frequent_values_come_first_and_they_have_an_end(world, search):
    for number in range(105):
        add(world, number, task=f"task-{max(0, number - 2):03}")
    tasks = search.values(Words()).task
    assert (tasks[0].value, tasks[0].episodes, len(tasks)) == ("task-000", 3, 100)


@pytest.mark.parametrize("nasty", ["%", "_ift", "lif_", "' OR 1=1 --", "lift\\", "*"])
def test_a_value_is_a_name_and_no_pattern(world, search, nasty):
    everyone(world)
    assert found(search, task=nasty) == []


def test_the_row_that_is_searched_follows_its_episode_whoever_writes_it(world, search):
    add(world, 0, state=EpisodeState.UPLOADED)
    with world.database() as db, db.begin():
        db.execute(text("UPDATE episodes SET state = 'verified', trust = 'replayed', success = :yes"), {"yes": True})
    assert found(search, state="verified", trust="replayed", success="true") == ["e000"]
    with world.database() as db, db.begin():
        db.execute(text("DELETE FROM episodes"))
    assert found(search) == []


def test_a_search_that_takes_too_long_is_ended(world):
    with world.database() as db, db.begin():
        for number in range(400):
            row = {"robot": ARM, "operator": ADA, "task": "lift", "created_ms": number, "state": EpisodeState.VERIFIED}
            db.add(EpisodeRow(episode=f"e{number:03}", **row))
    endless = "SELECT count(*) FROM episodes a, episodes b, episodes c, episodes d"

    class Slow(Search):
        def where(self, db, words, *, walked):
            db.execute(text(endless))
            return []

    began_s = time.monotonic()
    with pytest.raises(SlowQueryError, match=r"longer than 0\.2 s"):
        Slow(world.database, max_s=0.2).page(Words())
    assert time.monotonic() - began_s < 60
    assert Search(world.database).page(Words()).total == 400, "the next one has its own time"


def test_the_neighbours_are_of_the_task_and_of_the_operator_and_verified(world, search):
    for number in range(8):
        add(world, number, task="lift" if number % 2 else "stack", operator=ADA if number < 6 else BOB)
    add(world, 9, state=EpisodeState.REJECTED)
    beside = search.neighbours("e003")
    assert (beside.task.next, beside.task.previous) == ("e005", "e001")
    assert (beside.operator.next, beside.operator.previous) == ("e004", "e002")
    assert search.neighbours("e000").task.previous is None
    assert search.neighbours("e007").task.next is None
    assert beside.motion == []


def test_neighbours_of_the_same_moment_are_each_others_once(world, search):
    for number in range(7):
        add(world, number)
    for one, other in itertools.pairwise(f"e{number:03}" for number in range(7)):
        assert search.neighbours(one).task.next == other
        assert search.neighbours(other).task.previous == one


def moved(offset_m: float, kind: str = "hands") -> Motion:
    values = np.zeros((POINTS, 9), "<f4")
    values[:, :3] = offset_m / np.sqrt(POINTS * 3)
    return Motion(None, (MotionPath(kind, 9, values.tobytes()),), b"")


def test_the_nearest_in_motion_come_nearest_first_with_their_distance_in_metres(world, search):
    offsets_m = [0.0, 0.004, -0.02, 0.3, 1.2, 0.05]
    for number, offset_m in enumerate(offsets_m):
        episode = add(world, number)
        with world.database() as db, db.begin():
            motions.add(db, episode, moved(offset_m), replayed=False)
    near = search.neighbours("e000").motion
    assert [one.episode for one in near] == ["e001", "e002", "e005", "e003", "e004"]
    assert [one.apart_m for one in near] == pytest.approx([0.004, 0.02, 0.05, 0.3, 1.2], rel=1e-5)


def test_of_many_motions_the_nearest_are_found(world, search):
    random = np.random.default_rng(3)
    with world.database() as db, db.begin():
        for number in range(300):
            row = {"robot": ARM, "operator": ADA, "task": "lift", "created_ms": number, "state": EpisodeState.VERIFIED}
            db.add(EpisodeRow(episode=f"e{number:03}", **row))
            db.flush()
            motions.add(db, f"e{number:03}", moved(float(random.uniform(-1, 1))), replayed=False)
    apart = {row.episode: row.apart_m for row in search.neighbours("e000").motion}
    with world.database() as db:
        rows = db.execute(text("SELECT episode, points FROM motion_paths")).all()
    vectors = {episode: np.frombuffer(points, "<f4") for episode, points in rows}
    expected = sorted((float(np.linalg.norm(one - vectors["e000"])), name) for name, one in vectors.items())[1:9]
    assert list(apart) == [name for _, name in expected]


def test_the_neighbours_of_an_unknown_episode_are_refused(search):
    with pytest.raises(LookupError, match="'nothing'"):
        search.neighbours("nothing")
