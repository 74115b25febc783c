"""One robot's session by hand: how it comes to rest, where it starts again, and what makes it do neither."""

from __future__ import annotations

import numpy as np
import pytest

from sim.motion.control import Limit
from teleop.host.orders import Shutdown
from teleop.safety import WATCHDOG_NS
from teleop.steps import QUEUE_STEPS, EpisodeEnd, Step
from teleop.wire import signalling
from teleop.wire.descriptor import describe
from teleop.wire.driver import PERSON
from teleop.wire.messages import LIMIT_RULES, Mode, Safety
from teleop.wire.reasons import EndReason
from tests.teleop.sessions import GRANT, MS, PANDA, Bench

FORWARD = [0.25, 0.1, 0.1, 0.0, 0.0, 0.0, 1.0]
BRAKING = 6
"""Periods in which a Panda brakes from any speed."""


def driving(*, simulated: bool = True) -> Bench:
    bench = Bench(simulated=simulated)
    bench.ready()
    bench.drive(Mode.EE_TWIST, FORWARD, 8)
    assert bench.states[-1].safety is Safety.DRIVING
    return bench


def steps_of(bench: Bench) -> list[Step]:
    return [event for event in list(bench.events.queue) if isinstance(event, Step)]


@pytest.mark.parametrize(
    "order",
    [
        signalling.EstopOrder("anyone"),
        signalling.FinishOrder(EndReason.FINISHED),
        signalling.Revoke(11, EndReason.OPERATOR_LOST),
        signalling.Revoke(11, EndReason.HOST_LOST),
        signalling.LeaseOrder("M", 12, "0xA", GRANT, "0x", "lift"),
        signalling.BeginOrder("next", 2, "0x02", PERSON),
        Shutdown(),
        None,
    ],
    ids=lambda order: "silence" if order is None else type(order).__name__,
)
@pytest.mark.parametrize("simulated", [True, False], ids=["simulated", "real"])
def test_whatever_ends_the_driving_the_arm_brakes_softly_and_stands(order, simulated):
    bench = driving(simulated=simulated)
    moving, ending = bench.robot.sent[-4:], len(bench.robot.sent)
    if order is not None:
        bench.session.obey(order)
    bench.now_ns += WATCHDOG_NS
    bench.tick(BRAKING + 20)
    sent = bench.robot.sent[ending:]
    path = np.array([*moving, *sent, *[sent[-1]] * (BRAKING + 4)])
    softest = PANDA.joint_jerk_max_rad_s3 * PANDA.period_s**3 * (1 + 1e-6)
    assert (np.abs(np.diff(path, 3, axis=0)) <= softest).all(), "it stopped harder than it may"
    assert np.abs(path[4] - path[3]).max() > 0.1 * np.abs(path[3] - path[2]).max(), "its target froze"
    assert np.abs(path[3 + BRAKING :] - path[-1]).max() < 1e-8, "it went on"
    assert bench.session.idle == isinstance(order, signalling.Revoke | Shutdown)


def test_the_next_episode_begins_once_the_arm_is_at_rest():
    bench = driving()
    bench.session.obey(signalling.FinishOrder(EndReason.FINISHED))
    bench.session.obey(signalling.BeginOrder("next", 2, "0x02", PERSON))
    assert not any(isinstance(report, signalling.Ready) and report.episode == "next" for report in bench.reports)
    bench.tick(BRAKING + 2)
    assert signalling.Ready("next", 2) in bench.reports


def test_an_episode_that_was_asked_for_and_never_began_is_answered():
    bench = driving()
    bench.session.obey(signalling.BeginOrder("next", 2, "0x02", PERSON))
    bench.session.obey(signalling.FinishOrder(EndReason.FINISHED))
    assert signalling.Ended("next", False, 0, None, False, EndReason.FINISHED) in bench.reports


def test_an_arm_that_expired_moves_again_only_after_a_release():
    bench = driving()
    bench.now_ns += WATCHDOG_NS
    bench.tick(BRAKING)
    stood = bench.robot.sent[-1]
    bench.drive(Mode.EE_TWIST, FORWARD, 10)
    assert bench.states[-1].safety is Safety.EXPIRED
    assert np.abs(bench.robot.sent[-1] - stood).max() < 1e-9
    bench.say()
    bench.tick()
    bench.drive(Mode.EE_TWIST, FORWARD, 3)
    assert np.abs(bench.robot.sent[-1] - stood).max() > 1e-3


