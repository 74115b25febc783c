"""`armshare render` and `armshare sim gallery`: pictures of episodes and of all that can be simulated, as files."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from armshare.failures import PlatformError
from armshare.researcher.checks import episode_in
from recorder.export.drawn import draw_view
from recorder.file.episode import Episode
from recorder.pictures.cache import PictureCache
from recorder.pictures.channel import Pictures
from recorder.pictures.drawn import NOTHING, Drawn, View
from recorder.pictures.encoded import OddSizeError, Plane
from recorder.pictures.mp4 import Mp4Files
from sim.catalogue import make_world, pairs, task
from sim.check import drive
from sim.pictures.picture import Picture, Renderer
from sim.pictures.render import open_renderer, render_scene_of
from sim.pictures.render_scene import RenderScene
from sim.scene import Camera

GALLERY_SEED: Final = 7
_FINE: Final = 2
"""Gallery pictures are drawn this many times larger and then scaled down, so that edges are smooth."""
_WIDE, _HIGH = 640, 480
_QUALITY: Final = 88
_WHEN: Final = 0.6
"""The part of a scripted drive after which its picture is taken."""
_SHEET_COLUMNS: Final = 4


def render_episode(
    folder: Path,
    view: View,
    target: Path,
    *,
    depth: bool = False,
    mask: bool = False,
    kept: PictureCache | None = None,
    executor: Executor | None = None,
) -> None:
    """Write a video of one camera below `target`, its geometry as JSON, and depth and masks as PNG.

    What was drawn before, for an export or a data set too, is not drawn again. Raises an EpisodeError, OddSizeError or
    what `recorder.export.drawn.draw_view` raises, before anything is written.
    """
    if view.width % 2 or view.height % 2:
        size = f"{view.width}x{view.height}"
        raise OddSizeError(f"A video needs an even width and height, and {size} is not. Change --size.")
    episode = episode_in(folder)
    planes = [Plane.COLOUR, *([Plane.DEPTH] if depth else []), *([Plane.MASK] if mask else [])]
    drawn = {plane: draw_view(episode, replace(view, plane=plane), kept=kept, executor=executor) for plane in planes}
    _make(target)
    _write_video(target / f"{view.camera}.mp4", drawn[Plane.COLOUR].pictures)
    for plane in planes[1:]:
        _write_images(target / f"{view.camera}-{plane}", drawn[plane].pictures)
    geometry = json.dumps(_geometry(view, episode, drawn[Plane.COLOUR]), indent=1)
    (target / f"{view.camera}.json").write_text(geometry + "\n")


def _write_video(path: Path, pictures: Pictures) -> None:
    """Write pictures as they are kept, one to a frame."""
    files = Mp4Files(lambda _: path, Fraction(pictures.fps).limit_denominator(1000), bytes_max=sys.maxsize)
    try:
        files.add(pictures, np.arange(len(pictures)))
    finally:
        files.close()


def _write_images(folder: Path, pictures: Pictures) -> None:
    """Write each picture as it is kept, a PNG."""
    _make(folder)
    for number in range(len(pictures)):
        (folder / f"{number:06d}.png").write_bytes(pictures.encoded(number))


def _geometry(view: View, episode: Episode, drawn: Drawn) -> dict[str, Any]:
    meta = episode.meta
    pieces = render_scene_of(meta.robot.model, meta.task.name, meta.seed, view.height).pieces
    return {
        "episode": meta.episode,
        "camera": view.camera,
        "width": view.width,
        "height": view.height,
        "renderer": drawn.renderer,
        "intrinsics": drawn.geometry.intrinsics.tolist(),
        "mask_names": [NOTHING, *(piece.name for piece in pieces)],
        "t_observed_mono_ns": [str(t_ns) for t_ns in episode.t_observed_ns.tolist()],
        "extrinsics": drawn.geometry.extrinsics.tolist(),
    }


def gallery(target: Path, executor: Executor) -> Iterator[tuple[str, str]]:
    """Write `TASK-ROBOT.jpg` for every pair and a sheet of all tasks, `all.jpg`; yield each pair as it is drawn."""
    _make(target)
    found: dict[tuple[str, str], Any] = {}
    for pair, picture in zip(pairs(), executor.map(_posed, pairs()), strict=True):
        _write(target / f"{pair[1]}-{pair[0]}.jpg", picture[:, :, ::-1])
        found[pair] = picture
        yield pair
    firsts = [(task(name).robots[0], name) for name in dict.fromkeys(name for _, name in pairs())]
    _write(target / "all.jpg", _sheet([found[pair] for pair in firsts])[:, :, ::-1])


def _posed(pair: tuple[str, str]) -> Any:
    """Return (H, W, 3): a scripted drive, some way into it."""
    states = driven(pair)
    seen = states[int(_WHEN * (len(states) - 1))]
    render_scene = render_scene_of(*pair, GALLERY_SEED)
    renderer = open_renderer(render_scene, _FINE * _WIDE, _FINE * _HIGH)
    pictures = [drawn(renderer, render_scene, camera, seen, mask=True) for camera in standing(render_scene)]
    renderer.close()
    best = max(pictures, key=lambda picture: of_interest(render_scene, picture))
    return cv2.resize(best.rgb, (_WIDE, _HIGH), interpolation=cv2.INTER_AREA)


def driven(pair: tuple[str, str]) -> list[dict[str, Any]]:
    """Return what was seen in a scripted drive, from its first state to its success: arrays by name, each (1, ...)."""
    world = make_world(*pair)
    world.connect()
    states = [world.reset(GALLERY_SEED), *(seen for _, seen in drive(world, GALLERY_SEED))]
    world.disconnect()
    return [{name: value[np.newaxis] for name, value in state.values.items()} for state in states]


def standing(render_scene: RenderScene) -> list[Camera]:
    """Return the cameras that no link carries."""
    return [camera for camera in render_scene.scene.cameras if camera.link is None]


def drawn(
    renderer: Renderer, render_scene: RenderScene, camera: Camera, seen: dict[str, Any], *, mask: bool = False
) -> Picture:
    """Return what a camera sees of one state."""
    at, frames = render_scene.camera_frames(camera, seen)[0], render_scene.frames(seen)[0]
    return renderer.draw(camera, at, frames, mask=mask)


def of_interest(render_scene: RenderScene, picture: Picture) -> int:
    """Return how many pixels show what the task is about."""
    things = {1 + number for number, piece in enumerate(render_scene.pieces) if piece.moves} - _links(render_scene)
    return int(np.isin(np.asarray(picture.mask), list(things)).sum())


def _links(render_scene: RenderScene) -> set[int]:
    """Return the masks' numbers of the robot's links."""
    bodies = {body.name for body in render_scene.scene.bodies}
    return {1 + number for number, piece in enumerate(render_scene.pieces) if piece.name not in bodies}


def _sheet(pictures: Sequence[Any]) -> Any:
    """Return the pictures at half their size, in rows."""
    small = [cv2.resize(picture, (_WIDE // 2, _HIGH // 2), interpolation=cv2.INTER_AREA) for picture in pictures]
    small += [np.full_like(small[0], 255)] * (-len(small) % _SHEET_COLUMNS)
    rows = [np.hstack(small[first : first + _SHEET_COLUMNS]) for first in range(0, len(small), _SHEET_COLUMNS)]
    return np.vstack(rows)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PlatformError(
            f"Nothing can be written into {folder} ({error.strerror}). Name another folder with --to."
        ) from error


def _write(path: Path, pixels: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    quality = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY] if path.suffix == ".jpg" else []
    if not cv2.imwrite(str(path), pixels, quality):
        raise PlatformError(f"{path} could not be written. Is the disk full? Name another folder with --to.")
