"""What a host's cameras see: a simulated one draws the newest state, a real one is read by OpenCV.

Both are asked in the same way (`Source`), in the camera process (`process.py`), and only while someone looks.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import cv2
import numpy as np
import structlog

from sim.pictures.picture import Pixels, Renderer
from sim.pictures.render import open_renderer, render_scene_of
from sim.pictures.render_scene import RenderScene
from sim.robot import Vector
from teleop.cameras.spec import CameraError, CameraSpec
from teleop.wire.messages import State

_log = structlog.get_logger()
_RETRY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Sight:
    """What a camera saw."""

    rgb: Pixels
    """(H, W, 3) uint8."""
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
        return Sight(picture.rgb, state.t_host_us, state.seq)

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


class CaptureSource:
    """A real camera, read in a thread of its own so that only the newest picture is kept."""

    def __init__(self, spec: CameraSpec, news: Callable[[], None]) -> None:
        """`news` is called from the thread for each picture."""
        self._spec, self._news = spec, news
        self._newest: Sight | None = None
        self._closed = threading.Event()
        self.number = 0
        self._thread = threading.Thread(target=self._read, name=f"camera {spec.name}", daemon=True)
        self._thread.start()

    def look(self) -> Sight:
        """Return the newest picture."""
        if self._newest is None:
            raise CameraError(f"expected a picture of {self._spec.name}, got none yet")
        return self._newest

    def close(self) -> None:
        """Release the device."""
        self._closed.set()
        self._thread.join(_RETRY_S + 1.0)

    def _read(self) -> None:
        while not self._closed.is_set():
            device = self._spec.device
            capture = cv2.VideoCapture(int(device) if device.isdecimal() else device)
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, self._spec.width)
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, self._spec.height)
            capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
            if not capture.isOpened():
                _log.warning("camera not opened; trying again", camera=self._spec.name, device=device)
                self._closed.wait(_RETRY_S)
                continue
            self._take(capture, film=Path(device).is_file())
            capture.release()

    def _take(self, capture: cv2.VideoCapture, *, film: bool) -> None:
        """Take pictures until there are no more, at most as many a second as described; a film plays at that rate."""
        period_s, due = 1.0 / self._spec.fps, time.monotonic()
        while not self._closed.is_set():
            if film:
                self._closed.wait(max(0.0, due - time.monotonic()))
            done, bgr = capture.read()
            now_ns = time.monotonic_ns()
            if not done:
                if not film:
                    _log.warning("camera gave no picture; opening it again", camera=self._spec.name)
                    self._closed.wait(_RETRY_S)
                return
            if now_ns / 1e9 < due - 0.5 * period_s:
                continue
            due = max(due + period_s, now_ns / 1e9)
            self._newest = Sight(self._fitted(bgr), now_ns // 1000, 0)
            self.number += 1
            self._news()

    def _fitted(self, bgr: Any) -> Pixels:
        """Return (H, W, 3) RGB of the size that was described: a device may deliver another."""
        size = (self._spec.width, self._spec.height)
        if bgr.shape[1::-1] != size:
            bgr = cv2.resize(bgr, size, interpolation=cv2.INTER_AREA)
        return np.ascontiguousarray(bgr[:, :, ::-1])
