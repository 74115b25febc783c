"""Files that are compressed once, and served from disk as they are: no request has to compress anything."""

from __future__ import annotations

import gzip
import hashlib
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import structlog
from fastapi.responses import FileResponse
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.staticfiles import NotModifiedResponse

from teleop.files import write_atomic

_log = structlog.get_logger()
SUFFIXES: Final = {"br": ".br", "gzip": ".gz"}
"""The content codings that this project serves, best first, with the file name suffix of each."""
_KEPT_BELOW: Final = 0.9
"""A compressed file is kept if it is at most this fraction of its original."""


def beside(path: Path) -> dict[str, Path]:
    """Return the encoded files that a build has put beside `path`, by coding."""
    found = {coding: path.with_name(path.name + suffix) for coding, suffix in SUFFIXES.items()}
    return {coding: file for coding, file in found.items() if file.is_file()}


def answer(path: Path, encoded: Mapping[str, Path], asked: Headers, headers: Mapping[str, str]) -> Response:
    """Return `path`, or the encoded file that the request's headers allow; 304 if the client has that one already.

    ETag, Last-Modified and a Range are those of the bytes that are sent, as RFC 9110 (8.8.3, 14.2) requires.
    """
    coding = next((one for one in SUFFIXES if one in encoded and one in accepted(asked)), None)
    file = path if coding is None else encoded[coding]
    extra = {} if coding is None else {"Content-Encoding": coding}
    named = FileResponse(path)  # which tells a file's type from its own name
    response = FileResponse(
        file,
        headers={**headers, "Vary": "Accept-Encoding", **extra},
        media_type=named.media_type,
        stat_result=file.stat(),
    )
    return NotModifiedResponse(response.headers) if _has(response, asked) else response


def accepted(asked: Headers) -> set[str]:
    """Return the codings that the client takes (RFC 9110, 12.5.3)."""
    taken = set()
    for one in ",".join(asked.getlist("accept-encoding")).lower().split(","):
        coding, *parameters = (part.strip() for part in one.split(";"))
        if not any(_is_zero(parameter) for parameter in parameters):
            taken.add(coding)
    return taken


def _is_zero(parameter: str) -> bool:
    name, _, value = parameter.partition("=")
    return name.strip() == "q" and not value.strip(" 0.")


def _has(response: Response, asked: Headers) -> bool:
    """Whether the client has these very bytes."""
    tags = asked.get("if-none-match")
    if tags is not None:
        return tags.strip() == "*" or response.headers["etag"] in {
            tag.strip().removeprefix("W/") for tag in tags.split(",")
        }
    return asked.get("if-modified-since") == response.headers["last-modified"]


class _Seen(NamedTuple):
    """One version of a file: another one with the same name is a different file."""

    path: Path
    mtime_ns: int
    size: int


@dataclass(frozen=True, slots=True)
class _Result:
    file: Path | None
    """None if the file hardly gets smaller."""


class EncodedCache:
    """Compresses files that belong to somebody else (meshes in a package) once, into a folder, by their content.

    The first request for a file gets it as it is; one thread compresses it meanwhile for those that follow.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._results: dict[_Seen, _Result | None] = {}
        self._lock = threading.Lock()
        self._worker = ThreadPoolExecutor(1, "encoding")

    def of(self, path: Path) -> dict[str, Path]:
        """Return the encoded file of `path` by its coding; empty until there is one. Safe from any thread."""
        stat = path.stat()
        seen = _Seen(path, stat.st_mtime_ns, stat.st_size)
        with self._lock:
            if seen not in self._results:
                self._results[seen] = None
                self._worker.submit(self._make, seen)
                return {}
            result = self._results[seen]
        return {"gzip": result.file} if result is not None and result.file is not None and result.file.is_file() else {}

    def close(self) -> None:
        """End the thread; the file being compressed is finished, and those waiting are left for another time."""
        self._worker.shutdown(cancel_futures=True)

    def wait(self) -> None:
        """Return once everything asked for so far is compressed."""
        self._worker.submit(lambda: None).result()

    def _make(self, seen: _Seen) -> None:
        try:
            self._results[seen] = _Result(self._encoded(seen.path.read_bytes()))
        except OSError as error:  # a full disk: the file is served as it is
            self._results[seen] = _Result(None)
            _log.warning("a file could not be compressed", path=str(seen.path), error=str(error))

    def _encoded(self, data: bytes) -> Path | None:
        file = self._folder / f"{hashlib.sha256(data).hexdigest()}.gz"
        if file.is_file():
            return file
        encoded = gzip.compress(data, mtime=0)
        if len(encoded) > _KEPT_BELOW * len(data):
            return None
        self._folder.mkdir(parents=True, exist_ok=True)
        write_atomic(file, encoded)
        return file
