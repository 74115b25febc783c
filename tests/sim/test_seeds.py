"""Scenes that data are made from and scenes that judge policies never meet."""

from __future__ import annotations

import secrets
from itertools import islice, pairwise

import pytest

from sim.seeds import DATA, JUDGING, SEED_MAX, SeedError, data_seeds, random_data_seed, require_data


def test_every_seed_is_of_data_or_judges_and_none_is_both() -> None:
    ranges = sorted([*DATA, JUDGING], key=lambda one: one.start)
    assert ranges[0].start == 0
    assert ranges[-1].stop == SEED_MAX
    assert all(before.stop == after.start for before, after in pairwise(ranges))


def test_seeds_of_data_leave_out_those_that_judge() -> None:
    assert list(islice(data_seeds(998), 4)) == [998, 999, 1_000_000, 1_000_001]
    assert next(data_seeds(2_000_000)) == 2_000_000


@pytest.mark.parametrize("seed", [1_000, 1_019, 999_999])
def test_a_seed_that_judges_is_refused_with_what_to_choose(seed: int) -> None:
    with pytest.raises(SeedError, match="kept to judge policies"):
        require_data(seed)
    with pytest.raises(SeedError, match="below 1000, or from 1000000 on"):
        data_seeds(seed)


@pytest.mark.parametrize("seed", [-1, SEED_MAX])
def test_a_seed_beyond_all_is_refused(seed: int) -> None:
    with pytest.raises(SeedError, match="whole number"):
        require_data(seed)


def test_what_a_hub_asks_for_is_never_a_scene_that_judges(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter([1_000, 999_999, 7])
    monkeypatch.setattr(secrets, "randbelow", lambda _below: next(drawn))
    assert random_data_seed() == 7
