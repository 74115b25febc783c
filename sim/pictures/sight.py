"""What cameras see of a world while it is driven: drawn from the state, exactly as an export draws a recorded episode.

Part of sim; exports `Sight` and the names that a policy's pictures have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from sim.pictures.picture import DEPTH_UNIT_M, Picture, Renderer, depth_units
from sim.pictures.render import open_renderer, require_size
from sim.pictures.render_scene import RenderScene, camera_named
from sim.robot import RobotError, RobotSpec, Vector
from sim.scene import Scene

DEPTH_SUFFIX: Final = "_depth"
"""`front_depth` is the depth that `front` sees."""


class DrawableWorld(Protocol):
    """What can be drawn: a connected world."""

    @property
    def spec(self) -> RobotSpec:
        """Its robot's spec."""

    @property
    def scene(self) -> Scene:
        """What surrounds the robot in this episode."""


class NameTakenError(RobotError):
    """An array of the robot has the name that a camera's pictures would have."""


@dataclass(frozen=True, slots=True)
class Eye:
    """One camera that a policy asked for."""

    camera: str
    depth: bool

    @property
    def name(self) -> str:
        """What its pictures are called among the observations, which is what the robomimic export calls them."""
        return f"{self.camera}_depth" if self.depth else f"{self.camera}_image"


def eye_of(asked: str) -> Eye:
    """Return what is meant by a camera's name, with or without `_depth`."""
    return Eye(asked.removesuffix(DEPTH_SUFFIX), asked.endswith(DEPTH_SUFFIX))


class Sight:
    """The cameras of one world, in one size. It draws in the thread that asks; `close` frees the renderer."""

    def __init__(self, world: DrawableWorld, width: int, height: int, asked: Sequence[str] = ()) -> None:
        """Raise UnknownCameraError, PictureSizeError or NameTakenError if that cannot be drawn."""
        self._world, self._size = world, (width, height)
        self.eyes: Final = tuple(eye_of(one) for one in dict.fromkeys(asked))
        self._renderer: Renderer | None = None
        self._drawn_seed = -1
        require_size(width, height)
        taken = {array.name for array in world.spec.observation}
        for eye in self.eyes:
            camera_named(world.scene, eye.camera)
            if eye.name in taken:
                raise NameTakenError(
                    f"The robot has an array {eye.name!r}, so its camera {eye.camera!r} cannot be seen."
                )

    def shape(self, eye: Eye) -> tuple[int, int, int]:
        """Return the shape of one of its pictures."""
        width, height = self._size
        return height, width, 1 if eye.depth else 3

    def look(self, seed: int, seen: Mapping[str, Vector]) -> dict[str, NDArray[Any]]:
        """Return what each eye sees of a state of the episode with that seed.

        Colours are (H, W, 3) uint8; depth is (H, W, 1) float32, in metres, 0 for nothing.
        """
        found: dict[str, NDArray[Any]] = {}
        for eye in self.eyes:
            picture = self.draw(seed, seen, eye.camera, depth=eye.depth)
            found[eye.name] = picture.rgb if picture.depth is None else _told(picture.depth)
        return found

    def draw(self, seed: int, seen: Mapping[str, Vector], camera: str, *, depth: bool = False) -> Picture:
        """Return what a camera sees of a state."""
        renderer = self._opened(seed)
        found, states = self._scene.camera(camera), {name: value[None] for name, value in seen.items()}
        at, frames = self._scene.camera_frames(found, states)[0], self._scene.frames(states)[0]
        return renderer.draw(found, at, frames, depth=depth)

    def close(self) -> None:
        """Free what it holds. Idempotent."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def _opened(self, seed: int) -> Renderer:
        """Return the renderer of this episode's scene."""
        if self._renderer is None or self._drawn_seed != seed:
            self.close()
            width, height = self._size
            self._scene = RenderScene(self._world.spec, self._world.scene, height)
            self._renderer, self._drawn_seed = open_renderer(self._scene, width, height), seed
        return self._renderer


def _told(depth: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (H, W, 1): depth as a recording of it is read, so that a policy is judged on what it was trained on."""
    told: NDArray[np.float32] = (depth_units(depth).astype(np.float32) * np.float32(DEPTH_UNIT_M))[..., None]
    return told
