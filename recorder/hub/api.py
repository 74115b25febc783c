"""The recorder over HTTP: uploads, episodes, the log and the files (`docs/http.md`). A refusal is answered by name."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Final, Protocol

import structlog
from fastapi import APIRouter, Body, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect
from starlette.types import Scope

from recorder.file.layout import EpisodeIdError
from recorder.file.tus import TUS_VERSION
from recorder.hub.arriving import Arrival, Arriving, Unsigned
from recorder.hub.catalogue import Catalogue, EpisodeView, SeenEpisode, UnknownEpisodeError, seen
from recorder.hub.intake import EpisodePrivateError, Intake, Sealing
from recorder.hub.log import Log, LogIndexError
from recorder.hub.previews.line import (
    EpisodeWithdrawnError,
    NoCameraError,
    NoPreviewError,
    Previews,
    PreviewsBusyError,
)
from recorder.hub.previews.routes import add_previews
from recorder.hub.private import NotPrivateError, add_private
from recorder.hub.ranges import NOT_KEPT, RangeError, file_answer
from recorder.hub.readers import Readers, What, asking
from recorder.hub.records import EpisodeErasedError, NotTheOperatorError
from recorder.hub.showing import routes as showing
from recorder.hub.states import EpisodeState, EpisodeStateError
from recorder.hub.store import StoredFile, StoreLostError, UnknownFileError
from recorder.hub.store.sealing import SealingStore
from recorder.hub.tables import EpisodeRow
from recorder.hub.uploads import (
    OffsetMismatchError,
    UnknownUploadError,
    Upload,
    UploadBusyError,
    UploadIdleError,
    UploadIncompleteError,
    Uploads,
    UploadTooLargeError,
    UploadWriter,
)
from recorder.proof.bundle import BUNDLE_FILES
from recorder.proof.case import Ticket
from recorder.proof.manifest import EPISODE_FILE, MANIFEST_BYTES_MAX
from recorder.proof.refusals import GateError
from teleop.clock import now_ms
from teleop.hub import errors
from teleop.hub.accounts import NotSignedInError
from teleop.hub.db import Database
from teleop.hub.server import bodies
from teleop.hub.server.bodies import BytesMax
from teleop.identity import SignatureError, require_address

WAIT_S_MAX: Final = 30.0
BODY_BYTES_MAX: Final = 2 * MANIFEST_BYTES_MAX
"""The limit of a host's `seal`: a manifest, escaped, with its signature."""
_MANIFEST: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {"application/json": {}}}}
_CONTENT: Final[dict[str, Any]] = {"content": {"application/x-hdf5": {}, "application/json": {}}}
_FILE: Final[dict[int | str, dict[str, Any]]] = {
    200: _CONTENT,
    206: {**_CONTENT, "description": "The range that was asked for"},
    304: {"description": "It is what `If-None-Match` names"},
}
_TEXT: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}
_UPLOAD: Final = re.compile(r"/api/uploads/[^/]+")
_SEALING: Final = re.compile(r"/api/episodes/[^/]+/seal")
Withdrawn = Callable[[str], int | None]
"""Return when an episode's operator took it back, ms since 1970; None if that has not happened."""
_log = structlog.get_logger()
_LOST: Final = "the place where the hub keeps its files does not answer as it should; nothing is lost, try again later"
_OCTETS: Final = "application/offset+octet-stream"


class Access(Protocol):
    """Who is asking, and which episodes the hub asked for. `operator` and `ticket` may block."""

    def operator(self, request: Request) -> str:
        """Return the address of a signed-in operator; raise NotSignedInError if nobody is."""

    def host(self, request: Request) -> str:
        """Return the address of the robot that the upload token belongs to; raise NotSignedInError if there is none."""

    def ticket(self, episode: str) -> Ticket | None:
        """Return what the hub asked for under this id, or None."""

    def owner(self, robot: str) -> str | None:
        """Return the address of a robot's owner, or None if there is no such robot."""


