"""Reading files for whoever looks at an episode: in workers, one at a time, and no more waiting than are soon served.

Anyone may ask. A crowd that asks for the same has it read once, and what was read lately is kept.
"""

from __future__ import annotations

import asyncio
import pickle
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import BrokenExecutor, Executor
from typing import Any, Final, TypeVar, cast

from recorder.file.apart import ReaderLostError

_T = TypeVar("_T")
WAITING_MAX: Final = 64
"""A page asks for about twenty things; each takes some hundredths of a second."""
KEPT_BYTES: Final = 48 << 20
"""A replay of a minute takes a quarter of a megabyte, a channel of it a tenth of that."""
_LOST: Final = (ReaderLostError, BrokenExecutor, MemoryError, OSError)
"""What keeps a worker from reading a file, and says nothing of it."""


class ReplayBusyError(Exception):
    """So many are waiting for files to be read that one more would wait too long."""


class ReplayUnreadError(Exception):
    """A file could not be read here and now, which says nothing about it."""


class Line:
    """One waiting line, for one event loop."""

    def __init__(self, executor: Executor | None = None) -> None:
        """`executor` reads (None: threads); what it is asked to call must be something that it can take."""
        self._executor = executor
        self._turn = asyncio.Lock()  # whoever waits for it holds no thread, and no worker
        self._reading: dict[Hashable, asyncio.Task[Any]] = {}
        self._kept: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._kept_bytes = 0

    async def of(self, key: Hashable, call: Callable[..., _T], *arguments: Any) -> _T:
        """Return what `call` makes of these, which is what `key` stands for.

        Raises what it raises, ReplayBusyError if too many wait, or ReplayUnreadError.
        """
        if key in self._kept:
            self._kept.move_to_end(key)
            return cast(_T, self._kept[key][0])
        if key not in self._reading:
            if len(self._reading) >= WAITING_MAX:
                raise ReplayBusyError(f"{WAITING_MAX} others wait for episodes to be read; try again in a few seconds")
            reading = asyncio.create_task(self._read(key, call, arguments), name=f"read {key}")
            self._reading[key] = reading
            reading.add_done_callback(_heard)
        return cast(_T, await asyncio.shield(self._reading[key]))  # whoever leaves must not take it from the others

    async def _read(self, key: Hashable, call: Callable[..., _T], arguments: tuple[Any, ...]) -> _T:
        try:
            async with self._turn:
                found = await asyncio.get_running_loop().run_in_executor(self._executor, call, *arguments)
        except _LOST as error:
            said = "the episode cannot be read at the moment, which says nothing against it; try again in a few seconds"
            raise ReplayUnreadError(said) from error
        finally:
            del self._reading[key]
        self._keep(key, found)
        return found

    def _keep(self, key: Hashable, found: object) -> None:
        size = len(pickle.dumps(found))
        self._kept[key] = found, size
        self._kept_bytes += size
        while self._kept_bytes > KEPT_BYTES:
            _, (_, gone) = self._kept.popitem(last=False)
            self._kept_bytes -= gone


def _heard(reading: asyncio.Task[Any]) -> None:
    """Take note of what a reading raised: everyone who asked for it may have left."""
    if not reading.cancelled():
        reading.exception()
