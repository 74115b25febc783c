"""What a data set shows: cameras that recorded, or views of a simulation that are drawn when they are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor

from recorder.dataset.errors import NoCameraError
from recorder.export.drawn import draw_view
from recorder.file.episode import Episode
from recorder.pictures.cache import PictureCache
from recorder.pictures.channel import Pictures
from recorder.pictures.drawn import View
from sim.words import listed

Wanted = str | View
"""The name of a camera that recorded, or a view of a simulated episode."""
Cameras = Sequence[str] | Mapping[str, Wanted | Sequence[Wanted]]


def cameras_of(cameras: Cameras, first: Episode) -> dict[str, tuple[Wanted, ...]]:
    """Return the name of each -> what it may show; raise NoCameraError, or what drawing raises."""
    if isinstance(cameras, str):
        raise NoCameraError(f"cameras is a list of names, such as [{cameras!r}], or a mapping.")
    named = cameras if isinstance(cameras, Mapping) else {name: name for name in cameras}
    found = {}
    for name, shown in named.items():
        choices = (shown,) if isinstance(shown, str | View) else tuple(shown)
        if not choices:
            raise NoCameraError(f"cameras has nothing for {name!r}: name a camera, or a View.")
        found[name] = tuple(meant(one, first) for one in choices)
    return found


def pictures_of(episode: Episode, wanted: Wanted, kept: PictureCache, executor: Executor | None = None) -> Pictures:
    """Return the pictures of a camera; raise NoCameraError, or what drawing raises."""
    if isinstance(wanted, View):
        return draw_view(episode, wanted, kept=kept, executor=executor).pictures
    seen = episode.pictures
    if wanted not in seen or not len(seen[wanted]):
        raise NoCameraError(f"{episode.meta.episode} has no pictures of {wanted!r}. It has some of {listed(seen)}.")
    return seen[wanted]


def meant(wanted: Wanted, first: Episode) -> Wanted:
    """Return what is meant, a simulation's view by its camera's name; raise NoCameraError if no episode can have it."""
    if first.drawn:
        return View(wanted) if isinstance(wanted, str) else wanted
    if isinstance(wanted, View):
        raise NoCameraError(
            f"{_who(first)}, so nothing can be drawn: name one of its cameras, which are {listed(first.pictures)}."
        )
    if wanted not in first.pictures:
        raise NoCameraError(f"{first.meta.episode} has no camera {wanted!r}. It has {listed(first.pictures)}.")
    return wanted


def _who(first: Episode) -> str:
    """Say why an episode has cameras that recorded."""
    if first.meta.origin is not None:
        return f"{first.meta.episode} was imported with its pictures"
    return f"{first.meta.robot.name} is a real robot"
