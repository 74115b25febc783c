"""The process that reads strangers' files: for each one it forks a child, which has limits and ends with the file.

    python -m recorder.file.reader FD

FD is a socket that keeps messages apart. A request comes with descriptors: to read a file, its own and those of empty
ones; to look at pictures, that of a file with them. Its answer says how that ended. `apart.py` is the other end.
Nothing but this module's imports is loaded, so that a fork takes little; what decodes pictures is, once there are any.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import mmap
import os
import resource
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn

import msgspec
import numpy as np

from recorder.file.episode import (
    EpisodeError,
    Inspected,
    TooLargeError,
    inspect,
    opened,
    read_into,
    require_cut,
    require_pictures_cut,
)
from recorder.file.layout import META_BYTES_MAX, PICTURES_BYTES_MAX, VALUES_BYTES_MAX, Counts, Place
from recorder.file.meta import canonical
from recorder.file.storage import Stored, put_pictures
from recorder.pictures.channel import PictureCodec, Pictures
from recorder.pictures.errors import PictureError

MESSAGE_BYTES_MAX: Final = 1 << 16
ALIGN: Final = 64
_SAID_MAX: Final = 4000
"""How many characters of an error are kept."""
_DECODE: Final = "recorder.pictures.decode"
_OUT_OF_MEMORY: Final = 3
"""The exit status of a child that was given too little to say so."""


class Bounds(msgspec.Struct, frozen=True):
    """What reading one file may take."""

    memory_bytes: int = 192 << 20
    """Beside the values."""
    processor_s: int = 60
    wall_s: float = 300.0


class Request(msgspec.Struct, frozen=True, tag=True):
    """Read one file. With it come an empty file for the values, and one for copies of pictures."""

    name: str
    plain: bool
    bounds: Bounds
    imported: bool = False
    """Whether an imported episode will do."""


class Shown(msgspec.Struct, frozen=True):
    """One camera's pictures in the file that comes with a `Look`: bytes, then `end` and `key` as FORMAT.md says."""

    name: str
    codec: PictureCodec
    width: int
    height: int
    pictures: int
    picture_bytes: int


class Look(msgspec.Struct, frozen=True, tag=True):
    """Decode every picture of some cameras, within bounds that are for all of them; they lie one after the other."""

    cameras: tuple[Shown, ...]
    bounds: Bounds


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """How it ended. If a file was read, the values begin with `/meta`, as `placed` says."""

    error: str = ""
    """The name of an EpisodeError, or of a PictureError."""
    says: str = ""
    meta_bytes: int = 0
    counts: Counts | None = None
    pictures: dict[str, Stored] = {}
    """Where each dataset of pictures is."""
    lost: str = ""
    """Why the child said nothing, if it did not."""


REQUEST: Final = msgspec.json.Decoder(Request | Look)
ANSWER: Final = msgspec.json.Decoder(Answer)


def placed(places: tuple[Place, ...], meta_bytes: int) -> Iterator[tuple[Place, int]]:
    """Yield each dataset that is read, and where its values begin."""
    at = meta_bytes
    for place in (place for place in places if not place.mapped):
        at += -at % ALIGN
        yield place, at
        at += place.nbytes


def total_bytes(places: tuple[Place, ...], meta_bytes: int) -> int:
    """Return how long `/meta` and all values are together."""
    return max([meta_bytes, *(at + place.nbytes for place, at in placed(places, meta_bytes))])


def shown_bytes(shown: Shown) -> int:
    """Return how long a camera's part of the file of a `Look` is."""
    index = shown.pictures * (np.dtype(np.int64).itemsize + np.dtype(np.bool_).itemsize)
    return shown.picture_bytes + -shown.picture_bytes % ALIGN + index + -index % ALIGN


