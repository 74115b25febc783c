"""Which database a test is on: SQLite, or, for the tests of what every table must do, that and a real PostgreSQL.

A test that has the fixture `either_database` runs on both. What it is on is said here, and everything that opens a
database for a test asks `url_below`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.orm import Session
from sqlalchemy.pool import Pool

from armshare.migrations import migrate
from teleop.hub.db import Base, open_engine
from tests.postgres import Postgres

ON_SQLITE: Final = pytest.mark.parametrize("either_database", ["sqlite"], indirect=True)
"""Marks a test that is about SQLite itself."""


class Cluster:
    """A PostgreSQL server's databases, each a copy of one that is migrated already."""

    def __init__(self, server: Postgres) -> None:
        self.server = server
        self.template = server.create()
        engine = open_engine(server.url(self.template))
        migrate(engine)
        engine.dispose()
        self._of: dict[Path, str] = {}

    def url(self, file: Path) -> str:
        """Return the URL of the database that stands for a file of SQLite: the same for the same file."""
        if file not in self._of:
            self._of[file] = self.server.create(self.template)
        return self.server.url(self._of[file])

    def forget(self) -> None:
        """Drop what a test has used."""
        for name in self._of.values():
            self.server.drop(name)
        self._of.clear()


_cluster: Cluster | None = None


@contextmanager
def using(cluster: Cluster) -> Iterator[None]:
    """Have every database be one of this server's."""
    global _cluster
    _cluster, opened = cluster, []

    def note(connection: Any, _record: object) -> None:
        opened.append(connection)

    event.listen(Pool, "connect", note)
    try:
        yield
    finally:
        event.remove(Pool, "connect", note)
        _cluster = None
        for connection in opened:
            connection.close()  # a test that is over may have left its engine to the garbage collector
        cluster.forget()


def url_below(folder: Path, name: str = "armshare") -> str:
    """Return the URL of a test's database: a file below `folder`, or what stands for it."""
    file = folder / f"{name}.sqlite"
    return f"sqlite:///{file}" if _cluster is None else _cluster.url(file)


def migrated(engine: Engine) -> None:
    """Bring a test's database to the newest schema, as `migrate` does; a new file of SQLite is a copy of one."""
    if not _copied(engine, migrate, frozenset()):
        migrate(engine)


def with_tables(engine: Engine) -> None:
    """Make the tables as the models say; a new database of SQLite is a copy of one."""
    if not _copied(engine, Base.metadata.create_all, frozenset(Base.metadata.tables)):
        Base.metadata.create_all(engine)


def _copied(engine: Engine, made: Callable[[Engine], object], tables: frozenset[str]) -> bool:
    """Whether the database is a new one of SQLite, and is now a copy of one that was `made` before."""
    if engine.dialect.name != "sqlite":
        return False
    with closing(engine.raw_connection()) as connection:
        if connection.driver_connection.execute("SELECT count(*) FROM sqlite_master").fetchone() != (0,):
            return False
        _template(made, tables).backup(connection.driver_connection)
    return True


@cache
def _template(made: Callable[[Engine], object], _tables: frozenset[str]) -> sqlite3.Connection:
    """Return a database in memory with the schema. `_tables`: a test that is imported later may bring more of them."""
    engine = open_engine("sqlite://")
    made(engine)
    with closing(engine.raw_connection()) as connection:
        kept = connection.driver_connection.serialize()
    engine.dispose()
    template = sqlite3.connect(":memory:", check_same_thread=False)
    template.deserialize(kept)
    return template


def unguard(db: Session, table: str) -> None:
    """Take away what keeps an append-only table from being changed, as whoever holds the disk can."""
    if db.get_bind().dialect.name == "postgresql":
        db.execute(text(f"DROP TRIGGER {table}_append_only ON {table}"))
    else:
        db.execute(text(f"DROP TRIGGER {table}_no_update"))
