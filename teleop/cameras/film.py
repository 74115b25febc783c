"""A film: what one camera gave during one episode, encoded, as records that are only ever appended.

The host creates it, locked, and hands the open file to its camera process, which appends to it. The lock lasts until
both have closed the file; whoever makes an episode's file of it (`read_film`) waits for that, and so for the last
picture, or for the end of a process that was killed.
FORMAT.md, section 1.2, describes the bytes.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from pathlib import Path
from typing import Final, Self

import msgspec

from teleop.records import RecordFile, RecordsError, read_head, records
from teleop.steps import FilmHead

FILM_SUFFIX: Final = ".film"
"""`<episode>.<camera>.film`, beside the episode's journal."""
FILM_VERSION: Final = 1
PICTURE_BYTES_MAX: Final = 4 << 20
"""The largest picture that an episode may hold (FORMAT.md, section 1.4)."""
RECORDING_MAX: Final = 8
"""How many cameras an episode may hold (FORMAT.md, section 1.4)."""
_MAGIC: Final = b"armshare-film"
_HEAD_BYTES_MAX: Final = 1 << 16
_HEAD: Final = msgspec.json.Decoder(FilmHead)
_WRITER_S: Final = 10.0
"""How long a writer has to end a film; it takes one picture."""
_LOOK_S: Final = 0.01
_PICTURE: Final = struct.Struct("<qqBB")
_EVENT: Final = struct.Struct("<qqBI")


class FilmError(Exception):
    """A file is not a film."""


class Kind(IntEnum):
    """What a record holds."""

    PICTURE = 1
    EVENT = 2
    END = 3


class Mark(IntFlag):
    """What is wrong with a picture."""

    FROZEN = 1
    """The same as the one before, to the last pixel, of a camera that should show noise."""
    BLACK = 2
    """Nothing is to be seen: no pixel is brighter than 16 of 255."""
    LATE = 4
    """It came more than one and a half periods after the one before."""


class Trouble(IntEnum):
    """What an event says about a stretch of time."""

    MISSING = 0
    """No picture came; `pictures` says how many there should have been."""
    FROZEN = 1
    BLACK = 2
    DROPPED = 3
    """Pictures came and could not be kept: the encoder or the disk was behind."""
    LOST = 4
    """The device was gone, or the process that read it ended."""


@dataclass(frozen=True, slots=True)
class FilmPicture:
    """One picture."""

    t_captured_ns: int
    """Host's monotonic clock: when it was taken, if the device says so, else when it came."""
    t_arrived_ns: int
    """Host's monotonic clock: when this computer had it."""
    key: bool
    """Whether it can be decoded by itself."""
    marks: Mark
    data: bytes | memoryview
    """What was read lies in the file, which must not be shortened meanwhile."""


@dataclass(frozen=True, slots=True)
class FilmEvent:
    """Trouble between two times of the host's monotonic clock."""

    t_from_ns: int
    t_to_ns: int
    trouble: Trouble
    pictures: int


@dataclass(frozen=True, slots=True)
class Film:
    """What a film holds, up to its first damage."""

    head: FilmHead
    pictures: list[FilmPicture]
    events: list[FilmEvent]
    whole: bool
    """Whether it ended in order; if not, its process was killed, or the disk was full."""


