"""The renderer of last resort: PyBullet's TinyRenderer, if there is no OpenGL. Exports `TinyRenderer`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sim.physics.bullet import new_client, pybullet
from sim.pictures.mesh import Mesh
from sim.pictures.picture import Floats, Picture, intrinsics
from sim.pictures.render_scene import RenderScene
from sim.robot import Vector
from sim.rotation import from_matrix
from sim.scene import Camera

NAME: Final = "PyBullet TinyRenderer"
_TO_GL = np.diag((1.0, -1.0, -1.0, 1.0))
"""From OpenCV's axes of a camera to OpenGL's."""


class TinyRenderer:
    """Draws one scene at one size. It holds the interpreter lock while it draws: give it a process of its own."""

    def __init__(self, render_scene: RenderScene, width: int, height: int) -> None:
        """Load the meshes into an engine that only draws."""
        self._size = width, height
        self._light = render_scene.scene.light
        self._client = new_client()
        self._numbers: dict[int, int] = {}
        """Body -> its piece."""
        for number, piece in enumerate(render_scene.pieces):
            for mesh in _by_colour(piece.mesh):
                self._numbers[self._load(mesh)] = number

    @property
    def name(self) -> str:
        """The program that draws."""
        return NAME

    def draw(
        self, camera: Camera, camera_frame: Vector, frames: Floats, *, depth: bool = False, mask: bool = False
    ) -> Picture:
        """Return what `camera` at `camera_frame` (4, 4) sees with the pieces at `frames` (P, 4, 4)."""
        width, height = self._size
        for body, number in self._numbers.items():
            frame = frames[number].astype(np.float64)
            self._client.resetBasePositionAndOrientation(body, frame[:3, 3], from_matrix(frame[:3, :3]))
        _, _, rgba, near_far, seen = self._client.getCameraImage(
            width,
            height,
            viewMatrix=np.linalg.inv(camera_frame @ _TO_GL).T.ravel().tolist(),
            projectionMatrix=pybullet.computeProjectionMatrixFOV(
                float(np.degrees(camera.fov_y_rad)), width / height, camera.near_m, camera.far_m
            ),
            lightDirection=[-value for value in self._light.towards],
            lightAmbientCoeff=self._light.ambient,
            lightDiffuseCoeff=self._light.intensity,
            shadow=1,
            renderer=pybullet.ER_TINY_RENDERER,
        )
        pixels = np.reshape(np.asarray(rgba, np.uint8), (height, width, 4))
        return Picture(
            rgb=np.ascontiguousarray(pixels[:, :, :3]),
            depth=_metres(np.reshape(near_far, (height, width)), camera) if depth else None,
            mask=self._mask(np.reshape(seen, (height, width))) if mask else None,
            intrinsics=intrinsics(camera, width, height),
            extrinsics=camera_frame,
            renderer=self.name,
        )

    def sequence(
        self, camera: Camera, camera_frames: Vector, frames: Floats, *, depth: bool = False, mask: bool = False
    ) -> Iterator[Picture]:
        """Yield what `camera` sees at each of N steps: its frames (N, 4, 4), and those of the pieces (N, P, 4, 4)."""
        for at, pieces in zip(camera_frames, frames, strict=True):
            yield self.draw(camera, at, pieces, depth=depth, mask=mask)

    def close(self) -> None:
        """Stop the engine."""
        if self._client is not None:
            self._client.disconnect()
            self._client = None

    def _load(self, mesh: Mesh) -> int:
        red, green, blue = np.sqrt(mesh.colours[0]).tolist()
        shape = self._client.createVisualShape(
            pybullet.GEOM_MESH,
            vertices=mesh.positions.tolist(),
            indices=mesh.triangles.ravel().tolist(),
            normals=mesh.normals.tolist(),
            rgbaColor=[red, green, blue, 1.0],
        )
        return int(self._client.createMultiBody(0.0, baseVisualShapeIndex=shape))

    def _mask(self, seen: NDArray[np.int64]) -> NDArray[np.uint16]:
        numbers = np.zeros(max(self._numbers) + 2, np.uint16)
        for body, number in self._numbers.items():
            numbers[body] = number + 1
        return numbers[np.where(seen < 0, len(numbers) - 1, seen)]


def _by_colour(mesh: Mesh) -> list[Mesh]:
    """Return the mesh in parts of one colour each."""
    colours, of_vertex = np.unique(mesh.colours, axis=0, return_inverse=True)
    parts = []
    for number in range(len(colours)):
        triangles = mesh.triangles[(of_vertex.ravel()[mesh.triangles] == number).all(axis=1)]
        used, index = np.unique(triangles, return_inverse=True)
        parts.append(
            Mesh(mesh.positions[used], mesh.normals[used], mesh.colours[used], index.reshape(-1, 3).astype(np.int32))
        )
    return parts


def _metres(found: Floats, camera: Camera) -> Floats:
    near, far = camera.near_m, camera.far_m
    metres = near * far / (far - (far - near) * found.astype(np.float64))
    return np.where(found < 1.0, metres, np.inf).astype(np.float32)
