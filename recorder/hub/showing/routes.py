"""The routes that show a verified episode once more; each reads its file in a worker, and waits in one line."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from recorder.file.episode import EpisodeError
from recorder.hub import replays
from recorder.hub.ranges import NOT_KEPT
from recorder.hub.replays import ReplayAnswer
from recorder.hub.showing.channels import ChannelsAnswer, UnknownChannelError, channels_of
from recorder.hub.showing.films import FilmAnswer, UnknownCameraError, film_of
from recorder.hub.showing.line import Line, ReplayBusyError, ReplayUnreadError
from recorder.hub.showing.series import POINTS_DEFAULT, POINTS_MAX, POINTS_MIN, SeriesAnswer, series_of
from recorder.hub.showing.timeline import TimelineAnswer, timeline_of
from recorder.hub.store import StoredFile, UnknownFileError

_T = TypeVar("_T")
STATUS: Final[dict[type[Exception], int]] = {
    UnknownChannelError: 404,
    UnknownCameraError: 404,
    ReplayBusyError: 503,
    ReplayUnreadError: 503,
}
_KEPT: Final = "max-age=3600"
"""A verified episode never changes; an hour, because its operator may withdraw it."""
Verified = Callable[[Request, str], tuple[StoredFile, bool]]
"""Returns the file of a verified episode that whoever asks may read, and whether it is private; raises why they may
not. It blocks."""


def local(file: StoredFile, call: Callable[..., _T], *arguments: Any) -> _T:
    """Return what `call` makes of a stored file, as a path on this machine. A worker's."""
    with file.local() as path:
        return call(path, *arguments)


def add_showing(router: APIRouter, verified: Verified, executor: Executor | None) -> None:
    """Add the routes."""
    line = Line(executor)

    async def read(
        request: Request, response: Response, episode: str, call: Callable[..., _T], *arguments: Any, what: str
    ) -> _T:
        file, private = await run_in_threadpool(verified, request, episode)
        try:
            found: _T = await line.of((episode, what, *arguments), local, file, call, *arguments)
        except EpisodeError as error:
            raise UnknownFileError(f"{episode} cannot be shown: its file cannot be read on this hub") from error
        response.headers["Cache-Control"] = NOT_KEPT if private else _KEPT
        return found

    @router.get("/api/episodes/{episode}/replay")
    async def replay(episode: str, request: Request, response: Response) -> ReplayAnswer:
        """Return what shows a verified episode once more. Another's file may be anything: none is read before that."""
        return await read(request, response, episode, replays.replay_of, what="replay")

    @router.get("/api/episodes/{episode}/timeline")
    async def timeline(episode: str, request: Request, response: Response) -> TimelineAnswer:
        """Return what happened when in a verified episode, and what it is of."""
        return await read(request, response, episode, timeline_of, what="timeline")

    @router.get("/api/episodes/{episode}/channels")
    async def channels(episode: str, request: Request, response: Response) -> ChannelsAnswer:
        """Return which channels a verified episode has: what can be drawn as curves."""
        return await read(request, response, episode, channels_of, what="channels")

    @router.get("/api/episodes/{episode}/channels/{name:path}")
    async def series(
        episode: str,
        name: str,
        request: Request,
        response: Response,
        points: Annotated[int, Query(ge=POINTS_MIN, le=POINTS_MAX)] = POINTS_DEFAULT,
    ) -> SeriesAnswer:
        """Return one channel as curves of at most so many points; the least and the most of each stretch stay."""
        return await read(request, response, episode, series_of, name, points, what="series")

    @router.get("/api/episodes/{episode}/cameras/{camera}")
    async def film(episode: str, camera: str, request: Request, response: Response) -> FilmAnswer:
        """Return where a camera's pictures lie in `episode.h5`, to be fetched by ranges."""
        return await read(request, response, episode, film_of, camera, what="film")
