"""Promises of splits: by a hash alone, exact, and a group of like starts is never in two of them."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.datasets.splits import Joining, SharesError, assign, shares_of, split_of, start_key
from rewards.datasets.version import Shares, Split

TENTHS = Shares(800_000, 100_000, 100_000)


def test_the_hash_gives_these_splits_for_ever():
    keys = [start_key("lift", seed, "0x0") for seed in range(12)]
    letters = "".join(split_of(key, TENTHS).value[1] for key in keys)
    assert letters == "rrrrrrrrrrrr"
    assert start_key("lift", 7, "0x0") == "89a4b57341a7f2193f10342b26eb1e395a710457648c0246eb4a8617a6e04845"


@pytest.mark.parametrize("shares", [TENTHS, Shares(500_000, 0, 500_000), Shares(0, 0, 1_000_000), Shares()])
def test_each_split_gets_its_share_of_many(shares):
    got = Counter(split_of(start_key("lift", seed, ""), shares) for seed in range(20_000))
    for split, share in ((Split.TRAIN, shares.train), (Split.VALIDATION, shares.validation), (Split.TEST, shares.test)):
        assert got[split] == pytest.approx(share * 20_000 / 1e6, abs=4 * (20_000 * 0.25) ** 0.5)
        assert bool(got[split]) == bool(share)


def test_a_larger_share_of_test_keeps_what_was_in_it():
    keys = [start_key("lift", seed, "") for seed in range(500)]
    small, large = Shares(900_000, 0, 100_000), Shares(600_000, 0, 400_000)
    assert {key for key in keys if split_of(key, small) is Split.TEST} <= {
        key for key in keys if split_of(key, large) is Split.TEST
    }


KEYS = st.sampled_from([f"s{at}" for at in range(6)])
MOTIONS = st.sampled_from([None, "m0", "m1"])


@given(st.lists(st.tuples(KEYS, MOTIONS), max_size=20), st.integers(0, 20))
def test_no_group_is_in_two_splits_however_episodes_come(said, cut):
    joining = [Joining(f"e{at}", start, motion) for at, (start, motion) in enumerate(said)]
    shares = Shares(400_000, 300_000, 300_000)
    first = assign(shares, {}, joining[:cut])
    known = {
        key: first.splits[one.episode]
        for one in joining[:cut]
        if one.episode in first.splits
        for key in (one.start, one.motion)
        if key is not None
    }
    second = assign(shares, known, joining[cut:])
    splits = first.splits | second.splits
    assert set(splits) | set(first.torn) | set(second.torn) == {one.episode for one in joining}
    groups: dict[str, set[Split]] = {}
    for one in joining:
        if one.episode in splits:
            for key in (one.start, one.motion):
                if key is not None:
                    groups.setdefault(key, set()).add(splits[one.episode])
    assert all(len(found) == 1 for found in groups.values())


def test_a_merged_episode_keeps_its_split_or_is_refused():
    joining = [Joining("e1", "a", None, Split.TEST), Joining("e2", "b", None, Split.TEST)]
    found = assign(Shares(), {"b": Split.TRAIN}, joining)
    assert (found.splits, found.torn) == ({"e1": Split.TEST}, ["e2"])


@pytest.mark.parametrize("shares", [(0.8, 0.1, 0.2), (1.5, -0.5, 0.0), (0.0, 0.0, 0.0)])
def test_shares_that_are_none_are_refused_in_words(shares):
    with pytest.raises(SharesError, match="add up to 1"):
        shares_of(*shares)
