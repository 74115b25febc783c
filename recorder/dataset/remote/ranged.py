"""A file at a URL as a file object, for h5py or anything else that seeks and reads: it fetches what it does not have.

Blocks that were read stay, up to a bound. It can be sent to another process and used in a fork: each has connections of
its own.
"""

from __future__ import annotations

import io
import os
import threading
from collections import OrderedDict
from typing import Any, Final

from recorder.dataset.errors import RemoteChangedError
from recorder.dataset.remote.source import Piece, read_range

BLOCK_BYTES: Final = 256 << 10
BLOCKS_MAX: Final = 128
"""32 MiB for each open file."""
ASKED_BYTES_MAX: Final = 8 << 20
"""The most that one request asks for."""


class RangedFile(io.RawIOBase):
    """All of a file, of which only what is read comes over the network."""

    def __init__(self, url: str, blocks_max: int = BLOCKS_MAX) -> None:
        """Open `url`, and fetch its first block.

        Raises FileNotFoundError, RemoteError, or one of its kinds: RemoteUnreachableError, RemoteCutError.
        """
        super().__init__()
        self.url = url
        self.trouble: Exception | None = None
        """What last kept it from being read. A library between us and the caller may have made another error of it."""
        self._blocks_max, self._at = blocks_max, 0
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._lock, self._process = threading.Lock(), os.getpid()
        first = read_range(url, 0, BLOCK_BYTES)
        self.size, self.etag = first.size, first.etag
        self._blocks[0] = first.data

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def seekable(self) -> bool:
        """Return that it has places."""
        return True

    def tell(self) -> int:
        """Return where it is read next."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move to a place."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise ValueError(f"expected a place in the file, got {base + offset}")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        """Fill a buffer as far as the file goes; raises as the constructor does, or RemoteChangedError."""
        view = memoryview(buffer).cast("B")
        end = min(self._at + len(view), self.size)
        if end <= self._at:
            return 0
        try:
            with self._turn():
                self._fill(view, self._at, end)
        except Exception as error:
            self.trouble = error
            raise
        done, self._at = end - self._at, end
        return done

    def __reduce__(self) -> tuple[Any, ...]:
        """Be opened again in another process."""
        return RangedFile, (self.url, self._blocks_max)

    def _turn(self) -> threading.Lock:
        if self._process != os.getpid():  # a fork: its parent's lock may have been held just then
            self._lock, self._process = threading.Lock(), os.getpid()
        return self._lock

    def _fill(self, view: memoryview, start: int, end: int) -> None:
        """Copy the bytes from `start` up to `end`; what is not there is fetched, neighbours in one request."""
        first, last = start // BLOCK_BYTES, (end - 1) // BLOCK_BYTES
        block = first
        while block <= last:
            run = self._blocks.get(block)
            count = 1
            if run is None:
                count = self._missing(block, last)
                run = self._fetch(block, count)
            else:
                self._blocks.move_to_end(block)
            at = block * BLOCK_BYTES
            from_, to = max(start, at), min(end, at + len(run))
            view[from_ - start : to - start] = run[from_ - at : to - at]
            block += count

    def _missing(self, block: int, last: int) -> int:
        """Return how many blocks from this one on are not there, as many as one request may ask for."""
        most = min(last - block + 1, ASKED_BYTES_MAX // BLOCK_BYTES)
        return next((count for count in range(1, most) if block + count in self._blocks), most)

    def _fetch(self, block: int, count: int) -> bytes:
        start = block * BLOCK_BYTES
        piece = read_range(self.url, start, min(start + count * BLOCK_BYTES, self.size))
        self._require_same(piece)
        for number in range(count):
            self._blocks[block + number] = piece.data[number * BLOCK_BYTES : (number + 1) * BLOCK_BYTES]
        while len(self._blocks) > self._blocks_max:
            self._blocks.popitem(last=False)
        return piece.data

    def _require_same(self, piece: Piece) -> None:
        if (piece.size, piece.etag) != (self.size, self.etag):
            raise RemoteChangedError(
                f"{self.url} was changed while it was read: it was {self.etag or 'without ETag'} of {self.size} bytes, "
                f"and is {piece.etag or 'without ETag'} of {piece.size}. Open it again."
            )
