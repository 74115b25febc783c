"""Asking for exports and releases over HTTP, how far they are, and the archives that came of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, PlainTextResponse
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from recorder.export.actions import ACTIONS
from recorder.export.formats import FORMATS
from rewards.datasets.exporting import Order
from rewards.datasets.version import DatasetVersion
from rewards.hub.api import SignedIn
from rewards.hub.exports import archives, releasing
from rewards.hub.exports.archives import ArchiveErasedError, Exports, NoArchiveError
from rewards.hub.exports.releases import Versions
from rewards.hub.jobs import Asked, Job, Jobs, JobsFullError, JobState, TooManyJobsError, UnknownJobError
from sim.words import listed
from teleop.hub.errors import ApiError, refusing

WAIT_MAX_S: Final = 30.0
SIZES: Final = (16, 1920)
_NAMED: Final = re.compile(r"([^@/]{1,40}/[^@/]{1,40})(?:@([1-9][0-9]{0,8}))?")
_SIZE: Final = re.compile(r"(\d{1,5})x(\d{1,5})")
_ARCHIVE: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"application/x-tar": {"schema": {"type": "string", "format": "binary"}}}}
}

_TEXT: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}


_refusals = partial(
    refusing,
    {
        UnknownJobError: 404,
        NoArchiveError: 409,
        ArchiveErasedError: 410,
        TooManyJobsError: 429,
        JobsFullError: 503,
    },
)
Let = Callable[[Request, str, bool], None]
"""Raises ApiError unless whoever asks may read all of `NS/NAME@N`; notes, if that is said, that they are given it."""


class OrderAsked(BaseModel):
    """How episodes are to be written: the options of `armshare export`."""

    model_config = ConfigDict(extra="forbid")

    action: str = "ee_twist"
    camera: list[Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]] = Field([], max_length=8)
    """Empty: all that were recorded."""
    size: str = "640x480"
    """Width and height of pictures that are drawn."""
    all_steps: bool = False
    language: bool = True
    length: int = Field(-1, ge=-1, le=1_000_000)
    """For act; -1 if it is not said."""

    def order(self) -> Order:
        """Return it checked; raise ApiError."""
        if self.action not in ACTIONS:
            raise ApiError(422, "order", f"there is no action {self.action[:40]!r}: there are {listed(ACTIONS)}")
        said = _SIZE.fullmatch(self.size)
        size = (int(said[1]), int(said[2])) if said else (0, 0)
        if not all(SIZES[0] <= one <= SIZES[1] for one in size):
            text = f"expected a size such as 640x480, of {SIZES[0]} to {SIZES[1]} pixels, got {self.size[:40]!r}"
            raise ApiError(422, "order", text)
        length = None if self.length < 0 else self.length
        return Order(self.action, tuple(self.camera) or None, size, self.all_steps, self.language, length)


class ReleaseAsked(OrderAsked):
    """A release."""

    language: bool = False
    """With those columns, LeRobot's visualizer (0.6.1) and PyTorch's own way to batch frames cannot read it."""


class ExportAsked(OrderAsked):
    """An export."""

    set: str
    """`NS/NAME@N`, or `NS/NAME` for the newest version."""
    format: str


class ResultAnswer(BaseModel):
    """What a job made: of an export, an archive; of a release, what Hugging Face's client is given."""

    name: str
    """An export's file or folder in its archive; a release's data set."""
    written: str
    """How much, in words, as `armshare export` says it."""
    fits: str
    judged: str
    bytes: int
    sha256: str | None = None
    """Of the archive."""
    version: int | None = None
    digest: str | None = None
    """Of the version that was released."""
    commit: str | None = None
    files: int | None = None


class JobAnswer(BaseModel):
    """A job: what it is about, how far it is, and what came of it."""

    id: str
    kind: str
    """`export` or `release`."""
    set: str
    """`NS/NAME@N`."""
    format: str
    state: JobState
    what: str
    """What is being done now: `checking`, `reading`, `writing`, `signing` or `packing`."""
    done: int
    total: int
    """Of how many episodes it is done."""
    error: str | None
    """Why it failed, in a sentence."""
    result: ResultAnswer | None
    created_ms: int
    ended_ms: int | None


