"""The calls of Hugging Face's own client, so that `HF_ENDPOINT=URL` loads a released data set from this hub.

What they answer follows `huggingface_hub` (docs/decisions/0053-the-fields-own-calls.md). Anyone may call them, from any
page, and nothing is changed; a private version is there for those who may read it (`HF_TOKEN` is their token here).
What is not there is answered as the Hugging Face Hub does (`X-Error-Code`), so that the client raises its own named
errors.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Coroutine, Iterable, Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from recorder.hub.ranges import NOT_KEPT
from recorder.hub.readers import Asker
from rewards.datasets.release import File
from rewards.hub.exports.releases import (
    MAIN,
    NOBODY,
    Released,
    Releases,
    TakenDownError,
    UnknownPathError,
    UnknownRevisionError,
    UnknownSetError,
)
from teleop.hub import errors

AskedBy = Callable[[Request], Asker]
"""Returns who asks."""
PAGE: Final = 1000
"""How many entries of a tree one answer has, as on the Hugging Face Hub."""
PATHS_MAX: Final = 1000
_ASK: Final = "no-cache"
"""Also of a commit, which never changes: an operator's consent may end, and no cache may give it out from then on."""
_TEXTS: Final = (".md", ".json", ".sig")
"""Small files, which the Hugging Face Hub keeps in git; the others are LFS, and known by their SHA-256."""
_KINDS: Final = {
    ".json": "application/json",
    ".sig": "application/json",
    ".md": "text/plain; charset=utf-8",
    ".mp4": "video/mp4",
    ".parquet": "application/vnd.apache.parquet",
}
_POINTER: Final = "version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n"
_EXPOSED: Final = (
    "Accept-Ranges, Content-Disposition, Content-Length, Content-Range, ETag, Link, X-Error-Code, X-Error-Message, "
    "X-Linked-ETag, X-Linked-Size, X-Repo-Commit"
)
_OPEN: Final = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": _EXPOSED}
_PREFLIGHT: Final = {
    **_OPEN,
    "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Range, Range",
    "Access-Control-Max-Age": "86400",
}
_FILE: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
}


class _Answer(BaseModel):
    """Written as the Hugging Face Hub writes names."""

    model_config = ConfigDict(alias_generator=to_camel, serialize_by_alias=True, validate_by_name=True)


class Ref(_Answer):
    """A branch or a tag."""

    name: str
    ref: str
    target_commit: str


class Refs(_Answer):
    """What a revision can be called."""

    branches: list[Ref]
    converts: list[Ref] = []
    tags: list[Ref]
    pull_requests: list[Ref] = []


class Lfs(_Answer):
    """A large file's content."""

    oid: str
    """SHA-256, hex."""
    size: int
    pointer_size: int


class Blob(_Answer):
    """The same, as the files of a description have it."""

    sha256: str
    size: int
    pointer_size: int


class Commit(_Answer):
    """What last changed an entry: the release, which made all of them."""

    id: str
    title: str
    date: str


class Entry(_Answer):
    """A file or a folder of a tree."""

    type: str
    """`file` or `directory`."""
    path: str
    oid: str
    """What git calls a file's content; of a folder, a name for what is in it."""
    size: int
    lfs: Lfs | None = None
    last_commit: Commit | None = None


class Sibling(_Answer):
    """A file of a data set, as its description lists it."""

    rfilename: str
    size: int | None = None
    blob_id: str | None = None
    lfs: Blob | None = None


class Description(_Answer):
    """A data set at a revision."""

    id: str
    author: str
    sha: str
    created_at: str
    last_modified: str
    private: bool = False
    gated: bool = False
    disabled: bool = False
    tags: list[str]
    used_storage: int
    siblings: list[Sibling]


