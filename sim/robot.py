"""What a robot is: the `Robot` protocol and the values that cross it. Nothing here knows physics or a network.

A robot is something with named joints and, perhaps, a gripper. Whoever drives it calls `observe()`, decides, and
calls `send_action()` once for each control period. A simulated robot advances its physics by one period in
`send_action`; a real one lets time pass by itself. Everything between an operator's command and an `Action`
(safety, inverse kinematics) is common to both and lies outside.

Conventions, said once: metres, radians, seconds; quaternions are (x, y, z, w); joints are in the order of
`RobotSpec.joint_names`; a gripper is its opening, 0.0 closed and 1.0 open.
`tests/robot_contract.py` is the conformance test that every robot must pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


class RobotError(Exception):
    """A robot could not do what was asked; subclasses say why."""


class NotConnectedError(RobotError):
    """The robot was used before `connect()` or after `disconnect()`."""


class ActionShapeError(RobotError):
    """An action has the wrong shape or a value that is not finite; the robot did not move."""


class UnstableWorldError(RobotError):
    """A simulated state became non-finite or left the room; the episode is invalid."""


class RobotFaultError(RobotError):
    """The hardware stopped answering or reports a fault; the robot holds."""


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """One named array of an observation: its shape, dtype, unit and meaning, as data, so that docs cannot rot."""

    name: str
    shape: tuple[int, ...]
    unit: str
    doc: str
    dtype: str = "float64"

    @property
    def size(self) -> int:
        """How many numbers the array holds."""
        return int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True, slots=True)
class SceneBody:
    """A thing that is drawn beside the robot: a box whose pose is fixed, or is the observation named `pose_from`."""

    name: str
    half_extents_m: tuple[float, float, float]
    rgba: tuple[float, float, float, float]
    position_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    pose_from: str | None = None


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """What the operator is asked to do."""

    name: str
    version: int
    instruction: str
    max_steps: int
    success_hold_steps: int = 10


@dataclass(frozen=True, slots=True)
class RobotModel:
    """Where a robot's description lies: `root / urdf` is the URDF, meshes are found below `root`."""

    name: str
    root: Path
    urdf: str

    @property
    def urdf_path(self) -> Path:
        """The URDF file."""
        return self.root / self.urdf


@dataclass(frozen=True, slots=True)
class RobotSpec:
    """All that a driver, a recorder and a browser need to know of a robot before it moves."""

    model: RobotModel
    joint_names: tuple[str, ...]
    """(J,) names of the arm's driven joints, as in the URDF."""
    joint_lower_rad: Vector
    """(J,) float64, rad."""
    joint_upper_rad: Vector
    """(J,) float64, rad."""
    joint_velocity_max_rad_s: Vector
    """(J,) float64, rad/s."""
    home_rad: Vector
    """(J,) float64, rad: where a reset puts the arm."""
    ee_link: str
    """The URDF link whose frame is the end effector."""
    workspace_lower_m: Vector
    """(3,) float64, m, in the base frame."""
    workspace_upper_m: Vector
    """(3,) float64, m, in the base frame."""
    has_gripper: bool
    gripper_joints: Mapping[str, tuple[float, float]]
    """URDF joint name -> (position when closed, position when open); empty where there is no gripper."""
    observation: tuple[ArraySpec, ...]
    simulated: bool
    control_hz: float
    scene: tuple[SceneBody, ...] = ()
    task: TaskSpec | None = None
    engine: Mapping[str, str] = field(default_factory=dict)
    """What a replay must match: build and parameters of the physics; empty for a real robot."""

    @property
    def joints(self) -> int:
        """J, the number of driven arm joints."""
        return len(self.joint_names)

    @property
    def period_s(self) -> float:
        """The control period."""
        return 1.0 / self.control_hz


@dataclass(frozen=True, slots=True)
class Observation:
    """What the robot saw at one instant.

    `values` has exactly the arrays of `spec.observation`. Every robot has at least
    `joint_position` (J,) rad, `joint_velocity` (J,) rad/s, `gripper_position` (1,) in [0, 1] (absent without a
    gripper) and `ee_pose` (7,) m and quaternion.
    """

    values: Mapping[str, Vector]
    progress: float | None = None
    """How far the task is, in [0, 1]; None where the robot cannot know."""
    success: bool | None = None
    """Whether the task's predicate has held long enough; None where the robot cannot know."""


@dataclass(frozen=True, slots=True)
class Action:
    """Where the joints shall be at the end of the next control period."""

    joint_position: Vector
    """(J,) float64, rad."""
    gripper: float = 1.0
    """Opening in [0, 1]; ignored by a robot without gripper."""


@runtime_checkable
class Robot(Protocol):
    """Anything that can be driven. Not thread-safe: one control loop owns it."""

    @property
    def spec(self) -> RobotSpec:
        """Constant for the life of the object."""

    def connect(self) -> None:
        """Open the robot. Idempotent. Never asks a person anything. Raises RobotFaultError."""

    def reset(self, seed: int) -> Observation:
        """Prepare a new episode and return what is seen.

        A simulated robot rebuilds its scene from `seed` alone. A real robot does not move: it holds where it is.
        """

    def observe(self) -> Observation:
        """Return what is seen now, without moving anything."""

    def send_action(self, action: Action) -> Action:
        """Start one control period towards `action`; return what was applied after the robot's own limits.

        Raises ActionShapeError (and does not move) for a wrong shape or a value that is not finite.
        """

    def disconnect(self) -> None:
        """Let go of the robot, which holds its pose where it can. Idempotent."""


def checked(action: Action, spec: RobotSpec) -> Action:
    """Return `action` clipped to the joint limits of `spec`; raise ActionShapeError where it is malformed."""
    wanted = np.asarray(action.joint_position, dtype=np.float64)
    if wanted.shape != (spec.joints,):
        raise ActionShapeError(
            f"expected joint_position of shape ({spec.joints},) for {spec.model.name}, got {wanted.shape}"
        )
    if not np.isfinite(wanted).all() or not np.isfinite(action.gripper):
        raise ActionShapeError(
            f"expected finite numbers, got joint_position {wanted.tolist()}, gripper {action.gripper}"
        )
    return Action(
        np.clip(wanted, spec.joint_lower_rad, spec.joint_upper_rad), float(min(max(action.gripper, 0.0), 1.0))
    )
