"""Reading a stranger's episode file apart: in a process of its own, with limits of memory, processor time and time.

A file that goes beyond them is refused by name, as is one that is wrong; whatever else happens to that process says
nothing about the file (`ReaderLostError`). The values come back in memory that both processes map.
"""

from __future__ import annotations

import atexit
import mmap
import os
import socket
import subprocess
import sys
import tempfile
import threading
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from recorder.file import episode as files
from recorder.file.episode import Episode, EpisodeError, open_episode, places
from recorder.file.meta import decode_meta
from recorder.file.reader import (
    ANSWER,
    MESSAGE_BYTES_MAX,
    Answer,
    Bounds,
    Request,
    placed,
    total_bytes,
)

BOUNDS: Final = Bounds()
_ROOT: Final = Path(__file__).parents[2]
"""Where this package was found; the reader finds it there too, and not in the folder that happens to be the current."""
_ONE_THREAD: Final = {"OPENBLAS_NUM_THREADS": "1"}
"""A fork copies one thread only, so there must be no other."""
_LONGER_S: Final = 30.0
"""How much longer than its child the reader may take before it counts as lost."""


class ReaderLostError(Exception):
    """A file could not be read here and now, which says nothing about it."""


class Reader:
    """One process that reads files, one at a time, for any thread. It is started when it is first needed."""

    def __init__(self, bounds: Bounds = BOUNDS) -> None:
        self._bounds = bounds
        self._turn = threading.Lock()
        self._channel: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process, unless it runs."""
        with self._turn:
            self._started()

    def read(self, path: Path, *, plain: bool = False) -> Episode:
        """Read a finished episode file; with `plain`, only one as the writer makes it.

        Raises an EpisodeError that says what is wrong with the file, or ReaderLostError.
        """
        file = open_episode(path)
        try:
            values = _memory()
            try:
                request = Request(path.name, plain, self._bounds)
                return _episode(self._ask(msgspec.json.encode(request), [file, values]), values)
            finally:
                os.close(values)
        finally:
            os.close(file)

    def close(self) -> None:
        """End the process. Idempotent; another read starts another one."""
        with self._turn:
            self._close()

    def _ask(self, request: bytes, descriptors: list[int]) -> Answer:
        with self._turn:
            again = self._process is not None
            try:
                return self._answer(request, descriptors)
            except OSError as error:
                self._close()
                if not again:
                    raise ReaderLostError(f"the process that reads files was lost: {error}") from error
            return self._once_more(request, descriptors)

    def _once_more(self, request: bytes, descriptors: list[int]) -> Answer:
        """Ask a new process: the one before may have been ended while it had nothing to do."""
        try:
            return self._answer(request, descriptors)
        except OSError as error:
            self._close()
            raise ReaderLostError(f"the process that reads files was lost twice: {error}") from error

    def _answer(self, request: bytes, descriptors: list[int]) -> Answer:
        channel = self._started()
        socket.send_fds(channel, [request], descriptors)
        if not (data := channel.recv(MESSAGE_BYTES_MAX)):
            raise ConnectionError("it ended")
        return ANSWER.decode(data)

    def _started(self) -> socket.socket:
        if self._channel is None:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "recorder.file.reader", str(theirs.fileno())],
                    cwd=_ROOT,
                    env=os.environ | _ONE_THREAD,
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                )
            ours.settimeout(self._bounds.wall_s + _LONGER_S)
            self._channel = ours
        return self._channel

    def _close(self) -> None:
        channel, process = self._channel, self._process
        self._channel = self._process = None
        if channel is not None:
            channel.close()  # by which it ends, unless it still reads
        if process is not None:
            process.kill()
            process.wait()


def reader() -> Reader:
    """Return the reader that this process shares."""
    return _reader_of(os.getpid())


@cache
def _reader_of(_process: int) -> Reader:
    """Return one for each process: a fork must not ask its parent's."""
    made = Reader()
    atexit.register(made.close)
    return made


def _memory() -> int:
    """Return a descriptor of an empty file that is in no folder."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("episode", os.MFD_CLOEXEC)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _episode(answer: Answer, values: int) -> Episode:
    """Return what was read, or raise what was said instead."""
    if answer.lost:
        raise ReaderLostError(answer.lost)
    if answer.error:
        kind = getattr(files, answer.error, EpisodeError)
        raise kind(answer.says)
    size = os.fstat(values).st_size
    with mmap.mmap(values, size, access=mmap.ACCESS_READ) as head:
        meta_bytes = head[: answer.meta_bytes]
    meta = decode_meta(meta_bytes)
    if meta.end is None or answer.counts is None:
        raise ReaderLostError("the process that reads files gave back an episode without an end or its lengths")
    expected = places(meta, answer.counts)
    if size != total_bytes(expected, len(meta_bytes)):
        raise ReaderLostError(f"the process that reads files gave back {size} bytes, which is not what /meta says")
    memory = mmap.mmap(values, size, access=mmap.ACCESS_READ)
    arrays: dict[str, NDArray[Any]] = {}
    for place, at in placed(expected, len(meta_bytes)):
        arrays[place.path] = np.ndarray(place.shape, place.dtype, memory, at)
    return Episode(meta, meta_bytes, meta.end, arrays)