def test_driving_starts_from_where_the_arm_is_then_and_not_where_it_was_at_the_reset():
    bench = Bench(simulated=False)
    bench.lease()
    bench.begin()
    sunk = bench.robot.joints = PANDA.home_rad + 0.1
    bench.say()
    bench.tick()
    bench.drive(Mode.EE_TWIST, FORWARD, 1)
    first = np.abs(bench.robot.sent[0] - sunk)
    assert (first <= PANDA.joint_jerk_max_rad_s3 * PANDA.period_s**3).all()


@pytest.mark.parametrize("mode", [Mode.EE_POSE, Mode.JOINT_POSITION])
@pytest.mark.parametrize("expires", [True, False], ids=["after an expiry", "after a release"])
def test_a_far_target_at_re_engagement_starts_from_where_the_arm_is(mode, expires):
    """What a program asks for is absolute; it is gone to from the last target, at rest, within every limit."""
    bench = driving()
    if expires:
        bench.now_ns += WATCHDOG_NS
    bench.say()
    bench.tick(BRAKING + 2)
    stood, seen = bench.robot.sent[-1], len(steps_of(bench))
    far = {
        Mode.EE_POSE: [0.6, -0.3, 0.5, 1.0, 0.0, 0.0, 0.0, 1.0],
        Mode.JOINT_POSITION: [*(PANDA.home_rad + 0.6), 1.0],
    }[mode]
    bench.say()
    bench.tick()
    bench.drive(mode, far, 1)
    first = np.abs(bench.robot.sent[-1] - stood)
    assert (first <= PANDA.joint_jerk_max_rad_s3 * PANDA.period_s**3).all()
    bench.drive(mode, far, 3)
    rules = {event.rule for step in steps_of(bench)[seen:] for event in step.limits}
    assert rules & {Limit.EE_VELOCITY, Limit.JOINT_VELOCITY}, "and it says that it does so slowly"


def test_a_hand_that_is_sent_by_joints_stays_in_its_workspace_and_says_so():
    bench = Bench()
    bench.ready()
    rules = set()
    for joint in range(7):
        for sign in (1.0, -1.0):
            goal = PANDA.home_rad.copy()
            goal[joint] += 2.0 * sign
            for _ in range(25):
                bench.drive(Mode.JOINT_POSITION, [*goal, 1.0], 1)
                end = PANDA.end_effectors[0]
                assert (bench.hand() > end.workspace_lower_m - 0.01).all()
                assert (bench.hand() < end.workspace_upper_m + 0.01).all()
            rules |= {event.rule for step in steps_of(bench) for event in step.limits}
    assert Limit.WORKSPACE in rules


def test_a_stop_is_latched_without_a_lease_and_through_the_next_one():
    bench = Bench()
    bench.session.obey(signalling.EstopOrder("anyone"))
    assert bench.session.estopped
    assert bench.session.idle
    bench.ready()
    bench.drive(Mode.EE_TWIST, FORWARD, 5)
    assert bench.states[-1].safety is Safety.ESTOPPED
    assert not bench.robot.sent
    bench.clear()
    bench.begin()
    bench.drive(Mode.EE_TWIST, FORWARD, 5)
    assert not bench.robot.sent, "cleared, it must be armed first"
    bench.say()
    bench.tick()
    bench.drive(Mode.EE_TWIST, FORWARD, 5)
    assert bench.robot.sent


@pytest.mark.parametrize("simulated", [True, False], ids=["simulated", "real"])
def test_after_a_stall_nothing_goes_on_by_itself(simulated):
    bench = driving(simulated=simulated)
    stood = bench.robot.sent[-1]
    for _ in range(30):
        bench.now_ns += 100 * MS
        bench.say(Mode.EE_TWIST, FORWARD, dead_man=True)  # fresh, as the network has not stalled
    bench.session.stalled()
    bench.drive(Mode.EE_TWIST, FORWARD, BRAKING)
    after = bench.robot.sent[-1]
    if simulated:
        assert bench.states[-1].safety is Safety.EXPIRED
        assert bench.session._episodes.open is not None
        assert np.abs(after - stood).max() < 0.2
    else:
        assert bench.states[-1].safety is Safety.ESTOPPED
        assert np.array_equal(after, stood), "a real arm has come to rest meanwhile"
        assert bench.reports[-1].reason is EndReason.ROBOT_FAULT
    bench.drive(Mode.EE_TWIST, FORWARD, BRAKING)
    assert np.abs(bench.robot.sent[-1] - after).max() < 1e-8


