"""One robot, one control period at a time: moved towards what is asked, brought to rest, relieved of pressing.

Part of sim; exports `Arm`. It does not ask whether the robot may move: who drives it does.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from sim.motion.control import Controller, Directive, Joints, Setpoint
from sim.robot import Action, Observation, Robot, Vector

_AT_REST: Final = 1e-9
"""A target that moves by less than this in a period, rad or m, is at rest."""
_PRESSES: Final = 0.01
"""A target that leads a joint at rest by more than this, rad or m, presses; by less, it holds the arm's own weight."""


class Arm:
    """The last target of a robot, and what was seen last. Methods that touch the robot raise its RobotErrors."""

    def __init__(self, robot: Robot) -> None:
        self._robot, self._spec = robot, robot.spec
        self._controller = Controller(robot.spec)
        self.seen: Observation = robot.observe()
        self.applied: Action | None = None
        """This period's target as the robot took it; None if it was sent none."""
        self._target = Action(self.seen.values["joint_position"], np.ones(robot.spec.hands))
        self._moving = False
        self._strained = False
        """Whether it was driven since it last let go: it may press against something."""
        self._yield_to: Vector | None = None
        """The joint positions (J,) that the target walks back to, so that the arm stops pressing."""

    @property
    def at_rest(self) -> bool:
        """Whether it is at rest at its last target."""
        return not self._moving and self._yield_to is None

    @property
    def settled(self) -> bool:
        """Whether it is at rest, and has let go of what it pressed against."""
        return self.at_rest and not self._strained

    def change(self, robot: Robot) -> None:
        """Go on with the same robot at another task, at rest where that has put it."""
        self._robot, self._spec, self.applied = robot, robot.spec, None
        self.start()

    def look(self) -> None:
        """Observe where it is."""
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
        """Open it again, after it broke."""
        self._robot.disconnect()
        self._robot.connect()
        self.look()

    def step(self, setpoint: Setpoint) -> Directive:
        """Return one period's motion towards what is asked."""
        self._strained, self._yield_to = True, None
        return self._controller.step(setpoint, self.seen)

    def hold(self) -> Directive:
        """Return one period of coming to rest, or of walking back to where the arm no longer presses.

        What limits change in that is not reported, as nobody asked for that motion.
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
        self._moving = bool(moved) or not self._moving  # the first target after a rest may be where it already was
        self._target = target
        if not self._moving:
            self._yield_to = None
        self.look()
        return applied

    def let_go(self) -> None:
        """At rest, take back once the distance by which the target leads a blocked arm.

        Only once, because an arm sinks a little below every target: a target that kept following it would sink to the
        ground. The base is left out, as it does not press. So are the grippers: they go on holding what they hold.
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
        """Assume that the robot has come to rest, as it does if nothing was sent for a while."""
        if not self.at_rest:
            self._controller.stand()
            self._moving, self._yield_to = False, None

    def forget(self) -> None:
        """Stop moving without braking: there is nothing to send a braking motion to."""
        self._moving, self._strained, self._yield_to = False, False, None

    def _begin(self) -> None:
        self._controller.start(self.seen)
        self._target = Action(self.seen.values["joint_position"], self._target.gripper)
        self.forget()
