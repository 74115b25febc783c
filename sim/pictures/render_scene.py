"""Everything drawn for one episode: the robot's links and the things of its scene, and where each is at every step.

Exports `RenderScene`, which uses no graphics library.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sim.model.links import Links
from sim.model.urdf import read_urdf
from sim.pictures.mesh import Mesh, joined, linear, of_shape
from sim.pictures.visuals import link_meshes
from sim.robot import RobotError, RobotSpec, Vector
from sim.rotation import to_matrix
from sim.scene import Body, Camera, Quaternion, Rgba, Scene, Triple
from sim.words import listed

FLOOR: Final = "floor"
FLOOR_HALF_M: Final = 8.0


CASTER_EDGE_M: Final = 0.03
"""The edge length of what casts shadows: a texel of the shadow map is about 2 mm."""
_EDGES_M: Final = ((300, 0.02), (600, 0.01))
"""Pictures up to this many pixels high, and the edge length of their meshes: a few pixels, so that the surface is off
by a fraction of one. From a metre away a pixel of 640x480 is 1.8 mm."""
_FINE_EDGE_M: Final = 0.006


def edge_m(height: int) -> float:
    """Return how long the edges of simplified meshes are in pictures of that height."""
    return next((edge for pixels, edge in _EDGES_M if height <= pixels), _FINE_EDGE_M)


class UnknownCameraError(RobotError):
    """There is no camera with that name."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One thing that is drawn as a rigid body."""

    name: str
    mesh: Mesh
    caster: Mesh
    """The same, coarser: it casts the shadow."""
    moves: bool
    """Whether it may move during the episode."""


class RenderScene:
    """One robot in the scene of one episode. Piece 0 is the floor; masks show a piece's number plus one."""

    def __init__(self, spec: RobotSpec, scene: Scene, height: int | None = None) -> None:
        """Load the meshes for pictures `height` pixels high (None: as they are); raise a UrdfError or VisualsError."""
        self.scene = scene
        self._spec = spec
        fingers = list(spec.gripper_joints)
        self._links = Links(read_urdf(spec.model.urdf_path), [*spec.joint_names, *fingers])
        meshes = link_meshes(spec.model, 0.0 if height is None else edge_m(height))
        casters = meshes if height is None else link_meshes(spec.model, CASTER_EDGE_M)
        self._drawn_links = [index for index, name in enumerate(self._links.names) if name in meshes]
        floor = _floor(scene.floor_rgba)
        moving = self._links.moving
        names = {self._links.names[index]: bool(moving[index]) for index in self._drawn_links}
        self.pieces: tuple[Piece, ...] = (
            Piece(FLOOR, floor, floor, moves=False),
            *(Piece(name, meshes[name], casters[name], moves) for name, moves in names.items()),
            *(Piece(body.name, mesh := _mesh(body), mesh, body.mass_kg > 0.0) for body in scene.bodies),
        )

    def camera(self, name: str) -> Camera:
        """Return the camera called `name`; raise UnknownCameraError."""
        return camera_named(self.scene, name)

    @property
    def needs(self) -> tuple[str, ...]:
        """The observation arrays that are needed to know where everything is."""
        posed = dict.fromkeys(body.pose_from for body in self.scene.bodies if body.pose_from is not None)
        fingers = ("finger_state",) if self._spec.simulated and self._spec.has_gripper else ()
        return ("joint_position", *fingers, *posed)

    def frames(self, seen: Mapping[str, Vector]) -> NDArray[np.float32]:
        """Return (N, P, 4, 4): where each piece is at each of N steps, from the observation arrays (N, ...)."""
        steps = len(seen["joint_position"])
        links = self._links.frames(self._positions(seen))
        fixed = np.tile(np.eye(4), (steps, 1, 1, 1))
        bodies = [_body_frames(body, seen, steps) for body in self.scene.bodies]
        return np.concatenate([fixed, links[:, self._drawn_links], *bodies], axis=1).astype(np.float32)

    def camera_frames(self, camera: Camera, seen: Mapping[str, Vector]) -> Vector:
        """Return (N, 4, 4): the camera's frame (OpenCV's axes) in the room at each step."""
        own = _frame(camera.position_m, camera.orientation)
        if camera.link is None:
            return np.tile(own, (len(seen["joint_position"]), 1, 1))
        frames: Vector = self._links.frames(self._positions(seen))[:, self._links.names.index(camera.link)] @ own
        return frames

    def _positions(self, seen: Mapping[str, Vector]) -> Vector:
        joints = seen["joint_position"]
        ends = np.array(list(self._spec.gripper_joints.values())).reshape(-1, 2)
        if not len(ends):
            return joints
        if "finger_state" in seen:
            return np.hstack([joints, seen["finger_state"][:, : len(ends)]])
        of_hand = [k for k, hand in enumerate(self._spec.end_effectors) for _ in hand.gripper_joints]
        opening = seen["gripper_position"][:, of_hand]
        return np.hstack([joints, ends[:, 0] + opening * (ends[:, 1] - ends[:, 0])])


def camera_named(scene: Scene, name: str) -> Camera:
    """Return the camera of a scene; raise UnknownCameraError."""
    for camera in scene.cameras:
        if camera.name == name:
            return camera
    known = listed(camera.name for camera in scene.cameras)
    raise UnknownCameraError(f"There is no camera {name!r}. There are {known}.")


def _body_frames(body: Body, seen: Mapping[str, Vector], steps: int) -> Vector:
    if body.pose_from is None:
        return np.tile(_frame(body.position_m, body.orientation), (steps, 1, 1, 1))
    poses = seen[body.pose_from] if body.row is None else seen[body.pose_from][:, body.row]
    x, y, z, w = (poses[:, 3:] / np.linalg.norm(poses[:, 3:], axis=1, keepdims=True)).T
    frames = np.tile(np.eye(4), (steps, 1, 1, 1))
    frames[:, 0, 0] = np.stack([1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w), poses[:, 0]], 1)
    frames[:, 0, 1] = np.stack([2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w), poses[:, 1]], 1)
    frames[:, 0, 2] = np.stack([2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y), poses[:, 2]], 1)
    return frames


def _frame(position: Triple, orientation: Quaternion) -> Vector:
    frame = np.eye(4)
    frame[:3, :3] = to_matrix(np.array(orientation))
    frame[:3, 3] = position
    return frame


def _floor(rgba: Rgba) -> Mesh:
    far = FLOOR_HALF_M
    corners = np.array([(-far, -far, 0.0), (far, -far, 0.0), (far, far, 0.0), (-far, far, 0.0)], np.float32)
    up = np.tile(np.array((0.0, 0.0, 1.0), np.float32), (4, 1))
    return Mesh(
        corners, up, np.tile(np.array(_linear(rgba), np.float32), (4, 1)), np.array([(0, 1, 2), (0, 2, 3)], np.int32)
    )


def _mesh(body: Body) -> Mesh:
    return joined(
        [
            of_shape(part.shape, _linear(part.rgba or body.rgba)).placed(_frame(part.position_m, part.orientation))
            for part in body.parts
        ]
    )


def _linear(rgba: Rgba) -> Sequence[float]:
    return [linear(value) for value in rgba[:3]]
