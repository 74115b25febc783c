"""Whether an episode's pictures are what its file says of them: in order, within the episode, keys as said, decodable.

What they show is the word of the robot's host.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import numpy as np

from recorder.file.apart import PictureTooCostlyError, viewer
from recorder.file.episode import Episode
from recorder.file.layout import camera_path
from recorder.pictures.channel import Pictures
from recorder.pictures.cost import DECODING_NS_MAX, needed_ns
from recorder.pictures.errors import PictureError
from teleop.cameras.film import Mark, Trouble

FASTEST: Final = 2.0
"""How much faster than its rate a camera may be."""
MORE: Final = 600
"""How many more pictures there may be than that gives: those before the first observation, from the last key on."""
_MARKS: Final = int(Mark.FROZEN | Mark.BLACK | Mark.LATE)
Look = Callable[[Sequence[Pictures]], None]
"""Decodes every picture of an episode's cameras; raises PictureError."""


def problem(episode: Episode, look: Look | None = None) -> str | None:
    """Return what is wrong with an episode's pictures, or None. `look` decodes them, in a process of its own."""
    decode = viewer().look if look is None else look
    found = episode.pictures
    for name, pictures in found.items():
        if says := _order(episode, name) or _amount(episode, pictures) or _events(episode, name):
            return f"{name}: {says}"
    try:
        require_decodable(found.values())
        decode([*found.values()])
    except PictureError as error:
        return f"{type(error).__name__}: {error}"
    return None


def require_decodable(cameras: Iterable[Pictures]) -> None:
    """Raise PictureTooCostlyError if all cameras together have more pictures than a hub decodes of one episode.

    How many each has follows from its rate and the episode's duration by then, its size is what the hub was told.
    """
    found = [*cameras]
    if (takes_ns := needed_ns(found)) > DECODING_NS_MAX:
        count, takes_s, most_s = sum(map(len, found)), takes_ns // 10**9, DECODING_NS_MAX // 10**9
        raise PictureTooCostlyError(
            f"to decode {count} pictures of {len(found)} cameras takes about {takes_s} s of a processor, and those of "
            f"one episode may take {most_s} s: record for less long, or fewer, smaller or slower cameras"
        )


def _order(episode: Episode, name: str) -> str | None:
    """Say what is wrong with the times, keys and marks of a camera's pictures."""
    kinds = "t_captured_mono_ns", "t_arrived_mono_ns", "key", "marks"
    captured, arrived, key, marks = (episode.arrays[camera_path(name, kind)] for kind in kinds)
    if len(back := np.flatnonzero(captured[1:] <= captured[:-1])):
        return f"picture {int(back[0]) + 1} was taken no later than the one before it"
    if len(back := np.flatnonzero(arrived[1:] < arrived[:-1])):
        return f"picture {int(back[0]) + 1} arrived before the one before it"
    if int(key.max(initial=0)) > 1 or int(marks.max(initial=0)) > _MARKS:
        return f"expected keys of 0 or 1, and marks up to {_MARKS}, got {key.max()} and {marks.max()}"
    if len(key) and not key[0]:
        return "expected the first picture to be a key"
    first_ns, last_ns = int(episode.t_observed_ns[0]), int(episode.t_observed_ns[-1])
    if len(captured) and int(captured[-1]) > last_ns:
        return "expected no picture from after the last observation"
    before = int(np.searchsorted(captured, first_ns, side="right"))
    if key[1:before].any():
        return "expected the pictures from before the first observation to begin with the last key"
    return None


def _amount(episode: Episode, pictures: Pictures) -> str | None:
    """Say whether there are more pictures than a camera of this rate gives in the time."""
    seconds = int(episode.t_observed_ns[-1] - episode.t_observed_ns[0]) * 1e-9
    most = MORE + FASTEST * pictures.fps * seconds
    if len(pictures) <= most:
        return None
    return f"{len(pictures)} pictures in {seconds:.1f} s, from a camera of {pictures.fps:g} pictures a second"


def _events(episode: Episode, name: str) -> str | None:
    """Say what is wrong with a camera's events."""
    events = episode.arrays[camera_path(name, "events")]
    if int(events["trouble"].max(initial=0)) > max(Trouble):
        return f"expected troubles up to {max(Trouble)}, got {events['trouble'].max()}"
    if (events["t_from_ns"] > events["t_to_ns"]).any() or (np.diff(events["t_from_ns"]) < 0).any():
        return "expected events that begin before they end, in order of their beginning"
    seen = episode.t_observed_ns
    if (events["t_to_ns"] < seen[0]).any() or (events["t_from_ns"] > seen[-1]).any():
        return "expected events of the time of the episode"
    return None
