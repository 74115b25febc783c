"""Many episodes in one answer: their bundles and scores as a tar, read from the store while it is sent.

What breaks off in the middle is a tar without its end, which every reader notices; whoever asked asks for the rest.
"""

from __future__ import annotations

import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Annotated, Any, Final

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from recorder.hub.catalogue import Catalogue, UnknownEpisodeError
from recorder.hub.ranges import NOT_KEPT
from recorder.hub.states import EpisodeState
from recorder.hub.store.store import BLOCK_BYTES, Store, StoredFile, UnknownFileError
from recorder.proof.bundle import BUNDLE_FILES, SCORE_FILE
from teleop.hub.errors import ApiError

EPISODES_MAX: Final = 100
"""The most that one request may name."""
AT_ONCE: Final = 16
"""How many of these answers are sent at the same time."""
_TAR: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"application/x-tar": {"schema": {"type": "string", "format": "binary"}}}},
}
Withdrawn = Callable[[str], bool]
"""Returns whether the consent to an episode has ended. It may block."""
Let = Callable[[Request, str], bool]
"""Raises ApiError unless whoever asks may read an episode, and notes that they are given it. It may block."""
ScoreFile = Callable[[str], Awaitable[bytes | None]]
"""Returns an episode's score.json, or None while there is none."""


class BundlesAsked(BaseModel):
    """Which episodes are wanted; each is sent once, in this order."""

    model_config = ConfigDict(extra="forbid")
    episodes: Annotated[
        list[Annotated[str, StringConstraints(min_length=1, max_length=64)]],
        Field(min_length=1, max_length=EPISODES_MAX),
    ]


class _Routes:
    def __init__(
        self, catalogue: Catalogue, store: Store, score_file: ScoreFile, withdrawn: Withdrawn, let: Let
    ) -> None:
        self._catalogue, self._store, self._score_file, self._let = catalogue, store, score_file, let
        self._withdrawn = withdrawn
        self._sending = 0

    async def bundles(self, request: Request, asked: BundlesAsked) -> StreamingResponse:
        """Return verified episodes as a tar: a folder each, with the files of its bundle, and its score.json."""
        if self._sending >= AT_ONCE:
            said = f"{AT_ONCE} such downloads are being sent at the moment; ask again in a few seconds"
            raise ApiError(503, "bundles_busy", said, again_s=5)
        wanted = list(dict.fromkeys(asked.episodes))
        files = await run_in_threadpool(self._files, request, wanted)
        headers = {"Cache-Control": NOT_KEPT}
        return StreamingResponse(self._sent(wanted, files), media_type="application/x-tar", headers=headers)

    def _files(self, request: Request, wanted: Sequence[str]) -> list[list[tuple[str, StoredFile]]]:
        """Return what is to be sent of each; raise ApiError if anything is not for whoever asks, before any is sent."""
        found = [self._bundle(episode) for episode in wanted]
        for episode in wanted:
            self._let(request, episode)
        return found

    def _bundle(self, episode: str) -> list[tuple[str, StoredFile]]:
        try:
            state = self._catalogue.get(episode).state
            if state is not EpisodeState.VERIFIED:
                said = f"{episode} is {state.value}: only the files of verified episodes are everybody's; leave it out"
                raise ApiError(403, "episode_private", said)
            if self._withdrawn(episode):
                said = f"its operator has withdrawn {episode}, so it is not given out to be used any more; leave it out"
                raise ApiError(410, "episode_withdrawn", said)
            return [(name, self._store.file(episode, name)) for name in BUNDLE_FILES]
        except UnknownEpisodeError as error:
            raise ApiError(404, "unknown_episode", f"{error}; leave it out") from error
        except UnknownFileError as error:
            raise ApiError(404, "unknown_file", f"{error}: this hub has not kept it; leave {episode} out") from error

    async def _sent(
        self, wanted: Sequence[str], files: Sequence[Sequence[tuple[str, StoredFile]]]
    ) -> AsyncIterator[bytes]:
        self._sending += 1
        try:
            for episode, bundle in zip(wanted, files, strict=True):
                for name, file in bundle:
                    yield _header(f"{episode}/{name}", file.size)
                    for at in range(0, file.size, BLOCK_BYTES):
                        yield await run_in_threadpool(file.read, at, min(at + BLOCK_BYTES, file.size))
                    yield _padding(file.size)
                score = await self._score_file(episode)
                if score is not None:
                    yield _header(f"{episode}/{SCORE_FILE}", len(score)) + score + _padding(len(score))
            yield bytes(2 * tarfile.BLOCKSIZE)
        finally:
            self._sending -= 1


def router(
    catalogue: Catalogue,
    store: Store,
    score_file: ScoreFile,
    withdrawn: Withdrawn = lambda _episode: False,
    let: Let = lambda _request, _episode: False,
) -> APIRouter:
    """Return the route."""
    routes = APIRouter()
    ours = _Routes(catalogue, store, score_file, withdrawn, let)
    routes.post("/api/bundles", response_class=StreamingResponse, responses=_TAR)(ours.bundles)
    return routes


def _header(name: str, size: int) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o644
    return entry.tobuf(tarfile.GNU_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)
