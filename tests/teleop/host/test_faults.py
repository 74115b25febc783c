"""A robot that breaks stays broken until its owner clears it, says so once, and is left in peace meanwhile."""

from __future__ import annotations

import pytest

from sim.robot import RobotFaultError
from teleop.wire import signalling
from teleop.wire.driver import PERSON
from teleop.wire.messages import Mode, Safety
from teleop.wire.reasons import EndReason
from tests.teleop.host.test_loop import WAIT_S, Rig
from tests.teleop.sessions import MS, Bench, release

FORWARD = [0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]
SENTENCE = "expected servo 3 below 65 degrees C, got 66; let the arm rest"


class Breaking(Bench):
    """A bench whose robot breaks, is counted how often it is looked at, and can be mended."""

    def __init__(self, *, simulated: bool = False) -> None:
        super().__init__(simulated=simulated)
        self.sentence, self.looks, self.connected = "", [], 0
        self._observe = self.robot.observe
        self.robot.observe = self._looked
        self.robot.connect = self._connect

    def _looked(self):
        self.looks.append(self.now_ns)
        if self.sentence:
            raise RobotFaultError(self.sentence)
        return self._observe()

    def _connect(self) -> None:
        self.connected += 1

    def said(self, kind: type[signalling.Message]) -> list[signalling.Message]:
        """Return the reports of that kind."""
        return [report for report in self.reports if isinstance(report, kind)]


def broken(*, driven: bool = True) -> Breaking:
    bench = Breaking()
    bench.ready()
    if driven:
        bench.drive(Mode.EE_TWIST, FORWARD, 4)
    bench.sentence = SENTENCE
    bench.tick()
    return bench


@pytest.mark.parametrize("driven", [True, False])
def test_a_fault_latches_ends_the_episode_and_is_said_once(driven):
    bench = broken(driven=driven)
    assert bench.states[-1].safety is Safety.FAULTED
    assert bench.session.fault == SENTENCE
    assert bench.said(signalling.Ended)[-1].reason is EndReason.ROBOT_FAULT
    bench.sentence = "expected servo 3 below 65 degrees C, got 67; let the arm rest"
    sent = len(bench.robot.sent)
    for _ in range(200):
        bench.say()
        bench.drive(Mode.EE_TWIST, FORWARD, 1)
    assert bench.states[-1].safety is Safety.FAULTED
    assert [said.reason for said in bench.said(signalling.Faulted)] == [SENTENCE]
    assert len(bench.robot.sent) == sent


def test_a_robot_that_recovers_by_itself_stays_faulted_all_the_same():
    bench = broken()
    bench.sentence = ""
    for _ in range(100):
        bench.say()
        bench.tick()
    bench.drive(Mode.EE_TWIST, FORWARD, 2)
    assert bench.states[-1].safety is Safety.FAULTED


def test_a_broken_robot_is_looked_at_less_and_less_often():
    bench = broken()
    bench.looks.clear()
    bench.tick(20 * 180)
    gaps = [later - former for former, later in zip(bench.looks, bench.looks[1:], strict=False)]
    assert gaps == sorted(gaps)
    assert 5 <= len(bench.looks) <= 12
    assert max(gaps) <= 31_000 * MS


def test_an_episode_is_not_begun_on_a_broken_robot():
    bench = broken()
    bench.session.obey(signalling.BeginOrder("next", 2, "0x02", PERSON))
    assert bench.reports[-1] == signalling.Ended("next", False, 0, None, False, EndReason.ROBOT_FAULT)


def test_its_owner_clears_it_once_it_works_again():
    bench = broken()
    bench.clear()
    assert bench.reports[-1].reason == SENTENCE, "it does not work yet, and says why"
    assert bench.session.fault == SENTENCE
    bench.sentence = ""
    bench.clear()
    assert bench.reports[-1] == signalling.Cleared("owner")
    assert bench.connected == 2, "it was opened anew"
    bench.session.obey(signalling.BeginOrder("next", 2, "0x02", PERSON))
    assert bench.reports[-1] == signalling.Ready("next", 2)
    bench.drive(Mode.EE_TWIST, FORWARD, 2)
    assert bench.states[-1].safety is Safety.EXPIRED, "cleared, it must be armed first"
    bench.say()
    bench.tick()
    bench.drive(Mode.EE_TWIST, FORWARD, 2)
    assert bench.states[-1].safety is Safety.DRIVING


