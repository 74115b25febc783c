"""Open episodes: those that were read last stay open, with what is warm for each camera. One shelf for each process."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recorder.dataset.facts import Place
from recorder.dataset.remote.reading import ArraysAtUrl
from recorder.file.episode import Episode
from recorder.pictures.channel import Pictures
from recorder.pictures.decode import Decoder, Pixels

_DECODED: Final = 8
"""About how many pictures a decoder holds."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The pictures of one camera, ready to be decoded."""

    decoder: Decoder
    newest: NDArray[np.int64]
    """(N,): the newest picture at each step."""
    nbytes: int
    """About the memory that the decoder takes; pictures are mapped, not read."""
    turn: threading.Lock = field(default_factory=threading.Lock)
    """Whose turn it is to decode."""

    def at(self, steps: NDArray[np.int64]) -> Pixels:
        """Return what was seen at some steps: (n, H, W, 3), or (n, H, W)."""
        with self.turn:
            return self.decoder.frames(self.newest[steps])


@dataclass(frozen=True, slots=True)
class Open:
    """One open episode."""

    episode: Episode
    actions: NDArray[np.float32]
    """(N, A)."""
    driven: NDArray[np.bool_]
    """(N,)."""
    seen: dict[Any, Seen] = field(default_factory=dict)
    """What was asked for -> its pictures."""

    def seen_by(self, wanted: Any, pictures: Callable[[], Pictures]) -> Seen:
        """Return the pictures of a camera or a view; they are had only once while the episode is open."""
        if wanted not in self.seen:
            found = pictures()
            newest = found.at(self.episode.t_observed_ns[:-1])
            self.seen[wanted] = Seen(Decoder(found), newest, _DECODED * 3 * found.width * found.height)
        return self.seen[wanted]

    @property
    def nbytes(self) -> int:
        """The memory of its arrays and decoders."""
        arrays = self.episode.arrays
        here = arrays.nbytes_here if isinstance(arrays, ArraysAtUrl) else sum(one.nbytes for one in arrays.values())
        return here + sum(one.nbytes for one in self.seen.values())


class Shelf:
    """At most so many open episodes, of at most so many bytes; what was not read for longest is closed first."""

    def __init__(self, most: int, bytes_max: int) -> None:
        self._most, self._bytes_max = most, bytes_max
        self._open: OrderedDict[Place, Open] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open)

    def get(self, bundle: Place, open_it: Callable[[Place], Open]) -> Open:
        """Return an episode, opened if it was not; raise what `open_it` raises."""
        found = self._open.get(bundle)
        if found is None:
            found = self._open[bundle] = open_it(bundle)
            self._close_some()
        self._open.move_to_end(bundle)
        return found

    def _close_some(self) -> None:
        while len(self._open) > 1 and (len(self._open) > self._most or self._nbytes() > self._bytes_max):
            self._open.popitem(last=False)

    def _nbytes(self) -> int:
        return sum(one.nbytes for one in self._open.values())
