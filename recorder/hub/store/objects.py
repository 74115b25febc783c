"""A bucket: bytes by a key. Whatever its library raises is a StoreLostError here.

obstore speaks S3 and keeps objects in memory; only this module imports it.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

import obstore
from obstore.exceptions import BaseError
from obstore.store import MemoryStore, S3Store

from recorder.hub.store.store import BLOCK_BYTES, StoreLostError

PART_BYTES: Final = 8 << 20
"""How much of a large file is one part of its upload, of which a few are sent side by side."""
PARTS_AT_ONCE: Final = 4
_ANSWER_S: Final = 30
"""How long the bucket may be silent."""
_WHOLE_S: Final = 3600
_TRIES: Final = 3
_AGAIN_S: Final = 20
_SAID: Final = 200
_AT_ONCE: Final = 500


class StoreUrlError(ValueError):
    """What names a store names nothing that this release can keep files in."""


class Objects:
    """The objects of one bucket below one prefix; for any thread. Another process opens it by its URL."""

    def __init__(self, store: S3Store | MemoryStore, url: str) -> None:
        self._store, self.url = store, url

    @staticmethod
    def at(url: str) -> Objects:
        """Return the objects at `s3://bucket/prefix`, with the endpoint and the keys of the environment (`AWS_...`).

        Each process has its own: what the library keeps open does not survive a fork. Raises StoreUrlError.
        """
        return _opened(url, os.getpid())

    @staticmethod
    def in_memory() -> Objects:
        """Return objects that last as long as this process."""
        return Objects(MemoryStore(), "memory:")

    def require(self) -> None:
        """Raise StoreLostError unless there is such a bucket, which answers."""
        next(self.keys("objects/"), None)

    def put(self, key: str, data: bytes | Path) -> None:
        """Keep bytes, or those of a file, whole or not at all."""
        with _lost(f"{key} was not kept"):
            obstore.put(self._store, key, data, chunk_size=PART_BYTES, max_concurrency=PARTS_AT_ONCE)

    def read(self, key: str, start: int, end: int) -> bytes:
        """Return some bytes of an object, exactly as many as that."""
        if start == end:
            return b""
        with _lost(f"{key} was not read"):
            data = bytes(obstore.get_range(self._store, key, start=start, end=end))
        if len(data) != end - start:
            raise StoreLostError(f"{key}: expected {end - start} bytes at {start}, got {len(data)}")
        return data

    def blocks(self, key: str) -> Iterator[bytes]:
        """Yield all bytes of an object."""
        with _lost(f"{key} was not read"):
            for block in obstore.get(self._store, key).stream(BLOCK_BYTES):
                yield bytes(block)

    def size(self, key: str) -> int | None:
        """Return how many bytes an object has; None if there is none."""
        with _lost(f"{key} was not found"):
            try:
                return int(obstore.head(self._store, key)["size"])
            except FileNotFoundError:
                return None

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys that begin with a prefix, which ends with a slash."""
        with _lost(f"{prefix} was not listed"):
            for page in obstore.list(self._store, prefix):
                for one in page:
                    yield one["path"]

    def delete(self, keys: Sequence[str]) -> None:
        """Remove objects, those that there are."""
        for some in _cut(keys):
            with _lost(f"{some[0]} was not removed"):
                obstore.delete(self._store, some)

    def __reduce__(self) -> tuple[Any, ...]:
        """Go to another process by the URL alone: its keys are in that process's environment."""
        if self.url == "memory:":
            raise TypeError("objects in memory cannot be sent to another process")
        return Objects.at, (self.url,)


@cache
def _opened(url: str, _process: int) -> Objects:
    if not url.startswith("s3://") or not url.removeprefix("s3://").strip("/"):
        raise StoreUrlError(f"expected s3://BUCKET or s3://BUCKET/PREFIX, got {url[:200]!r}")
    endpoint = next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), "")
    store = S3Store.from_url(
        url,
        client_options={
            "allow_http": endpoint.startswith("http://"),  # who names such a one has said so
            "connect_timeout": timedelta(seconds=5),
            "read_timeout": timedelta(seconds=_ANSWER_S),
            "timeout": timedelta(seconds=_WHOLE_S),
        },
        retry_config={"max_retries": _TRIES, "retry_timeout": timedelta(seconds=_AGAIN_S)},
        config={"endpoint": endpoint} if endpoint else None,
    )
    return Objects(store, url)


_ENDPOINTS: Final = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")


@contextmanager
def _lost(what: str) -> Iterator[None]:
    """Raise a StoreLostError for whatever the library says, a bucket that is gone (404) included."""
    try:
        yield
    except StoreLostError:
        raise
    except (BaseError, OSError) as error:
        said = " ".join(str(error).split())[:_SAID]
        raise StoreLostError(f"the store does not answer as it should: {what} ({said})") from error


def _cut(keys: Sequence[str]) -> Iterator[list[str]]:
    rest = iter(keys)
    while some := list(itertools.islice(rest, _AT_ONCE)):
        yield some
