"""What a robot is: the `Robot` protocol and the values that cross it. Nothing here knows about physics or a network.

A robot is something with named joints, one or more end effectors, perhaps grippers, and perhaps a base that drives.
Its driver calls `observe()`, decides, and calls `send_action()` once each control period. A simulated robot advances
its physics by one period in `send_action`; for a real one, time passes by itself. Everything between an operator's
command and an `Action` (safety, inverse kinematics) is common to both and lives elsewhere.

Conventions, stated once: metres, radians, seconds; quaternions are (x, y, z, w); joints are in the order of
`RobotSpec.joint_names`, J of them; end effectors are in the order of `RobotSpec.end_effectors`, K of them; a gripper is
its opening, 0.0 closed and 1.0 open. If a joint slides, its `_rad` is in metres.
`sim/contract.py` is the conformance test that every robot must pass.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from sim.scene import Scene

EPISODE_S_MAX: Final = 3600.0
"""The longest episode that a task, or a real robot's owner, may allow, s."""
RESOLUTION_MAX_RAD: Final = 0.1
"""The coarsest resolution that a joint may have: a full step of a stepper motor is a third of it."""
Vector = NDArray[np.float64]
Bound = float | tuple[float, ...]


class RobotError(Exception):
    """A robot could not do what was asked; subclasses say why."""


class NotConnectedError(RobotError):
    """The robot was used before `connect()` or after `disconnect()`."""


class ArrayMismatchError(RobotError, ValueError):
    """An array does not match its spec: the wrong shape, numbers that are not finite, or out of bounds."""


class ActionShapeError(ArrayMismatchError):
    """An action has the wrong shape or a value that is not finite; the robot did not move."""


class UnstableWorldError(RobotError):
    """A simulated state became non-finite or left the room; the episode is invalid."""


class ResolutionError(RobotError, ValueError):
    """A joint's resolution is negative, coarser than `RESOLUTION_MAX_RAD`, or there is not one for each joint."""


class EpisodeLengthError(RobotError, ValueError):
    """An episode was to be longer than `EPISODE_S_MAX`, or not even one step long."""


class RobotFaultError(RobotError):
    """The hardware stopped answering or reports a fault; the robot holds its pose."""


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """One named array: its shape, dtype, unit, meaning and bounds, as data, so that the docs cannot go stale."""

    name: str
    shape: tuple[int, ...]
    unit: str
    doc: str
    dtype: str = "float64"
    lower: Bound = -math.inf
    """The smallest value allowed: one for all numbers, or one for each along the last axis."""
    upper: Bound = math.inf
    """The largest value allowed, in the same form."""

    @property
    def size(self) -> int:
        """How many numbers the array holds."""
        return int(np.prod(self.shape, dtype=np.int64))

    def conform(self, value: object) -> Vector:
        """Return `value` as an array of this shape and dtype, ignoring bounds; raise ArrayMismatchError."""
        try:
            found: Vector = np.asarray(value, dtype=self.dtype)
        except (TypeError, ValueError) as error:
            raise ArrayMismatchError(f"expected {self.name} as numbers of shape {self.shape}, got {value!r}") from error
        if found.shape != self.shape:
            raise ArrayMismatchError(f"expected {self.name} of shape {self.shape}, got {found.shape}")
        if not np.isfinite(found).all():
            raise ArrayMismatchError(f"expected {self.name} of finite numbers, got {found.tolist()}")
        return found

    def validate(self, value: object) -> Vector:
        """Return `value` as an array that meets this spec; raise ArrayMismatchError, also if it is out of bounds."""
        found = self.conform(value)
        if (found < self.lower).any() or (found > self.upper).any():
            within = f"{self.name} between {self.lower} and {self.upper}"
            raise ArrayMismatchError(f"expected {within}, {self.unit}, got {found.tolist()}")
        return found


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """What the operator is asked to do. `max_steps` is how long an episode may be: at most `EPISODE_S_MAX`."""

    name: str
    version: int
    instruction: str
    max_steps: int
    success_hold_steps: int = 10
    paraphrases: tuple[str, ...] = ()
    """The instruction in other words."""
    stages: tuple[str, ...] = ()
    """The stages in order; each is an equal part of `Observation.progress`."""


@dataclass(frozen=True, slots=True)
class RobotModel:
    """Where a robot's description is: `root / urdf` is the URDF, meshes are found below `root`."""

    name: str
    root: Path
    urdf: str

    @property
    def urdf_path(self) -> Path:
        """The URDF file."""
        return self.root / self.urdf


