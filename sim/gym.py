"""A simulated robot at a task as a Gymnasium environment: a policy is evaluated on exactly what people drove.

Actions go through the same controller, limits and rate as an operator's commands.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, Protocol

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from sim.catalogue import make_world
from sim.motion.actions import CONTROLS, Control, action_size, leading, setpoint_of
from sim.motion.control import Controller, Joints, LimitEvent, Setpoint
from sim.pictures.picture import DEPTH_MAX_M
from sim.pictures.render_scene import camera_named
from sim.pictures.sight import Eye, Sight
from sim.registry import register_envs
from sim.robot import ArraySpec, Observation, Robot, UnstableWorldError
from sim.seeds import SEED_MAX

Reward = Literal["progress", "success"]
Seen = dict[str, NDArray[Any]]
"""The robot's arrays, float64, and what the cameras see."""

_FAR: Final = 10.0
"""No position and no joint in a stable world goes beyond this (m, rad)."""
_FAST: Final = 1000.0


class Periods(Protocol):
    """What an environment's control periods go through: straight to its robot, or past somebody who records them."""

    def reset(self, seed: int) -> Observation:
        """Begin an episode, and return the first observation."""

    def step(self, setpoint: Setpoint) -> tuple[Observation, Sequence[LimitEvent]]:
        """Drive for one period; return what was seen after it, and the clamps. Raises UnstableWorldError."""


class _Direct:
    """A controller and its robot."""

    def __init__(self, robot: Robot) -> None:
        self._robot, self._controller = robot, Controller(robot.spec)
        self._seen = robot.observe()

    def reset(self, seed: int) -> Observation:
        self._seen = self._robot.reset(seed)
        self._controller.start(self._seen)
        return self._seen

    def step(self, setpoint: Setpoint) -> tuple[Observation, Sequence[LimitEvent]]:
        directive = self._controller.step(setpoint, self._seen)
        self._robot.send_action(directive.action)
        self._seen = self._robot.observe()
        return self._seen, directive.limits