class FilmWriter:
    """An open film. What was added is durable after `commit`."""

    def __init__(self, path: Path, head: FilmHead) -> None:
        """Create the file and lock it; raise FileExistsError if it already exists. Nothing is durable yet."""
        self.last_ns: int | None = None
        """Of a film that was resumed: when its last picture was taken; None if it has none."""
        self._file = RecordFile(path, _MAGIC, FILM_VERSION, msgspec.json.encode(head), sync_name=False)
        try:
            fcntl.flock(self._file.fileno(), fcntl.LOCK_EX)
            self._file.flush()
        except OSError:
            self._file.close()
            path.unlink(missing_ok=True)
            raise

    @classmethod
    def resume(cls, descriptor: int) -> Self:
        """Go on with a film after its last whole record; raise FilmError. Takes over the descriptor.

        If it came from the process that created the film, it shares that one's lock: the film stays locked until both
        have closed theirs.
        """
        resumed = cls.__new__(cls)
        resumed.last_ns = None

        def found(kind: int, body: memoryview) -> None:
            if kind == Kind.END:
                raise RecordsError("it has ended")
            if kind == Kind.PICTURE:
                resumed.last_ns = _PICTURE.unpack_from(body)[0]

        try:
            resumed._file = RecordFile.resume(descriptor, _MAGIC, _HEAD_BYTES_MAX, found)
        except RecordsError as error:
            raise FilmError(str(error)) from error
        return resumed

    @property
    def descriptor(self) -> int:
        """The open file's."""
        return self._file.fileno()

    def picture(self, picture: FilmPicture) -> None:
        """Add a picture."""
        head = _PICTURE.pack(picture.t_captured_ns, picture.t_arrived_ns, picture.key, picture.marks)
        self._file.add(Kind.PICTURE, head, picture.data)

    def event(self, event: FilmEvent) -> None:
        """Add an event."""
        self._file.add(Kind.EVENT, _EVENT.pack(event.t_from_ns, event.t_to_ns, event.trouble, event.pictures))

    def flush(self) -> None:
        """Hand what was added to the operating system, which keeps it if only this process ends."""
        self._file.flush()

    def sync(self) -> None:
        """Make durable what was flushed, from any thread."""
        self._file.sync()

    def commit(self) -> None:
        """Make what was added durable."""
        self._file.commit()

    def end(self) -> None:
        """Say that nothing more comes, and give up the lock."""
        self._file.add(Kind.END)
        self._file.commit()
        self._file.close()

    def abandon(self) -> None:
        """Close the film as it is; what was committed can be read. Idempotent."""
        self._file.close()


def read_film(path: Path) -> Film:
    """Wait until a film is no longer being written, and read it up to its first damage; raise FilmError.

    If its writer neither ends nor dies within `_WRITER_S`, it is read as it is.
    """
    with path.open("rb") as file:
        ended = _ended(file.fileno())
        if not os.fstat(file.fileno()).st_size:
            raise FilmError(f"{path.name}: expected a film, and it is empty")
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if ended else file.read())
    try:
        version, said, at, crc = read_head(data, _MAGIC, _HEAD_BYTES_MAX)
        head = _HEAD.decode(said)
    except (RecordsError, ValueError) as error:
        raise FilmError(f"{path.name}: expected a film: {error}") from error
    if version != FILM_VERSION:
        raise FilmError(f"{path.name}: expected a film of version {FILM_VERSION}, got {version}")
    film, whole = Film(head, [], [], whole=False), False
    for kind, body in records(data, at, crc):
        if kind == Kind.END:
            whole = True
            break
        try:
            _take(film, kind, body)
        except (struct.error, ValueError) as error:
            raise FilmError(f"{path.name}: a record is whole, but no picture and no event: {error}") from error
    return Film(head, film.pictures, film.events, whole)


def film_of(journal: Path, camera: str) -> Path:
    """Return where a camera's film is, beside an episode's journal."""
    return journal.with_name(f"{journal.stem}.{camera}{FILM_SUFFIX}")


def films_of(journal: Path) -> Iterator[Path]:
    """Yield the films beside an episode's journal, sorted by camera."""
    yield from sorted(journal.parent.glob(f"{journal.stem}.*{FILM_SUFFIX}"))


def _ended(descriptor: int) -> bool:
    """Wait until nobody writes the film any more; return whether that came."""
    until = time.monotonic() + _WRITER_S
    while time.monotonic() < until:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_LOOK_S)
        else:
            return True
    return False


def _take(film: Film, kind: int, body: memoryview) -> None:
    if kind == Kind.PICTURE:
        captured_ns, arrived_ns, key, marks = _PICTURE.unpack_from(body)
        film.pictures.append(FilmPicture(captured_ns, arrived_ns, bool(key), Mark(marks), body[_PICTURE.size :]))
    elif kind == Kind.EVENT:
        t_from_ns, t_to_ns, trouble, pictures = _EVENT.unpack(body)
        film.events.append(FilmEvent(t_from_ns, t_to_ns, Trouble(trouble), pictures))
    else:
        raise ValueError(f"kind {kind}")
