"""Pictures of an episode after the fact: any camera, at any size, from the recorded states alone.

Exports `Shot`, `render` and `open_renderer`. Frames are drawn by the workers of any `concurrent.futures` executor; each
keeps its renderer, scene and meshes from one batch to the next.
"""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import structlog

from sim.catalogue import description, require_pair, task
from sim.description import RobotDescription
from sim.pictures.picture import Picture, Renderer
from sim.pictures.render_scene import RenderScene
from sim.processes import end_with_parent
from sim.robot import RobotError, RobotSpec, Vector
from sim.tasks.parts.setting import setting

SIZE_MAX: Final = 4096
_BATCH: Final = 25
"""How many frames a worker draws at a time."""
_log = structlog.get_logger()


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


def render(shot: Shot, seen: Mapping[str, Vector], executor: Executor) -> Iterator[Picture]:
    """Yield a picture of each of N states, in order, from the observation arrays `seen` (N, ...).

    Raises UnknownRobotError, UnknownTaskError, UnknownCameraError, PictureSizeError or StatesMissingError before
    anything is drawn. At most a few batches are held at once.
    """
    require(shot, seen)
    steps = len(seen["joint_position"])
    waiting: deque[Future[list[Picture]]] = deque()
    for first in range(0, steps, _BATCH):
        batch = {name: array[first : first + _BATCH] for name, array in seen.items()}
        waiting.append(executor.submit(_drawn, shot, batch))
        if len(waiting) > 2 * (os.cpu_count() or 1):
            yield from waiting.popleft().result()
    while waiting:
        yield from waiting.popleft().result()


def workers(count: int | None = None) -> ProcessPoolExecutor:
    """Return processes that draw, one per core, or `count`."""
    count = count or os.cpu_count() or 1
    fresh = multiprocessing.get_context("spawn")  # a forked OpenGL context cannot be used
    return ProcessPoolExecutor(count, fresh, _share_cores, (count,))


def render_scene_of(robot: str, task_name: str, seed: int, height: int | None = None) -> RenderScene:
    """Return what is drawn for the episode with that seed, in pictures of that height (None: unsimplified)."""
    require_pair(robot, task_name)
    scene = setting(description(robot), task(task_name), seed)
    return RenderScene(_spec(description(robot)), scene, height)


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
    render_scene = render_scene_of(shot.robot, shot.task, shot.seed, shot.height)
    render_scene.camera(shot.camera)
    require_size(shot.width, shot.height)
    missing = [name for name in render_scene.needs if name not in seen]
    if missing:
        raise StatesMissingError(
            f"expected the arrays {', '.join(render_scene.needs)}, got none of {', '.join(missing)}"
        )


def _drawn(shot: Shot, seen: Mapping[str, Vector]) -> list[Picture]:
    render_scene, renderer = _painter(shot.robot, shot.task, shot.seed, shot.width, shot.height)
    camera = render_scene.camera(shot.camera)
    at, frames = render_scene.camera_frames(camera, seen), render_scene.frames(seen)
    return list(renderer.sequence(camera, at, frames, depth=shot.depth, mask=shot.mask))


@lru_cache(maxsize=1)
def _painter(robot: str, task_name: str, seed: int, width: int, height: int) -> tuple[RenderScene, Renderer]:
    render_scene = render_scene_of(robot, task_name, seed, height)
    return render_scene, open_renderer(render_scene, width, height)


def _spec(robot: RobotDescription) -> RobotSpec:
    return robot.spec(robot.exact_arrays, simulated=True, control_hz=1.0)


def _share_cores(workers: int) -> None:
    """Let llvmpipe use the cores left over for each worker, which ends with whoever started it."""
    end_with_parent()
    spare = max((os.cpu_count() or 1) // workers - 1, 0)
    os.environ.setdefault("LP_NUM_THREADS", str(spare))
