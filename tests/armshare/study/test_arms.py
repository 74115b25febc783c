"""Every arm of a study learns from as many steps as the arms that it is compared with."""

from __future__ import annotations

import numpy as np

from armshare.study.arms import Alone, Arm, alone, filled, learnt_from, mixture
from armshare.study.drives import Drive, Measured
from armshare.study.measures import BEFORE, LENGTH, SCORE, SPARC
from armshare.study.plan import Group, Wanted, wanted
from tests.armshare.study.made import PLAN


def cell() -> tuple[list[Drive], dict[str, Measured]]:
    """Drives of one cell, defective ones longer and with lower scores."""
    rng = np.random.default_rng(2)
    ones = [one for one in wanted(PLAN) if one.cell == 0]
    drives = [Drive(one, int(rng.integers(50, 70)) * (1 if one.kind is None else 2), True, True) for one in ones]
    found = {drive.wanted.name: measured(drive, rng) for drive in drives}
    return drives, found


def measured(drive: Drive, rng: np.random.Generator) -> Measured:
    score = rng.uniform(0.6, 1.0) - 0.5 * (drive.wanted.kind is not None)
    values = {SCORE: score, BEFORE: rng.random(), LENGTH: -float(drive.steps), SPARC: rng.random()}
    return Measured(values, values)


def learnt(arm: Arm, mix: Group, drives: list[Drive], found: dict[str, Measured]) -> tuple[tuple[str, int], ...]:
    return learnt_from(arm, mixture(mix, 20, drives), drives, found, 0)


def steps(parts: tuple[tuple[str, int], ...]) -> int:
    return sum(count for _, count in parts)


def test_all_halves_of_a_mix_have_the_same_number_of_steps():
    drives, found = cell()
    for mix in (Group.SUBTLE, Group.WRONG):
        whole = learnt(Arm.ALL, mix, drives, found)
        halves = {arm: steps(learnt(arm, mix, drives, found)) for arm in Arm if arm is not Arm.ALL}
        assert set(halves.values()) == {steps(whole) // 2}


def test_kinds_alone_have_the_same_number_of_steps():
    drives, _ = cell()
    assert len({steps(alone(kind, 700, drives, 0)) for kind in Alone}) == 1


def test_the_top_half_is_by_score_and_the_bottom_half_is_the_rest():
    drives, found = cell()
    kinds = {drive.wanted.name: drive.wanted.kind for drive in drives}
    top = {name for name, _ in learnt(Arm.TOP, Group.WRONG, drives, found)}
    bottom = {name for name, _ in learnt(Arm.BOTTOM, Group.WRONG, drives, found)}
    assert len(top & bottom) <= 1
    assert sum(kinds[name] is not None for name in bottom) > sum(kinds[name] is not None for name in top)
    lowest = min(found[name].as_driven[SCORE] for name in top)
    assert all(found[name].as_driven[SCORE] <= lowest for name in bottom - top)


def test_the_null_goes_by_length_alone():
    drives, found = cell()
    lengths = {drive.wanted.name: drive.steps for drive in drives}
    short = learnt(Arm.SHORT, Group.SUBTLE, drives, found)
    whole = learnt(Arm.ALL, Group.SUBTLE, drives, found)
    longest = max(lengths[name] for name, _ in short)
    assert all(lengths[name] >= longest for name, _ in whole if name not in {one for one, _ in short})


def test_who_learns_from_clean_drives_learns_from_no_other():
    drives, found = cell()
    kinds = {drive.wanted.name: drive.wanted.kind for drive in drives}
    assert {kinds[name] for name, _ in learnt(Arm.CLEAN, Group.WRONG, drives, found)} == {None}


def test_the_last_drive_is_cut_to_the_step():
    one, other = (Drive(Wanted("lift", 0, Group.CLEAN, seed), 60, True, True) for seed in (1, 2))
    assert filled([one, other], 100) == (("lift-1", 60), ("lift-2", 40))
    assert filled([one, other], 60) == (("lift-1", 60),)
    assert filled([one], 100) == (("lift-1", 60),)


def test_a_drive_that_a_measure_cannot_be_taken_of_is_chosen_last_from_either_end():
    drives, found = cell()
    odd = drives[0].wanted.name
    found[odd] = Measured({}, {})
    for arm in (Arm.TOP, Arm.BOTTOM, Arm.SMOOTH):
        assert odd not in {name for name, _ in learnt(arm, Group.SUBTLE, drives, found)}


def test_drives_of_a_study_are_from_seeds_of_data_that_no_rule_was_fitted_on_and_each_is_once():
    seeds = [(one.task, one.seed) for one in wanted(PLAN)]
    assert len(set(seeds)) == len(seeds)
    assert min(seed for _, seed in seeds) >= 1_000_000


def test_two_fifths_of_a_mix_are_defective():
    drives, _ = cell()
    kinds = [drive.wanted.kind for drive in mixture(Group.WRONG, 20, drives)]
    assert (len(kinds), sum(kind is not None for kind in kinds)) == (20, 8)
