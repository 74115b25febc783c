"""What only one of several hubs may hold: locks in their database, which end with whoever holds them.

A lock is PostgreSQL's (`pg_advisory_lock`), held by one connection for as long as that lasts: a hub that is killed has
lost all of its locks by then. So nothing here has to be tidied up, and no clocks are compared.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import structlog
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

_log = structlog.get_logger()
FRESH_S: Final = 6.0
"""For how long a lock counts as held after its connection was last seen to be there."""
_SETTINGS: Final = ("tcp_keepalives_idle = 5", "tcp_keepalives_interval = 2", "tcp_keepalives_count = 3")
"""A machine that is gone without a word loses its locks after about ten seconds."""


class Locks:
    """The locks of one hub. Every method may block, and any thread may call it."""

    def __init__(
        self, engine: Engine, holder: str, monotonic_s: Callable[[], float] = time.monotonic, fresh_s: float = FRESH_S
    ) -> None:
        """`holder` is what others read in PostgreSQL's list of connections."""
        self._engine, self._holder, self._monotonic_s, self._fresh_s = engine, holder, monotonic_s, fresh_s
        self._turn = threading.Lock()
        self._connection: Connection | None = None
        self._held: set[str] = set()
        self._seen_s = 0.0

    def take(self, name: str, *, shared: bool = False) -> bool:
        """Take a lock if it is free; return whether it is ours. `shared`: others may have it so, too."""
        with self._turn:
            if name in self._held:
                return True
            call = "pg_try_advisory_lock_shared" if shared else "pg_try_advisory_lock"
            took = bool(self._ask(f"SELECT {call}(:key)", key_of(name)))
            if took:
                self._held.add(name)
            return took

    def give(self, name: str, *, shared: bool = False) -> None:
        """Give a lock back. Idempotent."""
        with self._turn:
            if name in self._held:
                self._held.discard(name)
                self._ask(f"SELECT pg_advisory_unlock{'_shared' if shared else ''}(:key)", key_of(name))

    def check(self) -> bool:
        """Look whether the connection is there, which holds all of it; without it nothing is held any more."""
        with self._turn:
            try:
                self._ask("SELECT :key", 1)
            except SQLAlchemyError as error:
                _log.warning("the locks that this hub held are lost; it takes them again", error=str(error))
                return False
            return True

    def holds(self, name: str) -> bool:
        """Whether a lock is ours, as far as is known: its connection was there a moment ago."""
        return name in self._held and self._monotonic_s() - self._seen_s < self._fresh_s

    def holders(self, name: str) -> list[str]:
        """Return what the others are called that have this lock."""
        query = (
            "SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid "
            "WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND l.pid <> pg_backend_pid() "
            "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
            "AND ((l.classid::bigint << 32) | l.objid::bigint) = :key ORDER BY 1"
        )
        with self._turn:
            return [str(row[0]) for row in self._connected().execute(text(query), {"key": key_of(name)})]

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Be the only one, of all hubs and threads, that is in here; wait for that."""
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": key_of(name)})
            try:
                yield
            finally:
                connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": key_of(name)})

    def close(self) -> None:
        """Give everything back."""
        with self._turn:
            self._held.clear()
            if self._connection is not None:
                self._connection.invalidate()  # not back into the pool: the locks end with it
                self._connection.close()
                self._connection = None

    def _ask(self, statement: str, key: int) -> object:
        try:
            found: object = self._connected().execute(text(statement), {"key": key}).scalar()
        except SQLAlchemyError:
            self._held.clear()
            if self._connection is not None:
                self._connection.invalidate()
                self._connection.close()
                self._connection = None
            raise
        self._seen_s = self._monotonic_s()
        return found

    def _connected(self) -> Connection:
        if self._connection is None:
            made = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            made.execute(text("SELECT set_config('application_name', :holder, false)"), {"holder": self._holder[:60]})
            for setting in _SETTINGS:
                made.execute(text(f"SET {setting}"))
            self._connection = made
        return self._connection


def key_of(name: str) -> int:
    """Return the number that PostgreSQL knows a lock by."""
    return int.from_bytes(hashlib.sha256(f"armshare:{name}".encode()).digest()[:8], "big", signed=False) >> 1