def test_a_reset_that_fails_is_a_fault_too():
    bench = Breaking()
    bench.lease()
    bench.sentence = SENTENCE
    bench.begin()
    assert bench.said(signalling.Ended) == [signalling.Ended("E", False, 0, None, False, EndReason.ROBOT_FAULT)]
    assert [said.reason for said in bench.said(signalling.Faulted)] == [SENTENCE]


def test_a_stop_of_a_broken_robot_is_a_stop_and_one_clear_ends_both():
    bench = broken()
    bench.session.obey(signalling.EstopOrder("anyone"))
    bench.tick()
    assert bench.states[-1].safety is Safety.ESTOPPED
    bench.sentence = ""
    bench.clear()
    bench.tick()
    assert bench.states[-1].safety is Safety.EXPIRED
    assert not bench.session.estopped
    assert bench.session.fault is None


def test_a_simulated_robot_that_fails_is_as_before():
    bench = Breaking(simulated=True)
    bench.ready()
    bench.drive(Mode.EE_TWIST, FORWARD, 2)
    bench.sentence = SENTENCE
    bench.drive(Mode.EE_TWIST, FORWARD, 1)
    assert bench.states[-1].safety is Safety.EXPIRED
    assert bench.said(signalling.Faulted) == []


def test_a_real_robot_that_nobody_has_is_looked_at_and_may_be_found_broken():
    bench = Breaking()
    assert bench.session.idle
    bench.looks.clear()
    bench.session.look()
    assert len(bench.looks) == 1
    assert bench.states[-1].safety is Safety.EXPIRED, "whoever watches sees where it is"
    bench.sentence = SENTENCE
    bench.session.look()
    bench.session.look()
    assert [said.reason for said in bench.said(signalling.Faulted)] == [SENTENCE]
    assert len(bench.looks) == 2, "the last look came too soon"


def test_a_loop_looks_at_a_real_robot_that_nobody_has():
    rig = Rig(simulated=False)
    rig.loop.start()
    try:
        assert rig.states.get(timeout=WAIT_S).safety is Safety.EXPIRED
        rig.robot.observe = lambda: (_ for _ in ()).throw(RobotFaultError(SENTENCE))
        assert rig.reported(signalling.Faulted).reason == SENTENCE
        assert rig.loop.fault == SENTENCE
    finally:
        rig.loop.stop()


# --- a loop that breaks is not a robot that breaks


@pytest.mark.parametrize("simulated", [True, False], ids=["simulated", "real"])
def test_after_the_loop_broke_its_owner_has_the_robot_back(simulated):
    rig = Rig(simulated=simulated)
    rig.loop.start()
    rig.loop.order(signalling.LeaseOrder("L", 1, "0xA", signalling.Grant(*"abcde", 1), "0x", "lift"))
    rig.loop.order(signalling.BeginOrder("E", 1, "0x01", PERSON))
    try:
        rig.until(Safety.ARMED, pressed=False)
        rig.until(Safety.DRIVING, pressed=True)
        send = rig.robot.send_action
        rig.robot.send_action = lambda action: 1 / 0
        assert "division by zero" in rig.reported(signalling.Estopped).by
        rig.robot.send_action = send
        rig.loop.order(release(rig.loop.latch))
        rig.reported(signalling.Cleared)
        rig.loop.order(signalling.BeginOrder("F", 1, "0x01", PERSON))
        assert rig.reported(signalling.Ready).episode == "F"
        rig.until(Safety.ARMED, pressed=False)
        rig.until(Safety.DRIVING, pressed=True)
    finally:
        rig.loop.stop()


def test_a_loop_that_breaks_again_and_again_ends_and_says_so():
    gave_up = []
    rig = Rig(simulated=False, gave_up=gave_up.append)
    rig.robot.observe = lambda: 1 / 0
    rig.loop.start()
    try:
        rig.loop._thread.join(WAIT_S)
        assert not rig.loop._thread.is_alive()
        assert [type(error) for error in gave_up] == [ZeroDivisionError]
        assert rig.loop.estopped
        assert "division by zero" in rig.reported(signalling.Estopped).by
        assert rig.reports.empty(), "it is said once"
    finally:
        rig.loop.stop()
