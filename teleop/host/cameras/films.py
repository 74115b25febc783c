"""The open films of the episode that is recorded: created and locked here, and handed to the camera process.

The host keeps each film open, and so locked, until the episode has ended. A camera process that crashes meanwhile does
not give the lock up: another one goes on with the same film.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from teleop.cameras.film import FILM_SUFFIX, FilmWriter
from teleop.cameras.orders import Record
from teleop.files import sync_folder
from teleop.steps import EpisodeStart


class OpenFilms:
    """The films of one episode."""

    def __init__(self, start: EpisodeStart, folder: Path) -> None:
        """Create them in a folder, locked; raise OSError, and leave none, if that cannot be done."""
        self.episode, self._folder = start.episode, folder
        heads = start.cameras
        self.order = Record(
            start.episode, [head.name for head in heads], [head.timed == "device" for head in heads], start.t_mono_ns
        )
        self._films: list[FilmWriter] = []
        made: list[Path] = []
        try:
            for head in heads:
                path = folder / f"{start.episode}.{head.name}{FILM_SUFFIX}"
                self._films.append(FilmWriter(path, head))
                made.append(path)
        except OSError:
            self.close()
            for path in made:
                path.unlink(missing_ok=True)
            raise

    @property
    def descriptors(self) -> Sequence[int]:
        """The open files, in the order of the cameras in `order`."""
        return [film.descriptor for film in self._films]

    def settle(self) -> None:
        """Make what there is durable: no picture waits for that."""
        for film in self._films:
            film.sync()
        sync_folder(self._folder)

    def close(self) -> None:
        """Leave them to the camera process: they are unlocked once it has ended them, or ended itself. Idempotent."""
        for film in self._films:
            film.abandon()
        self._films.clear()
