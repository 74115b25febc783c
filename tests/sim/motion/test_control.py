"""From setpoints to joint targets: whatever is asked, limits hold, and every clamp is an event."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sim import rotation
from sim.catalogue import make_world
from sim.motion.control import (
    EE_ROTATION_MAX_RAD_S,
    EE_SPEED_MAX_M_S,
    GRIPPER_SPEED_MAX_1_S,
    OVERSHOOT_M,
    SINGULAR_STOP,
    TRACKING_MAX_RAD,
    Controller,
    Joints,
    Limit,
    Pose,
    Setpoint,
    Twist,
)
from sim.motion.kinematics import Kinematics
from sim.robot import Observation

SPEC = make_world("panda", "lift").spec
HUSKY = make_world("husky", "lift").spec
KINEMATICS = Kinematics.of(SPEC)
END = SPEC.end_effectors[0]
WIRE_FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
TAME_FLOATS = st.floats(-3, 3, width=32)


def seen(joints) -> Observation:
    return Observation({"joint_position": np.array(joints), "gripper_position": np.array([1.0])})


def controller(joints=SPEC.home_rad) -> Controller:
    made = Controller(SPEC)
    made.start(seen(joints))
    return made


def twist(*values: float, gripper: float = 1.0) -> Setpoint:
    return Twist(np.array([[*values, *[0.0] * (6 - len(values))]]), np.array([gripper]))


def setpoints():
    twists = st.builds(
        lambda values: Twist(values[:6].astype(np.float64).reshape(1, 6), values[6:].astype(np.float64)),
        arrays(np.float32, 7, elements=st.one_of(TAME_FLOATS, WIRE_FLOATS)),
    )
    joints = st.builds(
        lambda values: Joints(values[:7].astype(np.float64), values[7:].astype(np.float64)),
        arrays(np.float32, 8, elements=st.one_of(TAME_FLOATS, WIRE_FLOATS)),
    )
    poses = st.builds(
        lambda values: Pose(values[:7].astype(np.float64).reshape(1, 7), values[7:].astype(np.float64)),
        arrays(np.float32, 8, elements=st.one_of(TAME_FLOATS, WIRE_FLOATS)),
    )
    return st.one_of(twists, poses, joints)


@settings(max_examples=60, deadline=None)
@given(st.lists(setpoints(), min_size=1, max_size=25), st.floats(0.0, 1.0))
def test_no_sequence_of_setpoints_passes_a_limit(sequence, follows):
    """`follows` is how well the measured arm follows: 0 is a blocked arm."""
    made, measured = controller(), SPEC.home_rad.copy()
    last, gripper = SPEC.home_rad.copy(), 1.0
    reach = SPEC.joint_velocity_max_rad_s * SPEC.period_s
    for setpoint in sequence:
        action = made.step(setpoint, seen(measured)).action
        assert np.all(action.joint_position >= SPEC.joint_lower_rad)
        assert np.all(action.joint_position <= SPEC.joint_upper_rad)
        assert np.all(np.abs(action.joint_position - last) <= reach * (1 + 1e-9))
        assert np.all(np.abs(action.joint_position - measured) <= TRACKING_MAX_RAD + 1e-9)
        assert np.all((action.gripper >= 0.0) & (action.gripper <= 1.0))
        assert abs(action.gripper - gripper) <= GRIPPER_SPEED_MAX_1_S * SPEC.period_s + 1e-9
        last, gripper = action.joint_position, action.gripper
        measured = measured + follows * (last - measured)


@settings(max_examples=40, deadline=None)
@given(arrays(np.float64, 3, elements=st.floats(-1, 1)))
def test_the_hand_stays_in_its_workspace_and_says_so(direction):
    made, measured = controller(), SPEC.home_rad
    rules = set()
    for _ in range(60):
        directive = made.step(twist(*direction * 0.5), seen(measured))
        measured = directive.action.joint_position
        rules |= {event.rule for event in directive.limits}
        hand = KINEMATICS.forward(measured)[:3]
        assert np.all(hand >= END.workspace_lower_m - OVERSHOOT_M - 1e-7), hand
        assert np.all(hand <= END.workspace_upper_m + OVERSHOOT_M + 1e-7), hand
    if np.linalg.norm(direction) > 0.9:
        assert rules & {Limit.WORKSPACE, Limit.SINGULARITY}
        assert Limit.EE_VELOCITY in rules


def test_an_honest_twist_moves_the_hand_that_way_and_turns_it_not():
    made, measured = controller(), SPEC.home_rad
    before = KINEMATICS.forward(measured)
    for _ in range(20):
        directive = made.step(twist(0.05, 0.1, -0.05), seen(measured))
        assert directive.limits == ()
        measured = directive.action.joint_position
    for _ in range(10):  # what comes after is smooth, and so a little later
        measured = made.step(twist(0.0), seen(measured)).action.joint_position
    after = KINEMATICS.forward(measured)
    assert after[:3] - before[:3] == pytest.approx([0.05, 0.1, -0.05], abs=1e-3)
    assert abs(float(after[3:] @ before[3:])) == pytest.approx(1.0, abs=1e-4)


def test_too_fast_is_as_fast_as_allowed_and_recorded():
    directive = controller().step(twist(3.0), seen(SPEC.home_rad))
    event = directive.limits[0]
    assert (event.rule, event.requested, event.applied) == (Limit.EE_VELOCITY, 3.0, EE_SPEED_MAX_M_S)


def test_a_hand_that_is_asked_to_go_and_turn_too_fast_gets_no_farther_than_it_may():
    made, measured, periods = controller(), SPEC.home_rad, 12
    before = KINEMATICS.forward(measured)
    for _ in range(periods):
        directive = made.step(twist(0.0, 0.9, 0.0, 0.0, 0.0, 9.0), seen(measured))
        asked = {event.rule: (event.requested, event.applied) for event in directive.limits}
        assert asked[Limit.EE_VELOCITY] == (0.9, EE_SPEED_MAX_M_S)
        assert asked[Limit.EE_ROTATION] == (9.0, EE_ROTATION_MAX_RAD_S)
        measured = directive.action.joint_position
    after = KINEMATICS.forward(measured)
    for_s = periods * SPEC.period_s
    assert np.linalg.norm(after[:3] - before[:3]) <= EE_SPEED_MAX_M_S * for_s
    assert rotation.angle_between(after[3:], before[3:]) <= EE_ROTATION_MAX_RAD_S * for_s


def test_a_gripper_starts_from_where_it_is():
    made = Controller(SPEC)
    made.start(Observation({"joint_position": SPEC.home_rad, "gripper_position": np.array([0.2])}))
    assert made.hold().action.gripper == [0.2]


def test_a_base_goes_no_faster_than_it_may_starts_and_stops_on_its_ramp_and_says_so():
    base, made, path = HUSKY.base, Controller(HUSKY), [HUSKY.home_rad]
    made.start(seen(HUSKY.home_rad))
    for _ in range(16):
        directive = made.step(Twist(np.zeros((1, 6)), np.ones(1), np.array([9.0, 9.0])), seen(path[-1]))
        assert [event.axis for event in directive.limits if event.rule is Limit.BASE_VELOCITY] == [0, 1]
        path.append(directive.action.joint_position)
    path.extend(made.hold().action.joint_position for _ in range(16))
    moved = np.diff([HUSKY.home_rad, *path], axis=0) / HUSKY.period_s
    ahead, turning = np.hypot(moved[:, 0], moved[:, 1]), moved[:, 2]
    assert (ahead.max(), turning.max()) == pytest.approx((base.speed_max_m_s, base.turn_max_rad_s))
    assert np.abs(np.diff(ahead)).max() <= base.acceleration_max_m_s2 * HUSKY.period_s + 1e-9
    assert np.abs(np.diff(turning)).max() <= base.turn_acceleration_max_rad_s2 * HUSKY.period_s + 1e-9
    assert np.abs(moved[-1]).max() < 1e-9, "held, it still moves"


def test_a_base_that_has_come_to_rest_meanwhile_does_not_roll_on():
    made, joints = Controller(HUSKY), HUSKY.home_rad
    made.start(seen(joints))
    for _ in range(8):
        joints = made.step(
            Twist(np.zeros((1, 6)), np.ones(1), np.array([0.5, 0.5])), seen(joints)
        ).action.joint_position
    made.stand()
    assert np.array_equal(made.hold().action.joint_position[:3], joints[:3])


def test_a_jump_in_joint_space_is_slewed_never_an_error():
    far = Joints(np.full(7, 9.0), np.zeros(1))
    directive = controller().step(far, seen(SPEC.home_rad))
    rules = {event.rule for event in directive.limits}
    assert rules >= {Limit.JOINT_POSITION, Limit.JOINT_VELOCITY, Limit.GRIPPER_VELOCITY}


def test_a_setpoint_of_the_wrong_shape_holds_and_is_recorded():
    made = controller()
    short = Twist(np.zeros((1, 3)), np.zeros(1))
    directive = made.step(short, seen(SPEC.home_rad))
    assert np.array_equal(directive.action.joint_position, SPEC.home_rad)
    assert [event.rule for event in directive.limits] == [Limit.SHAPE]


def test_an_arm_that_starts_outside_comes_back_and_is_not_thrown():
    outside = SPEC.home_rad.copy()
    outside[0] = 2.5  # the hand points backwards, far from the workspace
    made = controller(outside)
    still = made.step(twist(0.0), seen(outside))
    assert np.allclose(still.action.joint_position, outside, atol=0.01)
    hand = KINEMATICS.forward(outside)
    inwards = made.step(twist(0.2), seen(outside)).action.joint_position
    assert KINEMATICS.forward(inwards)[0] > hand[0]


@settings(max_examples=30, deadline=None)
@given(arrays(np.float64, (12, 3), elements=st.floats(-0.2, 0.2)))
def test_what_is_sent_never_jerks_more_than_allowed(velocities):
    """The third difference of a motion is at most its highest jerk, times the period cubed."""
    made, measured = controller(), SPEC.home_rad
    sent = [measured] * 3
    for velocity in np.repeat(velocities, 4, axis=0):
        measured = made.step(twist(*velocity), seen(measured)).action.joint_position
        sent.append(measured)
    for _ in range(20):
        sent.append(made.hold().action.joint_position)
    allowed = SPEC.joint_jerk_max_rad_s3 * SPEC.period_s**3
    assert np.all(np.abs(np.diff(sent, 3, axis=0)) <= allowed * (1.0 + 1e-6))
    assert np.abs(np.diff(sent[-3:], axis=0)).max() < 1e-9, "held, it still moves"


@settings(max_examples=15, deadline=None)
@given(
    away=arrays(np.float64, 3, elements=st.floats(-0.08, 0.08)),
    turn=arrays(np.float64, 3, elements=st.floats(-0.3, 0.3)),
)
def test_a_pose_is_reached_and_kept(away, turn):
    made, measured = controller(), SPEC.home_rad
    start = KINEMATICS.forward(measured)
    goal = np.array([*(start[:3] + away), *rotation.multiply(rotation.from_rotvec(turn), start[3:])])
    for _ in range(60):
        measured = made.step(Pose(goal.reshape(1, 7), np.ones(1)), seen(measured)).action.joint_position
    reached = KINEMATICS.forward(measured)
    assert np.linalg.norm(reached[:3] - goal[:3]) < 1e-3
    assert rotation.angle_between(reached[3:], goal[3:]) < 5e-3


def test_near_a_singularity_a_hand_slows_down_says_so_and_comes_back():
    made, measured = controller(), SPEC.home_rad
    rules, conditions = set(), []
    for _ in range(100):
        directive = made.step(twist(0.1, 0.0, 0.2), seen(measured))
        measured = directive.action.joint_position
        rules |= {event.rule for event in directive.limits}
        conditions.append(KINEMATICS.at(measured).condition)
    assert Limit.SINGULARITY in rules
    assert max(conditions) < SINGULAR_STOP + 1.0
    before = KINEMATICS.forward(measured)
    for _ in range(20):
        measured = made.step(twist(-0.1, 0.0, -0.2), seen(measured)).action.joint_position
    assert KINEMATICS.forward(measured)[2] < before[2] - 0.1


def test_a_joint_that_stops_never_waits_for_a_slower_one():
    """It would run on meanwhile, and past a limit that it was about to reach."""
    made = controller()
    slow, fast = 5, 0
    goal = SPEC.home_rad.copy()
    goal[fast], goal[slow] = goal[fast] + 2.5, goal[slow] + 0.25
    path = [SPEC.home_rad]
    for _ in range(12):
        path.append(made.step(Joints(goal, np.array([1.0])), seen(path[-1])).action.joint_position)
    begun = len(path) - 1
    path.extend(made.hold().action.joint_position for _ in range(20))
    speed = (path[begun] - path[begun - 1])[slow] / SPEC.period_s
    alone = speed * np.sqrt(speed / SPEC.joint_jerk_max_rad_s3[slow])  # up to no more than the highest acceleration
    assert (path[-1] - path[begun])[slow] == pytest.approx(alone, rel=0.02)


@settings(max_examples=60, deadline=None)
@given(turns=arrays(np.float64, (25, 6), elements=st.floats(-3, 3)))
def test_a_hand_that_is_twisted_about_stays_within_a_few_millimetres_of_its_workspace(turns):
    made = controller()
    joints = SPEC.home_rad
    for values in np.repeat(turns, 4, axis=0):
        joints = made.step(twist(*values), seen(joints)).action.joint_position
        hand = KINEMATICS.forward(joints)[:3]
        assert (hand >= END.workspace_lower_m - OVERSHOOT_M - 1e-7).all()
        assert (hand <= END.workspace_upper_m + OVERSHOOT_M + 1e-7).all()