class _Route(APIRoute):
    """Lets every page read the answer, and answers what is not there by the Hugging Face Hub's names."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                response = await handle(request)
            except tuple(_NOT_THERE) as error:
                response = _unknown(error)
            response.headers.update(_OPEN)
            return response

        return answer


class _Calls:
    """The calls, each a method of its own."""

    def __init__(self, releases: Releases, url: str, asked_by: AskedBy) -> None:
        self._releases, self._url, self._asked_by = releases, url, asked_by

    def refs(self, request: Request, namespace: str, name: str) -> Refs:
        """Return what the revisions are called: `main`, the tag of LeRobot's format, and a tag for each version."""
        there = self._releases.of(f"{namespace}/{name}", self._asked_by(request))
        newest = there[0]
        tags = {newest.index.codebase: newest.commit, **{one.tag: one.commit for one in there}}
        return Refs(
            branches=[Ref(name=MAIN, ref=f"refs/heads/{MAIN}", target_commit=newest.commit)],
            tags=[Ref(name=tag, ref=f"refs/tags/{tag}", target_commit=commit) for tag, commit in tags.items()],
        )

    def newest(self, request: Request, namespace: str, name: str, blobs: bool = False) -> Description:
        """Return the newest version that is given out."""
        return self.at(request, namespace, name, MAIN, blobs)

    def at(self, request: Request, namespace: str, name: str, revision: str, blobs: bool = False) -> Description:
        """Return a data set at a revision."""
        found = self._releases.revision(f"{namespace}/{name}", revision, self._asked_by(request))
        return Description(
            private=self._releases.private(found),
            id=found.index.name,
            author=namespace,
            sha=found.commit,
            created_at=_date(found),
            last_modified=_date(found),
            tags=["LeRobot", "armshare", "task_categories:robotics"],
            used_storage=found.index.bytes,
            siblings=[_sibling(file, blobs=blobs) for file in found.index.files],
        )

    def tree(
        self,
        request: Request,
        response: Response,
        namespace: str,
        name: str,
        revision: str,
        path: str = "",
        recursive: bool = False,
        expand: bool = False,
        limit: Annotated[int, Query(ge=1, le=PAGE)] = PAGE,
        cursor: str = "",
    ) -> list[Entry]:
        """Return what is in a folder, in the order of paths; `Link` names the next page, if there is one."""
        found = self._releases.revision(f"{namespace}/{name}", revision, self._asked_by(request))
        entries = sorted(_entries(found, path.strip("/"), recursive=recursive, expand=expand), key=lambda one: one.path)
        if not entries:
            raise UnknownPathError(f"{found.index.name} at {found.tag} has no folder {path[:200]!r}")
        ahead = [one for one in entries if one.path > cursor]
        if len(ahead) > limit:
            query = {"recursive": recursive, "expand": expand, "limit": limit, "cursor": ahead[limit - 1].path}
            response.headers["Link"] = f'<{self._here(request)}?{urlencode(query)}>; rel="next"'
        return ahead[:limit]

    async def paths(self, request: Request, namespace: str, name: str, revision: str) -> list[Entry]:
        """Return those of the named paths that there are; `paths` and `expand` in a form, or in JSON."""
        paths, expand = _named(request.headers.get("content-type", ""), await request.body())
        found = await run_in_threadpool(
            self._releases.revision, f"{namespace}/{name}", revision, self._asked_by(request)
        )
        all_of_it = {one.path: one for one in _entries(found, "", recursive=True, expand=expand)}
        return [all_of_it[path] for path in dict.fromkeys(paths) if path in all_of_it]

    def file(self, request: Request, namespace: str, name: str, revision: str, path: str) -> FileResponse:
        """Return a file, whole or a range of it."""
        found = self._releases.revision(f"{namespace}/{name}", revision, self._asked_by(request))
        file = found.file(path)
        place = found.path(file)
        if not place.is_file():
            raise UnknownPathError(f"{path[:200]!r} of {found.index.name} at {found.tag} was removed from this hub")
        kind = _KINDS.get(place.suffix, "application/octet-stream")
        headers = {
            "ETag": f'"{file.git if _is_text(file) else file.sha256}"',
            "X-Repo-Commit": found.commit,
            "Cache-Control": NOT_KEPT if self._releases.private(found) else _ASK,
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "sandbox",
        }
        return FileResponse(place, headers=headers, media_type=kind)

    async def preflight(self, path: str) -> Response:
        """Let pages of any site ask."""
        return Response(status_code=204, headers=_PREFLIGHT)

    def _here(self, request: Request) -> str:
        """Return this call's address as its client knows it: by the hub's public one, if that is how it came here."""
        public = urlsplit(self._url)
        path = request.scope["path"]
        if request.headers.get("host") == public.netloc:
            return f"{self._url.rstrip('/')}{path}"
        return f"{request.url.scheme}://{request.url.netloc}{request.scope.get('root_path', '')}{path}"


