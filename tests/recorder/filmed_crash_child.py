"""Records steps and a film for ever, saying which step was appended, until it is killed (host/test_films_sealed.py)."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from recorder.file.writer import EpisodeWriter
from recorder.proof.description import hash_description
from teleop.cameras.film import FilmWriter, film_of
from tests.recorder.factory import fake_episode
from tests.recorder.filming import H264, head, pictures


def main(journal: Path) -> None:
    """Append steps at 200 Hz of real time; film and journal are synced every ten, half a second of the steps' time."""
    start, steps, _ = fake_episode(2000, simulated=False, cameras=(head(),))
    made = iter(pictures(H264, start.t_mono_ns + 10**10))
    writer = EpisodeWriter.start(journal, start, hash_description(start.spec.model))
    film, pace = FilmWriter(film_of(journal, "front"), head()), threading.Event()
    picture = next(made)
    for step in steps:
        while picture.t_captured_ns <= step.t_observed_ns:
            film.picture(picture)
            picture = next(made)
        if step.index % 10 == 9:
            film.commit()
        writer.append(step)
        sys.stdout.write(f"{step.index}\n")
        sys.stdout.flush()
        pace.wait(0.005)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
