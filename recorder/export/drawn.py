"""Pictures of a simulated episode, for whoever exports or reads it: from any camera, in any size and light."""

from __future__ import annotations

from concurrent.futures import Executor

from recorder.file.episode import Episode
from recorder.pictures import drawn
from recorder.pictures.cache import PictureCache
from recorder.pictures.channel import PictureCodec, Pictures
from recorder.pictures.drawn import Drawn, Recorded, View
from recorder.pictures.encoded import Plane
from sim.pictures.light import ROOM, Lighting
from sim.robot import RobotError


class NotSimulatedError(RobotError):
    """An episode of a real robot has no scene to draw."""


def draw(
    episode: Episode,
    camera: str,
    width: int = 640,
    height: int = 480,
    *,
    light: Lighting = ROOM,
    plane: Plane = Plane.COLOUR,
    codec: PictureCodec | None = None,
) -> Pictures:
    """Return what a camera would have seen in each of the N+1 states, drawn now or kept from an earlier time.

    Raises NotSimulatedError, and what `recorder.pictures.drawn.draw` raises.
    """
    return draw_view(episode, View(camera, width, height, light, plane, codec)).pictures


def draw_view(
    episode: Episode, view: View, *, kept: PictureCache | None = None, executor: Executor | None = None
) -> Drawn:
    """Return the same with the pictures' geometry."""
    return drawn.draw(recorded(episode), view, kept=kept, executor=executor)


def recorded(episode: Episode) -> Recorded:
    """Return what an episode's pictures follow from; raise NotSimulatedError."""
    meta = episode.meta
    if not meta.robot.simulated:
        raise NotSimulatedError(f"{meta.robot.name} is a real robot: its episodes hold no scene that could be drawn.")
    return Recorded(
        meta.robot.model, meta.task.name, meta.seed, meta.spec.control_hz, episode.observations, episode.t_observed_ns
    )
