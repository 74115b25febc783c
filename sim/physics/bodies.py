"""The things of a scene inside a PyBullet client: built from data, and observed under the names of their arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from sim.physics.bullet import BulletClient, pybullet
from sim.robot import ArraySpec, Vector
from sim.scene import UPRIGHT, Body, Box, Part, Shape, Sphere

_SPINNING_FRICTION: Final = 0.005
_ROLLING_FRICTION: Final = 0.0001
_UNSEEN: Final = (0.0, 0.0, 0.0, 0.0)


def arrays(bodies: Sequence[Body]) -> tuple[ArraySpec, ...]:
    """Return what these bodies add to an observation: each pose, and the velocity of each that moves freely."""
    found: dict[str, ArraySpec] = {}
    for body in bodies:
        name = body.pose_from
        if name is None:
            continue
        if body.row is not None:
            rows = 1 + max(other.row or 0 for other in bodies if other.pose_from == name)
            found[name] = ArraySpec(name, (rows, 7), "m, 1", "each: x y z, quaternion x y z w")
            continue
        found[name] = ArraySpec(name, (7,), "m, 1", f"the {body.name}: x y z, quaternion x y z w")
        if moves(body):
            speed = velocity_name(body)
            found[speed] = ArraySpec(speed, (6,), "m/s, rad/s", f"the {body.name}: linear, then angular")
    return tuple(found.values())


def moves(body: Body) -> bool:
    """Whether physics moves it."""
    return body.mass_kg > 0.0


def velocity_name(body: Body) -> str:
    """Return the array that holds its velocity."""
    return f"{body.name}_velocity"


def parameters() -> str:
    """Return the constants of this module that decide how things move, for an episode's record."""
    return f"{_SPINNING_FRICTION} {_ROLLING_FRICTION}"


def physical(body: Body) -> Body:
    """Return what the physics know about a body: without colours, goal marks and parts that are only seen."""
    solid = tuple(replace(part, rgba=None) for part in body.parts if part.solid)
    return replace(body, rgba=_UNSEEN, parts=solid, goal=False)


class Shapes:
    """Collision shapes inside a client, each made once: a rebuilt scene uses the same ones."""

    def __init__(self, client: BulletClient) -> None:
        self._client = client
        self._made: dict[tuple[Part, ...], int] = {}

    def of(self, parts: Sequence[Part]) -> int:
        """Return the number of the shape that the solid parts form together."""
        solid = tuple(replace(part, rgba=None) for part in parts if part.solid)
        if solid not in self._made:
            self._made[solid] = self._make(solid)
        return self._made[solid]

    def trim(self, most: int = 256) -> None:
        """Forget all shapes, while no body uses one, if there are over `most`: a task may need new ones each time."""
        if len(self._made) > most:
            for number in self._made.values():
                self._client.removeCollisionShape(number)
            self._made.clear()

    def _make(self, solid: Sequence[Part]) -> int:
        made = [_shape_arguments(part.shape) for part in solid]
        if len(solid) == 1 and solid[0].position_m == (0.0, 0.0, 0.0) and solid[0].orientation == UPRIGHT:
            kind, arguments = made[0]
            return int(self._client.createCollisionShape(kind, **arguments))
        return int(
            self._client.createCollisionShapeArray(
                shapeTypes=[kind for kind, _ in made],
                halfExtents=[arguments.get("halfExtents", [0, 0, 0]) for _, arguments in made],
                radii=[arguments.get("radius", 0.0) for _, arguments in made],
                lengths=[arguments.get("height", 0.0) for _, arguments in made],
                collisionFramePositions=[list(part.position_m) for part in solid],
                collisionFrameOrientations=[list(part.orientation) for part in solid],
            )
        )


