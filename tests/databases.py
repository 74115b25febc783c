"""Which database a test is on: SQLite, or, for the tests of what every table must do, that and a real PostgreSQL.

A test that has the fixture `either_database` runs on both. What it is on is said here, and everything that opens a
database for a test asks `url_below`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from armshare.migrations import migrate
from teleop.hub.db import open_engine
from tests.postgres import Postgres


class Cluster:
    """A PostgreSQL server's databases, each a copy of one that is migrated already."""

    def __init__(self, server: Postgres) -> None:
        self.server = server
        self._template = server.create()
        engine = open_engine(server.url(self._template))
        migrate(engine)
        engine.dispose()
        self._of: dict[Path, str] = {}

    def url(self, file: Path) -> str:
        """Return the URL of the database that stands for a file of SQLite: the same for the same file."""
        if file not in self._of:
            self._of[file] = self.server.create(self._template)
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
    _cluster = cluster
    try:
        yield
    finally:
        _cluster = None
        cluster.forget()


def url_below(folder: Path, name: str = "armshare") -> str:
    """Return the URL of a test's database: a file below `folder`, or what stands for it."""
    file = folder / f"{name}.sqlite"
    return f"sqlite:///{file}" if _cluster is None else _cluster.url(file)
