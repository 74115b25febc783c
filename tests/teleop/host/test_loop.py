"""The loop's threads: one that drives, and one that notices when the first stands still."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from sim.robot import Action
from teleop.host.loop import ControlLoop, Pressed
from teleop.host.supervisor import Supervisor
from teleop.steps import Events
from teleop.wire import signalling
from teleop.wire.driver import PERSON
from teleop.wire.messages import Command, Mode, Safety, State
from teleop.wire.reasons import EndReason
from tests.teleop.linked import Linked
from tests.teleop.sessions import GRANT, PANDA, Puppet, release

WAIT_S = 20.0


def test_a_stall_is_noticed_once_and_owned_up_to_once():
    now, told = [0], []
    watch = Supervisor("x", 1.0, lambda: now[0], told.append)
    watch.check()
    assert not watch.beat(), "a loop that has not begun is not stalled"
    for _ in range(3):
        now[0] += 900_000_000
        watch.check()
        assert not watch.beat()
    for _ in range(3):
        now[0] += 700_000_000
        watch.check()
    assert told == [1.4]
    assert watch.stalls == 1
    assert watch.beat()
    assert not watch.beat()


def test_a_loop_that_runs_again_while_its_stall_is_noticed_finds_that_out():
    """Else everyone would hear that the robot is stopped, and it would not be."""
    now, told, found = [0], [], []
    again = threading.Thread(target=lambda: found.append(watch.beat()))

    def clock() -> int:
        if now[0] and not again.ident:
            again.start()
            while again.is_alive() and not watch._turn.locked():
                pass
        return now[0]

    watch = Supervisor("x", 1.0, clock, told.append)
    watch.beat()
    now[0] = 2_000_000_000
    watch.check()
    again.join()
    assert (told, found) == ([2.0], [True])


def test_a_loop_that_stood_still_before_it_rests_finds_that_out():
    now, told = [0], []
    watch = Supervisor("x", 1.0, lambda: now[0], told.append)
    watch.beat()
    now[0] = 2_000_000_000
    watch.check()
    assert told == [2.0]
    assert watch.rest()
    assert not watch.beat()


def test_a_loop_that_has_nothing_to_do_is_not_stalled():
    now, told = [0], []
    watch = Supervisor("x", 1.0, lambda: now[0], told.append)
    watch.beat()
    watch.rest()
    now[0] += 10**12
    watch.check()
    assert not watch.beat()
    assert not told


@dataclass
class Sticking(Puppet):
    """A robot whose bus hangs, once, in the middle of an action."""

    sticks: threading.Event = field(default_factory=threading.Event)
    stuck: threading.Event = field(default_factory=threading.Event)
    free: threading.Event = field(default_factory=threading.Event)
    threads: set[str] = field(default_factory=set)

    def send_action(self, action: Action) -> Action:
        """Hang where that was asked for."""
        self.threads.add(threading.current_thread().name)
        if self.sticks.is_set() and not self.free.is_set():
            self.stuck.set()
            self.free.wait(WAIT_S)
        return super().send_action(action)


class Rig:
    """A loop with a robot that can hang, and what it says."""

    def __init__(
        self,
        *,
        simulated: bool,
        control_hz: float = PANDA.control_hz,
        gave_up: Callable[[Exception], None] = lambda _error: None,
    ) -> None:
        self.robot = Sticking(replace(PANDA, simulated=simulated, control_hz=control_hz))
        self.reports: queue.SimpleQueue[signalling.Message] = queue.SimpleQueue()
        self.states: queue.SimpleQueue[State] = queue.SimpleQueue()
        self.seq = self.seen = 0
        self.linked = Linked()
        self.loop = ControlLoop(
            self.robot,
            "0xC",
            "rig",
            Events(),
            self._publish,
            self.reports.put,
            gave_up=gave_up,
        )

    def _publish(self, data: bytes) -> None:
        state = State.decode(data)
        self.seen = state.seq
        self.states.put(state)

    def until(self, safety: Safety, *, pressed: bool) -> State:
        """Send commands until the robot is in that state. One that expired on a busy machine is armed again first."""
        while True:
            self.send(pressed=pressed)
            state = self.states.get(timeout=WAIT_S)
            if state.safety is safety:
                return state
            if safety is Safety.DRIVING and state.safety is Safety.EXPIRED:
                self.until(Safety.ARMED, pressed=False)

    def send(self, *, pressed: bool) -> None:
        """Send a command."""
        self.seq += 1
        values = [0.01, 0, 0, 0, 0, 0, 1] if pressed else []
        mode = Mode.EE_TWIST if pressed else Mode.NEUTRAL
        self.loop.offer(self.linked(command(mode, self.seq, values, dead_man=pressed, seen=self.seen)))

    def reported(self, kind: type[signalling.Message]) -> signalling.Message:
        """Return the next report of that kind."""
        while not isinstance(report := self.reports.get(timeout=WAIT_S), kind):
            pass
        return report


def command(mode: Mode, seq: int, values, *, dead_man: bool, seen: int = 0) -> Command:
    return Command(mode, dead_man, 1, seq, seen, time.monotonic_ns() // 1000, np.array(values, np.float32))


@pytest.fixture(params=[True, False], ids=["simulated", "real"])
def rig(request) -> Iterator[Rig]:
    rig = Rig(simulated=request.param)
    rig.loop.start()
    rig.loop.order(signalling.LeaseOrder("L", 1, "0xA", GRANT, "0x", "lift"))
    rig.loop.order(signalling.BeginOrder("E", 1, "0x01", PERSON))
    rig.until(Safety.ARMED, pressed=False)
    rig.until(Safety.DRIVING, pressed=True)
    yield rig
    rig.robot.free.set()
    rig.loop.stop()


def test_a_robot_that_hangs_is_noticed_told_of_and_touched_by_its_own_thread_only(rig):
    rig.robot.sticks.set()
    assert rig.robot.stuck.wait(WAIT_S)
    if rig.robot.spec.simulated:
        while not rig.loop.stalls:
            rig.robot.free.wait(0.01)
    else:
        stopped = rig.reported(signalling.Estopped)
        assert stopped.by.startswith("host: the control loop has stood still")
    rig.robot.free.set()
    rig.until(Safety.EXPIRED if rig.robot.spec.simulated else Safety.ESTOPPED, pressed=True)
    assert rig.loop.stalls == 1
    assert rig.robot.threads == {"control rig"}
    if not rig.robot.spec.simulated:
        assert rig.reported(signalling.Ended).reason is EndReason.ROBOT_FAULT
        rig.loop.order(release(rig.loop.latch))
        rig.until(Safety.ARMED, pressed=False)


def test_a_loop_that_breaks_stops_the_robot_and_says_why(rig):
    rig.robot.send_action = lambda action: 1 / 0
    assert "division by zero" in rig.reported(signalling.Estopped).by
    assert rig.loop.estopped


def test_a_loop_that_is_stopped_lets_the_arm_come_to_rest_first(rig):
    rig.loop.stop()
    before, last = rig.robot.sent[-2:]
    assert np.abs(last - before).max() < 1e-9


def test_a_period_that_a_press_shortens_is_no_shorter_than_half_and_a_late_one_is_not_made_up_for():
    rig = Rig(simulated=True)
    period_s, begun = PANDA.period_s, time.monotonic()
    rig.loop._orders.put(Pressed())
    assert rig.loop._wait_until(begun, begun + period_s) >= begun + 0.5 * period_s
    now = time.monotonic()
    assert rig.loop._wait_until(now - 4.0 * period_s, now - 3.0 * period_s) >= now
    assert rig.loop.late_ticks >= 1


def test_a_stop_is_obeyed_where_every_tick_is_late():
    rig = Rig(simulated=True)
    rig.loop.order(signalling.LeaseOrder("L", 1, "0xA", GRANT, "0x", "lift"))
    rig.loop.order(signalling.EstopOrder("anyone"))
    now = time.monotonic()
    rig.loop._wait_until(now - 2.0, now - 1.0)
    assert rig.loop.estopped


def test_a_dead_man_that_stays_pressed_is_one_press():
    rig = Rig(simulated=True)
    for pressed in (True, True, False, True):
        rig.send(pressed=pressed)
    assert rig.loop._orders.qsize() == 2


def test_a_press_is_answered_before_the_period_ends_where_the_robot_stands_and_only_there():
    """With a period of a second, an answer within three quarters was not waited for."""
    period_us = 1_000_000
    rig = Rig(simulated=True, control_hz=1.0)
    pressed, over = threading.Event(), threading.Event()

    def stream() -> None:
        while not over.wait(0.03):
            rig.send(pressed=pressed.is_set())

    def next_in(*safety: Safety) -> State:
        while (state := rig.states.get(timeout=WAIT_S)).safety not in safety:
            pass
        return state

    rig.loop.start()
    rig.loop.order(signalling.LeaseOrder("L", 1, "0xA", GRANT, "0x", "lift"))
    rig.loop.order(signalling.BeginOrder("E", 1, "0x01", PERSON))
    streaming = threading.Thread(target=stream)
    streaming.start()
    try:
        armed = next_in(Safety.ARMED)
        pressed.set()
        first = next_in(Safety.DRIVING)
        assert first.t_host_us - armed.t_host_us < 0.75 * period_us
        pressed.clear()
        while rig.loop._pressed:
            over.wait(0.01)
        pressed.set()  # while it moves
        second = next_in(Safety.DRIVING)
        assert second.t_host_us - first.t_host_us > 0.75 * period_us
    finally:
        over.set()
        streaming.join()
        rig.loop.stop()
