"""An episode of a real robot whose cameras recorded, and had troubles, as a verified bundle."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Final

from recorder.file.journal import finish
from recorder.file.writer import EpisodeWriter
from recorder.pictures.channel import PictureCodec
from recorder.proof.bundle import RECEIPT_FILE, SIGNATURES_FILE
from recorder.proof.description import hash_description
from recorder.proof.manifest import NO_PREVIOUS
from recorder.proof.seal import seal
from teleop.cameras.film import FilmEvent, Mark, Trouble
from tests.recorder.bundles import receipt, signed
from tests.recorder.factory import DOMAIN, ROBOT
from tests.recorder.filming import BEFORE, BEGAN_NS, film, pictures, seen

LATE: Final = 10
"""Which of the pictures that are taken during the episode is late."""
TROUBLE: Final = FilmEvent(BEGAN_NS + 100_000_000, BEGAN_NS + 200_000_000, Trouble.MISSING, 3)


def filmed_bundle(folder: Path) -> Path:
    """Return a bundle with two cameras: `front` has a late picture and misses some; `wrist` takes JPEG."""
    start, steps, end = seen(episode="filmed")
    journal, bundle = folder / "filmed.journal", folder / "filmed"
    writer = EpisodeWriter.start(journal, start, hash_description(start.spec.model))
    for step in steps:
        writer.append(step)
    writer.end(end)
    front, wrist = start.cameras
    until_ns = steps[-1].t_observed_ns
    taken = pictures(PictureCodec(front.codec), until_ns)
    taken[BEFORE + LATE] = dataclasses.replace(taken[BEFORE + LATE], marks=Mark.LATE)
    film(journal, front, until_ns, made=taken, events=(TROUBLE,))
    film(journal, wrist, until_ns)
    finish(journal, folder / "filmed.h5")
    seal(folder / "filmed.h5", bundle, key=ROBOT, domain=DOMAIN, previous=NO_PREVIOUS)
    data = (bundle / "manifest.json").read_bytes()
    (bundle / SIGNATURES_FILE).write_bytes(signed(data).encode())
    (bundle / RECEIPT_FILE).write_bytes(receipt(data))
    return bundle
