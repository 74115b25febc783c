"""Promises of the metrics: known values, known limits, and a defined answer for every array."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rewards.score.metrics import (
    STAGES_MAX,
    UNMEASURED,
    idle,
    measure,
    movement_sparc,
    path_efficiency,
    path_length_m,
    resample,
    sparc,
    stages,
    timing,
    tracking,
    unsound,
)
from tests.rewards.drives import facts_along, good_drive, line, smooth_step

PATHS = hnp.arrays(np.float64, st.tuples(st.integers(1, 60), st.just(3)), elements=st.floats(-1.0, 1.0))


def along(*corners_m: tuple[float, float, float]) -> np.ndarray:
    """Return a path through corners, 50 points to a side."""
    sides = [np.linspace(a, b, 51)[1:] for a, b in pairwise(corners_m)]
    return np.concatenate([np.array(corners_m[:1]), *sides])


def test_sparc_of_the_reference_movement_is_the_published_value():
    t_s = np.arange(-100, 100) / 100.0
    assert sparc(np.exp(-5.0 * t_s**2), 100.0) == pytest.approx(-1.41403, abs=5e-6)


def test_sparc_does_not_know_the_unit_of_speed():
    speed = np.abs(np.diff(smooth_step(2.0)))
    assert sparc(1000.0 * speed, 20.0) == pytest.approx(sparc(speed, 20.0), abs=1e-9)


def test_a_trembling_hand_is_less_smooth_than_a_steady_one():
    steady = line(0.0, 0.5, seconds=4.0)
    t_s = np.arange(len(steady)) / 20.0
    trembling = steady.copy()
    trembling[:, 0] += 0.01 * np.sin(2 * np.pi * 3.0 * t_s)
    assert movement_sparc(trembling) < movement_sparc(steady) - 1.0


def test_a_pause_between_two_smooth_movements_is_not_a_jerk():
    pause = np.full((40, 3), [0.3, 0.0, 0.0])
    with_pause = np.concatenate([line(0.0, 0.3), pause, line(0.3, 0.6)])
    assert movement_sparc(with_pause) == pytest.approx(movement_sparc(line(0.0, 0.3)), abs=0.1)


def test_tapping_does_not_pass_for_many_smooth_movements():
    held = np.cumsum(np.full(160, 0.01)) * 0.5
    tapped = np.cumsum(np.tile([0.01] * 4 + [0.0] * 4, 20))
    as_path = [np.column_stack([x, 0 * x, 0 * x]) for x in (held, tapped)]
    assert movement_sparc(as_path[1]) < movement_sparc(as_path[0]) - 1.5


def test_a_hand_that_never_moves_has_no_smoothness():
    assert movement_sparc(np.zeros((50, 3))) is None
    assert sparc(np.zeros(10), 20.0) is None
    assert sparc(np.array([]), 20.0) is None


def test_a_straight_path_is_wholly_efficient():
    assert path_efficiency(along((0, 0, 0), (0.3, 0.2, 0.1))) == pytest.approx(1.0)


def test_one_turn_in_a_stage_costs_nothing():
    assert path_efficiency(along((0, 0, 0), (0.3, 0, 0), (0.3, 0, -0.2))) == pytest.approx(1.0, abs=0.01)


def test_out_and_back_is_efficient_though_it_ends_where_it_began():
    assert path_efficiency(along((0, 0, 0), (0.3, 0, 0), (0, 0, 0))) == pytest.approx(1.0)


def test_a_detour_costs_its_length():
    square = along((0, 0, 0), (0.2, 0, 0), (0.2, 0.2, 0), (0, 0.2, 0), (0, 0, 0))
    assert path_efficiency(square) == pytest.approx(2 * math.sqrt(2) * 0.2 / 0.8, abs=0.01)


def test_each_grasp_begins_a_new_stage():
    square = along((0, 0, 0), (0.2, 0, 0), (0.2, 0.2, 0), (0, 0.2, 0), (0, 0, 0))
    assert path_efficiency(square, [100]) == pytest.approx(1.0, abs=0.01)


def test_fluttering_the_gripper_does_not_straighten_a_wandering_path():
    flutter = np.tile([1.0, 0.0], 200)[:, None]
    assert len(stages(np.arange(401) / 20.0, flutter)) == STAGES_MAX - 1


def test_a_gripper_half_way_is_no_grasp():
    assert stages(np.arange(6) / 20.0, np.array([1.0, 0.55, 0.45, 0.55, 1.0])[:, None]) == ()


def test_every_hands_grasps_end_stages_in_the_order_of_time():
    hands = np.ones((40, 2))
    hands[30:, 0], hands[10:20, 1] = 0.0, 0.0
    assert stages(np.arange(41) / 20.0, hands, 20.0) == (10, 20, 30)


def test_two_hands_are_one_path_in_six_dimensions():
    reach = along((0, 0, 0), (0.3, 0, 0))
    assert path_length_m(np.hstack([reach, reach])) == pytest.approx(0.3 * math.sqrt(2), abs=1e-3)
    assert path_efficiency(np.hstack([reach, reach])) == pytest.approx(1.0)


def test_a_resting_arms_noise_is_no_path():
    noise = np.random.default_rng(1).normal(0.0, 1e-4, (1000, 3))
    assert path_length_m(noise) < 0.001
    assert path_efficiency(noise) == 0.0


@given(PATHS, st.lists(st.integers(0, 60), max_size=4).map(sorted))
def test_path_efficiency_is_a_share(path, ends):
    assert 0.0 <= path_efficiency(path, ends) <= 1.0


def test_idle_tells_where_the_time_went():
    still = np.zeros((40, 3))
    path = np.concatenate([still, line(0.0, 0.4), np.full((20, 3), [0.4, 0, 0])])
    found = idle(path, path[:, :1], np.ones((len(path), 1)))
    assert found.leading_s == pytest.approx(2.0, abs=0.3)
    assert found.trailing_s == pytest.approx(1.0, abs=0.3)
    assert found.longest_s == found.leading_s
    assert found.fraction == pytest.approx(60 / 101, abs=0.08)


def test_turning_a_joint_or_closing_the_gripper_is_not_idle():
    still, ramp = np.zeros((40, 3)), np.linspace(0.0, 1.0, 40)
    assert idle(still, ramp[:, None], np.ones((40, 1))).fraction == 0.0
    assert idle(still, np.zeros((40, 1)), ramp[:, None]).fraction == 0.0


def test_one_tick_of_an_encoder_is_idle():
    flicker = np.tile([0.0, 0.0015], 30)[:, None]
    assert idle(np.zeros((60, 3)), flicker, np.ones((60, 1))).fraction == 1.0


def test_tracking_counts_steps_that_lag_and_steps_that_were_cut():
    applied = np.zeros((10, 2))
    seen = applied.copy()
    seen[:3, 1] = 0.2
    found = tracking(applied, seen, np.arange(10) < 1)
    assert (found.lag_rate, found.clip_rate, found.error_p95_rad) == (0.3, 0.1, 0.2)


def test_timing_finds_the_gap():
    t_s = np.array([0.0, 0.05, 0.10, 0.30, 0.35])
    found = timing(t_s, 20.0)
    assert found.gap_fraction == pytest.approx(0.2 / 0.35)
    assert found.longest_s == pytest.approx(0.2)
    assert found.effective_hz == pytest.approx(4 / 0.35)
    assert timing(np.arange(5) / 20.0, 20.0).interval_cv == pytest.approx(0.0, abs=1e-12)


def test_a_stuttering_clock_is_put_on_an_even_grid():
    t_s = np.array([0.0, 0.01, 0.2, 0.35, 1.0])
    assert resample(t_s, 3.0 * t_s) == pytest.approx(3.0 * np.arange(21) / 20.0)


def test_a_faster_loop_is_measured_by_the_same_yardstick():
    slow, fast = line(0.0, 0.4), line(0.0, 0.4)
    dense = resample(np.arange(len(fast)) / 20.0, fast, 60.0)
    a, b = measure(facts_along(slow)), measure(facts_along(dense, hz=60.0))
    assert a.sparc == pytest.approx(b.sparc, abs=0.02)
    assert a.path_efficiency == pytest.approx(b.path_efficiency, abs=0.02)
    assert a.idle.fraction == pytest.approx(b.idle.fraction, abs=0.05)


def test_an_episode_of_one_step_has_defined_metrics():
    found = measure(facts_along(np.array([[0.0, 0, 0], [0.001, 0, 0]])))
    assert (found.path_efficiency, found.sparc) == (0.0, None)
    assert found.duration_s == pytest.approx(0.05)


def test_an_episode_of_no_step_is_unmeasured_and_says_so():
    empty = facts_along(np.zeros((1, 3)))
    assert measure(empty) is UNMEASURED
    assert unsound(empty) == "the episode holds no step"


@pytest.mark.parametrize("name", ["t_s", "ee_position_m", "joint_rad", "gripper", "applied_rad", "applied_gripper"])
@pytest.mark.parametrize("value", [math.nan, math.inf, 1e300])
def test_a_number_that_no_robot_has_is_found_and_named(name, value):
    facts = good_drive()
    broken = getattr(facts, name).copy()
    broken[-1] = value
    facts = good_drive(**{name: broken})
    assert name in unsound(facts)
    assert measure(facts) is UNMEASURED


@pytest.mark.parametrize("t_s", [{"t_s": np.zeros(41)}, {"t_s": np.arange(41.0)[::-1]}, {"t_s": np.arange(41) * 1e4}])
def test_a_clock_that_cannot_be_is_unmeasured(t_s):
    assert unsound(good_drive(t_s=t_s)) is not None
