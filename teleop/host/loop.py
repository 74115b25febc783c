"""The only control loop: one thread for one robot, at the robot's own rate, whoever drives.

Part of teleop; exports `ControlLoop`. The network can be late, wrong or gone: nothing here waits for it. A second
thread, the supervisor, notices if this one stalls.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

import structlog

from sim.robot import Robot, RobotSpec, Tasks
from teleop.host.episodes import Cameras
from teleop.host.looks import LOOK_S
from teleop.host.orders import Order, Shutdown
from teleop.host.session import Session
from teleop.host.supervisor import STALL_PERIODS, Supervisor
from teleop.host.tasks import tasks_of
from teleop.safety import Latch, fresh_stop
from teleop.steps import Events
from teleop.wire import signalling
from teleop.wire.messages import dead_man_of

_log = structlog.get_logger()
_EAGER: Final = 0.5
"""The part of a period after which a press may be answered, if the robot is at rest."""
_STOP_S: Final = 10.0
"""How long `stop` waits for a loop that has stalled."""
_BREAKS: Final = 3
"""A loop that breaks this many times within `_BREAKS_S` does not go on."""
_BREAKS_S: Final = 60.0


class Pressed:
    """The operator pressed the dead-man: if the robot is at rest, its next period may begin early."""


class ControlLoop:
    """Drives one robot. `offer`, `order` and what can be read may be used from any thread."""

    def __init__(
        self,
        robot: Robot | Tasks,
        address: str,
        name: str,
        events: Events,
        publish: Callable[[bytes], None],
        report: Callable[[signalling.Message], None],
        stopped: Latch | None = None,
        gave_up: Callable[[Exception], None] = lambda _error: None,
        changed: Callable[[RobotSpec], None] = lambda _spec: None,
        cameras: Cameras | None = None,
    ) -> None:
        """`stopped`: how the robot was stopped earlier, if nobody has cleared that yet.

        Both are called from the loop's thread: `gave_up` if the loop broke repeatedly and has ended for good, `changed`
        if the robot is at another task, before any state of it is published. `cameras` record beside an
        episode's steps.
        """
        self._session = Session(robot, address, name, events, publish, report, changed=changed, cameras=cameras)
        if stopped is not None:
            self._session.stay_stopped(stopped)
        self._name, self._report, self._gave_up = name, report, gave_up
        spec = tasks_of(robot).robot.spec
        self._simulated, self._period_s = spec.simulated, spec.period_s
        self._orders: queue.SimpleQueue[Order | Pressed] = queue.SimpleQueue()
        self._pressed = False
        self.late_ticks = 0
        self._found_stalls = 0
        self._stall_stops: dict[int, str] = {}
        """The name of the stop of each stall: whichever thread comes first gives it."""
        self._supervisor = Supervisor(name, STALL_PERIODS * self._period_s, time.monotonic_ns, self._stalled)
        self._thread = threading.Thread(target=self._run, name=f"control {name}", daemon=True)

    @property
    def latch(self) -> Latch | None:
        """What holds the robot until its owner clears it."""
        return self._session.latch

    @property
    def estopped(self) -> bool:
        """Whether the e-stop is latched."""
        return self._session.estopped

    @property
    def fault(self) -> str | None:
        """What broke the robot, in a sentence, until its owner clears that."""
        return self._session.fault

    @property
    def unrecordable(self) -> str | None:
        """What keeps the recorder from keeping steps, in a sentence."""
        trouble = self._session.unrecordable
        return None if trouble is None else trouble.says

    @property
    def dropped(self) -> dict[str, int]:
        """How many commands since the lease began did not count, by reason."""
        return self._session.dropped

    @property
    def stalls(self) -> int:
        """How often the loop stalled for so long that the supervisor noticed."""
        return self._supervisor.stalls

    def start(self) -> None:
        """Start the threads."""
        self._thread.start()
        self._supervisor.start()

    def stop(self) -> None:
        """End the loop and wait for it; an open episode ends as `host_lost`, and the arm comes to rest."""
        self.order(Shutdown())
        self._thread.join(_STOP_S)
        if self._thread.is_alive():
            _log.error("control loop does not end; the robot holds its last target", robot=self._name)
        self._supervisor.stop()

    def offer(self, data: bytes) -> None:
        """Hand in a command's bytes, as they came."""
        self._session.offer(data)
        before, self._pressed = self._pressed, dead_man_of(data)
        if self._pressed and not before:
            self._orders.put(Pressed())

    def order(self, order: Order) -> None:
        """Hand in an order of the control plane."""
        self._orders.put(order)

    def _run(self) -> None:
        """Drive; a failure stops the robot until its owner clears that. Repeated failures end the loop."""
        breaks: deque[float] = deque(maxlen=_BREAKS)
        try:
            while (error := self._broken_by()) is not None:
                self._session.broke(error)
                breaks.append(time.monotonic())
                if len(breaks) == _BREAKS and breaks[-1] - breaks[0] < _BREAKS_S:
                    self._gave_up(error)
                    return
        finally:
            self._supervisor.rest()

    def _broken_by(self) -> Exception | None:
        """Drive until the end; return what broke the loop before that."""
        try:
            self._loop()
        except Exception as error:  # noqa: BLE001  whatever failed, the robot stays where it is
            _log.exception("control loop broke; the robot is stopped until its owner clears it", robot=self._name)
            return error
        return None

    def _loop(self) -> None:
        due = time.monotonic()
        while self._session.running or not self._session.idle:
            if self._session.idle:
                self._heed(stalled=self._supervisor.rest())
                self._wait_for_order()
                due = time.monotonic()
                continue
            due = self._wait_until(due, due + self._period_s)
            self._session.tick()
            self._beat()

    def _wait_for_order(self) -> None:
        """Wait until there is something to do; check a real robot now and then, as it may break meanwhile."""
        try:
            order = self._orders.get(timeout=None if self._simulated else LOOK_S)
        except queue.Empty:
            self._beat()
            self._session.look()
            self._beat()
            return
        if not isinstance(order, Pressed):
            self._obey(order)

    def _wait_until(self, last: float, due: float) -> float:
        """Obey orders until `due`; return when the tick really is, so that one late tick does not cause many.

        Orders that are already waiting are obeyed even if the tick is late: a stop counts however slow the robot is.

        If the robot is at rest, a press moves the tick forward, to now or to the middle of the period since `last`, and
        the ticks after it count from there.
        """
        waiting = self._orders.qsize()
        while (left := due - time.monotonic()) > 0.0 or waiting > 0:
            waiting -= 1
            try:
                order = self._orders.get(timeout=max(left, 0.0))
            except queue.Empty:
                break
            if not isinstance(order, Pressed):
                self._obey(order)
            elif self._session.at_rest:
                due = min(due, max(time.monotonic(), last + _EAGER * self._period_s))
        late = time.monotonic() - due
        if late < self._period_s:
            return due
        self.late_ticks += 1
        return due + late

    def _obey(self, order: Order) -> None:
        self._beat()
        self._session.obey(order)
        self._beat()

    def _beat(self) -> None:
        self._heed(stalled=self._supervisor.beat())

    def _heed(self, *, stalled: bool) -> None:
        if stalled:
            _log.warning("control loop runs again", robot=self._name)
            self._found_stalls += 1
            self._session.stalled(self._stop_of(self._found_stalls))

    def _stalled(self, for_s: float) -> None:
        """Called from the supervisor's thread: report the stall, and leave the robot to the loop."""
        _log.error("control loop has stalled; the robot holds its last target", robot=self._name, for_s=for_s)
        if not self._simulated:
            by = f"host: the control loop has stood still for {for_s:.1f} s"
            self._report(signalling.Estopped(by, self._stop_of(self._supervisor.stalls)))

    def _stop_of(self, stall: int) -> str:
        """Return the name of the stop that the nth stall is; both threads find the same."""
        return self._stall_stops.setdefault(stall, fresh_stop())
