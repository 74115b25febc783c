"""Pictures of a source on their way into an episode: kept in a file, within what an episode has room for."""

from __future__ import annotations

import mmap
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from recorder.file.films import Pieces, Room
from recorder.file.layout import CAMERA_NAME, EVENT_TYPE, PICTURES_MAX, CameraCounts, camera_path
from recorder.file.meta import CameraMeta
from recorder.importing.errors import ClaimError, PicturesBrokenError, TooMuchError
from recorder.pictures.channel import PictureCodec, Pictures
from recorder.pictures.cost import decoding_ns
from recorder.pictures.units import PIXELS_MAX, SIDE_MAX, require_unit
from teleop.cameras.film import PICTURE_BYTES_MAX, RECORDING_MAX

_NS_A_PICTURE: Final = 10_000_000
_NS_A_PIXEL: Final = 120
"""What decoding and encoding a picture may take, of a processor: about ten times what AV1 takes here."""
_META: Final = msgspec.json.Decoder(CameraMeta)


class KindError(Exception):
    """Pictures of a kind that an episode has no place for: they are left out by name, and the rest comes in."""


@dataclass(frozen=True, slots=True)
class Camera:
    """What one camera of a source saw, as an episode keeps it."""

    source: str
    """What in the source it is, and what was done with it."""
    meta: CameraMeta
    data: Pieces
    end: NDArray[np.int64]
    key: NDArray[np.bool_]
    t_captured_ns: NDArray[np.int64]
    timed: str = ""
    """What in the source the times are from; empty if a picture's time is that of its frame."""

    @property
    def counts(self) -> CameraCounts:
        """How many pictures and bytes there are."""
        return CameraCounts(len(self.end), self.data.nbytes, 0)

    def pictures(self, name: str) -> Pictures:
        """Return them as a reader has them."""
        meta, data = self.meta, np.frombuffer(self.data.parts[0], np.uint8)
        size = meta.width, meta.height
        return Pictures(name, meta.codec, *size, meta.fps, data, self.end, self.t_captured_ns, self.key)

    def arrays(self, name: str) -> dict[str, NDArray[Any] | Pieces]:
        """Return its datasets, by path."""
        made: dict[str, NDArray[Any] | Pieces] = {
            "bytes": self.data,
            "end": self.end,
            "t_captured_mono_ns": self.t_captured_ns,
            "t_arrived_mono_ns": self.t_captured_ns,
            "key": self.key.astype(np.uint8),
            "marks": np.zeros(len(self.end), np.uint8),
            "events": np.zeros(0, EVENT_TYPE),
        }
        return {camera_path(name, kind): values for kind, values in made.items()}


@dataclass(slots=True)
class Filming:
    """One camera while its pictures come in."""

    codec: PictureCodec
    width: int
    height: int
    start: int
    end: list[int] = field(default_factory=list)
    key: list[bool] = field(default_factory=list)


class Spool:
    """Where an episode's pictures are kept until its file is written. Close it; what it gave is of no use then."""

    def __init__(
        self, folder: Path, allow: Callable[[float], None] = lambda seconds: None, *, wanted: bool = True
    ) -> None:
        """Keep them in a file without a name in `folder`; `allow` is told before something takes longer.

        If they are not `wanted`, every camera is left out by name.
        """
        self.wanted = wanted
        self._file = TemporaryFile(dir=folder)  # noqa: SIM115  closed by `close`
        self._allow, self._room, self._at = allow, Room(), 0

    def begin(self, codec: PictureCodec, width: int, height: int, count: int) -> Filming:
        """Begin a camera of at most `count` pictures; raise TooMuchError if no episode may have that."""
        self.require_size(codec, width, height, count)
        self._allow(count * (_NS_A_PICTURE + width * height * _NS_A_PIXEL) * 1e-9)
        return Filming(codec, width, height, self._at)

    def require_size(self, codec: PictureCodec, width: int, height: int, count: int) -> None:
        """Raise TooMuchError if no episode may have so many pictures of that size."""
        if not (1 <= width <= SIDE_MAX and 1 <= height <= SIDE_MAX and width * height <= PIXELS_MAX):
            raise TooMuchError(f"pictures of {width}x{height} pixels are not read: at most {SIDE_MAX} each way")
        if count > PICTURES_MAX or not self._room.less(0, decoding_ns(codec, width * height, count, 0)).fits:
            raise TooMuchError(f"{count} pictures of {width}x{height} pixels are more than an episode may have")

    def put(self, film: Filming, data: bytes, *, key: bool = True) -> None:
        """Add an encoded picture; raise TooMuchError, or PictureError if it is none that an episode keeps."""
        require_unit(film.codec, data, film.width, film.height, key=key)
        room = self._room.less(len(data), decoding_ns(film.codec, film.width * film.height, 1, len(data)))
        if len(data) > PICTURE_BYTES_MAX or not room.fits or len(film.end) >= PICTURES_MAX:
            raise TooMuchError("its pictures are more than an episode may have: 4 GiB, or 10 minutes of decoding")
        self._file.write(data)
        self._room, self._at = room, self._at + len(data)
        film.end.append(self._at - film.start)
        film.key.append(key)

    def forget(self, film: Filming) -> None:
        """Take a camera out again, the last one that was begun."""
        sizes = np.diff(film.end, prepend=0)
        for size in sizes.tolist():
            self._room = self._room.less(-size, -decoding_ns(film.codec, film.width * film.height, 1, size))
        self._at = film.start
        self._file.seek(film.start)
        self._file.truncate()

    def taken(
        self,
        film: Filming,
        source: str,
        encoder: str,
        fps: float,
        t_captured_ns: NDArray[np.int64],
        timed: str = "",
    ) -> Camera:
        """Return a camera whose pictures are all there; raise PicturesBrokenError, or ClaimError for an odd rate."""
        if not film.end or len(film.end) != len(t_captured_ns) or (np.diff(t_captured_ns) <= 0).any():
            raise PicturesBrokenError(f"{source}: its pictures have no times that rise from one to the next")
        said = {
            "codec": film.codec,
            "width": film.width,
            "height": film.height,
            "fps": fps,
            "timed": "arrival",
            "encoder": encoder,
            "depth_unit_m": 0.0,
            "intrinsics": [],
            "mount": "",
            "extrinsics": [],
        }
        try:
            meta = _META.decode(msgspec.json.encode(said))
        except msgspec.ValidationError as error:
            raise ClaimError(f"{source} cannot be a camera: {error}") from error
        self._file.flush()
        mapped = memoryview(mmap.mmap(self._file.fileno(), self._at, access=mmap.ACCESS_READ))
        data = Pieces([mapped[film.start : film.start + film.end[-1]]])
        return Camera(source, meta, data, np.array(film.end, np.int64), np.array(film.key), t_captured_ns, timed)

    def close(self) -> None:
        """Let go of everything. Idempotent."""
        self._file.close()


def camera_name(found: str, taken: Collection[str], spool: Spool) -> str:
    """Return a source's name of a camera as one of ours, the same if it may be; raise KindError or ClaimError."""
    if not spool.wanted:
        raise KindError("not asked for")
    made = found if CAMERA_NAME.fullmatch(found) else re.sub(r"[^A-Za-z0-9_-]+", "_", found).strip("_-")[:64]
    if not made:
        raise KindError("it has no name")
    if made in taken:
        raise ClaimError(f"two of its cameras are called {made!r}")
    if len(taken) >= RECORDING_MAX:
        raise KindError(f"an episode has at most {RECORDING_MAX} cameras")
    return made