class Bodies:
    """The bodies of one scene, loaded into one client, in order."""

    def __init__(self, client: BulletClient, shapes: Shapes, bodies: Sequence[Body]) -> None:
        self._client, self._shape = client, shapes.of
        # The client binds a method again at each look-up; methods called in every period are looked up once.
        self._pose, self._velocity = client.getBasePositionAndOrientation, client.getBaseVelocity
        self._rows = {body.pose_from for body in bodies if body.row is not None}
        self._handles: list[tuple[Body, int, int]] = []
        """Body, its number in the engine, and its link there (-1: the base)."""
        sliding = {body.slide.of: body for body in bodies if body.slide is not None}
        for body in bodies:
            if body.slide is not None or not any(part.solid for part in body.parts):
                continue
            drawer = sliding.get(body.name)
            number = self._load(body, drawer)
            self._handles.append((body, number, -1))
            if drawer is not None:
                self._handles.append((drawer, number, 0))
        self._still = {
            body.pose_from: np.array([*body.position_m, *body.orientation])
            for body in bodies
            if body.pose_from and not moves(body)
        }

    def observe(self) -> dict[str, Vector]:
        """Return the arrays of `arrays(bodies)`."""
        values: dict[str, Vector] = {name: pose.copy() for name, pose in self._still.items()}
        rows: dict[str, list[Vector]] = {}
        for body, number, link in self._handles:
            if body.pose_from is None or not moves(body):
                continue
            pose, velocity = self._state(number, link)
            if body.row is not None:
                rows.setdefault(body.pose_from, []).append(pose)
                continue
            values[body.pose_from], values[velocity_name(body)] = pose, velocity
        return values | {name: np.array(poses) for name, poses in rows.items()}

    def _state(self, number: int, link: int) -> tuple[Vector, Vector]:
        if link < 0:
            position, orientation = self._pose(number)
            linear, angular = self._velocity(number)
        else:
            state = self._client.getLinkState(number, link, computeLinkVelocity=1, computeForwardKinematics=1)
            position, orientation, linear, angular = state[4], state[5], state[6], state[7]
        return np.array([*position, *orientation]), np.array([*linear, *angular])

    def _load(self, body: Body, drawer: Body | None) -> int:
        client = self._client
        links: dict[str, list[object]] = {}
        if drawer is not None and drawer.slide is not None:
            links = {
                "linkMasses": [drawer.mass_kg],
                "linkCollisionShapeIndices": [self._shape(drawer.parts)],
                "linkVisualShapeIndices": [-1],
                "linkPositions": [list(drawer.position_m)],
                "linkOrientations": [list(drawer.orientation)],
                "linkInertialFramePositions": [[0, 0, 0]],
                "linkInertialFrameOrientations": [list(UPRIGHT)],
                "linkParentIndices": [0],
                "linkJointTypes": [pybullet.JOINT_PRISMATIC],
                "linkJointAxis": [list(drawer.slide.axis)],
            }
        number: int = client.createMultiBody(
            body.mass_kg,
            self._shape(body.parts),
            basePosition=list(body.position_m),
            baseOrientation=list(body.orientation),
            useMaximalCoordinates=drawer is None,  # a plain rigid body, which the engine solves faster
            **links,
        )
        self._rub(number, -1, body)
        if drawer is not None and drawer.slide is not None:
            slide = drawer.slide
            self._rub(number, 0, drawer)
            client.changeDynamics(number, 0, jointLowerLimit=slide.lower_m, jointUpperLimit=slide.upper_m)
            client.setJointMotorControl2(
                number, 0, pybullet.VELOCITY_CONTROL, targetVelocity=0.0, force=slide.friction_n
            )
        return number

    def _rub(self, number: int, link: int, body: Body) -> None:
        self._client.changeDynamics(
            number,
            link,
            lateralFriction=body.friction,
            spinningFriction=_SPINNING_FRICTION,
            rollingFriction=body.rolling_friction or _ROLLING_FRICTION,
        )


def _shape_arguments(shape: Shape) -> tuple[int, dict[str, object]]:
    if isinstance(shape, Box):
        return pybullet.GEOM_BOX, {"halfExtents": list(shape.half_extents_m)}
    if isinstance(shape, Sphere):
        return pybullet.GEOM_SPHERE, {"radius": shape.radius_m}
    return pybullet.GEOM_CYLINDER, {"radius": shape.radius_m, "height": shape.length_m}
