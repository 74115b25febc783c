"""The interval of a success rate is Wilson's."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.interval import wilson


@pytest.mark.parametrize(
    ("successes", "attempts", "low", "high"),
    [(15, 20, 0.5313, 0.8881), (18, 20, 0.6990, 0.9721), (81, 263, 0.2553, 0.3662), (0, 20, 0.0, 0.1611)],
)
def test_it_is_the_published_one(successes, attempts, low, high):
    """81 of 263: R. G. Newcombe, Statistics in Medicine 17, 1998, table I; others: R's prop.test(correct=FALSE)."""
    assert wilson(successes, attempts) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_its_ends_are_the_rates_that_are_just_not_rejected(counts):
    successes, attempts = counts
    found, rate = wilson(successes, attempts), successes / attempts
    assert 0.0 <= found.low <= rate <= found.high <= 1.0
    for end in found:
        if 0.0 < end < 1.0:
            score = abs(rate - end) / math.sqrt(end * (1.0 - end) / attempts)
            assert score == pytest.approx(1.959964, abs=1e-4)


def test_nothing_attempted_says_nothing():
    assert wilson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("successes", "attempts"), [(3, 2), (-1, 2), (0, -1)])
def test_impossible_counts_are_refused(successes, attempts):
    with pytest.raises(ValueError, match="expected successes between 0 and"):
        wilson(successes, attempts)
