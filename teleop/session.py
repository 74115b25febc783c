"""The only control loop: one thread beside one robot, at the robot's own rate, whoever drives.

Orders (a lease, begin, finish, e-stop) and commands come in from the network's thread; states go out to it through
`publish`, answers through `report`; what happened leaves as `Events`s through a bounded queue. The network can
be late, wrong or gone: nothing here waits for it.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from sim.control import SHAPING, Controller
from sim.kinematics import Hands
from sim.robot import Observation, Robot, RobotError, UnstableWorldError
from teleop import control
from teleop.descriptor import flatten
from teleop.messages import Command, Safety, State
from teleop.safety import Drop, Gate, IllegalMoveError, Interlock
from teleop.setpoints import setpoint_of
from teleop.steps import QUEUE_STEPS, EndReason, EpisodeEnd, EpisodeStart, Events, Step

_log = structlog.get_logger()
_INBOX: Final = 64
"""Commands kept between two ticks; more is a flood, and the oldest are dropped and counted."""
_ROOM_FOR_END: Final = 1


@dataclass(frozen=True, slots=True)
class Shutdown:
    """Ends the loop; an open episode ends with it."""


Order = (
    control.LeaseOrder
    | control.BeginOrder
    | control.FinishOrder
    | control.Revoke
    | control.EstopOrder
    | control.ClearOrder
    | Shutdown
)


@dataclass(slots=True)
class _Episode:
    """The open episode. It records from the first driven step on."""

    order: control.BeginOrder
    recording: bool = False
    steps: int = 0


class ControlLoop:
    """Drives one robot. `offer` and `order` may be called from any thread; all else is the loop's own."""

    def __init__(
        self,
        robot: Robot,
        address: str,
        name: str,
        events: Events,
        publish: Callable[[bytes], None],
        report: Callable[[control.Message], None],
    ) -> None:
        self._robot, self._address, self._name = robot, address, name
        self._events, self._publish, self._report = events, publish, report
        self._spec = robot.spec
        self._hands = Hands(robot.spec)
        self._controller = Controller(robot.spec)
        self._inbox: deque[tuple[bytes, int]] = deque(maxlen=_INBOX)
        self._orders: queue.SimpleQueue[Order] = queue.SimpleQueue()
        self._interlock = Interlock()
        self._gate = Gate(0)
        self._lease: control.LeaseOrder | None = None
        self._episode: _Episode | None = None
        self._newest: Command | None = None
        self._seen: Observation = robot.observe()
        self._limited = False
        self._state_seq = 0
        self._running = True
        self.late_ticks = 0
        self._thread = threading.Thread(target=self._run, name=f"control {name}", daemon=True)

    @property
    def estopped(self) -> bool:
        """Whether the e-stop is latched."""
        return self._interlock.state is Safety.ESTOPPED

    @property
    def dropped(self) -> dict[str, int]:
        """How many commands of this lease did not count, by reason."""
        return {reason.value: count for reason, count in self._gate.dropped.items()}

    def start(self) -> None:
        """Start the loop's thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the loop and wait for it; an open episode ends as the host's loss."""
        self.order(Shutdown())
        self._thread.join()

    def offer(self, data: bytes) -> None:
        """Hand in a command's bytes, as they came."""
        self._inbox.append((data, time.monotonic_ns()))

    def order(self, order: Order) -> None:
        """Hand in an order of the control plane."""
        self._orders.put(order)

    def _run(self) -> None:
        try:
            self._loop()
        except Exception as error:  # noqa: BLE001  the supervisor: whatever broke, the robot stays where it is
            _log.exception("control loop broke; the robot holds until its host is restarted", robot=self._name)
            self._interlock.estop()
            self._end(EndReason.ROBOT_FAULT)
            self._report(control.Estopped(f"host: {error}"))

    def _loop(self) -> None:
        due = time.monotonic()
        while self._running:
            if self._lease is None:
                self._obey(self._orders.get())
                due = time.monotonic()
                continue
            due = self._wait_until(due + self._spec.period_s)
            if self._running and self._lease is not None:
                self._tick()

    def _wait_until(self, due: float) -> float:
        """Obey orders until `due`; return when the tick really is, so that a late one does not make many."""
        while (left := due - time.monotonic()) > 0.0:
            try:
                self._obey(self._orders.get(timeout=left))
            except queue.Empty:
                break
        late = time.monotonic() - due
        if late < self._spec.period_s:
            return due
        self.late_ticks += 1
        return due + late

    def _tick(self) -> None:
        self._admit()
        state = self._interlock.tick(time.monotonic_ns())
        driving = state is Safety.DRIVING and self._newest is not None
        episode = self._episode
        try:
            if episode and driving and not episode.recording:
                self._start_recording(episode)
            if episode and episode.recording:
                self._step(episode, self._newest if driving else None, state)
            elif not self._spec.simulated:
                self._seen = self._robot.observe()
        except UnstableWorldError as error:
            self._fail(EndReason.UNSTABLE, error)
        except RobotError as error:
            self._fail(EndReason.ROBOT_FAULT, error)
        self._publish(self._state().encode())

    def _admit(self) -> None:
        if len(self._inbox) == _INBOX:
            self._gate.drop(Drop.FLOOD)
        while self._inbox:
            data, arrived_ns = self._inbox.popleft()
            command = self._gate.admit(data, arrived_ns)
            if command is not None:
                self._newest = command
                self._interlock.command(command.dead_man, arrived_ns)

    def _start_recording(self, episode: _Episode) -> None:
        lease = self._leased()
        self._seen = self._robot.observe()
        self._controller.start(self._seen)
        episode.recording = True
        self._events.put(
            EpisodeStart(
                episode=episode.order.episode,
                robot=self._address,
                robot_name=self._name,
                spec=self._spec,
                operator=lease.operator,
                grant=lease.grant.values,
                grant_signature=lease.signature,
                seed=episode.order.seed,
                nonce=episode.order.nonce,
                initial=self._seen,
                t_mono_ns=time.monotonic_ns(),
                t_wall_ns=time.time_ns(),
            )
        )

    def _step(self, episode: _Episode, command: Command | None, state: Safety) -> None:
        setpoint = None if command is None else setpoint_of(command, self._spec)
        directive = self._controller.hold() if setpoint is None else self._controller.step(setpoint, self._seen)
        sent_ns = time.monotonic_ns()
        applied = self._robot.send_action(directive.action)
        self._seen = self._robot.observe()
        self._limited = any(event.rule not in SHAPING for event in directive.limits)
        if self._events.qsize() >= QUEUE_STEPS - _ROOM_FOR_END:
            self._end(EndReason.RECORDER_FULL)
            return
        self._events.put(
            Step(
                index=episode.steps,
                commanded=self._newest,
                safety=state,
                applied=applied,
                applied_ee_pose=self._hands.poses(applied.joint_position),
                observed=self._seen,
                t_sent_ns=sent_ns,
                t_observed_ns=time.monotonic_ns(),
                t_wall_ns=time.time_ns(),
                limits=directive.limits,
            )
        )
        episode.steps += 1
        if self._spec.task is not None and episode.steps >= self._spec.task.max_steps:
            self._end(EndReason.STEP_LIMIT)

    def _fail(self, reason: EndReason, error: RobotError) -> None:
        _log.error("robot failed", robot=self._name, reason=reason.value, error=str(error))
        self._end(reason)
        self._interlock.expire()

    def _end(self, reason: EndReason) -> None:
        """Close the open episode, if any, and report it."""
        episode, self._episode = self._episode, None
        if episode is None:
            return
        success = self._seen.success
        if episode.recording:
            now = time.monotonic_ns(), time.time_ns()
            self._events.put(EpisodeEnd(episode.order.episode, episode.steps, success, reason, *now))
        kept = episode.steps > 0  # a recorder keeps nothing of an episode without a step
        self._report(control.Ended(episode.order.episode, kept, episode.steps, success, kept and reason.valid, reason))

    def _state(self) -> State:
        self._state_seq += 1
        newest, episode = self._newest, self._episode
        return State(
            safety=self._interlock.state,
            recording=episode is not None and episode.recording,
            succeeded=bool(self._seen.success),
            limited=self._limited,
            epoch=self._gate.epoch,
            seq=self._state_seq,
            applied=newest.seq if newest else 0,
            t_host_us=time.monotonic_ns() // 1000,
            t_client_us=newest.t_client_us if newest else 0,
            progress=self._seen.progress,
            values=flatten(self._spec, self._seen),
        )

    def _obey(self, order: Order) -> None:
        match order:
            case control.LeaseOrder():
                self._take_lease(order)
            case control.BeginOrder():
                self._begin(order)
            case control.FinishOrder():
                self._end(order.reason)
            case control.Revoke():
                self._release(order)
            case control.EstopOrder():
                self._interlock.estop()
                self._end(EndReason.ESTOPPED)
                self._report(control.Estopped(order.by))
            case control.ClearOrder():
                self._clear(order)
            case Shutdown():
                self._end(EndReason.HOST_LOST)
                self._running = False

    def _take_lease(self, order: control.LeaseOrder) -> None:
        self._end(EndReason.REVOKED)
        self._lease, self._gate = order, Gate(order.epoch)
        self._newest, self._state_seq = None, 0
        self._inbox.clear()
        self._interlock.expire()

    def _release(self, order: control.Revoke) -> None:
        if self._lease is None or order.epoch != self._lease.epoch:
            return
        self._end(order.reason)
        self._lease, self._newest = None, None
        self._interlock.expire()

    def _begin(self, order: control.BeginOrder) -> None:
        if self._lease is None:
            return
        self._end(EndReason.REVOKED)
        try:
            self._seen = self._robot.reset(order.seed)
        except RobotError as error:
            _log.error("reset failed", robot=self._name, error=str(error))
            self._report(control.Ended(order.episode, False, 0, None, False, EndReason.ROBOT_FAULT))
            return
        self._controller.start(self._seen)
        self._episode = _Episode(order)
        self._report(control.Ready(order.episode, order.seed))

    def _clear(self, order: control.ClearOrder) -> None:
        try:
            self._interlock.clear()
        except IllegalMoveError as error:
            _log.info("nothing to clear", robot=self._name, error=str(error))
        self._report(control.Cleared(order.by))

    def _leased(self) -> control.LeaseOrder:
        if self._lease is None:
            raise IllegalMoveError("expected a lease before recording, got none")
        return self._lease
