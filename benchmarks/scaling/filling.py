"""Puts a year's rows into a hub's own tables, as fast as the database takes them, and some thousand at a time.

Foreign keys, triggers and indexes are out of the way meanwhile, and are made again afterwards, as they were.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any, Final

import psycopg
from sqlalchemy import Engine, text

import rewards.tables  # noqa: F401  so that every table is known
import teleop.hub.tables  # noqa: F401
from benchmarks.scaling.rows import Rows
from benchmarks.scaling.year import Year
from teleop.hub.db import Base

_SQLITE_PRAGMAS: Final = ("foreign_keys=OFF", "synchronous=OFF", "journal_mode=OFF", "cache_size=-400000")
Say = Callable[[str], None]


def say(line: str) -> None:
    """Print how far it is, where nobody takes it for a figure."""
    print(line, file=sys.stderr, flush=True)


def fill(engine: Engine, year: Year, said: Say = say) -> float:
    """Fill the tables of a migrated database; return how long it took, s."""
    begun, rows = time.perf_counter(), Rows(year)
    batches = chain(rows.first(), rows.episodes(), rows.last())
    target = _Sqlite(engine) if engine.dialect.name == "sqlite" else _Postgres(engine)
    filled = 0
    for table, names, some in batches:
        if table == "log_head":
            target.clear("log_head")
        target.put(table, names, some)
        if table == "episodes":
            filled += len(some)
            if filled % 100_000 < len(some):
                said(f"{engine.dialect.name}: {filled:,} episodes after {time.perf_counter() - begun:.0f} s")
    said(f"{engine.dialect.name}: all rows after {time.perf_counter() - begun:.0f} s")
    target.finish()
    return time.perf_counter() - begun


class _Sqlite:
    """Rows into a file, by a connection of its own."""

    def __init__(self, engine: Engine) -> None:
        raw = engine.raw_connection()
        self._connection: Any = raw.driver_connection
        self._raw = raw
        for pragma in _SQLITE_PRAGMAS:
            self._connection.execute(f"PRAGMA {pragma}").close()
        kinds = "SELECT type, name, sql FROM sqlite_master WHERE type IN ('index', 'trigger') AND sql IS NOT NULL"
        self._later = self._connection.execute(kinds).fetchall()
        for kind, name, _ in self._later:
            self._connection.execute(f'DROP {kind} "{name}"')
        self._connection.commit()

    def clear(self, table: str) -> None:
        """Take what the migrations put there."""
        self._connection.execute(f"DELETE FROM {table}")

    def put(self, table: str, names: Iterable[str], rows: list[tuple[Any, ...]]) -> None:
        """Insert rows, in a transaction of their own."""
        names = list(names)
        listed, marks = ", ".join(f'"{name}"' for name in names), ", ".join("?" * len(names))
        self._connection.executemany(f'INSERT INTO "{table}" ({listed}) VALUES ({marks})', rows)
        self._connection.commit()

    def finish(self) -> None:
        """Make the indexes and the triggers."""
        for _, _, sql in sorted(self._later):
            self._connection.execute(sql)
        self._connection.commit()
        for pragma in ("journal_mode=WAL", "foreign_keys=ON"):
            self._connection.execute(f"PRAGMA {pragma}").close()
        self._raw.close()


class _Postgres:
    """Rows by COPY."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection = psycopg.connect(_url(engine))
        self._connection.execute("SET session_replication_role = replica")  # no triggers, no foreign keys
        indexes = (
            "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND NOT EXISTS "
            "(SELECT 1 FROM pg_constraint WHERE conname = indexname)"
        )
        self._later = self._connection.execute(indexes).fetchall()
        for name, _ in self._later:
            self._connection.execute(f'DROP INDEX "{name}"'.encode())
        self._connection.commit()

    def clear(self, table: str) -> None:
        """Take what the migrations put there."""
        self._connection.execute(f"DELETE FROM {table}".encode())

    def put(self, table: str, names: Iterable[str], rows: list[tuple[Any, ...]]) -> None:
        """Insert rows, in a transaction of their own."""
        listed = ", ".join(f'"{name}"' for name in names)
        with self._connection.cursor() as cursor, cursor.copy(f'COPY "{table}" ({listed}) FROM STDIN'.encode()) as copy:
            copy.write("".join("\t".join(map(_field, row)) + "\n" for row in rows))
        self._connection.commit()

    def finish(self) -> None:
        """Make the indexes, and let the server count what there is, as it does by itself a minute later."""
        self._connection.execute("SET maintenance_work_mem = '256MB'")
        for _, sql in self._later:
            self._connection.execute(sql.encode())
        for table in ("ledger_transactions", "ledger_postings"):
            counted = f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))"
            self._connection.execute(counted.encode())
        self._connection.commit()
        self._connection.close()
        analyse(self._engine)


def analyse(engine: Engine) -> None:
    """Let PostgreSQL count what there is in its tables, as it does by itself a minute later."""
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))


def sizes_mb(engine: Engine) -> dict[str, float]:
    """Return how much each table takes, with its indexes, MB: the largest first."""
    names = [table.name for table in Base.metadata.sorted_tables]
    if engine.dialect.name == "postgresql":
        asked = (
            "SELECT relname, pg_total_relation_size(oid) FROM pg_class WHERE relkind = 'r' AND relname = ANY(:names)"
        )
    else:
        asked = (
            "SELECT master.tbl_name, sum(stat.pageno * page_size) FROM pragma_page_size, dbstat AS stat "
            "JOIN sqlite_master AS master ON master.name = stat.name WHERE stat.aggregate = TRUE GROUP BY 1"
        )
    with engine.connect() as connection:
        given = {"names": names} if ":names" in asked else {}
        found = {name: size / 1e6 for name, size in connection.execute(text(asked), given) if name in names}
    return {name: round(size, 1) for name, size in sorted(found.items(), key=lambda one: -one[1]) if size >= 0.05}


def _url(engine: Engine) -> str:
    return engine.url.set(drivername="postgresql").render_as_string(hide_password=False)


def _field(value: Any) -> str:
    if value is None:
        return "\\N"
    if isinstance(value, bytes):
        return "\\\\x" + value.hex()
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, str):
        return value.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")
    return str(value)
