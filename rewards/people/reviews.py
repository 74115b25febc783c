"""Who judges a real robot's episode, and what follows from the votes: pure rules, which docs/reviewing.md states.

Nothing here believes anybody alone: not the operator's word, not one reviewer, not what a page says was looked at.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

DAY_MS: Final = 24 * 3_600_000


@dataclass(frozen=True, slots=True)
class ReviewRules:
    """The numbers of the rules; docs/reviewing.md gives the reason for each."""

    most: int = 5
    """How many people are asked about one episode at most."""
    second_in: int = 4
    """One in so many episodes is shown to a second person, even if the first one agrees with the operator."""
    episodes_least: int = 3
    """How many accepted episodes of robots that the hub replays a reviewer must have driven."""
    known_each: int = 4
    """How many known answers of each kind somebody must have given before their votes count."""
    known_window: int = 40
    """So many of the newest known answers are looked at."""
    known_in: int = 5
    """One in so many tasks has a known answer."""
    right: float = 0.9
    """How often a reviewer is expected to be right, of either kind."""
    doubt: float = 0.01
    """What is less likely than this is not taken for chance."""
    lease_ms: int = 30 * 60_000
    """For how long an episode is kept for whoever was asked."""
    refusals_a_day: int = 10
    """How many tasks one may refuse, or let run out, in 24 hours: who could refuse for ever would choose."""
    pair_most: int = 20
    """How many episodes of one author a reviewer judges in a period."""
    pair_least: int = 5
    """With fewer votes on one author nobody is suspected."""
    habit_least: int = 2
    """From how many votes on, all in agreement, a link of a ring is a habit."""
    period_ms: int = 30 * DAY_MS
    watched: float = 0.25
    """Which share of an episode's length must have passed, and been shown, before a vote on it is taken."""


RULES: Final = ReviewRules()


class Outcome(StrEnum):
    """What people found."""

    PASSED = "passed"
    FAILED = "failed"
    TIED = "tied"
    """As many say one as the other, and nobody more is asked: it is not paid."""


@dataclass(frozen=True, slots=True)
class Count:
    """What the votes on an episode come to."""

    outcome: Outcome | None
    """None while more people are asked."""
    wants: int
    """How many more votes could decide it."""


LEAD: Final = 2
"""By how many votes one side must lead, once anybody has disagreed."""


def count(word: bool | None, votes: Sequence[bool], *, second: bool, rules: ReviewRules = RULES) -> Count:
    """Return what the votes come to. `word` is the operator's, which is no vote: it only says how many are asked.

    One vote is enough if it agrees with the operator's word, or two if `second` says that somebody is asked in any
    case. Otherwise one side must lead by `LEAD`; once `rules.most` have voted, the majority decides.
    """
    passes = sum(votes)
    fails = len(votes) - passes
    if not votes:
        return Count(None, min(_least(word, second), rules.most))
    agreed = word is not None and all(vote is word for vote in votes)
    enough = len(votes) >= _least(word, second)
    lead = abs(passes - fails)
    if (enough and (agreed or lead >= LEAD)) or len(votes) >= rules.most:
        return Count(_of(passes, fails), 0)
    missing = _least(word, second) - len(votes)
    return Count(None, min(max(missing, 1 if agreed else LEAD - lead), rules.most - len(votes)))


def _least(word: bool | None, second: bool) -> int:
    return 2 if second or word is None else 1


def _of(passes: int, fails: int) -> Outcome:
    if passes == fails:
        return Outcome.TIED
    return Outcome.PASSED if passes > fails else Outcome.FAILED


@dataclass(frozen=True, slots=True)
class Known:
    """A vote on an episode whose answer the hub has computed."""

    passed: bool
    truth: bool

    @property
    def right(self) -> bool:
        """Whether it was the right one."""
        return self.passed is self.truth


class Standing(StrEnum):
    """Whether somebody's votes count."""

    TRYING = "trying"
    """All that they are shown has a known answer."""
    TRUSTED = "trusted"
    LOST = "lost"
    """Their known answers are worse than chance explains: they are asked no more."""