class TaskEnv(gymnasium.Env[Seen, NDArray[np.float32]]):
    """One robot at one task. An episode terminates on success, and is truncated at the task's step limit.

    Observations are the arrays of the robot's spec and, if `cameras` are named, what those see: `front` gives
    `front_image` (H, W, 3) uint8, `front_depth` gives `front_depth` (H, W, 1) float32, in metres.

    Actions are in [-1, 1], for each end effector and in this order:

    - `ee_twist`: fractions of the 6 top speeds, and the gripper, -1 closed to 1 open; with a base, forward and turning;
    - `ee_delta`: the same as a step: fractions of what the top speeds move in a control period;
    - `ee_pose`: a place in the workspace (3), a rotation vector in half turns (3), and the gripper; base as above;
    - `joint_position`: every joint between its limits, then every gripper;
    - `joint_delta`: a step of every joint, as a fraction of what its top speed moves it, then every gripper.

    A step counts from where the last action aimed, and at first from what was observed.

    `reset(seed=s)` builds the scene of the episode that a recording calls seed `s`; without a seed, the next one of a
    random sequence. `info` has `seed`, `success`, `progress`, `limits` (the clamps) and, if the world became unstable,
    `invalid`, with the episode truncated.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012  gymnasium declares it so

    def __init__(
        self,
        robot: str,
        task: str,
        *,
        control: Control = "ee_twist",
        reward: Reward = "progress",
        render_mode: str | None = None,
        camera: str = "front",
        width: int = 640,
        height: int = 480,
        cameras: Sequence[str] = (),
        camera_size: tuple[int, int] = (640, 480),
    ) -> None:
        """Build the world; raise UnknownRobotError, UnknownTaskError, UnknownCameraError or ValueError for a bad name.

        With `rgb_array`, `render` returns `width` x `height` pixels from `camera`. `cameras` are those that the policy
        sees with, each `camera_size` wide and high. Raises PictureSizeError for what cannot be drawn.
        """
        _require("control", control, CONTROLS)
        _require("reward", reward, ("progress", "success"))
        _require("render_mode", render_mode, (None, *self.metadata["render_modes"]))
        self.world = make_world(robot, task)
        self.world.connect()
        self._control, self._reward = control, reward
        self.render_mode = render_mode
        camera_named(self.world.scene, camera)
        self._camera, self._shown = camera, Sight(self.world, width, height)
        self._sight = Sight(self.world, *camera_size, cameras)
        spec = self.world.spec
        self.periods: Periods = _Direct(self.world)
        boxes: dict[str, spaces.Space[Any]] = {array.name: _bounds(array) for array in spec.observation}
        boxes |= {eye.name: _pixels(eye, self._sight.shape(eye)) for eye in self._sight.eyes}
        self.observation_space: spaces.Space[Seen] = spaces.Dict(boxes)  # type: ignore[assignment]  # its values are arrays
        self.action_space = spaces.Box(-1.0, 1.0, (action_size(spec, control),), np.float32)
        self._seen: Observation = self.world.observe()
        self._goal = self._seen.values["joint_position"]
        self._seed = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Seen, dict[str, Any]]:
        """Begin an episode."""
        super().reset(seed=seed)
        self._seed = int(self.np_random.integers(SEED_MAX)) if seed is None else seed
        self._seen = self.periods.reset(self._seed)
        self._goal = self._seen.values["joint_position"]
        return self._told(self._seen), self._info()

    def step(self, action: NDArray[np.float32]) -> tuple[Seen, float, bool, bool, dict[str, Any]]:
        """Drive for one control period."""
        setpoint = self._setpoint(action)
        before = self._seen
        try:
            self._seen, limits = self.periods.step(setpoint)
        except UnstableWorldError as error:
            return self._told(before), 0.0, False, True, {**self._info(), "invalid": str(error)}
        done = bool(self._seen.success)
        gained = (self._seen.progress or 0.0) - (before.progress or 0.0)
        info = {**self._info(), "limits": [(e.rule.value, e.axis, e.requested, e.applied) for e in limits]}
        return self._told(self._seen), gained if self._reward == "progress" else float(done), done, False, info

    def render(self) -> NDArray[np.uint8] | None:
        """Return what the camera sees now, (H, W, 3) uint8, if the environment was made with `rgb_array`, else None."""
        if self.render_mode is None:
            return None
        return self._shown.draw(self._seed, self._seen.values, self._camera).rgb

    def close(self) -> None:
        """Stop the engine and the renderer."""
        self._shown.close()
        self._sight.close()
        self.world.disconnect()

    def _setpoint(self, action: NDArray[np.float32]) -> Setpoint:
        spec = self.world.spec
        goal = leading(spec, self._goal, self._seen.values["joint_position"])
        setpoint = setpoint_of(spec, self._control, action, goal)
        if isinstance(setpoint, Joints):
            self._goal = setpoint.position
        return setpoint

    def _told(self, seen: Observation) -> Seen:
        """Return what a policy is told of a state."""
        return {name: value.copy() for name, value in seen.values.items()} | self._sight.look(self._seed, seen.values)

    def _info(self) -> dict[str, Any]:
        return {"seed": self._seed, "success": bool(self._seen.success), "progress": self._seen.progress}


def _bounds(array: ArraySpec) -> spaces.Box:
    fast = array.name.endswith(("_velocity", "finger_state"))
    return spaces.Box(-_FAST if fast else -_FAR, _FAST if fast else _FAR, array.shape, np.float64)


def _pixels(eye: Eye, shape: tuple[int, int, int]) -> spaces.Box:
    return spaces.Box(0.0, DEPTH_MAX_M, shape, np.float32) if eye.depth else spaces.Box(0, 255, shape, np.uint8)


def _require(name: str, found: str | None, known: tuple[str | None, ...]) -> None:
    if found not in known:
        raise ValueError(f"expected {name} to be one of {', '.join(map(str, known))}, got {found!r}")


register_envs()
