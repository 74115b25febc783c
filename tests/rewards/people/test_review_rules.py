"""Promises of the rules of review: nobody alone decides, and who clicks blindly, or with a friend, is found out."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.people.reviews import (
    LEAD,
    Bar,
    Between,
    Known,
    Outcome,
    ReviewRules,
    Standing,
    agreement,
    agrees_too_often,
    at_least,
    at_most,
    bar,
    count,
    looked,
    quality,
    soonest_ms,
    standing,
)

WORDS = st.sampled_from([True, False, None])
VOTES = st.lists(st.booleans(), max_size=12)


@given(WORDS, st.booleans())
def test_the_operators_word_alone_decides_nothing(word: bool | None, second: bool) -> None:
    found = count(word, [], second=second)
    assert found.outcome is None
    assert found.wants >= 1


@given(WORDS, VOTES, st.booleans(), st.integers(1, 8))
def test_an_episode_is_decided_or_wants_as_many_votes_as_it_may_still_have(word, votes, second, most) -> None:
    found = count(word, votes, second=second, rules=ReviewRules(most=most))
    if found.outcome is None:
        assert 1 <= found.wants <= most - len(votes)
    else:
        assert found.wants == 0
        passes, fails = votes.count(True), votes.count(False)
        expected = Outcome.TIED if passes == fails else Outcome.PASSED if passes > fails else Outcome.FAILED
        assert found.outcome is expected


@given(WORDS, st.booleans(), st.integers(1, 8), st.randoms(use_true_random=False))
def test_whoever_is_asked_in_whatever_order_it_ends_and_nobody_is_asked_in_vain(word, second, most, rng) -> None:
    """Votes come in while it is open; as soon as what it wants has come unanimously for one side, it is decided."""
    votes: list[bool] = []
    while (found := count(word, votes, second=second, rules=ReviewRules(most=most))).outcome is None:
        side = word if not votes and word is not None else (votes.count(True) >= votes.count(False))
        whole = count(word, [*votes, *[side] * found.wants], second=second, rules=ReviewRules(most=most))
        assert whole.outcome is not None
        votes.append(rng.random() < 0.5)
    assert len(votes) <= most


@given(st.booleans())
def test_one_stranger_who_agrees_is_enough_and_one_who_does_not_is_not(word: bool) -> None:
    assert count(word, [word], second=False).outcome is (Outcome.PASSED if word else Outcome.FAILED)
    assert count(word, [not word], second=False).outcome is None
    assert count(word, [not word] * LEAD, second=False).outcome is (Outcome.FAILED if word else Outcome.PASSED)


def test_a_second_person_is_asked_if_the_hub_drew_that_or_the_operator_said_nothing() -> None:
    assert count(True, [True], second=True).outcome is None
    assert count(None, [True], second=False).outcome is None
    assert count(True, [True, True], second=True).outcome is Outcome.PASSED
    assert count(None, [True, True], second=False).outcome is Outcome.PASSED


def test_a_tie_is_no_pass() -> None:
    split = [True, False, True, False]
    assert count(True, split, second=False, rules=ReviewRules(most=4)).outcome is Outcome.TIED


def test_disagreement_among_reviewers_asks_more_until_one_side_leads_or_all_have_been_asked() -> None:
    assert count(True, [True, False], second=True) == count(True, [False, True], second=True)
    assert count(True, [False, True], second=False).wants == LEAD
    assert count(True, [False, True, True, True], second=False).outcome is Outcome.PASSED
    assert count(True, [False, True, False, True, False], second=False).outcome is Outcome.FAILED


def mixed(passing: float, right: float, many: int, seed: int = 1) -> list[Known]:
    """Known answers of somebody who passes, or is right, with these probabilities; `passing` < 0: by being right."""
    rng = random.Random(seed)
    found = []
    for index in range(many):
        truth = index % 2 == 0
        passed = rng.random() < passing if passing >= 0 else truth is (rng.random() < right)
        found.append(Known(passed, truth))
    return found


def test_nobody_is_trusted_before_they_have_shown_both_kinds() -> None:
    assert standing([]) is Standing.TRYING
    assert standing([Known(True, True)] * 40) is Standing.TRYING, "who has only seen successes has shown nothing"
    assert standing([Known(True, True), Known(False, False)] * 4) is Standing.TRUSTED


@pytest.mark.parametrize("always", [True, False])
def test_who_always_says_the_same_loses_the_right_before_a_vote_of_theirs_counts(always: bool) -> None:
    answers = [Known(always, truth) for truth in (True, False) * 4]
    assert standing(answers) is Standing.LOST
    seen = [standing(answers[:many]) for many in range(len(answers))]
    assert Standing.TRUSTED not in seen


def test_who_begins_to_click_after_being_trusted_is_found_out() -> None:
    earned = [Known(True, True), Known(False, False)] * 4
    until = next(n for n in range(40) if standing([*earned, *[Known(True, False)] * n]) is Standing.LOST)
    assert until <= 5


def test_a_coin_loses_the_right_and_an_honest_reviewer_hardly_ever_does() -> None:
    coins = [standing(mixed(0.5, 0, 40, seed)) for seed in range(50)]
    assert coins.count(Standing.LOST) >= 48
    honest = [standing(mixed(-1, 0.97, many, seed)) for seed in range(200) for many in (8, 40)]
    assert honest.count(Standing.LOST) <= 8


@given(st.integers(0, 30), st.integers(0, 30), st.floats(0, 1))
def test_tails_are_probabilities_and_complete_each_other(successes: int, more: int, chance: float) -> None:
    of = successes + more
    assert -1e-12 <= at_most(successes, of, chance) <= 1 + 1e-9
    above = at_least(successes + 1, of, chance) if more else 0.0
    assert at_most(successes, of, chance) + above == pytest.approx(1.0)


@given(st.floats(0, 1), st.floats(0, 1))
def test_agreement_of_two_is_symmetric_and_half_with_a_coin(one: float, other: float) -> None:
    assert agreement(one, other) == pytest.approx(agreement(other, one))
    assert 0 <= agreement(one, other) <= 1 + 1e-12
    assert agreement(one, 0.5) == pytest.approx(0.5)


def test_friends_who_agree_on_what_others_overturn_are_not_asked_again() -> None:
    """The author's word is upheld by others half the time, and by this reviewer always."""
    friends = Between(agreed=8, votes=8, reviewer_quality=quality(20, 20), author_quality=quality(5, 10))
    assert bar(friends) is Bar.HABIT


