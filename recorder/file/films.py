"""From a camera's film to its datasets: cut to the episode, and what is missing said as an event (FORMAT.md, 1.4)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recorder.file.layout import CAMERA_EVENTS_MAX, EVENT_TYPE, PICTURES_MAX, camera_path
from recorder.file.meta import CameraMeta, MetaError, camera_meta
from teleop.cameras.film import PICTURE_BYTES_MAX, Film, FilmError, FilmEvent, FilmPicture, Trouble, read_film

_TOGETHER: Final = 1024
"""How many pieces one call may write (IOV_MAX)."""
Span = tuple[int, int]
"""The times of an episode's first and last observation, ns."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """Bytes that lie in several places, one after the other."""

    parts: Sequence[bytes | memoryview]

    @property
    def nbytes(self) -> int:
        """How many they are together."""
        return sum(len(part) for part in self.parts)

    def write(self, descriptor: int, at: int) -> None:
        """Write them to an open file, from byte `at` on."""
        left = list(self.parts)
        while left:
            written = os.pwritev(descriptor, left[:_TOGETHER], at)
            at += written
            done = 0
            while done < len(left) and written >= len(left[done]):
                written -= len(left[done])
                done += 1
            del left[:done]
            if written:
                left[0] = memoryview(left[0])[written:]


@dataclass(frozen=True, slots=True)
class Footage:
    """What an episode has of one camera."""

    arrays: Mapping[str, NDArray[Any] | Pieces]
    """Dataset path -> values."""
    nbytes: int
    """How long its pictures are together."""


def read_footage(film: Path, name: str, camera: CameraMeta, span: Span, room_bytes: int) -> Footage:
    """Return what a film gives an episode, of at most `room_bytes`; raise FilmError or FileNotFoundError."""
    found = read_film(film)
    try:
        same = found.head.name == name and camera_meta(found.head) == camera
    except MetaError as error:
        raise FilmError(f"{film.name}: {error}") from error
    if not same:
        raise FilmError(f"{film.name}: expected the film of {name!r} as the episode began with it, got {found.head}")
    return _cut(found, name, camera, span, room_bytes)


def lost_footage(name: str, camera: CameraMeta, span: Span) -> Footage:
    """Return what an episode has of a camera without a film: nothing, and that it was lost."""
    return _footage(name, [], _missing(span[0], span, camera, Trouble.LOST))


def _cut(film: Film, name: str, camera: CameraMeta, span: Span, room_bytes: int) -> Footage:
    usable = _usable(film, room_bytes)
    captured = np.array([picture.t_captured_ns for picture in film.pictures[:usable]], np.int64)
    stop = int(np.searchsorted(captured, span[1], side="right"))
    first = max(0, int(np.searchsorted(captured[:stop], span[0], side="right")) - 1)
    keys = [index for index in range(stop) if film.pictures[index].key]
    start = max((key for key in keys if key <= first), default=min(keys, default=stop))
    events = [event for event in film.events if event.t_to_ns >= span[0] and event.t_from_ns <= span[1]]
    newest_ns = int(captured[stop - 1]) if stop > start else span[0]
    if stop == usable < len(film.pictures):
        events += _missing(newest_ns, span, camera, Trouble.DROPPED)
    elif stop == usable and not film.whole:
        events += _missing(newest_ns, span, camera, Trouble.LOST)
    return _footage(name, film.pictures[start:stop], events)


def _usable(film: Film, room_bytes: int) -> int:
    """Return how many pictures an episode may have of a film: up to the first that breaks its order or its bounds."""
    captured_ns, arrived_ns = -1, -1
    for index, picture in enumerate(film.pictures[:PICTURES_MAX]):
        room_bytes -= len(picture.data)
        in_order = picture.t_captured_ns > captured_ns and picture.t_arrived_ns >= arrived_ns
        if not in_order or room_bytes < 0 or not 0 < len(picture.data) <= PICTURE_BYTES_MAX:
            return index
        captured_ns, arrived_ns = picture.t_captured_ns, picture.t_arrived_ns
    return min(len(film.pictures), PICTURES_MAX)


def _missing(from_ns: int, span: Span, camera: CameraMeta, trouble: Trouble) -> list[FilmEvent]:
    """Return the event that no picture was kept from `from_ns` until the end of the episode, if that is later."""
    from_ns = max(from_ns, span[0])
    lost = FilmEvent(from_ns, span[1], trouble, round((span[1] - from_ns) * 1e-9 * camera.fps))
    return [lost] if from_ns < span[1] else []


def _footage(name: str, pictures: Sequence[FilmPicture], events: Sequence[FilmEvent]) -> Footage:
    pieces = Pieces([picture.data for picture in pictures])
    rows = [(e.t_from_ns, e.t_to_ns, e.trouble, e.pictures) for e in events[-CAMERA_EVENTS_MAX:]]
    arrays: dict[str, NDArray[Any] | Pieces] = {
        "bytes": pieces,
        "end": np.array([*accumulate(len(picture.data) for picture in pictures)], np.int64),
        "t_captured_mono_ns": np.array([picture.t_captured_ns for picture in pictures], np.int64),
        "t_arrived_mono_ns": np.array([picture.t_arrived_ns for picture in pictures], np.int64),
        "key": np.array([picture.key for picture in pictures], np.uint8),
        "marks": np.array([picture.marks for picture in pictures], np.uint8),
        "events": np.array(sorted(rows), EVENT_TYPE),
    }
    return Footage({camera_path(name, kind): values for kind, values in arrays.items()}, pieces.nbytes)
