"""A card's lengths are told in bins that show how they differ, whatever they are, and can be counted again."""

from __future__ import annotations

import pytest

from rewards.datasets.lengths import BINS_MAX, LengthTally


def counted(*durations_s: float) -> LengthTally:
    tally = LengthTally()
    for one in durations_s:
        tally.add(one)
    return tally


@pytest.mark.parametrize(
    ("durations_s", "least", "most"),
    [
        ([2.8, 3.0, 3.05, 3.1, 3.5], 5, 9),
        ([3.0] * 40, 1, 1),
        ([1.0, 100.0, 55.0], 3, BINS_MAX),
        ([590.0, 605.0], 2, 3),
        ([5.0, 90_000.0], 2, BINS_MAX),
        ([0.05], 1, 1),
    ],
)
def test_lengths_are_told_in_as_many_bins_as_show_them(durations_s: list[float], least: int, most: int) -> None:
    found = counted(*durations_s).lengths()
    assert sum(found.counts) == len(durations_s)
    assert least <= len(found.counts) - 1 <= most
    assert found.counts[-1] == 0  # it begins after all of them, so that every other bin has an end
    assert found.counts[0] > 0
    assert (found.min_s, found.max_s) == (min(durations_s), max(durations_s))
    for at, edge in enumerate(found.from_s[:-2]):
        within = sum(1 for one in durations_s if edge <= one < found.from_s[at + 1])
        assert found.counts[at] == within


def test_an_edge_belongs_to_the_bin_that_begins_there() -> None:
    found = counted(0.1, 0.2, 0.3, 0.7).lengths()
    assert found.from_s == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
    assert found.counts == [1, 1, 1, 0, 0, 0, 1, 0]


def test_lengths_are_counted_in_the_bins_of_an_earlier_card() -> None:
    old = [0.0, 1.0, 2.0, 5.0, 10.0, 3600.0]
    assert counted(0.5, 2.0, 4.95, 9.0, 7200.0).lengths(old).counts == [1, 0, 2, 1, 0, 1]


def test_without_episodes_there_are_no_bins() -> None:
    found = counted().lengths()
    assert (found.from_s, found.counts, found.min_s, found.max_s) == ([], [], 0.0, 0.0)
