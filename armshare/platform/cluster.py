"""A hub's place on its database: the only one there, or one of several that serve one lobby behind one address."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import DatabaseError, SQLAlchemyError

from armshare.failures import PlatformError
from armshare.migrations import is_newest, migrate
from armshare.settings import Settings
from recorder.hub.intake import Intake
from rewards.hub.pipeline import Pipeline
from teleop.clock import monotonic_ms, now_ms
from teleop.hub.cluster.bus import NatsBus
from teleop.hub.cluster.cluster import Cluster
from teleop.hub.cluster.locks import Locks
from teleop.hub.cluster.membership import (
    ANY,
    DUTIES,
    HubsDisagreeError,
    Me,
    Membership,
    require_alone_to_migrate,
    take_place,
)
from teleop.hub.cluster.said import Seal
from teleop.hub.db import Database, open_engine
from teleop.hub.errors import ApiError
from teleop.hub.hub import Hub
from teleop.hub.robots.registry import Issued, Registry

_NEEDED: Final = ("hub_name", "nats", "peer_url")
_log = structlog.get_logger()
_KEEP_S: Final = 5.0
_TURN_S: Final = 0.1
_END_S: Final = 0.1
_END_TRIES: Final = 20
_WITH: Final = {
    "database": "--database, which all of them share",
    "chain_url": "--chain-url, as the embedded chain is for one hub",
    "shared": "--shared, a folder that all of them have: the keys are in it",
}


@dataclass(slots=True)
class Placed:
    """What a hub holds of its database."""

    locks: Locks | None = None
    """None on a file, which its folder's lock keeps for one hub."""
    name: str | None = None
    """This hub's name among several; None if it is the only one."""
    members: Membership | None = field(default=None, init=False)
    bus: NatsBus | None = field(default=None, init=False)

    def mine(self) -> bool:
        """Whether it is this hub that settles, rescores, erases and so on: the only one, or of several the one."""
        return self.name is None or (self.locks is not None and self.locks.holds(DUTIES))

    def alone(self, name: str) -> AbstractContextManager[None]:
        """Be the only one of all hubs in here."""
        return nullcontext() if self.name is None or self.locks is None else self.locks.alone(name)

    @asynccontextmanager
    async def turn(self, episode: str) -> AsyncIterator[None]:
        """Have an episode for this hub. Whoever is told no looks again: no connection waits for it meanwhile."""
        if self.name is None or self.locks is None:
            yield
            return
        name = f"episode:{episode}"
        while not await asyncio.to_thread(self.locks.take, name):  # noqa: ASYNC110  another process gives it back
            await asyncio.sleep(_TURN_S)
        try:
            yield
        finally:
            await asyncio.shield(asyncio.to_thread(self.locks.give, name))

    def keep(self) -> bool:
        """Have the database for this hub alone, still or again; return whether it has. Blocks."""
        if self.locks is None:
            return True
        self.locks.check()
        return self.locks.take(ANY)

    def take_duties(self) -> None:
        """Take what only one hub does, if nobody has it. Blocks."""
        if self.locks is not None:
            self.locks.take(DUTIES)


@contextmanager
def placed(settings: Settings, unusable: Callable[[DatabaseError], PlatformError]) -> Iterator[Placed]:
    """Take a hub's place before anything is touched; raise PlatformError, which says who has it or what is missing.

    Of several hubs, the tables are brought up to date here: two that start together do it one after the other.
    """
    require_settings(settings)
    if not settings.database:
        yield Placed()
        return
    engine = open_engine(settings.database_url)
    locks = Locks(engine, f"armshare hub {settings.hub_name}".strip())
    try:
        try:
            _take(locks, engine, settings.hub_name or None)
        except DatabaseError as error:
            raise unusable(error) from error
        except HubsDisagreeError as error:
            raise PlatformError(f"{settings.database_named}: {error}") from error
        yield Placed(locks, settings.hub_name or None)
    finally:
        locks.close()
        engine.dispose()


