"""A card has statistics of what the cameras of simulations see, and whoever makes it again finds the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from recorder.proof.bundle import EPISODE_FILE
from rewards.datasets.card import CARD, Card, Judged, Tally, encoded
from rewards.datasets.comparing import drawn_differences
from rewards.datasets.drawn import EPISODES_MAX, PICTURES, chosen
from rewards.datasets.facts import FACTS, facts_in
from tests.recorder.dataset.world import reaching
from tests.rewards.datasets.sets import member, version

UNJUDGED = Judged(None, None, None, None)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return list(reaching(tmp_path_factory.mktemp("drawn"), range(2)))


def card_of(bundles: Sequence[Path], drawn: frozenset[str]) -> Card:
    tally = Tally(version(bundles), "d" * 64, drawn)
    for bundle in bundles:
        one = member(bundle)
        facts = facts_in(bundle / EPISODE_FILE, draw=True)
        tally.add(one, FACTS.decode(msgspec.json.encode(facts)), UNJUDGED)
    return tally.card()


def test_a_card_has_the_colours_that_each_camera_of_a_simulation_sees(bundles: list[Path]) -> None:
    both = frozenset(member(bundle).episode for bundle in bundles)
    card = card_of(bundles, both)
    assert [one.name for one in card.drawn] == ["front", "side", "wrist"]
    for one in card.drawn:
        assert one.numbers is not None
        assert (one.codec, one.episodes, one.pictures, one.numbers.count) == ("drawn", 2, 2 * PICTURES, 2 * PICTURES)
        assert np.all(np.array(one.numbers.min) >= 0)
        assert np.all(np.array(one.numbers.max) <= 1)
        assert np.all(np.array(one.numbers.std) > 0.01)
    assert CARD.decode(encoded(card)) == card
    assert drawn_differences(card.drawn, card_of(bundles, both).drawn) == []


def test_only_the_episodes_that_are_chosen_count(bundles: list[Path]) -> None:
    first = member(bundles[0]).episode
    assert {one.episodes for one in card_of(bundles, frozenset({first})).drawn} == {1}
    assert card_of(bundles, frozenset()).drawn == []
    ids = [f"e{at}" for at in range(100)]
    assert len(chosen(ids)) == EPISODES_MAX
    assert chosen(ids) == chosen(reversed(ids))


def test_a_card_that_lies_about_its_pictures_is_found_out(bundles: list[Path]) -> None:
    (first, *_) = bundles
    card = card_of([first], frozenset({member(first).episode}))
    (front, *others) = card.drawn
    assert front.numbers is not None
    lie = replace(front, numbers=replace(front.numbers, mean=[0.9, 0.1, 0.1]))
    assert len(drawn_differences([lie, *others], card.drawn)) == 1
    assert len(drawn_differences([replace(front, name="nose")], card.drawn)) == 1


def test_a_card_of_an_earlier_release_is_still_read(bundles: list[Path]) -> None:
    said = msgspec.json.decode(encoded(card_of(bundles[:1], frozenset())))
    del said["drawn"]
    assert CARD.decode(msgspec.json.encode(said)).drawn == []
