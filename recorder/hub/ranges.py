"""A stored file over HTTP: HEAD, one range of bytes, and conditions by its ETag, which is its SHA-256 (RFC 9110).

It goes through the hub, a block at a time, and only from a worker thread; a block is all the memory that it takes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from recorder.hub.store.store import StoredFile, blocks

_RANGE: Final = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*", re.IGNORECASE | re.ASCII)
NOT_KEPT: Final = "private, no-store"
"""Of what is private: no cache keeps it, not even a browser's."""


class RangeError(Exception):
    """A range begins beyond a file's end. `size`: the file's, bytes."""

    def __init__(self, size: int, asked: str) -> None:
        super().__init__(f"expected a range of {size} bytes, got {asked[:80]!r}")
        self.size = size


def file_answer(request: Request, file: StoredFile, kind: str, name: str) -> Response:
    """Answer a GET or a HEAD for a file, with the name that it is saved by; raise RangeError.

    Several ranges, or what is no range, are answered with all of it, as RFC 9110 allows.
    """
    headers = {"Accept-Ranges": "bytes", "Content-Disposition": f'attachment; filename="{name}"'}
    etag = None if file.sha256 is None else f'"{file.sha256}"'
    if etag is not None:
        headers |= {"ETag": etag, "Cache-Control": "no-cache"}
        if _names(request.headers.get("If-None-Match", ""), etag):
            return Response(status_code=304, headers=headers)
    asked = request.headers.get("Range")
    only_if = request.headers.get("If-Range")
    ranged = None
    if asked is not None and request.method == "GET" and (only_if is None or only_if == etag):
        ranged = range_in(asked, file.size)
    start, end = ranged or (0, file.size)
    headers["Content-Length"] = str(end - start)
    if ranged is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.size}"
    status = 200 if ranged is None else 206
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=kind)
    return StreamingResponse(_begun(blocks(file, start, end)), status, headers, kind)


def range_in(asked: str, size: int) -> tuple[int, int] | None:
    """Return the start and the end of one range; None if it is to be ignored. Raises RangeError."""
    found = _RANGE.fullmatch(asked)
    if found is None or not any(found.groups()):
        return None
    first, last = found.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < int(first):
            return None
    if start >= size:
        raise RangeError(size, asked)
    return start, end


def _names(conditions: str, etag: str) -> bool:
    """Return whether `If-None-Match` names this one; weak and strong ones are the same there."""
    named = [one.strip().removeprefix("W/") for one in conditions.split(",")]
    return etag in named or "*" in named


def _begun(parts: Iterator[bytes]) -> Iterator[bytes]:
    """Read the first block now, while a store that does not answer can still be told."""
    first = next(parts, b"")
    return _all(first, parts)


def _all(first: bytes, parts: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from parts