class _Routes:
    """The routes, each a method of its own."""

    def __init__(
        self, jobs: Jobs, versions: Versions, made: Exports, signed_in: SignedIn, public_key: str, let: Let
    ) -> None:
        self._jobs, self._versions, self._made, self._signed_in, self._let = jobs, versions, made, signed_in, let
        self._public_key = public_key

    def export(self, request: Request, asked: ExportAsked) -> JobAnswer:
        """Ask for an export of a version in a format; the same request is the same job."""
        wallet = self._signed_in(request)
        if asked.format not in FORMATS:
            raise ApiError(422, "order", f"there is no format {asked.format[:40]!r}: there are {listed(FORMATS)}")
        order = asked.order()
        said = _NAMED.fullmatch(asked.set)
        found = self._found(said[1], said[2], asked.set) if said else None
        if found is None:
            raise ApiError(404, "unknown_dataset", f"expected a data set as NAMESPACE/NAME@N, got {asked.set[:90]!r}")
        self._let(request, f"{found.name}@{found.version}", False)
        request = msgspec.json.decode(msgspec.json.encode(_request(found, asked.format, order)))
        return self._asked(Asked(archives.KIND, request, len(found.episodes)), wallet)

    def release(self, request: Request, namespace: str, name: str, version: int, asked: ReleaseAsked) -> JobAnswer:
        """Ask that a version be given out by Hugging Face's calls, as its owner: its LeRobot export is written."""
        wallet = self._signed_in(request)
        order = asked.order()
        found = self._found(f"{namespace}/{name}", str(version), f"{namespace}/{name}@{version}")
        if found.owner != wallet:
            raise ApiError(403, "not_the_namespace", f"expected {found.owner}, who made {found.name}, got {wallet}")
        self._let(request, f"{found.name}@{found.version}", False)
        asked_for = releasing.asked_for(_request(found, "lerobot", order), found)
        made = self._asked(asked_for, wallet)
        if self._jobs.get(made.id).request != asked_for.request:
            text = f"{found.name}@{version} is released, or about to be, with other options: release a newer version"
            raise ApiError(409, "release_differs", text)
        return made

    async def job(
        self, request: Request, job: str, wait_s: Annotated[float, Query(ge=0, le=WAIT_MAX_S)] = 0.0
    ) -> JobAnswer:
        """Return how far a job is: at once if it has ended, else after the wait; of a private version, to readers."""
        with _refusals():
            found = await run_in_threadpool(self._jobs.get, job)
            named = f"{found.request['name']}@{found.request['version']}"
            await run_in_threadpool(self._let, request, named, False)
            return _answer(await self._jobs.ended(job, wait_s))

    def archive(self, request: Request, job: str) -> FileResponse:
        """Return an export's archive, whole or a range of it; of a private version, to its readers."""
        with _refusals():
            found = self._jobs.get(job)
            if found.kind == archives.KIND:
                self._let(request, f"{found.request['name']}@{found.request['version']}", True)
            path = self._made.archive(found)
        result = found.result or {}
        headers = {"ETag": f'"{result["sha256"]}"', "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
        name = f"{result['name']}-{found.request['format']}.tar"
        return FileResponse(path, media_type="application/x-tar", filename=name, headers=headers)

    def key(self) -> PlainTextResponse:
        """Return the key that released folders are signed by: `model_signing verify key --public_key` takes it."""
        return PlainTextResponse(self._public_key)

    def _found(self, name: str, number: str | None, named: str) -> DatasetVersion:
        found = self._versions.version(name, int(number)) if number else self._versions.newest(name)
        if found is None:
            raise ApiError(404, "unknown_dataset", f"this hub has no data set version {named[:90]!r}")
        return found

    def _asked(self, asked: Asked, wallet: str) -> JobAnswer:
        with _refusals():
            return _answer(self._jobs.ask(asked, wallet))


def router(
    jobs: Jobs,
    versions: Versions,
    made: Exports,
    signed_in: SignedIn,
    public_key: str,
    let: Let = lambda _request, _named, _note: None,
) -> APIRouter:
    """Return the routes. `public_key` is the PEM that releases are verified by."""
    ours, routes = _Routes(jobs, versions, made, signed_in, public_key, let), APIRouter()
    routes.post("/api/exports", status_code=202)(ours.export)
    routes.post("/api/sets/{namespace}/{name}/versions/{version}/release", status_code=202)(ours.release)
    routes.get("/api/jobs/{job}")(ours.job)
    routes.get("/api/exports/{job}/archive", response_class=FileResponse, responses=_ARCHIVE)(ours.archive)
    routes.head("/api/exports/{job}/archive", response_class=Response)(ours.archive)
    routes.get("/api/release.pub", response_class=Response, responses=_TEXT)(ours.key)
    return routes


def _request(found: DatasetVersion, form: str, order: Order) -> releasing.Request:
    return releasing.Request(found.name, found.version, found.digest, form, order)


def _answer(job: Job) -> JobAnswer:
    return JobAnswer(
        id=job.id,
        kind=job.kind,
        set=f"{job.request['name']}@{job.request['version']}",
        format=job.request["format"],
        state=job.state,
        what=job.what,
        done=job.done,
        total=job.total,
        error=job.error,
        result=None if job.result is None else ResultAnswer(**job.result),
        created_ms=job.created_ms,
        ended_ms=job.ended_ms,
    )
