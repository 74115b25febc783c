"""Reading a stranger's episode file apart: in a process of its own, with limits of memory, processor time and time.

A file that goes beyond them is refused by name, as is one that is wrong; whatever else happens to that process says
nothing about the file (`ReaderLostError`). The values come back in memory that both processes map.
"""

from __future__ import annotations

import atexit
import math
import mmap
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import IO, Final

import msgspec
import numpy as np

from recorder.file import episode as files
from recorder.file.episode import Episode, EpisodeError, open_episode, places
from recorder.file.meta import decode_meta
from recorder.file.reader import (
    ALIGN,
    ANSWER,
    MESSAGE_BYTES_MAX,
    Answer,
    Bounds,
    Look,
    Request,
    Shown,
    placed,
    shown_bytes,
    total_bytes,
)
from recorder.file.storage import map_pictures
from recorder.pictures import errors
from recorder.pictures.channel import Pictures
from recorder.pictures.cost import DECODING_NS_MAX, needed_ns
from recorder.pictures.errors import PictureError

BOUNDS: Final = Bounds()
_ROOT: Final = Path(__file__).parents[2]
"""Where this package was found; the reader finds it there too, and not in the folder that happens to be the current."""
_ONE_THREAD: Final = {"OPENBLAS_NUM_THREADS": "1"}
"""A fork copies one thread only, so there must be no other."""
_DECODING_TIMES: Final = 3
"""How many times as long as decoding usually takes it may take: for a slow processor, and pictures made to be slow."""
_WALL_TIMES: Final = 5
_BYTES_A_PIXEL: Final = 40
"""A decoder of H.264 keeps up to 17 pictures of 1.5 bytes a pixel, one of PNG two of 6."""
_BYTES_A_PICTURE: Final = 16
"""Where its keys are, beside `end` and `key`."""
_LONGER_S: Final = 30.0
"""How much longer than its child the reader may take before it counts as lost."""


class ReaderLostError(Exception):
    """A file could not be read here and now, which says nothing about it."""


class PictureTooCostlyError(PictureError):
    """Decoding an episode's pictures takes more memory or time than those of an honest episode could."""


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

    def read(self, path: Path, *, plain: bool = False, imported: bool = False) -> Episode:
        """Read a finished episode file; with `plain`, only one as the writer makes it.

        One that was imported is read only if that is said to do. Raises an EpisodeError that says what is wrong with
        the file, or ReaderLostError.
        """
        file = open_episode(path)
        try:
            with _memory() as values, tempfile.TemporaryFile() as copies:
                given = file, values.fileno(), copies.fileno()
                request = msgspec.json.encode(Request(path.name, plain, self._bounds, imported))
                return _episode(self._ask(request, [*given], self._bounds.wall_s), *given)
        finally:
            os.close(file)

    def look(self, cameras: Sequence[Pictures]) -> None:
        """Decode every picture of an episode's cameras; raise a PictureError if one cannot be, or they take too much.

        What they may take together follows from how many they are, and how large. Raises ReaderLostError too.
        """
        seen = [pictures for pictures in cameras if len(pictures)]
        if not seen:
            return
        bounds = _decoding_bounds(seen)
        with tempfile.TemporaryFile(buffering=0) as file:
            for pictures in seen:
                _put_pictures(file, pictures)
            request = Look(tuple(_shown(pictures) for pictures in seen), bounds)
            answer = self._ask(msgspec.json.encode(request), [file.fileno()], bounds.wall_s)
        if answer.lost:
            raise ReaderLostError(answer.lost)
        if answer.error:
            raise getattr(errors, answer.error, PictureTooCostlyError)(answer.says)

    def close(self) -> None:
        """End the process. Idempotent; another read starts another one."""
        with self._turn:
            self._close()

    def _ask(self, request: bytes, descriptors: list[int], wall_s: float) -> Answer:
        with self._turn:
            again = self._process is not None
            try:
                return self._answer(request, descriptors, wall_s)
            except OSError as error:
                self._close()
                if not again:
                    raise ReaderLostError(f"the process that reads files was lost: {error}") from error
            return self._once_more(request, descriptors, wall_s)

    def _once_more(self, request: bytes, descriptors: list[int], wall_s: float) -> Answer:
        """Ask a new process: the one before may have been ended while it had nothing to do."""
        try:
            return self._answer(request, descriptors, wall_s)
        except OSError as error:
            self._close()
            raise ReaderLostError(f"the process that reads files was lost twice: {error}") from error

    def _answer(self, request: bytes, descriptors: list[int], wall_s: float) -> Answer:
        channel = self._started()
        channel.settimeout(wall_s + _LONGER_S)
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
    """Return the reader of files that this process shares."""
    return _reader_of(os.getpid(), "files")


def viewer() -> Reader:
    """Return the one that decodes pictures for this process: nobody waits for that who wants to read a file."""
    return _reader_of(os.getpid(), "pictures")


@cache
def _reader_of(_process: int, _use: str) -> Reader:
    """Return one for each process: a fork must not ask its parent's."""
    made = Reader()
    atexit.register(made.close)
    return made


def _decoding_bounds(cameras: Sequence[Pictures]) -> Bounds:
    """Return what decoding may take, all cameras together: one that takes more leaves less to the others."""
    seconds = min(DECODING_NS_MAX, needed_ns(cameras)) * 1e-9
    processor_s = BOUNDS.processor_s + math.ceil(_DECODING_TIMES * seconds)
    mapped = sum(shown_bytes(_shown(pictures)) + _BYTES_A_PICTURE * len(pictures) for pictures in cameras)
    decoder = max(pictures.width * pictures.height for pictures in cameras) * _BYTES_A_PIXEL
    memory = BOUNDS.memory_bytes + mapped + decoder
    return Bounds(memory, processor_s, max(BOUNDS.wall_s, _WALL_TIMES * processor_s))


def _shown(pictures: Pictures) -> Shown:
    """Return how a camera's pictures are described to the process that decodes them."""
    size = pictures.width, pictures.height
    return Shown(pictures.name, pictures.codec, *size, len(pictures), len(pictures.data))


def _put_pictures(file: IO[bytes], pictures: Pictures) -> None:
    """Add pictures, `end` and `key` to a file, as `Look` says; raise ReaderLostError if it has no room."""
    size = len(pictures.data)
    data, gap = np.asarray(pictures.data), np.zeros(-size % ALIGN, np.uint8)
    end, key = pictures.end.astype(np.int64), pictures.key.astype(np.uint8)
    rest = np.zeros(-(end.nbytes + key.nbytes) % ALIGN, np.uint8)
    try:
        for part in (data.data, gap.data, end.data, key.data, rest.data):
            left = part.cast("B")
            while left:
                left = left[file.write(left) :]
    except OSError as error:
        raise ReaderLostError(f"the pictures of {pictures.name} have no room on this disk: {error.strerror}") from error


def _memory() -> IO[bytes]:
    """Return an empty file that is in no folder, and in memory if it can be."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("episode", os.MFD_CLOEXEC), "r+b", buffering=0)
    return tempfile.TemporaryFile(buffering=0)


def _episode(answer: Answer, file: int, values: int, copies: int) -> Episode:
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
    try:
        arrays = map_pictures(expected, answer.pictures, file, copies)
    except (KeyError, ValueError) as error:
        raise ReaderLostError(f"the process that reads files gave back pictures that are not there: {error}") from error
    for place, at in placed(expected, len(meta_bytes)):
        arrays[place.path] = np.ndarray(place.shape, place.dtype, memory, at)
    return Episode(meta, meta_bytes, meta.end, {place.path: arrays[place.path] for place in expected})
