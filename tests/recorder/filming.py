"""Films of fake episodes: what a camera process leaves beside a journal, made of pictures that are encoded once."""

from __future__ import annotations

import dataclasses
import os
from functools import cache
from pathlib import Path
from typing import Any, Final

from recorder.pictures.channel import PictureCodec
from teleop.cameras.film import FilmEvent, FilmPicture, FilmWriter, Mark, film_of
from teleop.steps import Driver, DriverKind, EpisodeEnd, EpisodeStart, FilmHead, Note, Step
from tests.recorder.factory import fake_episode
from tests.recorder.pictures.encoded import FPS, HEIGHT, WIDTH, encoded

H264: Final = PictureCodec.H264
PERIOD_NS: Final = round(1e9 / FPS)
BEGAN_NS: Final = 1_000_000_000
"""When the fake episodes' first observation was (`factory.fake_start`)."""
BEFORE: Final = 7
"""How many pictures a film has from before it."""


def head(name: str = "front", codec: PictureCodec = PictureCodec.H264, **changed: Any) -> FilmHead:
    """Return a small camera."""
    said = {
        "name": name,
        "codec": codec.value,
        "width": WIDTH,
        "height": HEIGHT,
        "fps": FPS,
        "timed": "arrival",
        "encoder": "for tests",
        "depth_unit_m": 0.001 if codec is PictureCodec.DEPTH16 else 0.0,
        "intrinsics": (60.0, 60.0, 32.0, 24.0),
        "mount": "tool",
        "extrinsics": (0.0, 0.0, 0.1, 0.0, 0.0, 0.0, 1.0),
    }
    return FilmHead(**(said | changed))


@cache
def units(codec: PictureCodec, count: int) -> tuple[tuple[bytes, bool], ...]:
    """Return encoded pictures."""
    return tuple(encoded(codec, count))


def pictures(codec: PictureCodec, until_ns: int) -> list[FilmPicture]:
    """Return pictures at their rate, from a little before a fake episode to a little after its last observation."""
    count = (until_ns - BEGAN_NS) // PERIOD_NS + BEFORE + 5
    return [
        FilmPicture(t_ns, t_ns + 3_000_000, key, Mark(0), data)
        for t_ns, (data, key) in zip(
            range(BEGAN_NS - BEFORE * PERIOD_NS + 1_000_000, 2**62, PERIOD_NS), units(codec, count), strict=False
        )
    ]


def seen(**changed: Any) -> tuple[EpisodeStart, list[Step], EpisodeEnd]:
    """Return an episode of a real robot with two cameras, that a policy drove; the one lost pictures meanwhile."""
    cameras = head(), head("wrist", PictureCodec.JPEG)
    driver = Driver(DriverKind.POLICY, "reaching", "ab" * 32)
    said = {"steps": 14, "simulated": False, "cameras": cameras, "driver": driver} | changed
    start, steps, end = fake_episode(**said)
    notes = Note(start.t_mono_ns, "It begins."), Note(end.t_mono_ns, "It has it.")
    return start, steps, dataclasses.replace(end, notes=notes)


def film(
    journal: Path,
    camera: FilmHead,
    until_ns: int,
    *,
    made: list[FilmPicture] | None = None,
    events: tuple[FilmEvent, ...] = (),
    whole: bool = True,
    cut_bytes: int = 0,
) -> Path:
    """Write a camera's film beside a journal; one that is not `whole` lacks its end, and its last `cut_bytes`."""
    path = film_of(journal, camera.name)
    writer = FilmWriter(path, camera)
    for picture in pictures(PictureCodec(camera.codec), until_ns) if made is None else made:
        writer.picture(picture)
    for event in events:
        writer.event(event)
    if whole:
        writer.end()
    else:
        writer.commit()
        writer.abandon()
        os.truncate(path, path.stat().st_size - cut_bytes)
    return path
