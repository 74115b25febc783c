"""A stranger's function that drives: found by `module:function`, and its results checked against the robot.

It is called with the observation's arrays by name and the robot's descriptor, and returns a `Twist`, a `Pose` or
`Joints` of `sim.motion.control`, or None to hold. A class is instantiated for each episode, and the object called.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from sim.motion.control import Joints, Pose, Setpoint, Twist
from sim.robot import ArraySpec, Vector
from sim.strangers import PolicyError, UnknownPolicyError, call, find, fingerprint, short
from teleop.operator.pilot import Answer, Ask, Descriptor, Pilot, PilotMaker, Values
from teleop.wire.driver import NAME_MAX, Driver, DriverKind
from teleop.wire.messages import State

__all__ = ["PolicyError", "PolicyPilot", "UnknownPolicyError", "fitted", "load", "said"]

_WIRE_MAX: Final = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True)
class PolicyPilot:
    """Asks a policy, and checks everything it returns."""

    name: str
    policy: Callable[[Values, Descriptor], Any]
    robot: Descriptor

    def act(self, _state: State, values: Values) -> Answer:
        """Return what the policy asks for; raise PolicyError."""
        asked = call(self.name, self.policy, values, self.robot)
        try:
            return Ask.HOLD if asked is None else fitted(asked, self.robot)
        except PolicyError as error:
            raise PolicyError(f"{self.name}: {error}") from error


def load(name: str, checkpoint: Path | None = None) -> PilotMaker:
    """Return what makes pilots of the policy called `module:function`; raise UnknownPolicyError or PolicyError.

    The module is looked up in the working directory, then on Python's path. With a checkpoint, the name is called once,
    with its path; what it returns is the policy for all episodes, and if it has a `reset`, that is called before each.
    """
    found = find(name)
    loaded = None if checkpoint is None else call(name, found, str(checkpoint))

    def make(robot: Descriptor, _task: str) -> Pilot:
        policy = loaded if checkpoint is not None else call(name, found) if inspect.isclass(found) else found
        if checkpoint is not None and callable(reset := getattr(policy, "reset", None)):
            call(f"{name}: reset()", reset)
        if not callable(policy):
            what = "what it returned" if checkpoint is not None else "its objects"
            raise PolicyError(f"{name}: {what} cannot be called; give the class a __call__(self, values, robot)")
        return PolicyPilot(name, policy, robot)

    return make


def said(name: str, checkpoint: Path | None = None) -> Driver:
    """Return what is told of the policy called `module:function`: its name, and the SHA-256 of what it is made of.

    That is its module's file and, if it has one, its checkpoint. Raises UnknownPolicyError.
    """
    find(name)
    if len(name) > NAME_MAX:
        raise UnknownPolicyError(f"{name[:NAME_MAX]}...: expected a name of at most {NAME_MAX} characters.")
    return Driver(DriverKind.POLICY, name, fingerprint(name, checkpoint))


def fitted(asked: object, robot: Descriptor) -> Setpoint:
    """Return a setpoint for this robot, arrays as `sim.motion.control` says; raise PolicyError if it does not fit."""
    hands = len(robot["end_effectors"])
    match asked:
        case Twist():
            twist = _array("twist", asked.twist, (hands, 6))
            return Twist(twist, _array("gripper", asked.gripper, (hands,)), _base(asked.base, robot))
        case Pose():
            pose = _array("pose", asked.pose, (hands, 7))
            return Pose(pose, _array("gripper", asked.gripper, (hands,)), _base(asked.base, robot))
        case Joints():
            position = _array("position", asked.position, (len(robot["joint_names"]),))
            return Joints(position, _array("gripper", asked.gripper, (hands,)))
    raise PolicyError(f"it returned {short(asked)}, and not a Twist, a Pose or Joints of sim.motion.control, or None")


def _base(asked: object, robot: Descriptor) -> Vector | None:
    if asked is None:
        return None
    if robot["base"] is None:
        raise PolicyError(f"{robot['name']} has no base that drives: leave base out instead of {short(asked)}")
    return _array("base", asked, (2,))


def _array(name: str, asked: Any, shape: tuple[int, ...]) -> Vector:
    """Return `asked` as float64 of that shape; with one hand, the axis of hands may be left out."""
    try:
        alone = shape[0] == 1 and np.shape(asked) == shape[1:]
        fitting = ArraySpec(name, shape[1:] if alone else shape, "", "", lower=-_WIRE_MAX, upper=_WIRE_MAX)
        return fitting.validate(asked).reshape(shape)
    except ValueError as error:
        raise PolicyError(str(error)) from error