@dataclass(frozen=True, slots=True)
class InclusionAnswer:
    """Proof that an entry is in the log (RFC 6962): hashes as 0x-hex, and the checkpoint that they lead to."""

    index: int
    size: int
    leaf: str
    hashes: list[str]
    checkpoint: str


@dataclass(frozen=True, slots=True)
class ConsistencyAnswer:
    """Proof that the current log starts with the log of `old` entries (RFC 6962)."""

    old: int
    size: int
    hashes: list[str]
    checkpoint: str


class TusHeaderError(Exception):
    """A header of an upload is missing or cannot be read."""


class TusVersionError(Exception):
    """The client speaks another version of tus."""


class MediaTypeError(Exception):
    """The bytes of an upload are labelled as something else."""


_STATUS: Final[dict[type[Exception], int]] = {
    NotTheOperatorError: 403,
    EpisodePrivateError: 403,
    NotPrivateError: 404,
    EpisodeIdError: 404,
    UnknownEpisodeError: 404,
    UnknownFileError: 404,
    UnknownUploadError: 404,
    LogIndexError: 404,
    NoCameraError: 404,
    NoPreviewError: 404,
    UploadIdleError: 408,
    EpisodeStateError: 409,
    EpisodeErasedError: 410,
    EpisodeWithdrawnError: 410,
    OffsetMismatchError: 409,
    UploadIncompleteError: 409,
    TusVersionError: 412,
    UploadTooLargeError: 413,
    MediaTypeError: 415,
    GateError: 422,
    TusHeaderError: 400,
    RangeError: 416,
    UploadBusyError: 423,
    StoreLostError: 503,
    PreviewsBusyError: 503,
    **showing.STATUS,
}
_AGAIN_S: Final = 5
"""When to ask again for what cannot be answered at the moment."""


class _Route(APIRoute):
    """Answers the recorder's errors by name, and leaves all others to `teleop.hub.errors`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except tuple(_STATUS) as error:
                response = refusal(error)
                if isinstance(error, RangeError):
                    response.headers["Content-Range"] = f"bytes */{error.size}"
                if "Tus-Resumable" in request.headers:
                    response.headers.update({"Tus-Resumable": TUS_VERSION, "Tus-Version": TUS_VERSION})
                return response

        return answer


def refusal(error: Exception) -> JSONResponse:
    """Return the answer to a request that raised one of the recorder's errors."""
    status, code, words = errors.refusal_of(_STATUS, error)
    if isinstance(error, GateError):
        return errors.answer(status, "refused", str(error), gate=type(error).__name__)
    again_s = _AGAIN_S if status == 503 else None
    if isinstance(error, StoreLostError):
        _log.warning("the store does not answer as it should", reason=str(error))
        return errors.answer(status, "store_lost", _LOST, again_s=again_s)
    return errors.answer(status, code, words, again_s=again_s)


def make_router(
    *,
    access: Access,
    intake: Intake,
    uploads: Uploads,
    catalogue: Catalogue,
    log: Log,
    database: Database,
    executor: Executor | None = None,
    previews: Previews | None = None,
    withdrawn: Withdrawn = lambda _episode: None,
    readers: Readers | None = None,
    private: SealingStore | None = None,
) -> APIRouter:
    """Return every route of the recorder; without `previews`, all but theirs.

    `executor` reads files for whoever looks at them (None: threads).
    `withdrawn` says when the consent to an episode ended; None if it has not. It may block. `readers` knows who may
    read what is private (without it: its operator, its robot's owner and whom this names), and `private` has its keys.
    """
    readers = readers or Readers(database, now_ms, withdrawn=lambda one: withdrawn(one) is not None)
    router = APIRouter(route_class=_Route)
    _add_uploads(router, access, uploads, intake)
    _add_intake(router, access, intake)
    _add_arriving(router, access, intake, Arriving(database, uploads))
    add_private(router, access.operator, readers, private)
    _add_reading(router, access, intake, catalogue, withdrawn, readers)
    showing.add_showing(router, partial(_verified, access, catalogue, intake, readers), executor)
    if previews is not None:
        add_previews(router, previews, partial(_seen, access, intake, catalogue, readers, withdrawn))
    _add_log(router, log, database)
    return router


