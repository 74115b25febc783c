"""One robot as a control period sees it: moved towards what is asked, brought to rest, made to press on nothing.

teleop's; what leaves is `Arm`. It asks nobody whether the robot may move: that is `session.py`'s.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from sim.motion.control import Controller, Directive, Joints, Setpoint
from sim.robot import Action, Observation, Robot, Vector

_AT_REST: Final = 1e-9
"""A target that moves by less than this in a period, rad or m, stands."""
_PRESSES: Final = 0.01
"""A target that leads a joint at rest by more, rad or m, presses; by less, it carries the arm's own weight."""


class Arm:
    """The last target of a robot, and what was seen last. Methods that touch the robot raise its RobotErrors."""

    def __init__(self, robot: Robot) -> None:
        self._robot, self._spec = robot, robot.spec
        self._controller = Controller(robot.spec)
        self.seen: Observation = robot.observe()
        self.applied: Action | None = None
        """This period's target as the robot took it; None where it was sent none."""
        self._target = Action(self.seen.values["joint_position"], np.ones(robot.spec.hands))
        self._moving = False
        self._strained = False
        """Whether it was driven since it last let go: it may press against something."""
        self._yield_to: Vector | None = None
        """The joints (J,) that the target walks back to, so that the arm presses no more."""

    @property
    def at_rest(self) -> bool:
        """Whether it stands at its last target."""
        return not self._moving and self._yield_to is None

    @property
    def settled(self) -> bool:
        """Whether it stands, and has let go of what it pressed against."""
        return self.at_rest and not self._strained

    def look(self) -> None:
        """See where it is."""
        self.seen = self._robot.observe()

    def reset(self, seed: int) -> None:
        """Prepare an episode."""
        self.seen = self._robot.reset(seed)
        self._begin()

    def start(self) -> None:
        """Begin from where it is, at rest."""
        self.look()
        self._begin()

    def reconnect(self) -> None:
        """Open it anew, after it broke."""
        self._robot.disconnect()
        self._robot.connect()
        self.look()

    def step(self, setpoint: Setpoint) -> Directive:
        """Return one period's motion towards what is asked."""
        self._strained, self._yield_to = True, None
        return self._controller.step(setpoint, self.seen)

    def hold(self) -> Directive:
        """Return one period of coming to rest, or of walking back to where the arm presses no more.

        What limits do to that nobody has asked for.
        """
        if self._yield_to is None:
            return self._controller.hold()
        back = Joints(self._yield_to, self._target.gripper)
        return Directive(self._controller.step(back, self.seen).action, ())

    def send(self, directive: Directive) -> Action:
        """Let the robot do one period; return what it applied."""
        applied = self.applied = self._robot.send_action(directive.action)
        target, before = directive.action, self._target
        moved = np.abs(target.joint_position - before.joint_position).max() > _AT_REST
        self._moving = bool(moved) or not self._moving  # the first target after a rest may be where it stood already
        self._target = target
        if not self._moving:
            self._yield_to = None
        self.look()
        return applied

    def let_go(self) -> None:
        """At rest, take back what the target leads a blocked arm by, once.

        Once, as an arm sinks a little below every target: one that followed it would sink to the ground. The base is
        left out: it presses with nothing. So are the grippers: whatever they hold, they go on holding.
        """
        if self.settled or not self.at_rest:
            return
        self._strained = False
        measured = self.seen.values["joint_position"].copy()
        if self._spec.base is not None:
            base = [self._spec.joint_names.index(name) for name in self._spec.base.joint_names]
            measured[base] = self._target.joint_position[base]
        if np.abs(measured - self._target.joint_position).max() > _PRESSES:
            self._yield_to = measured

    def stand(self) -> None:
        """Take it that the robot has come to rest, as where nothing was sent for a time."""
        if not self.at_rest:
            self._controller.stand()
            self._moving, self._yield_to = False, None

    def forget(self) -> None:
        """Move no more, in any way: there is nothing that braking could be sent to."""
        self._moving, self._strained, self._yield_to = False, False, None

    def _begin(self) -> None:
        self._controller.start(self.seen)
        self._target = Action(self.seen.values["joint_position"], self._target.gripper)
        self.forget()