def test_two_who_know_nobody_else_are_not_asked_for_ever() -> None:
    """Whose word nobody else has ever looked at is no better than a coin, as far as the hub knows."""
    alone = Between(agreed=7, votes=7, reviewer_quality=quality(20, 20), author_quality=quality(0, 0))
    assert agrees_too_often(alone)


@given(st.integers(0, 60))
def test_honest_people_who_are_good_may_agree_for_ever(votes: int) -> None:
    honest = Between(agreed=votes, votes=votes, reviewer_quality=quality(40, 40), author_quality=quality(60, 60))
    assert not agrees_too_often(honest)


@pytest.mark.parametrize(
    ("between", "why"),
    [
        (Between(own=True, owner=True), Bar.OWN),
        (Between(owner=True), Bar.OWNER),
        (Between(shared_robot=True), Bar.SHARED_ROBOT),
        (Between(seen=True), Bar.SEEN),
        (Between(judged_back=True), Bar.RECIPROCAL),
        (Between(ring=True), Bar.RING),
        (Between(judged=20), Bar.PAIR_FULL),
        (Between(), None),
    ],
)
def test_who_shares_something_with_the_author_is_not_asked(between: Between, why: Bar | None) -> None:
    assert bar(between) is why


@given(st.integers(0, 3_600_000))
def test_a_vote_before_anything_could_have_been_seen_is_no_vote(duration_ms: int) -> None:
    assert 0 <= soonest_ms(duration_ms) <= duration_ms
    assert looked(duration_ms / 1000, 0, duration_ms)
    assert duration_ms == 0 or not looked(0, 0, duration_ms)