def body_bytes_max(access: Access) -> BytesMax:
    """Return how long request bodies may be here: an upload checks its own length, a host's `seal` holds a manifest."""

    def most(scope: Scope) -> int | None:
        if scope["method"] == "PATCH" and _UPLOAD.fullmatch(scope["path"]):
            return None
        if _SEALING.fullmatch(scope["path"]) and _is_host(access, Request(scope)):
            return BODY_BYTES_MAX
        return bodies.usual(scope)

    return most


def _is_host(access: Access, request: Request) -> bool:
    try:
        access.host(request)
    except NotSignedInError:
        return False
    return True


def _add_uploads(router: APIRouter, access: Access, uploads: Uploads, intake: Intake) -> None:
    @router.options("/api/uploads", status_code=204)
    async def tus_options() -> Response:
        """Which parts of tus this server supports."""
        extra = {"Tus-Version": TUS_VERSION, "Tus-Extension": "creation", "Tus-Max-Size": str(uploads.bytes_max)}
        return _tus(204, extra)

    @router.post("/api/uploads", status_code=201, response_class=Response)
    async def create_upload(request: Request) -> Response:
        """Begin an upload (tus creation)."""
        _require_version(request)
        robot = await run_in_threadpool(access.host, request)
        episode, length = _episode_in(request), _number(request, "Upload-Length")
        ticket = await run_in_threadpool(access.ticket, episode)
        if ticket is None or ticket.robot != robot:
            raise UnknownEpisodeError(f"expected an episode that {robot} was asked for, got {episode[:80]!r}")
        try:
            upload = await run_in_threadpool(uploads.create, episode, robot, length)
        except UploadTooLargeError as error:
            await intake.refuse(ticket, error)
            raise
        await run_in_threadpool(intake.expect, ticket)
        return _tus(201, {"Location": f"{request.scope.get('root_path', '')}/api/uploads/{upload.upload}"})

    @router.head("/api/uploads/{upload}", response_class=Response)
    async def upload_offset(upload: str, request: Request) -> Response:
        """Return how much of an upload has arrived."""
        _require_version(request)
        robot = await run_in_threadpool(access.host, request)
        found: Upload = await run_in_threadpool(uploads.find, upload, robot)
        extra = {"Upload-Offset": str(found.offset), "Upload-Length": str(found.length)}
        return _tus(200, {**extra, "Cache-Control": "no-store"})

    @router.patch("/api/uploads/{upload}", status_code=204)
    async def append_upload(upload: str, request: Request) -> Response:
        """Append to an upload; what arrives before the connection is cut is kept."""
        _require_version(request)
        if request.headers.get("Content-Type") != _OCTETS:
            raise MediaTypeError(f"expected Content-Type {_OCTETS}, got {request.headers.get('Content-Type')!r}")
        robot = await run_in_threadpool(access.host, request)
        offset = _number(request, "Upload-Offset")
        writer: UploadWriter = await run_in_threadpool(uploads.write, upload, robot, offset)
        try:
            async for data in _arriving(request, uploads.idle_s):
                await run_in_threadpool(writer.append, data)
        except ClientDisconnect:
            pass  # nobody is left to answer
        finally:
            await run_in_threadpool(writer.close)
        return _tus(204, {"Upload-Offset": str(writer.offset)})


