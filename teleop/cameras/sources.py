"""What a host's cameras see: a simulated one draws the newest state, a real one (`capture.py`) is read by OpenCV.

Both are asked in the same way (`Source`), in the camera process (`process.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from sim.pictures.picture import Renderer
from sim.pictures.render import open_renderer, render_scene_of
from sim.pictures.render_scene import RenderScene
from sim.robot import Vector
from teleop.cameras.encoders import Image
from teleop.cameras.spec import CameraError, CameraSpec
from teleop.wire.messages import State


@dataclass(frozen=True, slots=True)
class Sight:
    """What a camera saw."""

    image: Image
    """(H, W, 3) uint8: blue, green, red."""
    t_us: int
    """The host's monotonic clock, microseconds."""
    state: int
    """The `seq` of the state that it shows; 0 if it does not show a state."""


class Source(Protocol):
    """One camera, while someone looks."""

    @property
    def number(self) -> int:
        """A count of the pictures so far; a new number means a new picture."""

    def look(self) -> Sight:
        """Return the newest."""

    def close(self) -> None:
        """Release the camera. Idempotent."""


class SimulatedScene:
    """The simulated scene, from the states that the host has published, shared by all of its cameras."""

    def __init__(self, robot: str) -> None:
        self._robot, self._task = robot, ""
        self._layout: Mapping[str, tuple[int, ...]] = {}
        self._seed: int | None = None
        self._render_scene: RenderScene | None = None
        self._renderers: dict[tuple[int, int], Renderer] = {}
        self._state: State | None = None
        self.number = 0

    def reset(self, task: str, layout: Mapping[str, tuple[int, ...]], seed: int | None) -> None:
        """Start another episode's scene, or another task, whose episode begins later: seed None.

        What was seen before is dropped. `layout`: the shapes of the observation's arrays, in the order of a state's
        values.
        """
        for renderer in self._renderers.values():
            renderer.close()
        self._renderers.clear()
        self._task, self._layout = task, layout
        self._seed, self._render_scene, self._state = seed, None, None

    def show(self, state: State) -> None:
        """Take note of the newest state."""
        self._state = state
        self.number += self._seed is not None

    def draw(self, camera: CameraSpec) -> Sight:
        """Draw what a camera sees of the newest state."""
        state, seed = self._state, self._seed
        if state is None or seed is None:
            raise CameraError("expected a state of an episode to draw, got none yet")
        if self._render_scene is None:
            self._render_scene = render_scene_of(self._robot, self._task, seed, camera.height)
        size = (camera.width, camera.height)
        if size not in self._renderers:
            self._renderers[size] = open_renderer(self._render_scene, *size)
        seen, scenes = self._seen(state), self._render_scene.camera(camera.name)
        at = self._render_scene.camera_frames(scenes, seen)[0]
        picture = self._renderers[size].draw(scenes, at, self._render_scene.frames(seen)[0])
        return Sight(np.asarray(cv2.cvtColor(picture.rgb, cv2.COLOR_RGB2BGR), np.uint8), state.t_host_us, state.seq)

    def _seen(self, state: State) -> dict[str, Vector]:
        seen, start = {}, 0
        for name, shape in self._layout.items():
            end = start + math.prod(shape)
            seen[name] = state.values[start:end].astype(np.float64).reshape(1, *shape)
            start = end
        return seen


class SimulatedSource:
    """A camera of the simulated scene."""

    def __init__(self, simulated: SimulatedScene, spec: CameraSpec) -> None:
        self._scene, self._spec = simulated, spec
        self._drawn: tuple[int, Sight] | None = None

    @property
    def number(self) -> int:
        """Counts the states."""
        return self._scene.number

    def look(self) -> Sight:
        """Draw the newest state, once."""
        if self._drawn is None or self._drawn[0] != self.number:
            self._drawn = (self.number, self._scene.draw(self._spec))
        return self._drawn[1]

    def close(self) -> None:
        """Forget what was drawn."""
        self._drawn = None
