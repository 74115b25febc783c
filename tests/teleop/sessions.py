"""A session without threads, sockets or real time: a test hands in the clock, the robot and every order."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from sim.catalogue import make_world
from sim.motion.kinematics import Hands
from sim.robot import Action, Observation, RobotSpec, Vector, checked
from teleop.clock import Clock
from teleop.host.orders import Release
from teleop.host.session import Session
from teleop.safety import Latch
from teleop.steps import Events
from teleop.wire import signalling
from teleop.wire.driver import PERSON
from teleop.wire.messages import Command, Mode, State
from tests.teleop.linked import Linked

PANDA = make_world("panda", "lift").spec
MS = 1_000_000
STOP = "0x" + "05" * 32
"""A name for what is latched."""
GRANT = signalling.Grant("0xA", "0xB", "0xC", "lift", "0x01", 2**40)


def release(latch: Latch | None) -> Release:
    """Return what a clear by the owner becomes, once it is checked."""
    return Release(STOP if latch is None else latch.stop, "owner")


@dataclass
class Puppet:
    """A robot that goes where it is sent, as far as it `follows`, and remembers all of it."""

    spec: RobotSpec
    follows: float = 1.0
    joints: Vector = field(default_factory=lambda: PANDA.home_rad.copy())
    sent: list[Vector] = field(default_factory=list)

    def connect(self) -> None:
        """Do nothing."""

    def disconnect(self) -> None:
        """Do nothing."""

    def reset(self, seed: int) -> Observation:
        """Stand at home where it is simulated; else stay."""
        if self.spec.simulated:
            self.joints = self.spec.home_rad.copy()
        return self.observe()

    def observe(self) -> Observation:
        """Return where it is."""
        shapes = {array.name: np.zeros(array.shape) for array in self.spec.observation}
        return Observation({**shapes, "joint_position": self.joints.copy(), "gripper_position": np.ones(1)})

    def send_action(self, action: Action) -> Action:
        """Go there."""
        applied = checked(action, self.spec)
        self.sent.append(applied.joint_position)
        self.joints = self.joints + self.follows * (applied.joint_position - self.joints)
        return applied


class Bench:
    """One session, its robot and its clock."""

    def __init__(self, *, simulated: bool = True, follows: float = 1.0, max_steps: int = 10**6) -> None:
        task = replace(PANDA.task, max_steps=max_steps)
        self.robot = Puppet(replace(PANDA, simulated=simulated, task=task), follows)
        self.now_ns = 10**12
        self.events = Events()
        self.reports: list[signalling.Message] = []
        self.states: list[State] = []
        self.hands = Hands(PANDA)
        self.session = Session(
            self.robot,
            "0xC",
            "bench",
            self.events,
            lambda data: self.states.append(State.decode(data)),
            self.reports.append,
            Clock(lambda: self.now_ns, lambda: self.now_ns),
        )
        self.epoch, self.seq = 10, 0
        self.linked = Linked()

    @property
    def seen(self) -> int:
        """The newest state of this lease, which its operator sees at once."""
        return next((state.seq for state in self.states[-1:] if state.epoch == self.epoch), 0)

    def lease(self, epoch: int = 0) -> None:
        """Give the robot to an operator."""
        self.epoch, self.seq = epoch or self.epoch + 1, 0
        self.session.obey(signalling.LeaseOrder("L", self.epoch, "0xA", GRANT, "0x", "lift"))

    def begin(self) -> None:
        """Ask for an episode."""
        self.session.obey(signalling.BeginOrder("E", 1, "0x01", PERSON))

    def clear(self) -> None:
        """Clear what is latched, as the owner."""
        self.session.obey(release(self.session.latch))

    def bytes_of(self, mode: Mode, values: object = (), *, dead_man: bool, seq: int = 0, delay_ns: int = 0) -> bytes:
        """Return a command of this lease, the next in order unless `seq` says otherwise."""
        if not seq:
            self.seq += 1
        sent_us = (self.now_ns - delay_ns) // 1000
        values = np.asarray(values, np.float32)
        return self.linked(Command(mode, dead_man, self.epoch, seq or self.seq, self.seen, sent_us, values))

    def say(self, mode: Mode = Mode.NEUTRAL, values: object = (), *, dead_man: bool = False) -> None:
        """Send a command."""
        self.session.offer(self.bytes_of(mode, values, dead_man=dead_man))

    def tick(self, periods: int = 1) -> None:
        """Let periods pass."""
        for _ in range(periods):
            self.now_ns += int(self.robot.spec.period_s * 1e9)
            self.session.tick()
            while self.events.qsize() > 100:
                self.events.get_nowait()

    def drive(self, mode: Mode, values: object, periods: int) -> None:
        """Press, and go on for so many periods."""
        for _ in range(periods):
            self.say(mode, values, dead_man=True)
            self.tick()

    def ready(self) -> None:
        """Take the lease, begin, and arm."""
        self.lease()
        self.begin()
        self.say()
        self.tick()

    def hand(self) -> Vector:
        """Where the hand was last sent, (3,) m."""
        return self.hands.poses(self.robot.sent[-1])[0, :3]