def _add_intake(router: APIRouter, access: Access, intake: Intake) -> None:
    @router.post("/api/episodes/{episode}/seal", status_code=202)
    async def seal(episode: str, sealing: Sealing, request: Request) -> EpisodeView:
        """Take in a finished episode from its host."""
        robot = await run_in_threadpool(access.host, request)
        ticket = await run_in_threadpool(access.ticket, episode)
        return await intake.seal(episode, robot, ticket, sealing)

    @router.post("/api/episodes/{episode}/signature")
    async def sign(
        episode: str, signature: Annotated[str, Body(embed=True, max_length=200)], request: Request
    ) -> EpisodeView:
        """Take the operator's signature; verify and log the episode, or hold it until it can be checked."""
        operator = await run_in_threadpool(access.operator, request)
        ticket = await run_in_threadpool(access.ticket, episode)
        return await intake.sign(episode, operator, ticket, signature)

    @router.post("/api/episodes/{episode}/another-look")
    async def look_again(
        episode: str, request: Request, signature: Annotated[str, Body(embed=True, max_length=200)] = ""
    ) -> EpisodeView:
        """Check a rejected episode once more, as its operator may ask for once."""
        operator = await run_in_threadpool(access.operator, request)
        ticket = await run_in_threadpool(access.ticket, episode)
        return await intake.look_again(episode, operator, ticket, signature)

    @router.post("/api/episodes/{episode}/discard")
    async def discard(episode: str, request: Request) -> EpisodeView:
        """Discard an episode, as its operator."""
        operator = await run_in_threadpool(access.operator, request)
        ticket = await run_in_threadpool(access.ticket, episode)
        return await intake.discard(episode, operator, ticket)


def _add_arriving(router: APIRouter, access: Access, intake: Intake, arriving: Arriving) -> None:
    @router.get("/api/episodes/{episode}/arrival")
    async def arrival(episode: str, wait_s: Annotated[float, Query(ge=0.0, le=WAIT_S_MAX)] = 0.0) -> Arrival:
        """Return how much of an episode's file has arrived: at once if that is all of it, else after the wait."""
        await intake.manifest(episode, wait_s)
        ticket = await run_in_threadpool(access.ticket, episode)
        found: Arrival = await run_in_threadpool(arriving.of, episode, ticket)
        return found

    @router.get("/api/operators/{address}/unsigned")
    def unsigned(address: str) -> list[Unsigned]:
        """Return a wallet's episodes that it has neither signed nor discarded, newest first."""
        try:
            return arriving.unsigned(require_address(address))
        except SignatureError as error:
            raise errors.ApiError(422, "address", str(error)) from error


def _add_reading(
    router: APIRouter,
    access: Access,
    intake: Intake,
    catalogue: Catalogue,
    withdrawn: Withdrawn,
    readers: Readers,
) -> None:
    @router.get("/api/episodes/{episode}/manifest", response_class=Response, responses=_MANIFEST)
    async def manifest(episode: str, wait_s: Annotated[float, Query(ge=0.0, le=WAIT_S_MAX)] = 0.0) -> Response:
        """Return the manifest's exact bytes, once the host has sealed the episode."""
        found = await intake.manifest(episode, wait_s)
        if found is None:
            raise UnknownEpisodeError(f"{episode[:80]!r} has not been sealed within {wait_s} s; ask again")
        return Response(found, media_type="application/json")

    @router.get("/api/episodes/{episode}")
    def episode(episode: str) -> SeenEpisode:
        """Return one episode."""
        return seen(catalogue.get(episode), withdrawn(episode))

    @router.get("/api/episodes/{episode}/files/{name}", response_class=Response, responses=_FILE)
    @router.head("/api/episodes/{episode}/files/{name}", response_class=Response)
    def file(episode: str, name: str, request: Request) -> Response:
        """Return a bundle's file, or a range; a private recording, only to those who may read it.

        Before it is verified, to its operator and its robot's owner only.
        """
        if name not in BUNDLE_FILES:
            raise UnknownFileError(f"expected one of {', '.join(BUNDLE_FILES)}, got {name[:80]!r}")
        kind = "application/x-hdf5" if name.endswith(".h5") else "application/json"
        found = intake.file(episode, name, partial(_concerned, access, request))
        private = name == EPISODE_FILE and readers.let(episode, asking(access.operator, request), What.FILE)
        answer = file_answer(request, found, kind, f"{episode}-{name}")
        if private:
            answer.headers["Cache-Control"] = NOT_KEPT
        return answer


def _verified(
    access: Access, catalogue: Catalogue, intake: Intake, readers: Readers, request: Request, episode: str
) -> tuple[StoredFile, bool]:
    """Return the file of a verified episode that whoever asks may read, and whether it is private.

    One that is not verified may be anything, and is read for nobody who looks.
    """
    state = catalogue.get(episode).state
    if state is not EpisodeState.VERIFIED:
        raise EpisodeStateError(f"{episode} is {state}: only verified episodes are shown")
    private = readers.let(episode, asking(access.operator, request), What.MOTION)
    return intake.file(episode, EPISODE_FILE, lambda _row: False), private