def test_more_commands_than_fit_are_dropped_and_each_is_counted():
    bench = Bench()
    bench.say()
    bench.lease()
    for _ in range(100):
        bench.say()
    bench.tick()
    assert bench.session.dropped == {"flood": 36}
    bench.session.obey(signalling.Revoke(bench.epoch, EndReason.LEFT))
    bench.say()
    assert bench.session.dropped == {"flood": 36, "no_lease": 1}


def test_an_episode_ends_at_the_step_limit_of_its_task_and_counts():
    bench = Bench(max_steps=5)
    bench.ready()
    bench.drive(Mode.EE_TWIST, FORWARD, 8)
    assert [step.index for step in steps_of(bench)] == [0, 1, 2, 3, 4]
    assert bench.reports[-1] == signalling.Ended("E", True, 5, None, True, EndReason.STEP_LIMIT)


def test_a_recorder_that_falls_too_far_behind_ends_the_episode():
    bench = driving()
    while bench.events.qsize() < QUEUE_STEPS - 2:
        bench.events.put(None)
    for _ in range(3):
        bench.say(Mode.EE_TWIST, FORWARD, dead_man=True)
        bench.now_ns += 50 * MS
        bench.session.tick()
    assert bench.events.qsize() == QUEUE_STEPS
    assert isinstance(bench.events.queue[-1], EpisodeEnd)
    assert (bench.reports[-1].reason, bench.reports[-1].valid) == (EndReason.RECORDER_FULL, False)


def commanded(bench: Bench, index: int = -1) -> np.ndarray:
    """Return where a state says that the joints were sent."""
    return bench.states[index].values[-PANDA.joints - PANDA.hands : -PANDA.hands]


def test_a_state_says_where_the_arm_was_sent_and_what_it_lacks_of_it():
    bench = Bench(follows=0.3)
    bench.ready()
    assert commanded(bench) == pytest.approx(PANDA.home_rad, abs=1e-6), "sent nowhere, it was sent where it is"
    bench.drive(Mode.EE_TWIST, FORWARD, 8)
    assert commanded(bench) == pytest.approx(bench.robot.sent[-1], abs=1e-6)
    assert np.abs(bench.states[-1].values[: PANDA.joints] - commanded(bench)).max() > 1e-3, "it lags behind"
    bench.session.obey(signalling.FinishOrder(EndReason.FINISHED))
    bench.tick(BRAKING + 4)
    assert commanded(bench) == pytest.approx(bench.robot.joints, abs=1e-6), "nothing is sent any more"


def test_a_state_is_as_long_as_the_descriptor_says():
    bench = driving()
    arrays = describe("bench", bench.robot.spec)["observation"]
    assert [array["name"] for array in arrays[-2:]] == ["commanded_joint_position", "commanded_gripper_position"]
    assert len(bench.states[-1].values) == sum(int(np.prod(array["shape"])) for array in arrays)


def test_a_state_names_the_rules_that_hold_the_arm_in_the_same_period():
    bench = Bench()
    bench.ready()
    bench.drive(Mode.EE_TWIST, [0.29, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0], 40)
    assert bench.states[-1].limits & LIMIT_RULES[Limit.WORKSPACE], "it stands at the wall, and is pushed against it"
    assert bench.states[-1].limited
    bench.say()
    bench.tick()
    assert (bench.states[-1].limits, bench.states[-1].limited) == (0, False)


def test_an_arm_that_cannot_follow_is_named_as_such():
    bench = Bench(follows=0.0)
    bench.ready()
    bench.drive(Mode.EE_TWIST, FORWARD, 40)
    assert bench.states[-1].limits & LIMIT_RULES[Limit.TRACKING]


def test_the_last_limit_is_forgotten_once_the_episode_is_over():
    bench = Bench()
    bench.ready()
    bench.drive(Mode.EE_TWIST, [0.29, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0], 40)
    bench.session.obey(signalling.FinishOrder(EndReason.FINISHED))
    bench.tick(2)
    assert (bench.states[-1].limits, bench.states[-1].limited) == (0, False)


def test_every_rule_has_a_bit_of_its_own_on_the_wire():
    assert set(LIMIT_RULES) == set(Limit)
    assert sorted(LIMIT_RULES.values()) == [1 << bit for bit in range(len(Limit))]
