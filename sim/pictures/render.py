"""Pictures of an episode after the fact: any camera, at any size, from the recorded states alone.

Exports `Shot`, `render`, `render_as` and `open_renderer`. Frames are drawn by the workers of any `concurrent.futures`
executor; each keeps its renderer, scene and meshes from one batch to the next.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from typing import Final, TypeVar

import structlog

from sim.catalogue import description, require_pair, task
from sim.description import RobotDescription
from sim.pictures.light import ROOM, Lighting, lit
from sim.pictures.picture import Picture, Renderer
from sim.pictures.render_scene import RenderScene
from sim.processes import end_with_parent
from sim.robot import RobotError, RobotSpec, Vector
from sim.scene import Scene
from sim.tasks.parts.setting import setting

SIZE_MAX: Final = 4096
BATCH: Final = 24
"""How many frames a worker draws at a time."""
_log = structlog.get_logger()
Made = TypeVar("Made")


class PictureSizeError(RobotError):
    """A picture of that size cannot be drawn."""


class StatesMissingError(RobotError):
    """The states do not say where everything is."""


@dataclass(frozen=True, slots=True)
class Shot:
    """Which pictures of which episode."""

    robot: str
    task: str
    seed: int
    camera: str
    width: int = 640
    height: int = 480
    depth: bool = False
    mask: bool = False
    light: Lighting = ROOM


def render(shot: Shot, seen: Mapping[str, Vector], executor: Executor) -> Iterator[Picture]:
    """Yield a picture of each of N states, in order, from the observation arrays `seen` (N, ...).

    Raises UnknownRobotError, UnknownTaskError, UnknownCameraError, PictureSizeError or StatesMissingError before
    anything is drawn. At most a few batches are held at once.
    """
    for pictures in render_as(shot, seen, executor, _as_they_are):
        yield from pictures


def render_as(
    shot: Shot, seen: Mapping[str, Vector], executor: Executor, make: Callable[[list[Picture]], Made]
) -> Iterator[Made]:
    """Yield what `make` makes of each `BATCH` pictures, in order; the worker that draws them calls it.

    So pictures that are encoded do not have to come from the worker first. Raises what `render` raises.
    """
    require(shot, seen)
    steps = len(seen["joint_position"])
    waiting: deque[Future[Made]] = deque()
    for first in range(0, steps, BATCH):
        batch = {name: array[first : first + BATCH] for name, array in seen.items()}
        waiting.append(executor.submit(_made, shot, batch, make))
        if len(waiting) > 2 * (getattr(executor, "width", 0) or os.cpu_count() or 1):
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def workers(count: int | None = None) -> ProcessPoolExecutor:
    """Return processes that draw, one per core, or `count`."""
    count = count or os.cpu_count() or 1
    fresh = multiprocessing.get_context("spawn")  # a forked OpenGL context cannot be used
    return ProcessPoolExecutor(count, fresh, _share_cores, (count,))


def scene_of(robot: str, task_name: str, seed: int, light: Lighting = ROOM) -> Scene:
    """Return what surrounds the robot in the episode with that seed, in that light."""
    require_pair(robot, task_name)
    scene = setting(description(robot), task(task_name), seed)
    return replace(scene, light=lit(scene.light, light))


def render_scene_of(
    robot: str, task_name: str, seed: int, height: int | None = None, light: Lighting = ROOM
) -> RenderScene:
    """Return what is drawn for the episode with that seed, in pictures of that height (None: unsimplified)."""
    return RenderScene(_spec(description(robot)), scene_of(robot, task_name, seed, light), height)


def renderer_name() -> str:
    """Return the name of the renderer that works here, as every picture says it."""
    from sim.pictures import gl

    try:
        return gl.name(gl.context())
    except gl.NoOpenGlError:
        from sim.pictures.tiny import NAME

        return NAME


def open_renderer(render_scene: RenderScene, width: int, height: int) -> Renderer:
    """Return the best renderer that works here; `name` and every picture say which. Raises PictureSizeError."""
    require_size(width, height)
    from sim.pictures.gl import GlRenderer, NoOpenGlError

    try:
        return GlRenderer(render_scene, width, height)
    except NoOpenGlError as error:
        from sim.pictures.tiny import TinyRenderer

        _log.warning("render.without_opengl", reason=str(error), instead="PyBullet TinyRenderer, many times slower")
        return TinyRenderer(render_scene, width, height)


def require_size(width: int, height: int) -> None:
    """Raise PictureSizeError for a size that cannot be drawn."""
    if not (1 <= width <= SIZE_MAX and 1 <= height <= SIZE_MAX):
        raise PictureSizeError(f"A picture has 1 to {SIZE_MAX} pixels a side, and {width}x{height} is not within that.")


def require(shot: Shot, seen: Mapping[str, Vector]) -> None:
    """Raise what `render` raises if the pictures cannot be drawn."""
    render_scene = render_scene_of(shot.robot, shot.task, shot.seed, shot.height, shot.light)
    render_scene.camera(shot.camera)
    require_size(shot.width, shot.height)
    missing = [name for name in render_scene.needs if name not in seen]
    if missing:
        raise StatesMissingError(
            f"expected the arrays {', '.join(render_scene.needs)}, got none of {', '.join(missing)}"
        )


def _made(shot: Shot, seen: Mapping[str, Vector], make: Callable[[list[Picture]], Made]) -> Made:
    render_scene, renderer = _studio().painter(shot)
    camera = render_scene.camera(shot.camera)
    at, frames = render_scene.camera_frames(camera, seen), render_scene.frames(seen)
    return make(list(renderer.sequence(camera, at, frames, depth=shot.depth, mask=shot.mask)))


def _as_they_are(pictures: list[Picture]) -> list[Picture]:
    return pictures


class _Studio(threading.local):
    """The renderer that this thread has open: one, for the newest scene, size and light."""

    def __init__(self) -> None:
        self._of: tuple[object, ...] = ()
        self._open: tuple[RenderScene, Renderer] | None = None

    def painter(self, shot: Shot) -> tuple[RenderScene, Renderer]:
        """Return the scene of a shot, and what draws it."""
        wanted = shot.robot, shot.task, shot.seed, shot.width, shot.height, shot.light
        if self._open is not None and self._of == wanted:
            return self._open
        if self._open is not None:
            self._open[1].close()
            self._open = None
        render_scene = render_scene_of(shot.robot, shot.task, shot.seed, shot.height, shot.light)
        self._of, self._open = wanted, (render_scene, open_renderer(render_scene, shot.width, shot.height))
        return self._open


@cache
def _studio() -> _Studio:
    return _Studio()


def _spec(robot: RobotDescription) -> RobotSpec:
    return robot.spec(robot.exact_arrays, simulated=True, control_hz=1.0)


def _share_cores(workers: int) -> None:
    """Let llvmpipe use the cores left over for each worker, which ends with whoever started it."""
    end_with_parent()
    spare = max((os.cpu_count() or 1) // workers - 1, 0)
    os.environ.setdefault("LP_NUM_THREADS", str(spare))