def _seen(
    access: Access,
    intake: Intake,
    catalogue: Catalogue,
    readers: Readers,
    withdrawn: Withdrawn,
    request: Request,
    episode: str,
) -> tuple[str, StoredFile, bool]:
    """Return the digest and the file of an episode that whoever asks may see, and whether it is private."""
    found = catalogue.get(episode)
    if found.state is not EpisodeState.VERIFIED or found.digest is None:
        raise EpisodeStateError(f"{episode} is {found.state}: only verified episodes have previews")
    if withdrawn(episode) is not None:
        raise EpisodeWithdrawnError(f"the operator of {episode} has withdrawn it, so it is not shown any more")
    private = readers.let(episode, asking(access.operator, request), What.PICTURES)
    return found.digest, intake.file(episode, EPISODE_FILE, lambda _row: False), private


def _concerned(access: Access, request: Request, row: EpisodeRow) -> bool:
    """Return whether whoever asks drove the episode, or owns the robot; raise NotSignedInError if nobody says who."""
    return access.operator(request) in (row.operator, access.owner(row.robot))


def _add_log(router: APIRouter, log: Log, database: Database) -> None:
    @router.get("/api/log/checkpoint", response_class=Response, responses=_TEXT)
    def checkpoint() -> PlainTextResponse:
        """Return the log's signed head (C2SP)."""
        with database() as db:
            return PlainTextResponse(log.checkpoint(db))

    @router.get("/api/log/proof/{index}")
    def proof(index: int) -> InclusionAnswer:
        """Prove that an entry is in the log (RFC 6962)."""
        with database() as db:
            found = log.prove(db, index)
        hashes = ["0x" + one.hex() for one in found.hashes]
        return InclusionAnswer(found.index, found.size, "0x" + found.leaf.hex(), hashes, found.checkpoint)

    @router.get("/api/log/consistency/{old}")
    def consistency(old: int) -> ConsistencyAnswer:
        """Prove that the current log starts with the log of `old` entries (RFC 6962)."""
        with database() as db:
            size, hashes = log.prove_consistency(db, old)
            head = log.checkpoint(db, size)
        return ConsistencyAnswer(old, size, ["0x" + one.hex() for one in hashes], head)


async def _arriving(request: Request, idle_s: float) -> AsyncIterator[bytes]:
    """Yield a body's bytes as they come; raise UploadIdleError if none come for `idle_s`."""
    stream = aiter(request.stream())
    while True:
        try:
            async with asyncio.timeout(idle_s):
                data = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            raise UploadIdleError(f"expected more bytes within {idle_s} s, got none; continue after HEAD") from error
        yield data


def _tus(status: int, headers: dict[str, str]) -> Response:
    return Response(status_code=status, headers={"Tus-Resumable": TUS_VERSION, **headers})


def _require_version(request: Request) -> None:
    found = request.headers.get("Tus-Resumable")
    if found != TUS_VERSION:
        raise TusVersionError(f"expected Tus-Resumable {TUS_VERSION}, got {found!r}")


def _number(request: Request, header: str) -> int:
    text = request.headers.get(header, "")
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise TusHeaderError(f"expected {header} as a decimal number of bytes, got {text[:40]!r}")
    return int(text)


def _episode_in(request: Request) -> str:
    """Return the value of `episode` in Upload-Metadata, which is comma-separated pairs of key and base64."""
    for pair in request.headers.get("Upload-Metadata", "").split(","):
        key, _, encoded = pair.strip().partition(" ")
        if key != "episode":
            continue
        try:
            return base64.b64decode(encoded, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise TusHeaderError(f"expected base64 of UTF-8 after `episode`, got {encoded[:80]!r}") from error
    raise TusHeaderError("expected `episode <base64>` in Upload-Metadata")
