"""However much the words find, and by whichever way it is found: a search finds the same, in the same order."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from recorder.hub.states import EpisodeState
from recorder.proof.bundle import TrustClass
from rewards.datasets.words import Order, Words
from rewards.hub import counting, narrowing, search
from rewards.tables import WithdrawalRow
from teleop.wire.driver import DriverKind
from tests.rewards.hub.test_search import ADA, ARM, BOB, LEG, add, found, score
from tests.rewards.world import DictVault, World, make_world

COUNT: Final = 40
ASKED: Final = (
    {},
    {"state": "verified"},
    {"task": "lift", "state": "verified"},
    {"operator": ADA},
    {"robot": ARM, "success": "true"},
    {"driver": "policy", "trust": "witnessed"},
    {"score_min": "0.3", "score_max": "0.8"},
    {"pace_min": "0.5", "task": "stack"},
    {"duration_min_s": "2", "model": "panda", "state": "verified"},
    {"practice": "true"},
)


@pytest.fixture
def world(tmp_path: Path, either_database: str) -> Iterator[World]:
    made = make_world(tmp_path, DictVault())
    drawn = random.Random(3)
    for number in range(COUNT):
        state = drawn.choice((EpisodeState.VERIFIED, EpisodeState.VERIFIED, EpisodeState.REJECTED))
        episode = add(
            made,
            number,
            state=state,
            task=drawn.choice(("lift", "lift", "stack")),
            operator=drawn.choice((ADA, BOB)),
            robot=drawn.choice((ARM, LEG)),
            driver_kind=drawn.choice((DriverKind.PERSON, DriverKind.POLICY)),
            trust=drawn.choice((TrustClass.WITNESSED, TrustClass.REPLAYED)),
            success=drawn.random() < 0.6,
            duration_ms=1000 * drawn.randrange(1, 5),
        )
        if state is EpisodeState.VERIFIED:
            ppm = 100_000 * drawn.randrange(11)
            score(made, episode, ppm, practice=drawn.random() < 0.2, pace=drawn.random())
    with made.database() as db, db.begin():
        db.add(WithdrawalRow(episode="e004", operator=ADA, reason="", withdrawn_ms=1))
    yield made
    made.database.kw["bind"].dispose()


@pytest.mark.parametrize("words", ASKED, ids=lambda words: " ".join(words) or "all")
def test_much_is_found_as_little_is(world, monkeypatch, words):
    here = search.Search(world.database)
    few = {order: found(here, **words, order=order.value, limit="7") for order in Order}
    monkeypatch.setattr(narrowing, "DRIVEN_MAX", 2)  # three episodes are many: no word drives a search
    monkeypatch.setattr(search, "TOTAL_MAX", 3)  # and an index is walked
    many = {order: found(here, **words, order=order.value, limit="7") for order in Order}
    assert many == few
    assert 0 < len(few[Order.NEWEST]) == len(set(few[Order.NEWEST])) < COUNT
    assert here.page(Words.of(words.items())).more is (len(few[Order.NEWEST]) > 3)


def test_of_much_the_values_of_the_newest_are_counted_and_it_is_said(world, monkeypatch):
    here = search.Search(world.database)
    newest = found(here, score_min="0")[:5]
    monkeypatch.setattr(counting, "COUNTED_MAX", 5)
    values = here.values(Words.of({"score_min": "0"}.items()))
    assert values.more
    assert sum(one.episodes for one in values.task) == len(newest)
    assert not here.values(Words.of({"state": "verified"}.items())).more, "all of a state are counted, by indexes"


def test_what_took_long_to_count_is_kept_for_a_while(world, monkeypatch):
    monkeypatch.setattr(counting, "KEPT_FROM", 1)
    now_s = 100.0
    counts = counting.Counts(lambda: now_s)

    def episodes() -> int:
        with world.database() as db:
            return sum(one.episodes for one in counts.values(db, Words(), lambda _words, _newest: []).task)

    before = episodes()
    add(world, 99)
    assert episodes() == before
    now_s += counting.KEPT_S
    assert episodes() == before + 1
