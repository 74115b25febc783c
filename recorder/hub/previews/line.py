"""Who waits for a preview: one job for each episode and camera, in a worker, and a line that is not endless."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor
from pathlib import Path
from typing import Final

import structlog

from recorder.file.apart import ReaderLostError
from recorder.file.episode import EpisodeError
from recorder.hub.previews.kept import FILM, STILL, Kept
from recorder.hub.previews.making import RECIPE, NoCamera, NotShown, Preview, Stored, make
from recorder.pictures.errors import PictureError
from recorder.pictures.painters import DrawingLostError
from sim.words import listed

_log = structlog.get_logger()
WAITING_MAX: Final = 64
"""How many previews may be waited for: a page of fifty, and somebody else."""
_ANSWERS_MAX: Final = 10_000

Maker = Callable[..., Preview | NoCamera | NotShown]
"""Makes a preview of an episode's file and a camera, and True if it is to be full; a worker can import it."""
_Found = tuple[Path, Path] | NoCamera | NotShown


class NoCameraError(LookupError):
    """The episode was not seen by such a camera."""


class NoPreviewError(LookupError):
    """This hub cannot show this episode."""


class EpisodeWithdrawnError(Exception):
    """Its operator's consent to it has ended, so it is shown to nobody who has not seen it."""


class PreviewsBusyError(Exception):
    """So many previews are being waited for that this one has to be asked for later, or its worker was lost."""


class Previews:
    """A hub's previews. For one event loop."""

    def __init__(self, kept: Kept, executor: Executor, maker: Maker = make, waiting_max: int = WAITING_MAX) -> None:
        """The executor, of one worker or few, is the caller's to close."""
        self._kept, self._executor, self._maker = kept, executor, maker
        self._waiting_max = waiting_max
        self._making: dict[str, asyncio.Task[_Found]] = {}
        self._answers: OrderedDict[str, str | NoCamera | NotShown] = OrderedDict()
        """What a request without a name of a camera got, and what there is no preview of."""

    async def of(
        self, episode: str, digest: str, file: Path | Stored, camera: str | None, *, full: bool = False
    ) -> tuple[Path, Path]:
        """Return the film and the still picture of a verified episode, made now if nobody has asked before.

        `full`: with as many pictures as somebody needs who looks at each moment. Raises NoCameraError, NoPreviewError
        or PreviewsBusyError.
        """
        key = _key(digest, camera, full)
        found = await asyncio.to_thread(self._look, key)
        if found is None:
            found = await asyncio.shield(self._made(key, digest, file, camera, full))  # others may wait for it too
        if isinstance(found, NoCamera):
            raise NoCameraError(_no_camera(episode, camera, found.names))
        if isinstance(found, NotShown):
            raise NoPreviewError(f"{episode} cannot be shown on this hub: {found.why}")
        return found

    def _look(self, key: str) -> _Found | None:
        known = self._answers.get(key)
        if isinstance(known, (NoCamera, NotShown)):
            return known
        film, still = (self._kept.get((known or key) + kind) for kind in (FILM, STILL))
        return None if film is None or still is None else (film, still)

    def _made(self, key: str, digest: str, file: Path | Stored, camera: str | None, full: bool) -> asyncio.Task[_Found]:
        task = self._making.get(key)
        if task is None:
            if len(self._making) >= self._waiting_max:
                raise PreviewsBusyError(f"{len(self._making)} previews are waited for already; ask again later")
            task = asyncio.create_task(self._make(key, digest, file, camera, full), name="preview")
            self._making[key] = task
            task.add_done_callback(lambda done: self._over(key, done))
        return task

    def _over(self, key: str, task: asyncio.Task[_Found]) -> None:
        del self._making[key]
        if not task.cancelled():
            task.exception()  # whoever waited has it; nobody may have

    async def _make(self, key: str, digest: str, file: Path | Stored, camera: str | None, full: bool) -> _Found:
        loop = asyncio.get_running_loop()
        try:
            made = await loop.run_in_executor(self._executor, self._maker, file, camera, *([True] if full else []))
        except (BrokenExecutor, DrawingLostError, ReaderLostError, MemoryError, OSError) as error:
            _log.warning("a preview was not made; whoever asks again has it tried again", file=str(file), error=error)
            raise PreviewsBusyError(f"the worker was lost: {error}; ask again later") from error
        except (EpisodeError, PictureError) as error:
            made = NotShown(str(error))
        if not isinstance(made, Preview):
            self._remember(key, made)
            return made
        name = _key(digest, made.camera, full)
        await asyncio.to_thread(self._keep, name, made)
        if name != key:
            self._remember(key, name)
        found = await asyncio.to_thread(self._look, key)
        if found is None:
            raise PreviewsBusyError("the preview was gone as soon as it was there; ask again later")
        return found

    def _keep(self, name: str, made: Preview) -> None:
        self._kept.put(name + FILM, made.film)
        self._kept.put(name + STILL, made.still)

    def _remember(self, key: str, answer: str | NoCamera | NotShown) -> None:
        self._answers[key] = answer
        while len(self._answers) > _ANSWERS_MAX:
            self._answers.popitem(last=False)


def _key(digest: str, camera: str | None, full: bool) -> str:
    """Return the name of a preview: of all that it follows from."""
    return hashlib.sha256(f"{RECIPE} {digest} {camera or ''}{' full' if full else ''}".encode()).hexdigest()


def _no_camera(episode: str, camera: str | None, names: tuple[str, ...]) -> str:
    if not names:
        return f"no camera recorded {episode}, so there is no picture of it"
    return f"there is no camera {camera!r} in {episode}: there are {listed(names)}"