def standing(answers: Sequence[Known], rules: ReviewRules = RULES) -> Standing:
    """Return what somebody's known answers, oldest first, make of them.

    Passes and failures are looked at apart, as who passes everything is right about all that was done. A side is bad
    if so few right answers, or fewer, would come to somebody who is right with `rules.right` with a probability below
    `rules.doubt` (a one-sided exact binomial test).
    """
    newest = answers[-rules.known_window :]
    sides = [[one.right for one in newest if one.truth is truth] for truth in (True, False)]
    if any(at_most(sum(side), len(side), rules.right) < rules.doubt for side in sides):
        return Standing.LOST
    return Standing.TRUSTED if min(map(len, sides)) >= rules.known_each else Standing.TRYING


def quality(right: int, of: int) -> float:
    """Return how often somebody is right, by Laplace's rule of succession: 1/2 of whom nothing is known."""
    return (right + 1) / (of + 2)


def agreement(reviewer: float, author: float) -> float:
    """Return how often two people agree who are right so often, and wrong independently of each other.

    It is Dawid and Skene's assumption (1979, "Maximum likelihood estimation of observer error-rates using the EM
    algorithm", Applied Statistics 28): given the truth, observers err independently. With two answers, two agree if
    both are right or both are wrong.
    """
    return reviewer * author + (1 - reviewer) * (1 - author)


def at_most(successes: int, of: int, chance: float) -> float:
    """Return the probability of at most so many successes (binomial)."""
    return math.fsum(math.comb(of, k) * chance**k * (1 - chance) ** (of - k) for k in range(successes + 1))


def at_least(successes: int, of: int, chance: float) -> float:
    """Return the probability of at least so many successes (binomial)."""
    return at_most(of - successes, of, 1 - chance)


class Bar(StrEnum):
    """Why somebody is not asked about an episode."""

    OWN = "own"
    """They drove it."""
    OWNER = "owner"
    """The robot is theirs."""
    SHARED_ROBOT = "shared_robot"
    """They have driven that robot, or its driver has driven a real robot of theirs."""
    SEEN = "seen"
    """They were asked before."""
    RECIPROCAL = "reciprocal"
    """Its author judged them in this period."""
    RING = "ring"
    """Its author judges, by habit, somebody who judges them by habit."""
    PAIR_FULL = "pair_full"
    """They have judged enough of that author's in this period."""
    HABIT = "habit"
    """They agree with that author more often than being right explains."""


@dataclass(frozen=True, slots=True)
class Between:
    """What there is between somebody and an episode's author."""

    own: bool = False
    owner: bool = False
    shared_robot: bool = False
    seen: bool = False
    judged_back: bool = False
    """Whether the author judged an episode of theirs in this period."""
    ring: bool = False
    judged: int = 0
    """How many of the author's episodes they judged in this period."""
    agreed: int = 0
    """How often they agreed with the author's word, ever."""
    votes: int = 0
    """Of how many."""
    reviewer_quality: float = 0.5
    """How often they are right, by their known answers."""
    author_quality: float = 0.5
    """How often the author's word was upheld by others."""


def bar(between: Between, rules: ReviewRules = RULES) -> Bar | None:
    """Return why somebody is not asked about an episode; None if they may be."""
    facts = {
        Bar.OWN: between.own,
        Bar.OWNER: between.owner,
        Bar.SHARED_ROBOT: between.shared_robot,
        Bar.SEEN: between.seen,
        Bar.RECIPROCAL: between.judged_back,
        Bar.RING: between.ring,
        Bar.PAIR_FULL: between.judged >= rules.pair_most,
        Bar.HABIT: agrees_too_often(between, rules),
    }
    return next((why for why, holds in facts.items() if holds), None)


def agrees_too_often(between: Between, rules: ReviewRules = RULES) -> bool:
    """Whether somebody agrees with an author more often than how often each of them is right explains.

    So many agreements, or more, must be less likely than `rules.doubt` under `agreement`.
    """
    expected = agreement(between.reviewer_quality, between.author_quality)
    suspect = between.votes >= rules.pair_least
    return suspect and at_least(between.agreed, between.votes, expected) < rules.doubt


def soonest_ms(duration_ms: int, rules: ReviewRules = RULES) -> int:
    """Return how long after somebody was asked a vote is taken, by the hub's own clock."""
    return math.ceil(duration_ms * rules.watched)


def looked(pictures_s: float, replay_s: float, duration_ms: int, rules: ReviewRules = RULES) -> bool:
    """Whether a client itself says that enough was shown. It may lie; one that says it was not is believed."""
    return 1000 * max(pictures_s, replay_s) >= duration_ms * rules.watched