@dataclass(frozen=True, slots=True)
class EndEffector:
    """One hand of a robot: what a twist moves, and the gripper that it carries."""

    name: str
    link: str
    """The URDF link whose frame it is."""
    joint_names: tuple[str, ...]
    """The robot's driven joints that follow its twists."""
    workspace_lower_m: Vector
    """(3,) float64, m, in the frame of `base_link`."""
    workspace_upper_m: Vector
    """(3,) float64, m, in the frame of `base_link`."""
    gripper_joints: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """URDF joint name -> (position when closed, position when open); empty if there is no gripper."""
    base_link: str | None = None
    """The link in whose frame twists and workspace are given; None: the URDF's base. It moves with a mobile base."""
    pose: str = "ee_pose"
    """The observation array (7,) that says where it is, in the URDF's base frame."""


@dataclass(frozen=True, slots=True)
class MobileBase:
    """A base that drives forward and backward and turns, and does not slide sideways."""

    joint_names: tuple[str, str, str]
    """Three of the robot's driven joints: along x, along y, m; and the heading, rad."""
    speed_max_m_s: float
    turn_max_rad_s: float
    acceleration_max_m_s2: float
    turn_acceleration_max_rad_s2: float


@dataclass(frozen=True, slots=True)
class RobotSpec:
    """Everything that a driver, a recorder and a browser need to know about a robot before it moves."""

    model: RobotModel
    joint_names: tuple[str, ...]
    """(J,) names of the driven joints, as in the URDF; grippers' joints are not among them."""
    joint_lower_rad: Vector
    """(J,) float64, rad."""
    joint_upper_rad: Vector
    """(J,) float64, rad."""
    joint_velocity_max_rad_s: Vector
    """(J,) float64, rad/s."""
    joint_acceleration_max_rad_s2: Vector
    """(J,) float64, rad/s^2."""
    joint_jerk_max_rad_s3: Vector
    """(J,) float64, rad/s^3."""
    home_rad: Vector
    """(J,) float64, rad: where a reset puts the robot."""
    end_effectors: tuple[EndEffector, ...]
    """K of them, at least one."""
    observation: tuple[ArraySpec, ...]
    simulated: bool
    control_hz: float
    base: MobileBase | None = None
    scene: Scene = field(default_factory=Scene)
    """What surrounds it; bodies whose pose is observed are drawn there."""
    task: TaskSpec | None = None
    engine: Mapping[str, str] = field(default_factory=dict)
    """What a replay must match: build and parameters of the physics; empty for a real robot."""
    joint_resolution_rad: Vector = field(default_factory=lambda: np.zeros(0))
    """(J,) float64, rad: the smallest step in which the robot measures or takes each joint's position, and so by how
    much a target may miss its limits; zeros, which is also what it becomes if it is not given, if there is none."""
    action: tuple[ArraySpec, ArraySpec] = field(init=False)
    """The two arrays of an `Action`: `joint_position` (J,) and `gripper` (K,), with their limits as bounds."""

    def __post_init__(self) -> None:
        """Make the action's specs from the limits; raise ResolutionError."""
        object.__setattr__(self, "joint_resolution_rad", _resolution(self.joint_resolution_rad, self.joints))
        low, high = tuple(self.joint_lower_rad.tolist()), tuple(self.joint_upper_rad.tolist())
        joints = ArraySpec(
            "joint_position", (self.joints,), "rad", "in the order of joint_names", lower=low, upper=high
        )
        gripper = ArraySpec("gripper", (self.hands,), "1", "openings, 0 closed to 1 open", lower=0.0, upper=1.0)
        object.__setattr__(self, "action", (joints, gripper))

    @property
    def joints(self) -> int:
        """J, the number of driven arm joints."""
        return len(self.joint_names)

    @property
    def hands(self) -> int:
        """K, the number of end effectors, and of gripper openings in an action."""
        return len(self.end_effectors)

    @property
    def has_gripper(self) -> bool:
        """Whether any end effector can grip."""
        return any(hand.gripper_joints for hand in self.end_effectors)

    @property
    def gripper_joints(self) -> dict[str, tuple[float, float]]:
        """URDF joint name -> (closed, open), of all grippers."""
        return {name: ends for hand in self.end_effectors for name, ends in hand.gripper_joints.items()}

    @property
    def period_s(self) -> float:
        """The control period."""
        return 1.0 / self.control_hz


