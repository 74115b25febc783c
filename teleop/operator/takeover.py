"""A person beside a program: while the person holds the dead-man, what they ask for replaces what the program asks for.

Their commands say so (`intervention`), which is what DAgger and its kin train on. The program is asked at each state
all the same, so what it remembers goes on from what really happened, and it drives on when the person lets go.
"""

from __future__ import annotations

from typing import Protocol

from sim.robot import Vector
from teleop.operator.pilot import Answer, Ask, ByHand, Pilot, Values
from teleop.wire.messages import State


class Person(Pilot, Protocol):
    """A pilot whom a person moves."""

    def adopt(self, openings: Vector) -> None:
        """Want the grippers as they are from now on: (K,) openings in [0, 1]."""


class Takeover:
    """A pilot for one episode: the program, until the person takes over, and again once they let go."""

    def __init__(self, program: Pilot, person: Person) -> None:
        self._program, self._person = program, person
        self._taken = False

    def act(self, state: State, values: Values) -> Answer:
        """Return what the person asks for while they hold the dead-man, else what the program does."""
        asked = self._program.act(state, values)
        if not self._taken:
            self._person.adopt(_openings(asked, values))
        by_hand = self._person.act(state, values)
        self._taken = not isinstance(by_hand, Ask)
        if by_hand in (Ask.FINISH, Ask.DISCARD):
            return by_hand
        return asked if isinstance(by_hand, Ask) else _marked(by_hand)


def _marked(by_hand: Answer) -> Answer:
    return by_hand if isinstance(by_hand, Ask | ByHand) else ByHand(by_hand)


def _openings(asked: Answer, values: Values) -> Vector:
    """Return what the program wants of the grippers, which are still on their way there; else where they were sent."""
    if isinstance(asked, Ask | ByHand):
        return values["commanded_gripper_position"]
    return asked.gripper
