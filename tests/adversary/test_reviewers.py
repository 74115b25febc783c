"""Who would cheat at review: friends, rings, clickers, owners, and hosts that say that all went well."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from eth_account.signers.local import LocalAccount

from rewards.hub.reviews.asking import NotAReviewerError
from rewards.hub.reviews.store import Reviews
from rewards.people.reviews import RULES, ReviewRules
from rewards.score.facts import EpisodeFacts
from rewards.score.reviewed import reviewed_score
from tests.recorder.factory import fixed_key
from tests.rewards.drives import facts_along, good_drive, line
from tests.rewards.hub.reviews.town import Town, make_town

STRANGER = fixed_key("stranger")
ALL_REAL = dataclasses.replace(RULES, known_in=1_000_000)
"""Rules by which hardly any task has a known answer, so that a test sees the others."""


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    made = make_town(tmp_path)
    yield made
    made.world.database.kw["bind"].dispose()


def robots(town: Town, count: int) -> list[str]:
    """Return real robots, each of another owner: nobody in a test shares one by chance."""
    return [town.robot(f"real-{index}", fixed_key(f"owner {index}")) for index in range(count)]


def asked(town: Town, reviews: Reviews, who: LocalAccount) -> str | None:
    """Return what somebody is asked about."""
    task = reviews.next(who.address).task
    return None if task is None else task.episode


def test_two_wallets_of_one_person_cannot_pass_each_other(town: Town) -> None:
    reviews, [one, other] = town.reviews(rules=ALL_REAL), robots(town, 2)
    left, right = town.person("left hand"), town.person("right hand")
    first = town.filmed(left, one)
    assert town.judges(reviews, right, first, True), "nothing shows yet that they know each other"
    town.filmed(right, other)
    assert asked(town, reviews, left) is None, "and now they do not judge back"
    town.now_ms += RULES.period_ms + 1
    assert asked(town, reviews, left) is not None


def test_a_ring_of_three_that_always_agrees_is_not_asked_round(town: Town) -> None:
    reviews, places = town.reviews(rules=ALL_REAL), robots(town, 3)
    people = [town.person(name) for name in ("ann", "ben", "cat")]
    for (author, place), (judge, _) in pairwise(zip(people, places, strict=True)):
        for _ in range(RULES.habit_least):
            assert town.judges(reviews, judge, town.filmed(author, place), True)
    town.filmed(people[2], places[2])
    assert asked(town, reviews, people[0]) is None, "ben judges ann, cat judges ben, and ann does not judge cat"


def test_a_friend_passes_only_so_many_of_one_author_in_a_month(town: Town) -> None:
    reviews, [place] = town.reviews(rules=ReviewRules(known_in=10**6, pair_most=3)), robots(town, 1)
    friend = town.person("friend")
    passed = [town.judges(reviews, friend, town.filmed(STRANGER, place), True) for _ in range(5)]
    assert passed == [True] * 3 + [False] * 2


def test_a_friend_whom_others_contradict_is_not_asked_about_that_author_again(town: Town) -> None:
    """The author says that everything was done; the friend agrees with all of it, and everyone else does not."""
    reviews, [place] = town.reviews(rules=ALL_REAL), robots(town, 1)
    friend, honest = town.person("friend"), [town.person(name) for name in ("rita", "sam")]
    for _ in range(4):
        lie = town.filmed(STRANGER, place)
        for who in honest:
            assert town.judges(reviews, who, lie, False)
        assert town.state(lie) == "failed"
    agreed = 0
    while town.judges(reviews, friend, town.filmed(STRANGER, place), True):
        agreed += 1
        assert agreed < RULES.pair_most
    assert agreed <= RULES.pair_least


def test_who_passes_everything_never_gets_to_judge_a_real_robot(town: Town) -> None:
    reviews, [place] = town.reviews(), robots(town, 1)
    clicker = town.driver("clicker", next(one.address for one in town.robots if one.simulated))
    episode = town.filmed(STRANGER, place)
    for _ in range(RULES.known_window):
        try:
            given = asked(town, reviews, clicker)
        except NotAReviewerError:
            break
        assert given in town.truths
        town.says(reviews, clicker, given, True)
    assert not reviews.standing(clicker.address).may
    assert town.state(episode) == "open"
    assert town.earned(clicker) == 0


def test_the_votes_of_somebody_who_turns_to_clicking_are_struck_from_what_is_still_open(town: Town) -> None:
    tested, real = town.reviews(rules=ReviewRules(known_in=1)), town.reviews(rules=ALL_REAL)
    [place] = robots(town, 1)
    turned = town.person("turned")
    episode = town.filmed(STRANGER, place, second=True)
    assert town.judges(real, turned, episode, True)
    town.filmed(fixed_key("another"), place)
    while tested.standing(turned.address).may:
        given = asked(town, tested, turned)
        assert given in town.truths, "every task is a known one"
        town.says(tested, turned, given, True)
    assert town.judges(real, town.person("honest"), episode, True)
    assert town.state(episode) == "open", "one vote counts, and two are wanted"
    assert town.judges(real, town.person("last"), episode, True)
    assert town.state(episode) == "passed"


def test_the_operators_word_alone_pays_nobody_however_long_it_waits(town: Town) -> None:
    reviews, [place] = town.reviews(rules=ALL_REAL), robots(town, 1)
    episode = town.filmed(STRANGER, place, said=True)
    town.now_ms += 400 * 24 * 3_600_000
    town.world.pipeline().pay_waiting()
    assert (town.state(episode), town.earned(STRANGER)) == ("open", 0)
    assert asked(town, reviews, town.person("rita")) == episode


def test_an_owner_a_driver_of_that_robot_and_whose_robot_the_author_drives_are_not_asked(town: Town) -> None:
    reviews = town.reviews(rules=ALL_REAL)
    owner, housemate, author, lender = (town.person(name) for name in ("owner", "housemate", "author", "lender"))
    place, lent = town.robot("arm", owner), town.robot("lent", lender)
    town.keep([town.episode(housemate, place), town.episode(author, lent)])
    town.filmed(author, place)
    assert [asked(town, reviews, who) for who in (owner, housemate, author, lender)] == [None] * 4
    assert asked(town, reviews, town.person("rita")) is not None


def test_a_host_that_records_success_gains_nothing_by_it() -> None:
    """What a real robot's host says of the task is not looked at: people's judgement takes its place."""
    honest, liar = good_drive(success=None), good_drive(success=True, done_s=0.5, progress=None, stages=("lift",))
    assert reviewed_score(honest, filmed=True) == reviewed_score(liar, filmed=True)


@pytest.mark.parametrize(
    ("facts", "filmed", "gate"),
    [
        (good_drive(), False, "not_filmed"),
        (good_drive(valid=False, end_reason="left"), True, "invalid_end"),
        (facts_along(line(0.0, 0.001)), True, "no_motion"),
        (good_drive(unseen={"front": 0.9}), True, "unseen"),
    ],
)
def test_nobody_is_asked_about_what_shows_nothing(facts: EpisodeFacts, filmed: bool, gate: str) -> None:
    found = reviewed_score(facts, filmed=filmed)
    assert not found.accepted
    assert gate in found.refused
    assert found.reasons
