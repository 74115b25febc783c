"""`armshare render` and `armshare sim gallery`: pictures of episodes and of all that can be simulated, as files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from armshare.failures import PlatformError
from armshare.researcher import episode_in
from recorder.file.episode import Episode
from sim.catalogue import make_world, pairs, task
from sim.check import drive
from sim.pictures.picture import Picture, Renderer
from sim.pictures.render import Shot, open_renderer, render, render_scene_of, require
from sim.pictures.render_scene import RenderScene
from sim.robot import RobotError
from sim.scene import Camera

GALLERY_SEED: Final = 7
_FINE: Final = 2
"""Gallery pictures are drawn this many times larger and then scaled down, so that edges are smooth."""
_WIDE, _HIGH = 640, 480
_QUALITY: Final = 88
_WHEN: Final = 0.6
"""The part of a scripted drive after which its picture is taken."""
_SHEET_COLUMNS: Final = 4


class OddSizeError(RobotError):
    """A video needs an even width and height: its colours are stored for two pixels at a time, each way."""


class NotSimulatedError(RobotError):
    """An episode of a real robot has no scene to draw."""


def render_episode(folder: Path, shot: dict[str, Any], target: Path, executor: Executor) -> Iterator[int]:
    """Write a video of one camera below `target`, its geometry as JSON, and depth and masks as PNG; yield each frame.

    `shot` has the camera's name, width, height, depth and mask. Raises an EpisodeError, NotSimulatedError, OddSizeError
    or what `sim.pictures.render.render` raises, before anything is written.
    """
    import av

    episode = episode_in(folder)
    meta = episode.meta
    if not meta.robot.simulated:
        raise NotSimulatedError(f"{meta.robot.name} is a real robot: its episodes hold no scene that could be drawn.")
    wanted = Shot(meta.robot.model, meta.task.name, meta.seed, **shot)
    if wanted.width % 2 or wanted.height % 2:
        raise OddSizeError(
            f"A video needs an even width and height, and {wanted.width}x{wanted.height} is not. Change --size."
        )
    require(wanted, episode.observations)
    _make(target)
    rate = Fraction(meta.spec.control_hz).limit_denominator(1000)
    last: Picture | None = None
    extrinsics = []
    with av.open(str(target / f"{wanted.camera}.mp4"), "w") as file:
        stream = file.add_stream("libx264", rate=rate, options={"crf": "18"})
        stream.width, stream.height, stream.pix_fmt = wanted.width, wanted.height, "yuv420p"
        for number, picture in enumerate(render(wanted, episode.observations, executor)):
            last = picture
            extrinsics.append(picture.extrinsics.tolist())
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture.rgb, format="rgb24")))
            _write_planes(target, wanted.camera, number, picture)
            yield number
        file.mux(stream.encode(None))
    assert last is not None, "an episode has at least one state"
    geometry = _geometry(wanted, episode, last, extrinsics)
    (target / f"{wanted.camera}.json").write_text(json.dumps(geometry, indent=1) + "\n")


def _geometry(shot: Shot, episode: Episode, picture: Picture, extrinsics: list[Any]) -> dict[str, Any]:
    pieces = render_scene_of(shot.robot, shot.task, shot.seed, shot.height).pieces
    return {
        "episode": episode.meta.episode,
        "camera": shot.camera,
        "width": shot.width,
        "height": shot.height,
        "renderer": picture.renderer,
        "intrinsics": picture.intrinsics.tolist(),
        "mask_names": ["nothing", *(piece.name for piece in pieces)],
        "t_observed_mono_ns": [str(t_ns) for t_ns in episode.t_observed_ns.tolist()],
        "extrinsics": extrinsics,
    }


def _write_planes(target: Path, camera: str, number: int, picture: Picture) -> None:
    """Write depth in millimetres (0 where there is nothing, or beyond 65 m) and the mask as 16-bit PNG."""
    if picture.depth is not None:
        millimetres = np.where(picture.depth < 65.0, np.round(1000.0 * picture.depth), 0.0).astype(np.uint16)
        _write(target / f"{camera}-depth" / f"{number:06d}.png", millimetres)
    if picture.mask is not None:
        _write(target / f"{camera}-mask" / f"{number:06d}.png", picture.mask)


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
