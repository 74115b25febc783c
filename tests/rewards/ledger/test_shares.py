"""Promises of the division of a price: exact, never more than was published, and nothing that nobody published."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rewards.ledger.shares import ONE_PPM, Shares

WEI = st.integers(0, 2**128)
PPM = st.integers(0, ONE_PPM)


@given(WEI, PPM)
def test_a_share_is_rounded_down_to_the_wei(amount: int, ppm: int) -> None:
    share = Shares(owner_ppm=ppm).owner_wei(amount)
    assert 0 <= amount * ppm - share * ONE_PPM < ONE_PPM
    assert share == Shares(reviewer_ppm=ppm).reviewer_wei(amount)


@given(WEI)
def test_a_ticket_of_an_earlier_release_shares_nothing(amount: int) -> None:
    assert Shares.of(None).owner_wei(amount) == Shares.of(None).reviewer_wei(amount) == 0


def test_what_a_ticket_says_is_what_is_paid() -> None:
    assert Shares.of({"owner_ppm": 1, "reviewer_ppm": 2}) == Shares(1, 2)
