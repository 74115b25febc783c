"""After a stop or an expiry a blocked arm presses no more: its target walks back, and nobody's grip opens."""

from __future__ import annotations

import numpy as np
import pytest

from sim.robot import Action
from teleop.host.orders import Shutdown
from teleop.safety import WATCHDOG_NS
from teleop.steps import Step
from teleop.wire import signalling
from teleop.wire.driver import PERSON
from teleop.wire.messages import Mode, Safety
from teleop.wire.reasons import EndReason
from tests.teleop.sessions import PANDA, Bench

FORWARD = [0.25, 0.1, 0.1, 0.0, 0.0, 0.0, 0.3]
BRAKING = 6


def pressing(*, simulated: bool = False, follows: float = 0.0) -> Bench:
    """Return a bench whose arm was driven against something, and has stood still since."""
    bench = Bench(simulated=simulated, follows=follows)
    bench.ready()
    bench.drive(Mode.EE_TWIST, FORWARD, 30)
    if not follows:
        assert np.abs(bench.robot.sent[-1] - bench.robot.joints).max() > 0.05, "it presses"
    return bench


@pytest.mark.parametrize(
    "order",
    [
        signalling.EstopOrder("anyone"),
        signalling.Revoke(11, EndReason.OPERATOR_LOST),
        signalling.Revoke(11, EndReason.HOST_LOST),
        Shutdown(),
        None,
    ],
    ids=lambda order: "silence" if order is None else type(order).__name__,
)
@pytest.mark.parametrize("simulated", [True, False], ids=["simulated", "real"])
def test_a_blocked_arm_is_let_go_of_softly(order, simulated):
    bench = pressing(simulated=simulated)
    before, grips = bench.robot.sent[-4:], []
    send = bench.robot.send_action

    def watched(action: Action) -> Action:
        grips.append(action.gripper.copy())
        return send(action)

    bench.robot.send_action = watched
    ending = len(bench.robot.sent)
    if order is not None:
        bench.session.obey(order)
    bench.now_ns += WATCHDOG_NS
    bench.tick(60)
    assert bench.robot.sent[-1] == pytest.approx(bench.robot.joints, abs=1e-6)
    path = np.array([*before, *bench.robot.sent[ending:]])
    softest = PANDA.joint_jerk_max_rad_s3 * PANDA.period_s**3 * (1 + 1e-6)
    assert (np.abs(np.diff(path, 3, axis=0)) <= softest).all(), "harder than it may"
    assert np.ptp(grips, axis=0).max() == 0.0, "whatever it holds, it goes on holding"
    assert bench.session.idle == isinstance(order, signalling.Revoke | Shutdown)


def test_while_the_dead_man_is_released_by_someone_who_is_there_it_holds_what_it_presses():
    bench = pressing()
    pressed = None
    for period in range(40):
        bench.say()
        bench.tick()
        pressed = bench.robot.sent[-1] if period == BRAKING else pressed
    assert bench.states[-1].safety is Safety.HOLDING
    assert np.abs(bench.robot.sent[-1] - pressed).max() < 1e-9


def test_an_arm_that_sinks_under_every_target_does_not_follow_itself_down():
    bench = Bench(simulated=False)
    bench.ready()
    send = bench.robot.send_action

    def sinking(action: Action) -> Action:
        applied = send(action)
        bench.robot.joints = applied.joint_position + 0.03
        return applied

    bench.robot.send_action = sinking
    bench.drive(Mode.EE_TWIST, FORWARD, 8)
    bench.session.obey(signalling.EstopOrder("anyone"))
    bench.tick(BRAKING + 2)
    first = bench.robot.sent[-1]
    bench.tick(100)
    assert np.abs(bench.robot.sent[-1] - first).max() < 0.031, "once, and no further"


def test_an_arm_that_reached_its_target_stays_there_exactly():
    bench = pressing(follows=1.0)
    bench.session.obey(signalling.EstopOrder("anyone"))
    bench.tick(BRAKING + 2)
    rest, count = bench.robot.sent[-1], len(bench.robot.sent)
    bench.tick(20)
    assert np.array_equal(bench.robot.sent[-1], rest)
    assert len(bench.robot.sent) == count, "nothing is sent to an arm at rest"


def test_letting_go_within_an_episode_is_in_its_steps_and_is_nobodys_limit():
    bench = pressing(simulated=True)
    bench.now_ns += WATCHDOG_NS
    bench.tick(60)
    steps = [event for event in list(bench.events.queue) if isinstance(event, Step)]
    assert steps[-1].safety is Safety.EXPIRED
    assert steps[-1].applied.joint_position == pytest.approx(bench.robot.joints, abs=1e-6)
    assert not steps[-1].limits
    expired = [step for step in steps if step.safety is Safety.EXPIRED]
    assert not any(step.limits for step in expired)


def test_whoever_drives_on_while_the_arm_lets_go_is_obeyed():
    bench = pressing()
    bench.now_ns += WATCHDOG_NS
    bench.tick(BRAKING + 3)
    assert bench.states[-1].safety is Safety.EXPIRED
    bench.say()
    bench.tick()
    bench.robot.follows = 1.0
    before = bench.robot.sent[-1]
    bench.drive(Mode.EE_TWIST, FORWARD, 12)
    assert bench.states[-1].safety is Safety.DRIVING
    assert np.abs(bench.robot.sent[-1] - before).max() > 0.01


def test_an_episode_is_not_begun_while_the_robot_is_stopped():
    bench = Bench()
    bench.lease()
    bench.session.obey(signalling.EstopOrder("anyone"))
    bench.begin()
    assert signalling.Ended("E", False, 0, None, False, EndReason.ESTOPPED) in bench.reports
    bench.clear()
    bench.tick(5)
    assert not any(isinstance(report, signalling.Ready) for report in bench.reports), "it is not begun later either"


def test_a_stop_while_the_arm_still_brakes_before_the_next_episode_ends_that_too():
    bench = pressing(follows=1.0)
    bench.session.obey(signalling.BeginOrder("next", 2, "0x02", PERSON))
    bench.session.obey(signalling.EstopOrder("anyone"))
    bench.tick(40)
    assert signalling.Ended("next", False, 0, None, False, EndReason.ESTOPPED) in bench.reports
    assert not any(isinstance(report, signalling.Ready) and report.episode == "next" for report in bench.reports)


@pytest.mark.parametrize("epoch", [11, 10, 1])
def test_a_lease_whose_epoch_does_not_rise_is_refused_and_the_present_one_stays(epoch):
    bench = Bench()
    bench.ready()
    assert bench.epoch == 11
    bench.session.obey(signalling.LeaseOrder("again", epoch, "0xB", signalling.Grant(*"abcde", 1), "0x", "lift"))
    refused = bench.reports[-1]
    assert isinstance(refused, signalling.Refused)
    assert refused.lease == "again"
    assert "above 11" in refused.reason
    bench.drive(Mode.EE_TWIST, FORWARD, 3)
    assert bench.states[-1].safety is Safety.DRIVING
