"""The numbers of a study are those that the formulas give, and its intervals those of its seeds."""

from __future__ import annotations

import numpy as np
import pytest

from armshare.study.statistics import (
    Estimate,
    auroc,
    drawn,
    estimated_auroc,
    estimated_spearman,
    interval,
    ranks,
    spearman,
)


def test_auroc_counts_pairs_by_hand():
    better, worse = np.array([0.9, 0.5, 0.5]), np.array([0.5, 0.1])
    assert auroc(better, worse) == pytest.approx((1 + 0.5 + 0.5 + 1 + 1 + 1) / 6)
    assert auroc(better, better) == 0.5
    assert auroc(worse, better) == pytest.approx(1.0 - 5.0 / 6.0)
    assert auroc(better, np.empty(0)) is None


def test_auroc_is_the_area_under_the_curve():
    rng = np.random.default_rng(1)
    better, worse = np.round(rng.normal(0.5, 1.0, 40), 1), np.round(rng.normal(0.0, 1.0, 30), 1)
    cuts = np.concatenate([[np.inf], np.unique(np.concatenate([better, worse]))[::-1]])
    found = np.array([(better >= cut).mean() for cut in cuts])
    false = np.array([(worse >= cut).mean() for cut in cuts])
    area = float((np.diff(false) * 0.5 * (found[1:] + found[:-1])).sum())
    assert auroc(better, worse) == pytest.approx(area)


def test_auroc_among_some_pairs_leaves_the_others_out():
    better, worse = np.array([1.0, 0.0]), np.array([0.5])
    assert auroc(better, worse, np.array([[1.0], [0.0]])) == 1.0
    assert auroc(better, worse, np.array([[0.0], [1.0]])) == 0.0
    assert auroc(better, worse, np.zeros((2, 1))) is None


def test_ranks_are_shared_and_correlate_as_a_textbook_has_it():
    assert ranks(np.array([10.0, 30.0, 20.0, 20.0])).tolist() == [1.0, 4.0, 2.5, 2.5]
    one, other = np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.array([2.0, 1.0, 4.0, 3.0, 5.0])
    squares = float(((one - other) ** 2).sum())
    assert spearman(one, other) == pytest.approx(1.0 - 6.0 * squares / (5 * 24))
    assert spearman(one, -one) == pytest.approx(-1.0)
    assert spearman(one, np.zeros(5)) is None
    assert spearman(one[:2], one[:2]) is None


def test_a_bootstrap_is_the_same_each_time_and_another_with_another_salt():
    [first], [again], [other] = drawn([[4, 4, 4]]), drawn([[4, 4, 4]]), drawn([[4, 4, 4]], salt=1)
    assert (first == again).all()
    assert not (first == other).all()


def test_a_bootstrap_draws_whole_cells_and_the_same_ones_for_all():
    one, other = drawn([[3, 2, 0, 5], [4, 1, 6, 2]])
    cells = [slice(0, 3), slice(3, 5), slice(5, 5), slice(5, 10)]
    others = [slice(0, 4), slice(4, 5), slice(5, 11), slice(11, 13)]
    for size, of, also, also_of in (
        (3, cells[0], 4, others[0]),
        (2, cells[1], 1, others[1]),
        (5, cells[3], 2, others[3]),
    ):
        times = one[:, of].sum(1) / size
        assert (times == np.rint(times)).all()
        assert (times == other[:, also_of].sum(1) / also).all()
    assert set(
        np.unique(
            (other[:, others[0]].sum(1) / 4)
            + other[:, others[1]].sum(1)
            + other[:, others[3]].sum(1) / 2
            + other[:, others[2]].sum(1) / 6
        )
    ) == {4.0}


def test_intervals_widen_if_seeds_differ_more_than_what_is_in_them():
    """Drives of one seed are not independent: a bootstrap of single drives would be too sure."""
    rng = np.random.default_rng(3)
    alike = [rng.normal(0.0, 1.0, 20) for _ in range(5)]
    apart = [part + shift for part, shift in zip(alike, (-3.0, -1.5, 0.0, 1.5, 3.0), strict=True)]
    worse = rng.normal(0.0, 1.0, 100)
    widths = []
    for parts in (alike, apart):
        up, down = drawn([[20] * 5, [20] * 5])
        found = estimated_auroc(np.concatenate(parts), worse, up, down)
        assert found.low is not None
        assert found.high is not None
        widths.append(found.high - found.low)
    assert widths[1] > 1.5 * widths[0]


def test_a_planted_difference_is_found_and_none_is_not():
    rng = np.random.default_rng(5)
    up, down = drawn([[20] * 5, [10] * 5])
    clean = rng.normal(0.0, 1.0, 100)
    planted = estimated_auroc(clean, rng.normal(-3.0, 1.0, 50), up, down)
    null = estimated_auroc(clean, rng.normal(0.0, 1.0, 50), up, down)
    assert planted.low is not None
    assert planted.low > 0.9
    assert null.low is not None
    assert null.high is not None
    assert null.low < 0.5 < null.high


def test_a_planted_correlation_is_found_and_none_is_not():
    rng = np.random.default_rng(6)
    skill = np.tile(np.linspace(0.1, 1.0, 10), 5)
    [rows] = drawn([[10] * 5])
    planted = estimated_spearman(skill + rng.normal(0.0, 0.05, 50), skill, rows)
    null = estimated_spearman(rng.permutation(skill), skill, rows)
    assert planted.low is not None
    assert planted.low > 0.8
    assert null.low is not None
    assert null.high is not None
    assert null.low < 0.0 < null.high
    assert estimated_spearman(np.zeros(50), skill, rows) == Estimate()


def test_an_interval_leaves_out_what_is_not_a_number():
    assert interval(np.array([np.nan, 1.0, 1.0])) == (1.0, 1.0)
    assert interval(np.array([np.nan])) == (None, None)
