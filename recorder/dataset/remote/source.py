"""Bytes of files at `https://` and `s3://`, asked for by ranges; every answer is held against what was asked.

A server, or a proxy before it, may answer with a page of its own, with less than was asked for, or with another file
than before. Each of these is an error with a name, and none of them is taken for the file.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from functools import cache
from typing import Final
from urllib.parse import urlsplit

import httpx

from recorder.dataset.errors import RemoteChangedError, RemoteCutError, RemoteError, RemoteUnreachableError
from recorder.dataset.remote.signing import signed, url_of
from teleop.dialing import trusted

_TRIES: Final = 4
_PAUSE_S: Final = 0.1
_ANSWER_S: Final = 30.0
_RANGE: Final = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", re.ASCII)
_SHOWN: Final = 80


@dataclass(frozen=True, slots=True)
class Piece:
    """What came of a file."""

    data: bytes
    size: int
    """The whole file's."""
    etag: str
    """What the server calls this content; empty if it does not say."""


def read_range(url: str, start: int, end: int) -> Piece:
    """Return a file's bytes from `start` up to `end`, or up to its end.

    Raises FileNotFoundError if there is no such file, RemoteChangedError if it ends before `start`, RemoteCutError,
    RemoteUnreachableError, or RemoteError if the answer is something else.
    """
    answer = _asked(url, {"Range": f"bytes={start}-{end - 1}"})
    if answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
        raise RemoteChangedError(f"{url} ends before byte {start}: it is another file than before, or empty.")
    if answer.status_code == httpx.codes.OK:
        raise RemoteError(f"{url} is answered with all of {_what(answer)} instead of a range; it cannot be read so.")
    ranged = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    if answer.status_code != httpx.codes.PARTIAL_CONTENT or ranged is None:
        raise RemoteError(f"{url} is answered with {_what(answer)} instead of the file.")
    first, last, size = map(int, ranged.groups())
    if (first, last) != (start, min(end, size) - 1):
        raise RemoteError(f"{url}: expected bytes {start} to {min(end, size) - 1}, got {first} to {last}.")
    return Piece(_body(url, answer, last + 1 - first), size, answer.headers.get("ETag", ""))


def read_document(url: str, bytes_max: int) -> bytes | None:
    """Return all of a small file; None if there is none. Raises as `read_range` does."""
    try:
        answer = _asked(url, {}, bytes_max=bytes_max)
    except FileNotFoundError:
        return None
    kind = answer.headers.get("Content-Type", "")
    if answer.status_code != httpx.codes.OK or kind.startswith("text/html"):
        raise RemoteError(f"{url} is answered with {_what(answer)} instead of the file.")
    declared = answer.headers.get("Content-Length", "")
    return _body(url, answer, int(declared) if declared.isdecimal() else len(answer.content))


def read_query(url: str, query: dict[str, str]) -> bytes:
    """Return the answer to a question; raises as `read_range` does."""
    answer = _asked(url, {}, query)
    if answer.status_code != httpx.codes.OK or answer.headers.get("Content-Type", "").startswith("text/html"):
        raise RemoteError(f"{url} is answered with {_what(answer)}.")
    return answer.content


def _asked(
    url: str, headers: dict[str, str], query: dict[str, str] | None = None, bytes_max: int = 0
) -> httpx.Response:
    """Ask, and again if the connection was lost or the server says that it cannot answer now."""
    trouble: Exception | None = None
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(_PAUSE_S * 4 ** (attempt - 1))
        try:
            answer = _once(url, headers, query or {}, bytes_max)
        except httpx.RemoteProtocolError as error:  # it ended before all of it had come
            trouble = RemoteCutError(f"{url}: the answer was cut short ({error}).")
        except httpx.TransportError as error:
            trouble = RemoteUnreachableError(f"{url} cannot be reached ({type(error).__name__}: {error}).")
        else:
            if answer.status_code == httpx.codes.NOT_FOUND:
                raise FileNotFoundError(f"{url} is answered with {_what(answer)}")
            if answer.status_code < 500 and answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
                return answer
            trouble = RemoteUnreachableError(f"{url} is answered with {_what(answer)}; try again later.")
    if trouble is None:
        raise TypeError("expected at least one try")
    raise trouble


def _once(url: str, headers: dict[str, str], query: dict[str, str], bytes_max: int) -> httpx.Response:
    parts = urlsplit(url)
    if parts.scheme == "s3":
        url = url_of(parts.netloc, parts.path.lstrip("/"))
        headers = headers | signed(url, query)
    headers = headers | {"Accept-Encoding": "identity"}
    follows = parts.scheme != "s3"
    client = _client(os.getpid())
    with client.stream("GET", url, headers=headers, params=query or None, follow_redirects=follows) as answer:
        declared = answer.headers.get("Content-Length", "0")
        if "Range" in headers and answer.status_code != httpx.codes.PARTIAL_CONTENT:
            _read_some(answer)  # whatever it is, it may be as long as it likes
        elif bytes_max and declared.isdecimal() and int(declared) > bytes_max:
            raise RemoteError(f"{url}: expected at most {bytes_max} bytes, got {declared}.")
        else:
            answer.read()
    return answer


def _read_some(answer: httpx.Response) -> None:
    """Read the beginning of an answer that is not what was asked for, to show it."""
    some = b""
    for part in answer.iter_bytes(1024):
        some = part
        break
    answer._content = some


def _body(url: str, answer: httpx.Response, length: int) -> bytes:
    if len(answer.content) != length:
        raise RemoteCutError(f"{url}: expected {length} bytes, got {len(answer.content)}.")
    return answer.content


def _what(answer: httpx.Response) -> str:
    """Return a short description of an answer."""
    kind = answer.headers.get("Content-Type", "no type").split(";")[0]
    text = " ".join(answer.content[:_SHOWN].decode("utf-8", "replace").split())
    return f"{answer.status_code} ({kind}: {text!r})"


@cache
def _client(_process: int) -> httpx.Client:
    """Return a process's client: a fork must not use its parent's connections."""
    return httpx.Client(timeout=_ANSWER_S, verify=trusted(), trust_env=False)
