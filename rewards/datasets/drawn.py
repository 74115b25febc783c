"""Statistics of what the cameras of simulated robots see: of a few small pictures of a few episodes of a version.

Drawing costs much more than reading, and colours do not need many pictures: those of the episodes with the lowest
hashes are drawn, so that whoever makes a card again draws the same.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from rewards.datasets.facts import Numbers

if TYPE_CHECKING:
    from recorder.file.episode import Episode

EPISODES_MAX: Final = 8
"""Of a version."""
PICTURES: Final = 5
"""Of each camera, from the first observation to the last."""
SIZE: Final = (160, 120)
"""Width and height."""
CODEC: Final = "drawn"
"""What a card says instead of how a camera encodes."""


def chosen(episodes: Iterable[str]) -> frozenset[str]:
    """Return the episodes of a version whose pictures are looked at, if they are simulated."""
    return frozenset(heapq.nsmallest(EPISODES_MAX, episodes, key=lambda one: hashlib.sha256(one.encode()).digest()))


def drawn_of(episode: Episode) -> dict[str, Numbers]:
    """Return the statistics of what each camera of a simulated episode sees; of a robot that is unknown here, nothing.

    For a worker: it draws.
    """
    import numpy as np

    from recorder.export.statistics import of_values
    from rewards.datasets.facts import numbers_of
    from sim.pictures.render import open_renderer, render_scene_of
    from sim.robot import RobotError

    meta, (width, height) = episode.meta, SIZE
    if not meta.robot.simulated:
        return {}
    rows = np.round(np.linspace(0, episode.steps, PICTURES)).astype(np.intp)
    seen = {array: values[rows] for array, values in episode.observations.items()}
    found = {}
    try:
        scene = render_scene_of(meta.robot.model, meta.task.name, meta.seed, height)
        renderer = open_renderer(scene, width, height)
    except RobotError:
        return {}
    try:
        frames = scene.frames(seen)
        for camera in scene.scene.cameras:
            pictures = renderer.sequence(camera, scene.camera_frames(camera, seen), frames)
            pixels = np.concatenate([picture.rgb.reshape(-1, 3) for picture in pictures])
            found[camera.name] = numbers_of(of_values(pixels / 255.0) | {"count": np.array([PICTURES])})
    except RobotError:
        return {}
    finally:
        renderer.close()
    return found
