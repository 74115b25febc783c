"""The database: one engine, and one declarative base for every package's `tables.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Dialect, Engine, String, create_engine, event
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker
from sqlalchemy.types import TypeDecorator

Database = Callable[[], Session]


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


def open_engine(url: str) -> Engine:
    """Return an engine; SQLite in WAL mode, foreign keys enforced, writes waiting up to 10 s for each other."""
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _sqlite_pragmas)
    return engine


def _sqlite_pragmas(connection: Any, _record: object) -> None:
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000"):
        connection.execute(f"PRAGMA {pragma}").close()


def open_database(engine: Engine) -> sessionmaker[Session]:
    """Return a factory of database sessions; use each as `with database() as db, db.begin():`."""
    return sessionmaker(engine, expire_on_commit=False)
