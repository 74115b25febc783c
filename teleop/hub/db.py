"""The database: one engine, and one declarative base for every package's `tables.py`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import URL, Dialect, Engine, String, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker
from sqlalchemy.types import TypeDecorator

Database = Callable[[], Session]
EXAMPLE: Final = "postgresql://armshare@localhost/armshare"
_DRIVER: Final = "postgresql+psycopg"
_POSTGRESQL: Final = {
    "application_name": "armshare",
    "connect_timeout": 5,
    "tcp_user_timeout": 15_000,  # ms: a server that is gone without a word
    "keepalives_idle": 30,
    "options": "-c jit=off",  # what a hub asks takes milliseconds; to compile it takes a hundred
}
_STEPS: Final = 20_000
"""After how many of SQLite's instructions the time is looked at: every millisecond or so."""
_CANCELED: Final = "57014"
"""PostgreSQL's state of a statement that took too long."""


class SlowQueryError(Exception):
    """What was asked of the database takes longer than it may."""


class Base(DeclarativeBase):
    """Every package's tables; foreign keys point only to packages below it."""


class Wei(TypeDecorator[int]):
    """An amount of money of any size, exact: a Python int, kept as decimal text (SQLite's integers end at 2^63)."""

    impl = String(80)
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> str | None:
        """Write the decimal text."""
        return None if value is None else str(int(value))

    def process_result_value(self, value: str | None, dialect: Dialect) -> int | None:
        """Read the integer."""
        return None if value is None else int(value)


def open_engine(url: str | URL) -> Engine:
    """Return an engine; nothing is connected yet.

    SQLite in WAL mode, foreign keys enforced, writes waiting up to 10 s for each other. PostgreSQL with as many
    connections as there are threads that ask; each is tried before it is used, so that a server that was away and is
    back is not noticed.
    """
    made = database_url(url)
    if made.get_backend_name() == "postgresql":
        return create_engine(made, pool_pre_ping=True, pool_size=8, max_overflow=56, connect_args=_POSTGRESQL)
    engine = create_engine(made)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _sqlite_pragmas)
    return engine


def database_url(url: str | URL) -> URL:
    """Return a database's URL with the driver that the hub has; raise ValueError unless it is one of the two kinds."""
    try:
        made = make_url(url)
    except ArgumentError as error:
        raise ValueError(f"expected a database's URL, such as {EXAMPLE}") from error
    if made.drivername in ("postgresql", "postgres", _DRIVER):
        return made.set(drivername=_DRIVER)
    if made.drivername in ("sqlite", "sqlite+pysqlite"):
        return made
    raise ValueError(f"expected a database's URL that begins with postgresql://, such as {EXAMPLE}")


def _sqlite_pragmas(connection: Any, _record: object) -> None:
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000"):
        connection.execute(f"PRAGMA {pragma}").close()


def open_database(engine: Engine) -> sessionmaker[Session]:
    """Return a factory of database sessions; use each as `with database() as db, db.begin():`."""
    return sessionmaker(engine, expire_on_commit=False)


@contextmanager
def ending_in(db: Session, seconds: float) -> Iterator[None]:
    """End what is asked of the database in here once it takes longer; it then raises SlowQueryError.

    PostgreSQL counts each statement, SQLite all of them. It is for sessions that only read.
    """
    connection = db.connection()
    if connection.dialect.name == "postgresql":
        db.execute(text(f"SET LOCAL statement_timeout = {max(1, round(1000 * seconds))}"))
    raw = connection.connection.driver_connection if connection.dialect.name == "sqlite" else None
    if raw is not None:
        until_s = time.monotonic() + seconds
        raw.set_progress_handler(lambda: int(time.monotonic() > until_s), _STEPS)
    try:
        yield
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", "") == _CANCELED or "interrupted" in str(error.orig):
            raise SlowQueryError(f"it took longer than {seconds:g} s") from error
        raise
    finally:
        if raw is not None:
            raw.set_progress_handler(None, 0)