def _take(locks: Locks, engine: Engine, name: str | None) -> None:
    if name is None:
        take_place(locks, name)
        return
    with locks.alone("migrations"):
        take_place(locks, name)
        if not is_newest(engine):
            require_alone_to_migrate(locks, name)
            migrate(engine)


def require_settings(settings: Settings) -> None:
    """Raise PlatformError if some of what several hubs need is said, and not all."""
    said = [name for name in _NEEDED if getattr(settings, name)]
    missing = [f"--{name.replace('_', '-')}" for name in _NEEDED if not getattr(settings, name)]
    if said and missing:
        raise PlatformError(f"one of several hubs needs {' and '.join(missing)} too (docs/operating.md)")
    if said and (lacking := [todo for name, todo in _WITH.items() if not getattr(settings, name)]):
        raise PlatformError(f"one of several hubs needs {'; and '.join(lacking)} (docs/operating.md)")


@dataclass(frozen=True, slots=True)
class Keys:
    """What all hubs of a database have in common."""

    address: str
    log: str
    secret: bytes


def cluster_of(settings: Settings, place: Placed, database: Database, hub: Hub, keys: Keys) -> Cluster | None:
    """Return what a hub has to do with the others; None if it is the only one. Raise PlatformError."""
    if place.locks is None or place.name is None:
        return None
    me = Me(place.name, settings.peer_url, keys.address, keys.log)
    place.members = Membership(database, place.locks, me, now_ms, monotonic_ms)
    try:
        place.members.join()
    except HubsDisagreeError as error:
        raise PlatformError(f"{settings.database_named}: {error}") from error
    place.take_duties()
    seal = Seal(keys.secret, place.members.run)
    bus = place.bus = NatsBus(settings.nats, f"armshare {place.name}", str(settings.nats_credentials or ""))
    return Cluster(
        hub, place.members, bus, seal, now_ms=now_ms, monotonic_ms=monotonic_ms, after_beat=place.take_duties
    )


@asynccontextmanager
async def present(cluster: Cluster | None, place: Placed) -> AsyncIterator[None]:
    """Be one of several hubs, or stay the only one, until the block ends."""
    if cluster is None or place.bus is None or place.members is None:
        keeping = asyncio.create_task(_stay_alone(place), name="place on the database")
        try:
            yield
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
        return
    try:
        async with place.bus, cluster:
            yield
    finally:
        await asyncio.to_thread(place.members.leave)


async def _stay_alone(place: Placed) -> None:
    """Take the database for oneself again after it was away, so that no second hub gets in."""
    while place.locks is not None:
        await asyncio.sleep(_KEEP_S)
        try:
            if not await asyncio.to_thread(place.keep):
                _log.error("another hub has taken the database while it was away: end one of the two")
        except SQLAlchemyError as error:
            _log.warning("this hub's place on its database is not kept", error=str(error))


def wake_elsewhere(cluster: Cluster, intake: Intake, pipeline: Pipeline) -> None:
    """Let whoever waits at one hub for a manifest or a score be told when it comes to another."""
    intake.told = partial(cluster.arrived, "manifest")
    pipeline.told = partial(cluster.arrived, "score")
    cluster.look_for("manifest", intake.look)
    cluster.look_for("score", pipeline.look)


def wait_for_end(registry: Registry, cluster: Cluster, issued: Issued) -> Issued:
    """Return a ticket once another hub, which the episode was driven at, has written how it ended. Blocks.

    Raises ApiError if it does not write that: it is asked for again. What a dead hub heard is lost, and known to be
    once its lease is closed.
    """
    for _ in range(_END_TRIES):
        elsewhere = issued.lease.hub not in (None, cluster.name)
        if not elsewhere or issued.row.ended is not None or issued.lease.ended_ms is not None:
            return issued
        time.sleep(_END_S)
        issued = registry.ticket(issued.row.episode) or issued
    raise ApiError(503, "unavailable", "the hub at which this was driven has not said yet how it ended", again_s=3)
