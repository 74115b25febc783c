"""All that a hub gives out of its data sets, put together: the line of jobs, what they make, and the routes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter, Request

from recorder.hub.readers import asking
from rewards.datasets.signing import release_key
from rewards.hub.apart import Apart, Runner
from rewards.hub.api import SignedIn
from rewards.hub.datasets.api import refusing
from rewards.hub.datasets.reading import SetReaders
from rewards.hub.exports import archives, hugging_face, orders, releasing
from rewards.hub.exports.archives import Bounds, Exports
from rewards.hub.exports.releases import Releases, Versions, nothing_closed
from rewards.hub.exports.releasing import Bundle, Releasing, Source
from rewards.hub.exports.renewing import Renewing
from rewards.hub.jobs import AT_ONCE, Jobs, Kind
from teleop.hub.db import Database

RELEASE_KEY: Final = "release.key"


@dataclass(frozen=True, slots=True)
class Places:
    """Where things lie, and what the hub is called."""

    data: Path
    """`released/` and `exports/` are below it."""
    keys: Path
    url: str


class Giving:
    """What is given out; its jobs are done inside of `async with giving.jobs`."""

    def __init__(
        self,
        places: Places,
        database: Database,
        versions: Versions,
        bundle: Bundle,
        config: Callable[[], Mapping[str, Any]],
        bounds: Bounds,
        at_once: int = AT_ONCE,
        runner: Callable[[], Runner] = Apart,
        mine: Callable[[], bool] = lambda: True,
        readers: SetReaders | None = None,
    ) -> None:
        """`readers` knows who may read what is private; without it, nothing is.

        `config` is the hub's own `/api/config`. `mine`: whether it is this one of several hubs that does the jobs.

        Raises KeyContentError.
        """
        key = places.keys / RELEASE_KEY
        self.public_key = release_key(key)
        self._versions, self._url = versions, places.url
        self._readers = readers
        closed = nothing_closed if readers is None else readers.closed
        self.releases = Releases(database, places.data / "released", versions, closed=closed)
        self.archives = Exports(database, versions, bundle, places.data / "exports", config, bounds)
        self.releasing = Releasing(
            database,
            Source(versions, bundle, config, places.url),
            places.data / "released",
            key,
            bounds.released_bytes_max,
            self.archives.make_room,
        )
        kinds: dict[str, Kind] = {archives.KIND: self.archives, releasing.KIND: self.releasing}
        self.jobs = Jobs(database, kinds, at_once=at_once, runner=runner, mine=mine)
        self._renewing = Renewing(database, versions, self.jobs)

    def router(self, signed_in: SignedIn) -> APIRouter:
        """Return all routes."""
        routes = APIRouter()

        def let(request: Request, named: str, note: bool) -> None:
            if self._readers is not None:
                with refusing():
                    self._readers.require(named, asking(signed_in, request), note=note)

        orders_of = orders.router(self.jobs, self._versions, self.archives, signed_in, self.public_key, let)
        routes.include_router(orders_of)
        routes.include_router(hugging_face.router(self.releases, self._url, partial(asking, signed_in)))
        return routes

    async def sweep(self) -> None:
        """Erase archives that nobody keeps, and releases that were taken down."""
        await asyncio.to_thread(self.archives.sweep)
        await asyncio.to_thread(self.releasing.sweep)

    async def renew(self) -> None:
        """Release what takes the place of versions that were taken down, and erase those."""
        if await asyncio.to_thread(self._renewing.renew):
            await asyncio.to_thread(self.releasing.sweep)
