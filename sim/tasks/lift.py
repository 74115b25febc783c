"""Lift: take the cube off the floor and hold it above ten centimetres."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sim.control import Twist
from sim.robot import ArraySpec, SceneBody, TaskSpec, Vector
from sim.rotation import rotate
from sim.task import Bodies, Expert, Values

if TYPE_CHECKING:
    from sim.bullet import BulletClient

HALF_EDGE_M: Final = 0.022
MASS_KG: Final = 0.1
FRICTION: Final = 1.0
SUCCESS_HEIGHT_M: Final = 0.10
PLACE_LOWER_M: Final = (0.42, -0.18)
PLACE_UPPER_M: Final = (0.60, 0.18)
_ALONG: Final = np.array([1.0, 0.0, 0.0])
_ACROSS: Final = np.array([0.0, 1.0, 0.0])  # the hand's fingers close along its y axis


class _Cube:
    def __init__(self, client: BulletClient, rng: np.random.Generator) -> None:
        self._client = client
        x, y = rng.uniform(PLACE_LOWER_M, PLACE_UPPER_M)
        yaw = rng.uniform(-np.pi, np.pi)
        shape = client.createCollisionShape(client.GEOM_BOX, halfExtents=[HALF_EDGE_M] * 3)
        self._body: int = client.createMultiBody(
            MASS_KG,
            shape,
            basePosition=[x, y, HALF_EDGE_M],
            baseOrientation=[0, 0, np.sin(yaw / 2), np.cos(yaw / 2)],
        )
        client.changeDynamics(self._body, -1, lateralFriction=FRICTION, spinningFriction=0.005, rollingFriction=0.0001)

    def observe(self) -> dict[str, Vector]:
        position, orientation = self._client.getBasePositionAndOrientation(self._body)
        linear, angular = self._client.getBaseVelocity(self._body)
        return {
            "cube_pose": np.array([*position, *orientation]),
            "cube_velocity": np.array([*linear, *angular]),
        }


class Lift:
    """One cube, placed anywhere in a 18 cm by 36 cm field, turned any way."""

    spec: Final = TaskSpec(
        name="lift",
        version=1,
        instruction="Lift the cube at least 10 cm above the floor and hold it there.",
        max_steps=1200,
    )
    arrays: Final = (
        ArraySpec("cube_pose", (7,), "m, 1", "the cube's centre: x y z, quaternion x y z w"),
        ArraySpec("cube_velocity", (6,), "m/s, rad/s", "the cube: linear, then angular"),
    )
    scene: Final = (SceneBody("cube", (HALF_EDGE_M,) * 3, (0.93, 0.33, 0.18, 1.0), pose_from="cube_pose"),)

    def build(self, client: BulletClient, rng: np.random.Generator) -> Bodies:
        """Load the cube."""
        return _Cube(client, rng)

    def progress(self, values: Values) -> float:
        """Half for the hand's nearness to the cube, half for the cube's height."""
        distance = float(np.linalg.norm(values["ee_pose"][:3] - values["cube_pose"][:3]))
        raised = float(values["cube_pose"][2]) - HALF_EDGE_M
        near = 1.0 - np.tanh(4.0 * max(distance - 0.02, 0.0))
        high = np.clip(raised / (SUCCESS_HEIGHT_M - HALF_EDGE_M), 0.0, 1.0)
        return float(0.5 * near + 0.5 * high)

    def holds(self, values: Values) -> bool:
        """Whether the cube's centre is above ten centimetres."""
        return bool(values["cube_pose"][2] > SUCCESS_HEIGHT_M)

    def expert(self) -> Expert:
        """Return a fresh scripted operator."""
        return LiftExpert()


class LiftExpert:
    """Reach above the cube, turn the fingers along its sides, descend, grasp, lift: each a proportional drive."""

    _SPEED_M_S: Final = 0.25
    _TURN_RAD_S: Final = 1.0
    _HOVER_M: Final = 0.09

    def __init__(self) -> None:
        self._grasp_steps = 0
        self._descending = False

    def act(self, values: Values) -> Twist:
        """Return the next drive from the poses of hand and cube alone."""
        hand, cube = values["ee_pose"], values["cube_pose"]
        aside = cube[:2] - hand[:2]
        turn = _quarter_turn(_yaw(cube[3:], _ALONG) - _yaw(hand[3:], _ACROSS))
        aligned = float(np.linalg.norm(aside)) < 0.008 and abs(turn) < 0.08
        self._descending = aligned or (self._descending and float(np.linalg.norm(aside)) < 0.02)
        down = cube[2] - hand[2]
        if self._grasp_steps == 0 and self._descending and abs(down) < 0.008:
            self._grasp_steps = 1
        if self._grasp_steps:
            self._grasp_steps += 1
            rising = self._SPEED_M_S * 0.8 if self._grasp_steps > 14 and hand[2] < 0.22 else 0.0
            return Twist(np.array([0.0, 0.0, rising, 0.0, 0.0, 0.0]), 0.0)
        height = down if self._descending else down + self._HOVER_M
        linear = 4.0 * np.array([aside[0], aside[1], height])
        linear *= min(1.0, self._SPEED_M_S / max(float(np.linalg.norm(linear)), 1e-9))
        spin = np.clip(3.0 * turn, -self._TURN_RAD_S, self._TURN_RAD_S)
        return Twist(np.array([*linear, 0.0, 0.0, spin]), 1.0)


def _yaw(orientation: Vector, axis: Vector) -> float:
    """Return the direction of a body's `axis`, seen from above."""
    turned = rotate(orientation, axis)
    return float(np.arctan2(turned[1], turned[0]))


def _quarter_turn(angle_rad: float) -> float:
    """Return the smallest turn that is equal up to a quarter: a cube has four sides."""
    return float((angle_rad + np.pi / 4) % (np.pi / 2) - np.pi / 4)


TASK: Final = Lift()