@dataclass(frozen=True, slots=True)
class Observation:
    """What the robot saw at one instant.

    `values` has exactly the arrays of `spec.observation`. Every robot has at least
    `joint_position` (J,) rad, `joint_velocity` (J,) rad/s, `gripper_position` (K,) in [0, 1] (absent if nothing
    grips) and for each end effector its pose (7,) m and quaternion, in the array that the end effector names.
    """

    values: Mapping[str, Vector]
    progress: float | None = None
    """How far the task has got, in [0, 1]; None if the robot cannot know."""
    success: bool | None = None
    """Whether the task's predicate has held long enough; None if the robot cannot know."""


@dataclass(frozen=True, slots=True)
class Action:
    """Where the joints should be at the end of the next control period."""

    joint_position: Vector
    """(J,) float64, rad."""
    gripper: Vector = field(default_factory=lambda: np.ones(1))
    """(K,) float64: openings in [0, 1]; ignored if an end effector has no gripper."""


@runtime_checkable
class Robot(Protocol):
    """Anything that can be driven. Not thread-safe: one control loop owns it."""

    @property
    def spec(self) -> RobotSpec:
        """Constant for the life of the object."""

    def connect(self) -> None:
        """Open the robot. Idempotent. Never asks a person anything. Raises RobotFaultError."""

    def reset(self, seed: int) -> Observation:
        """Prepare a new episode and return the first observation.

        A simulated robot rebuilds its scene from `seed` alone. A real robot does not move: it holds where it is.
        """

    def observe(self) -> Observation:
        """Return the current observation, without moving anything."""

    def send_action(self, action: Action) -> Action:
        """Start one control period towards `action`; return the action that the robot applied after its own limits.

        Raises ActionShapeError (and does not move) for a wrong shape or a value that is not finite.
        """

    def disconnect(self) -> None:
        """Let go of the robot, which holds its pose if it can. Idempotent."""


@runtime_checkable
class Tasks(Protocol):
    """A robot that offers one or more tasks, and is at one of them at a time. Not thread-safe, except for `specs`."""

    @property
    def specs(self) -> tuple[RobotSpec, ...]:
        """The robot's spec at each task, in the order in which they are offered. Only scene, task, engine and the
        arrays of the scene's things differ."""

    @property
    def robot(self) -> Robot:
        """The robot at its present task; first, that of `specs[0]`."""

    def change(self, task: str) -> Robot:
        """Prepare another task, and return the robot at it, in any scene of it; the robot of before is not used again.

        Called while the robot is at rest. Raises RobotError; the robot is then still at the task of before.
        """


def _resolution(said_rad: Vector, joints: int) -> Vector:
    """Return each joint's resolution, zeros if none is given."""
    if not said_rad.size:
        return np.zeros(joints)
    if said_rad.shape != (joints,) or not ((said_rad >= 0.0) & (said_rad <= RESOLUTION_MAX_RAD)).all():
        expected = f"{joints} resolutions of 0 to {RESOLUTION_MAX_RAD} rad, one a joint"
        raise ResolutionError(f"expected {expected}, got {said_rad.tolist()}")
    return said_rad


def steps_in(length_s: float, control_hz: float) -> int:
    """Return how many steps an episode of that length has; raise EpisodeLengthError if it may not be that long."""
    steps = math.floor(length_s * control_hz) if math.isfinite(length_s) else 0
    if not (steps >= 1 and length_s <= EPISODE_S_MAX):
        raise EpisodeLengthError(
            f"An episode lasts from one step to {EPISODE_S_MAX:.0f} s, and {length_s:g} s is not within that."
        )
    return steps


def checked(action: Action, spec: RobotSpec) -> Action:
    """Return `action` clipped to the limits of `spec`; raise ActionShapeError if it is malformed."""
    joints, gripper = spec.action
    try:
        wanted, opening = joints.conform(action.joint_position), gripper.conform(action.gripper)
    except ArrayMismatchError as error:
        raise ActionShapeError(f"{spec.model.name}: {error}") from error
    return Action(clipped(wanted, spec.joint_lower_rad, spec.joint_upper_rad), clipped(opening, 0.0, 1.0))


def clipped(values: Vector, low: Vector | float, high: Vector | float) -> Vector:
    """Return `values` between `low` and `high`; for a few numbers several times faster than `np.clip`."""
    within: Vector = np.minimum(np.maximum(values, low), high)
    return within
