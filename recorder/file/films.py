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

from recorder.file.layout import CAMERA_EVENTS_MAX, EVENT_TYPE, PICTURES_BYTES_MAX, PICTURES_MAX, camera_path
from recorder.file.meta import CameraMeta, MetaError, camera_meta
from recorder.pictures.cost import DECODING_NS_MAX, decoding_ns
from teleop.cameras.film import PICTURE_BYTES_MAX, Film, FilmError, FilmEvent, FilmPicture, Trouble, read_film

_TOGETHER: Final = 1024
"""How many pieces one call may write (IOV_MAX)."""
Span = tuple[int, int]
"""The times of an episode's first and last observation, ns."""


@dataclass(frozen=True, slots=True)
class Room:
    """How much an episode has room for, of the pictures of all its cameras together."""

    nbytes: int = PICTURES_BYTES_MAX
    decoding_ns: int = DECODING_NS_MAX

    def less(self, nbytes: int, decoding_ns: int) -> Room:
        """Return what is left once something is in it; less than nothing if it does not fit."""
        return Room(self.nbytes - nbytes, self.decoding_ns - decoding_ns)

    @property
    def fits(self) -> bool:
        """Whether what is in it is not too much."""
        return min(self.nbytes, self.decoding_ns) >= 0


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
    decoding_ns: int
    """About how long it takes to decode them."""


def read_footage(film: Path, name: str, camera: CameraMeta, span: Span, room: Room) -> Footage:
    """Return what a film gives an episode, of what there is room for; raise FilmError or FileNotFoundError."""
    found = read_film(film)
    try:
        same = found.head.name == name and camera_meta(found.head) == camera
    except MetaError as error:
        raise FilmError(f"{film.name}: {error}") from error
    if not same:
        raise FilmError(f"{film.name}: expected the film of {name!r} as the episode began with it, got {found.head}")
    return _cut(found, name, camera, span, room)


def lost_footage(name: str, camera: CameraMeta, span: Span) -> Footage:
    """Return what an episode has of a camera without a film: nothing, and that it was lost."""
    return _footage(name, camera, [], _missing(span[0], span, camera, Trouble.LOST))


def _cut(film: Film, name: str, camera: CameraMeta, span: Span, room: Room) -> Footage:
    usable = _usable(film, camera, room)
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
    return _footage(name, camera, film.pictures[start:stop], events)


def _usable(film: Film, camera: CameraMeta, room: Room) -> int:
    """Return how many pictures an episode may have of a film: up to the first that breaks its order or its bounds."""
    captured_ns, arrived_ns = -1, -1
    for index, picture in enumerate(film.pictures[:PICTURES_MAX]):
        room = room.less(len(picture.data), _decoding_ns(camera, 1, len(picture.data)))
        in_order = picture.t_captured_ns > captured_ns and picture.t_arrived_ns >= arrived_ns
        if not in_order or not room.fits or not 0 < len(picture.data) <= PICTURE_BYTES_MAX:
            return index
        captured_ns, arrived_ns = picture.t_captured_ns, picture.t_arrived_ns
    return min(len(film.pictures), PICTURES_MAX)


def _missing(from_ns: int, span: Span, camera: CameraMeta, trouble: Trouble) -> list[FilmEvent]:
    """Return the event that no picture was kept from `from_ns` until the end of the episode, if that is later."""
    from_ns = max(from_ns, span[0])
    lost = FilmEvent(from_ns, span[1], trouble, round((span[1] - from_ns) * 1e-9 * camera.fps))
    return [lost] if from_ns < span[1] else []


def _decoding_ns(camera: CameraMeta, pictures: int, nbytes: int) -> int:
    return decoding_ns(camera.codec, camera.width * camera.height, pictures, nbytes)


def _footage(name: str, camera: CameraMeta, pictures: Sequence[FilmPicture], events: Sequence[FilmEvent]) -> Footage:
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
    takes_ns = _decoding_ns(camera, len(pictures), pieces.nbytes)
    return Footage({camera_path(name, kind): values for kind, values in arrays.items()}, pieces.nbytes, takes_ns)
