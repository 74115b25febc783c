"""One robot's driving: orders and commands in, actions out, one control period a call. It has no thread or clock.

Orders (a lease, begin, finish, e-stop) come through `obey`, commands through `offer`; states go out through `publish`,
answers through `report`, and what happened through a bounded queue of `Events`. Whenever driving ends, whatever
ended it, the arm brakes within its limits of acceleration and jerk, and then holds; after a stop or an expiry it also
lets go of what it presses against. `loop.py` gives it its thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
import structlog

from sim.motion.arm import Arm
from sim.motion.control import SHAPING, Directive
from sim.motion.kinematics import Hands
from sim.robot import Action, Robot, RobotError, RobotSpec, Tasks, UnstableWorldError
from teleop.clock import Clock
from teleop.driving import directed, relieve
from teleop.host.commands import Commands
from teleop.host.episodes import Cameras, Episodes
from teleop.host.latch import told
from teleop.host.looks import Looks
from teleop.host.orders import Order, Recordable, Release, Shutdown
from teleop.host.tasks import tasks_of
from teleop.safety import IllegalMoveError, Interlock, Latch
from teleop.steps import CannotRecord, Events, Step
from teleop.wire import signalling
from teleop.wire.descriptor import flatten
from teleop.wire.messages import LIMIT_RULES, Command, Safety, State
from teleop.wire.reasons import EndReason

_log = structlog.get_logger()
_SHAPING: Final = sum(LIMIT_RULES[rule] for rule in SHAPING)


class Session:
    """Drives one robot. It belongs to one thread; any may use `offer`, `latch`, `estopped` and `dropped`."""

    def __init__(
        self,
        robot: Robot | Tasks,
        address: str,
        name: str,
        events: Events,
        publish: Callable[[bytes], None],
        report: Callable[[signalling.Message], None],
        clock: Clock | None = None,
        changed: Callable[[RobotSpec], None] = lambda _spec: None,
        cameras: Cameras | None = None,
    ) -> None:
        """`changed` is told the robot's spec at another task, before any state of it is published.

        `cameras` record beside an episode's steps.
        """
        self.name = name
        self.running = True
        self._clock = clock or Clock()
        self._publish, self._report, self._changed = publish, report, changed
        self._episodes = Episodes(address, name, events, report, self._clock, cameras)
        self._tasks = tasks_of(robot)
        self._spec = self._tasks.robot.spec
        self._hands = Hands(self._spec)
        self._arm = Arm(self._tasks.robot)
        self._commands = Commands()
        self._interlock = Interlock()
        self._lease: signalling.LeaseOrder | None = None
        self._change_to: str | None = None
        """The lease's task, if the robot is not at it yet: it goes there once it is at rest and nothing is latched."""
        self._looks = Looks()
        self.unrecordable: CannotRecord | None = None
        """What keeps the recorder from keeping steps."""
        self._began_ns = 0
        """When this period began."""
        self._limits = 0
        """The rules that changed this period's target, bits of `LIMIT_RULES`."""
        self._state_seq = 0

    @property
    def idle(self) -> bool:
        """Whether nothing will happen before the next order: nobody holds the robot, and it is at rest."""
        return self._lease is None and self._arm.settled

    @property
    def at_rest(self) -> bool:
        """Whether the robot is at rest at its last target."""
        return self._arm.at_rest

    @property
    def latch(self) -> Latch | None:
        """What holds the robot until its owner clears it."""
        return self._interlock.latch

    @property
    def estopped(self) -> bool:
        """Whether the e-stop is latched."""
        return self._interlock.state is Safety.ESTOPPED

    @property
    def fault(self) -> str | None:
        """What broke the robot, in a sentence, until its owner clears that."""
        return self._interlock.fault

    @property
    def dropped(self) -> dict[str, int]:
        """How many commands since the lease began did not count, by reason."""
        return self._commands.dropped

    def offer(self, data: bytes) -> None:
        """Hand in a command's bytes, as they came."""
        self._commands.offer(data, self._clock.monotonic_ns(), leased=self._lease is not None)

    def tick(self) -> None:
        """Do one control period."""
        self._arm.applied, self._limits = None, 0
        self._commands.admit(self._interlock)
        state = self._safety()
        relieve(self._arm, state)
        try:
            self._act(state)
        except UnstableWorldError as error:
            self._fail(EndReason.UNSTABLE, error)
        except RobotError as error:
            self._fail(EndReason.ROBOT_FAULT, error)
        self._say_state()

    def look(self) -> None:
        """Check a real robot that nobody holds; a simulated one is as it was left."""
        if self._spec.simulated:
            return
        try:
            self._look()
        except RobotError as error:
            self._fail(EndReason.ROBOT_FAULT, error)
        self._arm.applied, self._limits = None, 0
        self._say_state()

    def _safety(self) -> Safety:
        """Let time pass; an operator who sees nothing of the robot does not drive it."""
        now_ns = self._began_ns = self._clock.monotonic_ns()
        state = self._interlock.tick(now_ns)
        if state is Safety.DRIVING and self._commands.gate.sight.blind(now_ns):
            self._interlock.expire()
        return self._interlock.state

    def _act(self, state: Safety) -> None:
        newest, episodes = self._commands.newest, self._episodes
        driving = state is Safety.DRIVING and newest is not None
        self._change_task()
        if episodes.asked and episodes.due and self.at_rest and self._change_to is None:
            self._reset(episodes.asked)
        if episodes.open is not None and driving and not episodes.recording:
            self._start_recording()
        if episodes.recording:
            self._step(newest, state)
        elif not self.at_rest:
            self._send(self._arm.hold())
        elif not self._spec.simulated:
            self._look()

    def _look(self) -> None:
        """Observe a real robot; one that keeps breaking, less often."""
        if self._interlock.latched and not self._looks.due(self._clock.monotonic_ns()):
            return
        self._arm.look()
        self._looks.worked()

    def stay_stopped(self, latch: Latch) -> None:
        """Be stopped from the start, as the process before this one was."""
        self._interlock.estop(latch.by or "", latch.stop)

    def stalled(self, stop: str | None = None) -> None:
        """Go on after a time in which nothing was sent. A simulated world stood still too; a real arm came to rest.

        `stop` is the name under which that has been reported.
        """
        if self._spec.simulated:
            self._interlock.expire()
            return
        self._arm.stand()
        self._interlock.estop("host: the control loop stood still", stop)
        self._end(EndReason.ROBOT_FAULT)

    def broke(self, error: Exception) -> None:
        """Send nothing more: the control loop failed, through no fault of the robot. It holds its last target."""
        latch = None if self.estopped else self._interlock.estop(f"host: {error}")
        self._give_up()
        self._end(EndReason.ROBOT_FAULT)
        if latch is not None:
            self._report(signalling.Estopped(f"host: {error}", latch.stop))

    def _send(self, directive: Directive) -> Action:
        """Let the robot do one period; return what it applied."""
        for event in directive.limits:
            self._limits |= LIMIT_RULES[event.rule]
        return self._arm.send(directive)

    def _start_recording(self) -> None:
        lease = self._leased()
        self._arm.start()
        self._episodes.record(lease, self._spec, self._arm.seen)

    def _step(self, command: Command | None, state: Safety) -> None:
        directive = directed(self._arm, state, command, self._spec)
        sent_ns = self._clock.monotonic_ns()
        applied = self._send(directive)
        index = self._episodes.steps
        step = Step(
            index=index,
            commanded=self._commands.last,
            safety=state,
            applied=applied,
            applied_ee_pose=self._hands.poses(applied.joint_position),
            observed=self._arm.seen,
            t_sent_ns=sent_ns,
            t_observed_ns=self._clock.monotonic_ns(),
            t_wall_ns=self._clock.wall_ns(),
            t_began_ns=self._began_ns,
            limits=directive.limits,
            commands=self._commands.taken_from(first=index == 0),
        )
        over = self._episodes.add(step, self._spec.task.max_steps if self._spec.task else None)
        if over is not None:
            self._end(over)

    def _fail(self, reason: EndReason, error: RobotError) -> None:
        """End what is under way; a real robot that broke is latched, and reported once."""
        known = self._interlock.fault is not None
        self._give_up()
        self._end(reason)
        if known:
            return
        _log.error("robot failed", robot=self.name, reason=reason.value, error=str(error))
        if self._spec.simulated:
            self._interlock.expire()
        else:
            self._break_down(error)

    def _break_down(self, error: RobotError) -> None:
        latch = self._interlock.break_down(str(error))
        self._report(signalling.Faulted(str(error), latch.stop))

    def _give_up(self) -> None:
        """Forget every motion: there is nothing to send a braking motion to. Look again only after a while."""
        self._arm.forget()
        self._looks.failed(self._clock.monotonic_ns())

    def _end(self, reason: EndReason, said: bool | None = None) -> None:
        """Close the open episode, if any, and report it; `said` is the operator's word on the task."""
        self._episodes.end(reason, self._arm.seen.success, said)

    def _say_state(self) -> None:
        if self._change_to is not None:
            return  # its arrays are those of another task than the lease's
        self._state_seq += 1
        self._publish(self._state().encode())
        self._commands.gate.sight.published(self._state_seq, self._clock.monotonic_ns())

    def _state(self) -> State:
        newest = self._commands.newest
        return State(
            safety=self._interlock.state,
            recording=self._episodes.recording,
            succeeded=bool(self._arm.seen.success),
            limited=bool(self._limits & ~_SHAPING),
            limits=self._limits,
            epoch=self._commands.gate.epoch,
            seq=self._state_seq,
            applied=newest.seq if newest else 0,
            t_host_us=self._clock.monotonic_ns() // 1000,
            t_client_us=newest.t_client_us if newest else 0,
            commands=self._commands.digest,
            progress=self._arm.seen.progress,
            values=flatten(self._spec, self._arm.seen, self._arm.applied),
        )

    def obey(self, order: Order) -> None:
        """Carry out an order of the control plane."""
        match order:
            case signalling.LeaseOrder():
                self._take_lease(order)
            case signalling.BeginOrder():
                self._begin(order)
            case signalling.NoteOrder():
                self._episodes.note(order.text)
            case signalling.FinishOrder():
                self._end(order.reason, None if order.said is msgspec.UNSET else order.said)
            case signalling.PauseOrder():
                if self._lease is not None and order.epoch == self._lease.epoch:
                    self._interlock.expire()
            case signalling.ResumeOrder():
                self._resume(order)
            case signalling.Revoke():
                self._release(order)
            case signalling.EstopOrder():
                latch = self._interlock.estop(order.by)
                self._end(EndReason.ESTOPPED)
                self._report(signalling.Estopped(order.by, latch.stop))
            case Release():
                self._clear(order)
            case Recordable():
                self._record(order.trouble)
            case Shutdown():
                self._end(EndReason.HOST_LOST)
                self._lease, self.running = None, False
                self._interlock.expire()

    def _take_lease(self, order: signalling.LeaseOrder) -> None:
        if self._refused(order):
            return
        self._end(EndReason.REVOKED)
        self._lease, self._state_seq = order, 0
        self._commands.count_again()
        self._forget_operator(order.epoch)
        others = {spec.task.name for spec in self._tasks.specs if spec.task and spec.task != self._spec.task}
        self._change_to = order.task if order.task in others else None
        self._change_task()

    def _resume(self, order: signalling.ResumeOrder) -> None:
        """Let the operator of the lease go on, from another connection: what the old one sent counts no more."""
        if self._lease is None or order.lease != self._lease.lease:
            self._report(signalling.Refused(order.lease, "expected the lease that is open here; join the robot again"))
            return
        if self._refused(order):
            return
        self._lease = msgspec.structs.replace(self._lease, epoch=order.epoch)
        self._forget_operator(order.epoch)
        name = self._episodes.open
        steps = 0 if name is None else self._episodes.steps
        self._report(signalling.HostResumed(order.lease, order.epoch, name, steps, self._state_seq))

    def _refused(self, order: signalling.LeaseOrder | signalling.ResumeOrder) -> bool:
        """Refuse an epoch that is not above the last."""
        last = self._commands.gate.epoch
        if order.epoch > last:
            return False
        expected = f"expected an epoch above {last}, got {order.epoch}"
        self._report(signalling.Refused(order.lease, expected))
        return True

    def _forget_operator(self, epoch: int) -> None:
        """Admit only commands of this epoch; the robot must be armed again."""
        self._commands.only(epoch)
        self._interlock.expire()

    def _change_task(self) -> None:
        """Go to the lease's task, as soon as that moves nothing: the scene is rebuilt, and the robot is at home."""
        lease, task = self._lease, self._change_to
        if task is None or lease is None or not self.at_rest or self._interlock.latched:
            return
        self._change_to = None
        try:
            robot = self._tasks.change(task)
            self._arm.change(robot)
        except RobotError as error:
            _log.error("a task cannot be prepared", robot=self.name, task=task, error=str(error))
            self._end(EndReason.ROBOT_FAULT)
            self._lease = None
            self._report(signalling.Refused(lease.lease, f"the task {task} cannot be prepared: {error}"))
            return
        self._spec = robot.spec
        self._changed(self._spec)

    def _release(self, order: signalling.Revoke) -> None:
        if self._lease is None or order.epoch != self._lease.epoch:
            return
        self._end(order.reason)
        if self.dropped:
            _log.info("commands dropped", robot=self.name, epoch=order.epoch, **self.dropped)
        self._lease, self._change_to = None, None
        self._commands.forget()
        self._interlock.expire()

    def _begin(self, order: signalling.BeginOrder) -> None:
        if self._lease is None:
            return
        self._end(EndReason.REVOKED)
        self._episodes.ask(order)
        if self._interlock.latched:
            self._end(EndReason.ESTOPPED if self.estopped else EndReason.ROBOT_FAULT)
        elif self.unrecordable is not None:
            self._end(self.unrecordable.reason)
        elif self._episodes.due and self.at_rest and self._change_to is None:
            self._reset(order)

    def _reset(self, order: signalling.BeginOrder) -> None:
        try:
            self._arm.reset(order.seed)
        except RobotError as error:
            self._fail(EndReason.ROBOT_FAULT, error)
            return
        self._commands.gate.sight.pause(self._clock.monotonic_ns())
        self._episodes.begin(order)

    def _clear(self, order: Release) -> None:
        """Release what is latched; a broken robot only if it works again, otherwise it reports what is wrong now."""
        latch = self._interlock.latch
        if latch is None:
            _log.info("nothing to clear", robot=self.name)
        elif order.stop != latch.stop:
            self._keep_latched(latch)
            return
        else:
            try:
                if latch.fault is not None:
                    self._arm.reconnect()
                self._interlock.clear()
            except RobotError as error:
                self._break_down(error)
                return
        self._looks.now()
        self._report(signalling.Cleared(order.by))

    def _keep_latched(self, latch: Latch) -> None:
        """Refuse a clear of something earlier, and say again what is latched: its owner may not have heard of it."""
        why = "expected a clear of what is latched now; the robot was stopped, or broke, again: look at it, clear that"
        self._report(signalling.NotCleared(why))
        for message in told(latch):
            self._report(message)

    def _record(self, trouble: CannotRecord | None) -> None:
        """Begin nothing that would not be kept; an episode that is not being kept any more ends."""
        self.unrecordable = trouble
        if trouble is None:
            self._report(signalling.CanRecord())
            return
        self._end(trouble.reason)
        self._report(signalling.CannotRecord(trouble.says))

    def _leased(self) -> signalling.LeaseOrder:
        if self._lease is None:
            raise IllegalMoveError("expected a lease before recording, got none")
        return self._lease
