"""A pilot decides what a robot is asked for; one loop drives an episode with it over the wire.

Each state is answered at once. If none comes for a while the last command is sent again, so that commands flow
whatever happens to the states; and a pilot who has seen nothing for too long lets go of the dead-man.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Protocol

import numpy as np

from sim.catalogue import description
from sim.catalogue import task as task_named
from sim.motion.control import Setpoint
from sim.robot import Vector
from sim.task import Expert
from teleop.operator.driver import Driver
from teleop.operator.program import script, this_program
from teleop.wire.driver import Driver as Said
from teleop.wire.messages import Mode, Safety, State
from teleop.wire.messages import Values as WireValues
from teleop.wire.setpoints import values_of

HEARTBEAT_S: Final = 1 / 30
"""The longest pause between two commands."""
BLIND_S: Final = 0.25
"""How long a pilot may go on without seeing a new state."""
_OLD_STATES: Final = 2
"""How many states from before the reset may come after `ready`: control frames overtake one waiting state per hop."""

_NOTHING: Final = np.empty(0, np.float32)

Descriptor = Mapping[str, Any]
"""A robot's descriptor (PROTOCOL.md)."""
Values = Mapping[str, Vector]


class Ask(Enum):
    """What a pilot may want besides a setpoint."""

    HOLD = "hold"
    """The dead-man released: the robot holds."""
    FINISH = "finish"
    DISCARD = "discard"
    """End the episode, and leave it out."""


@dataclass(frozen=True, slots=True)
class ByHand:
    """What a person asks for in place of the program that drives."""

    setpoint: Setpoint


Answer = Setpoint | ByHand | Ask


class Pilot(Protocol):
    """Drives one episode. It sees what comes over the wire, and keeps its own memory."""

    def act(self, state: State, values: Values) -> Answer:
        """Return what to ask for now; called once for each state that may be driven from."""


PilotMaker = Callable[[Descriptor, str], Pilot]
"""Makes a new pilot for an episode, from a robot's descriptor and the task's name."""


def _this_program(_robot: Descriptor, _task: str) -> Said:
    return this_program()


@dataclass(frozen=True, slots=True)
class Crew:
    """Who or what drives: what makes the pilots, and what the hub is told of them."""

    make: PilotMaker
    said: Callable[[Descriptor, str], Said] = _this_program
    """Of an episode with this robot, at this task."""


@dataclass(frozen=True, slots=True)
class Flight:
    """How one episode was driven."""

    ended: Mapping[str, Any]
    """The hub's `ended` (PROTOCOL.md)."""
    discard: bool
    expiries: int
    """How often the robot was seen to expire during the episode."""
    seconds: float
    """On the operator's clock, from `ready` to `ended`."""


@dataclass(frozen=True, slots=True)
class ExpertPilot:
    """The task's scripted operator."""

    expert: Expert

    def act(self, _state: State, values: Values) -> Answer:
        """Return what it asks for."""
        return self.expert.act(values)


def expert(robot: Descriptor, task: str) -> Pilot:
    """Return the task's scripted operator; raise UnknownTaskError or UnknownRobotError if there is none."""
    return ExpertPilot(task_named(task).expert(description(robot["model"])))


def expert_said(_robot: Descriptor, task: str) -> Said:
    """Return what the hub is told of the task's scripted operator; raise UnknownTaskError."""
    return script(type(task_named(task)), "expert")


Word = Callable[[Driver], Awaitable[bool | None]]
"""Asks whoever drove whether the task was done; None if they do not say."""


async def fly(driver: Driver, make: PilotMaker, by: Said | None = None, word: Word | None = None) -> Flight:
    """Begin an episode, drive it until it succeeds, ends, or the pilot says so, and finish it.

    `by`: who or what drives, as `Driver.begin` takes it. `word` is asked before the episode is finished; meanwhile
    nothing is sent, so the robot holds.
    """
    await driver.begin(by)
    start = time.monotonic()
    for _ in range(_OLD_STATES):
        await driver.command(Mode.NEUTRAL)
        state = await driver.next_state()
    pilot = make(driver.robot, driver.task["name"])
    answer: Answer = Ask.HOLD
    expiries, fresh, seen = 0, True, time.monotonic()
    while (ended := driver.heard("ended")) is None:
        if fresh:
            answer = answered(pilot, state, driver.values(state))
        if answer in (Ask.FINISH, Ask.DISCARD):
            said = None if word is None or answer is Ask.DISCARD else await word(driver)
            ended = driver.heard("ended") or await driver.finish(said)
            break
        blind = time.monotonic() - seen > BLIND_S
        mode, asked, held, by_hand = command_of(Ask.HOLD if blind else answer)
        await driver.command(mode, asked, dead_man=held, intervention=by_hand)
        newer = await driver.state_after(state, HEARTBEAT_S)
        fresh = newer is not None
        if newer is not None:
            expiries += newer.safety is Safety.EXPIRED and state.safety is not Safety.EXPIRED
            state, seen = newer, time.monotonic()
    return Flight(ended, answer is Ask.DISCARD, expiries, time.monotonic() - start)


def answered(pilot: Pilot, state: State, values: Values) -> Answer:
    """Return what a pilot wants; a robot that has expired must see the dead-man released before it moves."""
    if state.recording and state.succeeded:
        return Ask.FINISH
    if state.safety in (Safety.EXPIRED, Safety.ESTOPPED):
        return Ask.HOLD
    return pilot.act(state, values)


def command_of(answer: Answer) -> tuple[Mode, WireValues, bool, bool]:
    """Return the mode, the values, the dead-man and the intervention flag of the command that asks for it."""
    if isinstance(answer, Ask):
        return Mode.NEUTRAL, _NOTHING, False, False
    if isinstance(answer, ByHand):
        return *values_of(answer.setpoint), True, True
    return *values_of(answer), True, False
