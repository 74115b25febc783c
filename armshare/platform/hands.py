"""Who does for a hub what takes its time: processes of its own, or whoever takes it from a table in PostgreSQL.

The parts of a hub are given executors, and do not know which of the two they have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field

from armshare.platform.workers import Prepare, Workers, prepare_all, prepare_reading
from armshare.settings import Settings
from recorder.hub.store.cache import Cache
from recorder.hub.store.objects import Objects
from recorder.pictures.painters import Painters
from rewards.hub.apart import Apart, Runner


@dataclass(frozen=True, slots=True)
class Hands:
    """What the parts of a hub are given."""

    long: Executor
    """Verifies, scores, and whatever else takes seconds."""
    here: Executor
    """The same, but always on this machine."""
    short: Executor
    """Reads what somebody at the page waits for: never behind what takes long."""
    drawing: Executor
    """Draws previews."""
    count: int
    """How many of the first kind are waited for at once."""
    runner: Callable[[], Runner] = Apart
    """Makes what writes one export."""
    working: Callable[[], AbstractContextManager[object]] = field(default=nullcontext)
    """Works until the block ends; to be entered once the database has its tables."""


@contextmanager
def opened_hands(count: int, drawing: int = 1, prepare: Prepare = prepare_all) -> Iterator[Hands]:
    """Yield processes of this machine; end them afterwards. With a count of 0, the one that reads does all of it."""
    short = Workers(1, prepare=prepare_reading, name="reader")
    long = Workers(count, prepare=prepare) if count else short
    if count:
        long.start()
    painters = Painters(drawing)  # each is started when it is needed
    try:
        yield Hands(long, long, short, painters, max(count, 1))
    finally:
        for one in (painters, *{long, short}):
            one.shutdown(cancel_futures=True)


@contextmanager
def shared(settings: Settings) -> Iterator[Hands]:
    """Yield what a hub's settings ask for."""
    with opened_hands(settings.workers) as hands:
        if not settings.shares_work:
            yield hands
            return
        from armshare.platform.table import on_table  # here, so that a hub without a table loads nothing of it
        from recorder.hub.work.named import Files

        cache = Cache(settings.store_cache.absolute(), settings.store_cache_bytes)
        yield on_table(hands, settings.database, Files(Objects.at(settings.store), cache), settings.workers)
