"""A real session that drives a simulated robot by commands, by a clock of its own, and what a recorder is handed of it.

floor = Simulated("panda", "lift")
floor.ready("lift", seed=5)
floor.follow(floor.expert(), periods=200)
floor.finish()
start, steps, end = floor.episodes[0]
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from sim.catalogue import make_worlds
from sim.motion.control import Joints, Pose, Setpoint
from sim.motion.kinematics import Hands
from sim.robot import RobotSpec, Vector
from teleop.clock import Clock
from teleop.host.session import Session
from teleop.safety import WATCHDOG_NS
from teleop.steps import EpisodeEnd, EpisodeStart, Events, Step
from teleop.wire import signalling
from teleop.wire.driver import PERSON
from teleop.wire.messages import Command, Mode, State
from teleop.wire.reasons import EndReason
from teleop.wire.setpoints import values_of
from tests.recorder.factory import ROBOT, SESSION, STARTED_NS, WALLET, fake_grant
from tests.teleop.linked import Linked

Episode = tuple[EpisodeStart, list[Step], EpisodeEnd]
Ask = Callable[[Mapping[str, Vector]], Setpoint]
"""What an operator asks for, by what it sees."""
_READ_NS: Final = 1_000
"""How far the clock goes on each time it is read."""


class Simulated:
    """One simulated robot, its session, its clock, and one operator."""

    def __init__(self, robot: str, *tasks: str) -> None:
        """Drive `robot`, which offers these tasks."""
        self.worlds, self.names = make_worlds(robot, tasks), tasks
        self.worlds.robot.connect()
        self.now_ns, self.epoch, self.seq = 10**12, 10, 0
        self.events, self.states, self.reports = Events(), [], []
        self.episodes: list[Episode] = []
        self._open: tuple[EpisodeStart, list[Step]] | None = None
        clock = Clock(self._read, lambda: STARTED_NS + self._read() - 10**12)
        publish = lambda data: self.states.append(State.decode(data))  # noqa: E731  one line says it
        self.session = Session(self.worlds, ROBOT.address, "fake-1", self.events, publish, self.reports.append, clock)
        self.linked = Linked()

    @property
    def spec(self) -> RobotSpec:
        """The robot's, at its present task."""
        return self.worlds.robot.spec

    @property
    def seen(self) -> Mapping[str, Vector]:
        """What the robot sees now."""
        return self.worlds.robot.observe().values

    def expert(self) -> Ask:
        """Return a fresh scripted operator of the present task."""
        return self.worlds.robot.task.expert(self.worlds.robot.description).act

    def close(self) -> None:
        """Stop the engine."""
        self.worlds.robot.disconnect()

    def lease(self, task: str) -> None:
        """Give the robot to the operator, for a task."""
        self.epoch, self.seq = self.epoch + 1, 0
        values, signature = fake_grant(wallet=WALLET, session=SESSION, robot=ROBOT, task=task)
        grant = signalling.Grant(*values.values())
        self.session.obey(signalling.LeaseOrder("L", self.epoch, WALLET.address, grant, signature, task))

    def begin(self, seed: int) -> None:
        """Ask for an episode."""
        name = f"episode-{len(self.episodes)}-{seed}"
        self.session.obey(signalling.BeginOrder(name, seed, f"0x{seed:064x}", PERSON))

    def ready(self, task: str, seed: int) -> None:
        """Take the lease, begin, and arm."""
        self.lease(task)
        self.begin(seed)
        self.tick()
        self.rest()

    def resume(self) -> None:
        """Lose the connection, and come back with a new epoch."""
        self.session.obey(signalling.PauseOrder(self.epoch))
        self.tick(3)
        self.epoch, self.seq = self.epoch + 1, 0
        self.session.obey(signalling.ResumeOrder("L", self.epoch))

    def finish(self) -> None:
        """End the episode."""
        self.session.obey(signalling.FinishOrder(EndReason.FINISHED))
        self._hear()

    def ask(self, mode: Mode, values: object = (), *, dead_man: bool = True, delay_ns: int = 0) -> None:
        """Send a command."""
        self.seq += 1
        seen = next((state.seq for state in self.states[-1:] if state.epoch == self.epoch), 0)
        sent_us = (self.now_ns - delay_ns) // 1000
        command = Command(mode, dead_man, self.epoch, self.seq, seen, sent_us, np.asarray(values, np.float32))
        self.session.offer(self.linked(command))

    def rest(self, periods: int = 1) -> None:
        """Send commands with the dead-man released."""
        for _ in range(periods):
            self.ask(Mode.NEUTRAL, dead_man=False)
            self.tick()

    def follow(self, ask: Ask, periods: int) -> None:
        """Press, and ask for so many periods."""
        for _ in range(periods):
            self.ask(*values_of(ask(self.seen)))
            self.tick()

    def vanish(self, periods: int) -> None:
        """Send nothing: after the watchdog's time the robot expires."""
        self.now_ns += WATCHDOG_NS
        self.tick(periods)

    def tick(self, periods: int = 1) -> None:
        """Let periods pass."""
        for _ in range(periods):
            self.now_ns += round(1e9 * self.spec.period_s)
            self.session.tick()
            self._hear()

    def _read(self) -> int:
        self.now_ns += _READ_NS
        return self.now_ns

    def _hear(self) -> None:
        """Take what a recorder would."""
        while not self.events.empty():
            match self.events.get_nowait():
                case EpisodeStart() as start:
                    self._open = start, []
                case Step() as step if self._open:
                    self._open[1].append(step)
                case EpisodeEnd() as end if self._open:
                    self.episodes.append((*self._open, end))
                    self._open = None


def by_joints(spec: RobotSpec) -> Ask:
    """Return an operator who sends the joints here and there."""
    far = spec.home_rad + 0.25 * (-1.0) ** np.arange(spec.joints)
    goals = [Joints(far, np.zeros(spec.hands)), Joints(spec.home_rad, np.ones(spec.hands))]
    return _in_turns(goals)


def by_poses(spec: RobotSpec) -> Ask:
    """Return an operator who sends the hands here and there, and a base forward."""
    home = Hands(spec).poses(spec.home_rad)
    away = home + np.array([-0.06, 0.08, -0.05, 0.1, 0.0, 0.0, 0.0])
    base = None if spec.base is None else np.array([0.2, 0.3])
    return _in_turns([Pose(away, np.zeros(spec.hands), base), Pose(home, np.ones(spec.hands), base)])


def _in_turns(goals: list[Setpoint], periods: int = 25) -> Ask:
    count = iter(range(10**9))
    return lambda _seen: goals[next(count) // periods % len(goals)]
