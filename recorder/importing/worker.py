"""The process that reads a stranger's data set, with limits, and writes its episodes where it is told to.

    python -m recorder.importing.worker FD

FD is a socket that keeps messages apart: the first request opens a set, each other one is about an episode of it.
`apart.py` is the other end: it believes nothing of what was written before it has read it by itself.
"""

from __future__ import annotations

import math
import mmap
import os
import resource
import socket
import sys
from pathlib import Path
from typing import Final

import msgspec

from recorder.file.layout import FILE_BYTES_MAX
from recorder.importing.errors import BrokenEpisodeError, ImportSetError, LostError, TooMuchError
from recorder.importing.making import Order, make
from recorder.importing.sources import open_set
from recorder.importing.taken import Format, Source, printable

MESSAGE_BYTES_MAX: Final = 1 << 16
_SAID_MAX: Final = 4000
DISK: Final = "disk"
"""What an answer calls an error of the disk."""


class Bounds(msgspec.Struct, frozen=True):
    """What reading may take."""

    memory_bytes: int = 3 << 30
    """An episode's values have 512 MiB at most, and a table of many episodes a GiB."""
    processor_s: float = 120.0
    """For the set's lists, and for an episode without its pictures; those get more by their number and size."""
    wall_s: float = 7200.0
    """For one request: who waits longer ends the process."""


class Open(msgspec.Struct, frozen=True, tag=True):
    """Open a set; the first request."""

    path: str
    form: str
    hz: float | None
    bounds: Bounds


class NameOf(msgspec.Struct, frozen=True, tag=True):
    """What is an episode called?"""

    index: int


class Make(msgspec.Struct, frozen=True, tag=True):
    """Write an episode's file."""

    order: Order


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """How it ended."""

    error: str = ""
    """The name of an ImportSetError or a BrokenEpisodeError, or `disk`."""
    says: str = ""
    format: Format = "lerobot"
    version: str = ""
    count: int = 0
    """How many episodes the set has."""
    name: str = ""


REQUEST: Final = msgspec.json.Decoder(Open | NameOf | Make)
ANSWER: Final = msgspec.json.Decoder(Answer)


def serve(channel: socket.socket) -> None:
    """Answer until the other end closes."""
    source: Source | None = None
    bounds = Bounds()
    while data := channel.recv(MESSAGE_BYTES_MAX):
        request = REQUEST.decode(data)
        if isinstance(request, Open):
            bounds = request.bounds
            _limit(bounds)
        try:
            _allow(bounds.processor_s)
            if isinstance(request, Open):
                source = open_set(Path(request.path), request.form, request.hz)
            assert source is not None, "the first request opens a set"
            answer = _answer(source, request, bounds)
        except (ImportSetError, BrokenEpisodeError) as error:
            answer = Answer(type(error).__name__, printable(str(error), _SAID_MAX))
        except MemoryError:
            said = f"it takes more than {bounds.memory_bytes >> 20} MiB of memory"
            answer = Answer(TooMuchError.__name__, said)
        except OSError as error:
            answer = Answer(DISK, error.strerror or str(error))
        except Exception as error:  # noqa: BLE001  the supervisor: who asked is told by name
            said = f"reading it failed with {type(error).__name__}: {error}"
            answer = Answer(LostError.__name__, printable(said, _SAID_MAX))
        channel.sendall(msgspec.json.encode(answer))


def _answer(source: Source, request: Open | NameOf | Make, bounds: Bounds) -> Answer:
    if isinstance(request, Open):
        return Answer(format=source.format, version=printable(source.version, 64), count=len(source.names))
    if isinstance(request, NameOf):
        return Answer(name=printable(source.names[request.index], 200))

    def allow(seconds: float) -> None:
        _allow(bounds.processor_s + seconds)

    make(source, request.order, allow)
    return Answer()


def _limit(bounds: Bounds) -> None:
    """Take no more from here on; the rest of the memory is that of files that are mapped."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES_MAX, FILE_BYTES_MAX))
    if sys.platform == "linux":  # elsewhere it limits too little to be of use, or too much
        most = _data_bytes() + bounds.memory_bytes
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _allow(seconds: float) -> None:
    """Take no more than this of a processor from here on; the kernel ends this process otherwise."""
    used = sum(os.times()[:2])
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used + seconds), most))


def _data_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[5]) * mmap.PAGESIZE


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as ours:
        serve(ours)