def router(releases: Releases, url: str, asked_by: AskedBy = lambda _request: NOBODY) -> APIRouter:
    """Return the routes. `url` is the hub's public address."""
    made, routes = _Calls(releases, url, asked_by), APIRouter(route_class=_Route)
    one = "/api/datasets/{namespace}/{name}"
    routes.get(f"{one}/refs")(made.refs)
    routes.get(one, response_model_exclude_none=True)(made.newest)
    routes.get(f"{one}/revision/{{revision:path}}", response_model_exclude_none=True)(made.at)
    for more in ("", "/{path:path}"):
        routes.get(f"{one}/tree/{{revision}}{more}", response_model_exclude_none=True)(made.tree)
    routes.post(f"{one}/paths-info/{{revision:path}}", response_model_exclude_none=True)(made.paths)
    resolve = "/datasets/{namespace}/{name}/resolve/{revision}/{path:path}"
    routes.get(resolve, response_class=FileResponse, responses=_FILE)(made.file)
    routes.head(resolve, response_class=Response)(made.file)
    for public in ("/api/datasets/{path:path}", "/datasets/{path:path}"):
        routes.options(public, status_code=204)(made.preflight)
    return routes


_NOT_THERE: Final[dict[type[Exception], tuple[int, str, str]]] = {
    UnknownSetError: (404, "unknown_dataset", "RepoNotFound"),
    UnknownRevisionError: (404, "unknown_revision", "RevisionNotFound"),
    UnknownPathError: (404, "unknown_path", "EntryNotFound"),
    TakenDownError: (410, "taken_down", "RevisionNotFound"),
}
"""Status, our code, and that of the Hugging Face Hub: its client raises its error by that, whatever the status."""


def _unknown(error: Exception) -> Response:
    """Say what is not there as the Hugging Face Hub does."""
    status, code, named = _NOT_THERE[type(error)]
    if isinstance(error, TakenDownError) and error.whole:
        named = "RepoNotFound"
    response = errors.answer(status, code, str(error))
    said = str(error).encode("ascii", "replace").decode()
    response.headers.update({"X-Error-Code": named, "X-Error-Message": said})
    return response


def _entries(found: Released, folder: str, *, recursive: bool, expand: bool) -> Iterator[Entry]:
    """Yield the files and folders below a folder; or, if it is a file's path, none."""
    commit = Commit(id=found.commit, title=f"Version {found.index.version}", date=_date(found)) if expand else None
    start, folders = f"{folder}/" if folder else "", dict[str, list[File]]()
    for file in found.index.files:
        if not file.path.startswith(start):
            continue
        inner = file.path.removeprefix(start).split("/")
        for depth in range(1, len(inner) if recursive else min(len(inner), 2)):
            folders.setdefault(start + "/".join(inner[:depth]), []).append(file)
        if recursive or len(inner) == 1:
            lfs = _lfs(file)
            yield Entry(type="file", path=file.path, oid=file.git, size=file.size, lfs=lfs, last_commit=commit)
    for path, files in folders.items():
        yield Entry(type="directory", path=path, oid=_named_by(files), size=0, last_commit=commit)


def _named_by(files: Iterable[File]) -> str:
    """Return a name for a folder: it is the same for the same files."""
    text = "".join(f"{one.git} {one.path}\n" for one in files)
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def _is_text(file: File) -> bool:
    return file.path.endswith(_TEXTS)


def _lfs(file: File) -> Lfs | None:
    if _is_text(file):
        return None
    pointer = _POINTER.format(sha256=file.sha256, size=file.size)
    return Lfs(oid=file.sha256, size=file.size, pointer_size=len(pointer))


def _sibling(file: File, *, blobs: bool) -> Sibling:
    if not blobs:
        return Sibling(rfilename=file.path)
    lfs = _lfs(file)
    large = None if lfs is None else Blob(sha256=lfs.oid, size=lfs.size, pointer_size=lfs.pointer_size)
    return Sibling(rfilename=file.path, size=file.size, blob_id=file.git, lfs=large)


def _date(found: Released) -> str:
    return datetime.fromtimestamp(found.released_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _named(kind: str, body: bytes) -> tuple[list[str], bool]:
    """Return the paths that a body names, and whether all is wanted of each; raise ApiError."""
    try:
        if kind.startswith("application/json"):
            said = json.loads(body)
            paths, expand = said["paths"], bool(said.get("expand", False))
        else:
            form = parse_qs(body.decode(), max_num_fields=PATHS_MAX + 1)
            paths, expand = form["paths"], form.get("expand", [""])[0].lower() in ("true", "1")
        if not (isinstance(paths, list) and len(paths) <= PATHS_MAX and all(isinstance(one, str) for one in paths)):
            raise TypeError
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"expected `paths`, at most {PATHS_MAX}, and `expand`, in a form or in JSON"
        raise errors.ApiError(422, "paths", what) from error
    return paths, expand