def serve(channel: socket.socket) -> None:
    """Read files until the other end closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started this ends it
    canonical({"a": 0, "b": 0})  # loads the codec that it sorts by, which no child could open
    gc.freeze()
    decoders = False
    while True:
        data, descriptors, _, _ = socket.recv_fds(channel, MESSAGE_BYTES_MAX, 3)
        if not data:
            return
        request = REQUEST.decode(data)
        if isinstance(request, Look) and not decoders:
            _load_decoders()
            decoders = True
        try:
            answer = _apart(request, *descriptors)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        channel.sendall(msgspec.json.encode(answer))


def _load_decoders() -> None:
    """Load what decodes pictures, which no child could open. Nobody beside a robot imports it (pyproject.toml)."""
    importlib.import_module(_DECODE)
    gc.freeze()


def _apart(request: Request | Look, *descriptors: int) -> Answer:
    """Read in a child, and wait for it."""
    told, tell = os.pipe()
    try:
        child = os.fork()
    except OSError as error:
        os.close(told)
        os.close(tell)
        return Answer(lost=f"no process could be started: {error.strerror}")
    if child == 0:
        _child(request, descriptors, tell)
    os.close(tell)
    try:
        said = _said(told, request.bounds.wall_s)
    finally:
        os.close(told)
    if said is None:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if said is None:
        return Answer(lost=f"reading it took longer than {request.bounds.wall_s:g} s")
    return _ended(said, status, request)


def _said(told: int, wall_s: float) -> bytes | None:
    """Return all that the child says; None if it has not ended in time."""
    said, until = b"", time.monotonic() + wall_s
    while True:
        ready, _, _ = select.select([told], [], [], max(0.0, until - time.monotonic()))
        if not ready:
            return None
        if not (more := os.read(told, MESSAGE_BYTES_MAX)):
            return said
        said += more


def _ended(said: bytes, status: int, request: Request | Look) -> Answer:
    code, bounds = os.waitstatus_to_exitcode(status), request.bounds
    if code == 0:
        return ANSWER.decode(said)
    memory, seconds = f"{bounds.memory_bytes >> 20} MiB", f"{bounds.processor_s} s of a processor"
    if code == _OUT_OF_MEMORY and isinstance(request, Look):
        return _too_large(f"expected to decode the pictures of {_all_of(request)} with {memory}, it takes more")
    if code == -signal.SIGXCPU and isinstance(request, Look):
        return _too_large(f"expected to decode the pictures of {_all_of(request)} in {seconds}, it takes longer")
    if code == _OUT_OF_MEMORY:
        return _too_large(f"expected to read it with {memory} beside its values, it takes more")
    if code == -signal.SIGXCPU:
        return _too_large(f"expected to read it in {seconds}, it takes longer")
    return Answer(lost=f"the process that read it ended with {code}")


def _all_of(request: Look) -> str:
    return ", ".join(shown.name for shown in request.cameras)


def _too_large(says: str) -> Answer:
    return Answer(error=TooLargeError.__name__, says=says)


def _child(request: Request | Look, descriptors: tuple[int, ...], tell: int) -> NoReturn:
    """Read one file, say how that ended, and end."""
    code = 1
    try:
        memory_max = _limit(request.bounds)
        if isinstance(request, Request):
            answer = _read(request, memory_max, *descriptors)
        else:
            answer = _look(request, *descriptors)
        os.write(tell, msgspec.json.encode(answer))
        code = 0
    except MemoryError:
        code = _OUT_OF_MEMORY
    except Exception:  # noqa: BLE001  the supervisor: the parent is told that it was lost, and the log why
        traceback.print_exc()
    finally:
        os._exit(code)


def _read(request: Request, memory_max: int, file: int, values: int, copies: int) -> Answer:
    try:
        with opened(file, request.name) as found:
            with _no_other_file():
                inspected = inspect(found, plain=request.plain, imported=request.imported)
            _give(inspected, memory_max)
            _copy(inspected, values)
            with _no_other_file():
                pictures = put_pictures(inspected.places, inspected.datasets, copies)
            return Answer(meta_bytes=len(inspected.meta_bytes), counts=inspected.counts, pictures=pictures)
    except EpisodeError as error:
        return Answer(error=type(error).__name__, says=str(error)[:_SAID_MAX])


def _copy(found: Inspected, values: int) -> None:
    """Write `/meta` and all values but pictures into a file; raise CommandsUncutError or PicturesUncutError."""
    length = total_bytes(found.places, len(found.meta_bytes))
    os.truncate(values, length)
    memory = mmap.mmap(values, length)
    memory[: len(found.meta_bytes)] = found.meta_bytes
    arrays = {
        place.path: np.ndarray(place.shape, place.dtype, memory, at)
        for place, at in placed(found.places, len(found.meta_bytes))
    }
    with _no_other_file():
        for path, array in arrays.items():
            read_into(found.datasets[path], array)
    require_cut(arrays)
    require_pictures_cut(found.counts, arrays)


def _look(request: Look, file: int) -> Answer:
    """Decode every picture; say which is the first that cannot be."""
    memory, at = mmap.mmap(file, 0, access=mmap.ACCESS_READ), 0
    try:
        for shown in request.cameras:
            _look_at(shown, memory, at)
            at += shown_bytes(shown)
    except PictureError as error:
        return Answer(error=type(error).__name__, says=str(error)[:_SAID_MAX])
    return Answer()


def _look_at(shown: Shown, memory: mmap.mmap, at: int) -> None:
    count, stop = shown.pictures, at + shown.picture_bytes
    stop += -stop % ALIGN
    data = np.frombuffer(memory, np.uint8, shown.picture_bytes, at)
    end = np.frombuffer(memory, np.int64, count, stop)
    key = np.frombuffer(memory, np.bool_, count, stop + end.nbytes)
    pictures = Pictures(shown.name, shown.codec, shown.width, shown.height, 0.0, data, end, end, key)
    check = importlib.import_module(_DECODE).check_with(pictures)
    with _no_other_file():
        for index in range(count):
            check(index)


@contextmanager
def _no_other_file() -> Iterator[None]:
    """Let nothing be opened meanwhile: a file may name others as its storage."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _limit(bounds: Bounds) -> int:
    """Take no more than this from here on; return what the address space may grow to once the values are known."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (bounds.processor_s, bounds.processor_s + 1))
    most = 2 * META_BYTES_MAX + VALUES_BYTES_MAX
    resource.setrlimit(resource.RLIMIT_FSIZE, (PICTURES_BYTES_MAX, PICTURES_BYTES_MAX))
    start = _address_space() + bounds.memory_bytes
    if sys.platform == "linux":  # elsewhere nothing says how much there is already
        resource.setrlimit(resource.RLIMIT_AS, (start, start + most))
    return start


def _give(found: Inspected, memory_max: int) -> None:
    """Allow the memory of the values themselves."""
    if sys.platform == "linux":
        more = memory_max + total_bytes(found.places, len(found.meta_bytes))
        resource.setrlimit(resource.RLIMIT_AS, (more, resource.getrlimit(resource.RLIMIT_AS)[1]))


def _address_space() -> int:
    """Return how much address space this process has, bytes; 0 if nothing says it."""
    with contextlib.suppress(OSError):
        return int(Path("/proc/self/statm").read_text().split()[0]) * mmap.PAGESIZE
    return 0


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as ours:
        serve(ours)
