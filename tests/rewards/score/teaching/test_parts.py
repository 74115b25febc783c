"""The parts of version 3 one by one: known values, and drives of every kind of robot through the real simulation."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rewards.score.metrics import at_rest, path_length_m, sparc
from rewards.score.references.driving import MANNERS, Manner, Mannered, driven
from rewards.score.references.making import made
from rewards.score.references.store import packed, parsed, quantile, reference_set
from rewards.score.score import score
from rewards.score.series import RATE_HZ, speed
from rewards.score.teaching.course import course_of
from rewards.score.teaching.grips import grip_of
from rewards.score.teaching.holds import holds_of
from rewards.score.teaching.information import _psi
from rewards.score.teaching.nearest import kth, squared_distances
from rewards.score.teaching.picks import PICKS, picked
from rewards.score.teaching.states import goal_of, names_of, states_of
from sim.catalogue import make_world
from sim.physics.world import World
from tests.rewards.score.teaching.lifts import HIGH_M, HZ, Lift, dropped_lift, good_lift, paused_lift, slowed

WHOLE = hnp.arrays(np.int32, st.tuples(st.integers(1, 6), st.just(4)), elements=st.integers(-127, 127))


@given(WHOLE, WHOLE)
def test_a_distance_is_the_sum_of_squares_in_whole_numbers(one, other):
    expected = [[sum((int(a) - int(b)) ** 2 for a, b in zip(x, y, strict=True)) for y in other] for x in one]
    found = squared_distances(one, np.ascontiguousarray(other.T))
    assert found.tolist() == expected
    assert kth(found, 2).tolist() == [np.sqrt(sorted(row)[min(1, len(row) - 1)]) for row in expected]


def test_the_digamma_function_of_whole_numbers_is_the_published_one():
    assert _psi(5)[1:].tolist() == pytest.approx([-0.57721566, 0.42278434, 0.92278434, 1.25611767], abs=1e-8)


@given(st.lists(st.floats(0.0, 100.0, width=32), min_size=1, max_size=50), st.integers(1, 99))
def test_a_quantile_is_of_the_nearest_rank(values, percent):
    found = quantile(np.array(values), percent)
    assert found in values
    assert sum(value <= found for value in values) >= len(values) * percent / 100


def test_a_shorter_padding_moves_smoothness_by_less_than_a_tenth():
    moved = np.linalg.norm(np.diff(good_lift().facts().ee_position_m, axis=0), axis=1) * HZ
    exact, quick = sparc(moved, HZ), sparc(moved, HZ, 4)
    assert exact == pytest.approx(quick, abs=0.1)


@given(hnp.arrays(np.float64, st.tuples(st.integers(1, 40), st.integers(1, 4)), elements=st.floats(-10.0, 10.0)))
def test_rest_is_found_as_it_always_was(values):
    hand = np.zeros((len(values), 3))
    grip = np.zeros((len(values), 1))
    expected = np.ones(len(values), dtype=bool)
    for column in range(values.shape[1]):
        expected &= speed(values[:, column : column + 1], RATE_HZ) < 0.02
    assert at_rest(hand, values, grip).tolist() == expected.tolist()


@given(hnp.arrays(np.float64, st.tuples(st.integers(1, 40), st.just(3)), elements=st.floats(-1.0, 1.0)))
def test_a_path_of_one_hand_is_as_long_as_that_of_the_same_hand_among_others(path):
    padded = np.hstack([path, np.zeros((len(path), 3))])
    assert path_length_m(path) == path_length_m(padded)


def test_picks_are_as_many_of_each_stage_however_long_it_took():
    for facts in (good_lift().facts(), paused_lift(5.0).facts(), slowed(good_lift().facts(), 4)):
        course = course_of(facts)
        picks = picked(course, course.active)
        assert np.bincount(picks.stage).tolist() == [PICKS // 2, PICKS // 2]
        assert (np.diff(picks.at[picks.stage == 0]) >= 0).all()


def test_picks_of_a_slow_drive_are_those_of_a_quick_one():
    quick, slow = (course_of(facts) for facts in (good_lift().facts(), slowed(good_lift().facts(), 4)))
    one, other = (picked(course, course.active) for course in (quick, slow))
    assert np.abs(quick.hands[0][one.at, :3] - slow.hands[0][other.at, :3]).max() < 0.015


def test_a_scene_that_is_turned_and_moved_has_the_same_states():
    facts = good_lift().facts()
    turn = np.array(((0.0, -1.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)))
    poses = {
        name: np.hstack([pose[:, :3] @ turn.T + (0.3, -0.2, 0.0), pose[:, 3:]]) for name, pose in facts.poses.items()
    }
    course, moved = course_of(facts), course_of(replace(facts, poses=poses))
    at = np.arange(0, course.samples, 5)
    one, other = (states_of(one, holds_of(one), at) for one in (course, moved))
    assert np.abs(one.values - other.values).max() < 1e-9
    assert one.values.shape[1] == len(names_of(1))


def test_a_hold_is_from_the_first_motion_until_the_hand_has_left():
    (hold,) = holds_of(course_of(good_lift().facts()))
    assert hold.thing == "cube"
    assert len(holds_of(course_of(dropped_lift().facts()))) == 2
    assert holds_of(course_of(Lift().rest(3.0).facts())) == ()


def test_a_thing_that_slides_in_the_fingers_slips_by_as_much():
    facts = good_lift().facts()
    cube = facts.poses["cube_pose"].copy()
    raised = int(np.argmax(cube[:, 2] > 0.06))
    cube[raised:, 2] -= 0.008
    course = course_of(replace(facts, poses={**facts.poses, "cube_pose": cube}))
    (hold,) = holds_of(course)
    assert grip_of(course, hold).slip_m == pytest.approx(0.008, abs=0.002)
    found = score(replace(facts, poses={**facts.poses, "cube_pose": cube}))
    (cost,) = [one for one in found.costs if one.part == "order"]
    assert "the cube slipped in the fingers" in cost.sentence


@pytest.fixture(scope="module")
def lifting() -> Iterator[World]:
    world = make_world("panda", "lift")
    world.connect()
    yield world
    world.disconnect()


def test_a_set_is_made_of_drives_kept_in_a_file_and_read_again(lifting):
    drives = [
        driven(lifting, Mannered(lifting.task.expert(lifting.description), MANNERS[0]), seed) for seed in range(4)
    ]
    drives.append(replace(dropped_lift().facts(), poses=dropped_lift().facts().poses))
    found = made(9, [drives])
    assert len(found.idle_s) == 4, "the drive that dropped its cube is left out"
    data = packed(found)
    again = parsed(data, 9, "lift", hashlib.sha256(data).hexdigest())
    assert packed(again) == data
    assert packed(made(9, [drives])) == data
    assert again.holds_usual == {"cube": 1}


def test_the_shipped_set_is_what_its_command_makes_of_the_first_drive(lifting):
    facts = driven(lifting, Mannered(lifting.task.expert(lifting.description), MANNERS[0]), 0)
    reference = reference_set(1, "lift", 1)
    course = course_of(facts)
    picks = picked(course, course.active, 48)
    whole = reference.whole(states_of(course, holds_of(course), picks.at).values)
    assert np.abs(whole - reference.points[reference.drive == 0]).max() <= 1


KINDS = (("panda", "reach"), ("panda", "push"), ("dual_panda", "handover"), ("husky", "fetch"), ("so101", "lift"))


@pytest.mark.parametrize(("robot", "task"), KINDS, ids="-".join)
def test_a_robot_with_two_hands_or_wheels_or_of_half_the_size_is_scored_like_any(robot, task):
    world = make_world(robot, task)
    world.connect()
    try:
        quick, slow = (
            driven(
                world, Mannered(world.task.expert(world.description), Manner("m", speed=speed_)), 400, max_steps=4800
            )
            for speed_ in (1.0, 0.2)
        )
    finally:
        world.disconnect()
    found, dawdled = score(quick), score(slow)
    assert found.accepted
    assert found.score_ppm > 700_000
    assert dawdled.refused == ()
    assert dawdled.score_ppm < found.score_ppm


def test_a_goal_is_its_own_the_only_mark_or_the_other_thing():
    course = course_of(good_lift().facts())
    pose = course.things["cube"]
    marks = {"red_plate": pose, "green_plate": pose}
    sorts = replace(course, things={**marks, "red": pose, "green": pose}, movable=("green", "red"))
    assert goal_of(sorts, "red") == "red_plate"
    assert goal_of(replace(course, things={"red": pose, "green": pose}, movable=("green", "red")), "red") == "green"
    assert goal_of(replace(course, things={"bin": pose, "cube": pose}), "cube") == "bin"
    assert goal_of(course, "cube") is None


def test_a_lift_that_ends_higher_is_as_good():
    high = Lift().take().to(HIGH_M + np.array((0.0, 0.0, 0.05)), 1.1).rest(0.6)
    assert score(high.facts()).score_ppm > 950_000
