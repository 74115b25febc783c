"""The routes of private episodes: their keys and their sealed files, to those who may read them, and who did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from recorder.file.sealed import HEADER, SEGMENT_BYTES
from recorder.hub.ranges import NOT_KEPT, file_answer
from recorder.hub.readers import Readers, Uses, What, asking
from recorder.hub.store.sealing import SealedFile, SealingStore
from recorder.proof.manifest import EPISODE_FILE

SEALED_FILE: Final = f"{EPISODE_FILE}.sealed"
_CONTENT: Final[dict[str, Any]] = {
    "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
}
_FILE: Final[dict[int | str, dict[str, Any]]] = {
    200: _CONTENT,
    206: {**_CONTENT, "description": "The range that was asked for"},
    304: {"description": "It is what `If-None-Match` names"},
}


class NotPrivateError(LookupError):
    """An episode is not private, so nothing of it is sealed: there is no key."""


@dataclass(frozen=True, slots=True)
class KeyAnswer:
    """What opens a private episode's sealed file (docs/privacy.md)."""

    episode: str
    key: str
    """32 bytes, hex."""
    digest: str
    """The manifest's, which each segment is bound to, 0x-hex."""
    header: str
    """The sealed file's first bytes, hex, which each segment is bound to, too."""
    segment_bytes: int
    size: int
    """Of what is in it, as `sha256`."""
    sha256: str


def add_private(
    router: APIRouter, operator: Callable[[Request], str], readers: Readers, store: SealingStore | None
) -> None:
    """Add the routes to a router that answers the recorder's errors. `operator` returns who is signed in."""
    sealed = partial(_sealed, store)

    @router.get("/api/episodes/{episode}/key")
    def key(episode: str, request: Request, response: Response) -> KeyAnswer:
        """Return the key of a private episode to a wallet that may read it; that is noted for its operator."""
        readers.let(episode, asking(operator, request), What.KEY)
        found = sealed(episode)
        response.headers["Cache-Control"] = NOT_KEPT
        return KeyAnswer(
            episode=episode,
            key=found.key().hex(),
            digest=found.digest,
            header=HEADER.hex(),
            segment_bytes=SEGMENT_BYTES,
            size=found.size,
            sha256=found.sha256,
        )

    path = f"/api/episodes/{{episode}}/files/{SEALED_FILE}"

    @router.get(path, response_class=Response, responses=_FILE, operation_id="sealed_get")
    @router.head(path, response_class=Response, operation_id="sealed_head")
    def sealed_file(episode: str, request: Request) -> Response:
        """Return a private recording as the store has it, or a range of that: without its key it is noise."""
        readers.let(episode, asking(operator, request), What.FILE)
        found = sealed(episode)
        answer = file_answer(request, found.inner, "application/octet-stream", f"{episode}-{SEALED_FILE}")
        answer.headers["Cache-Control"] = NOT_KEPT
        return answer

    @router.get("/api/episodes/{episode}/uses")
    def uses(episode: str, request: Request) -> Uses:
        """Return who may read an episode, and who was given what of it and what for, to its operator and the owner."""
        return readers.uses(episode, operator(request))


def _sealed(store: SealingStore | None, episode: str) -> SealedFile:
    found = None if store is None else store.sealed(episode)
    if found is None:
        raise NotPrivateError(f"{episode} is not private: it is not sealed, and everybody may have its files")
    return found
