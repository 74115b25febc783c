"""The log in the database: appended whole or not at all, in one order, by many at once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine, inspect
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from recorder.hub import tables
from recorder.hub.log import Log, LogIndexError, LogMissingError
from recorder.proof.log import merkle
from recorder.proof.log.checkpoint import open_checkpoint
from teleop.hub.db import Base, open_database, open_engine
from tests.databases import ON_SQLITE, migrated, url_below
from tests.recorder.bundles import LOG_KEY

pytestmark = pytest.mark.usefixtures("either_database")

LOG = Log(LOG_KEY)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = open_engine(url_below(tmp_path, "log"))
    migrated(made)
    yield made
    made.dispose()


@pytest.fixture
def database(engine: Engine) -> sessionmaker[Session]:
    return open_database(engine)


def entry(number: int) -> bytes:
    return number.to_bytes(32, "big")


def append(database: sessionmaker[Session], number: int) -> int:
    with database() as db, db.begin():
        return LOG.append(db, f"episode-{number}", entry(number), number)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 8, 13])
def test_the_stored_tree_is_the_tree_of_its_entries(database: sessionmaker[Session], count: int) -> None:
    for number in range(count):
        assert append(database, number) == number
    leaves = [merkle.leaf_hash(entry(number)) for number in range(count)]

    with database() as db:
        head = open_checkpoint(LOG.checkpoint(db), LOG.verifier)
        assert (head.size, head.root) == (count, merkle.root_of(leaves))
        for index in range(count):
            proof = LOG.prove(db, index)
            merkle.require_inclusion(leaves[index], index, count, proof.hashes, head.root)
        for old in range(count + 1):
            size, path = LOG.prove_consistency(db, old)
            merkle.require_consistency(old, size, path, merkle.root_of(leaves[:old]), head.root)


def test_appends_at_once_never_share_an_index(database: sessionmaker[Session]) -> None:
    with ThreadPoolExecutor(8) as several:
        indices = list(several.map(lambda number: append(database, number), range(40)))

    assert sorted(indices) == list(range(40))
    with database() as db:
        assert LOG.size(db) == 40


def test_an_append_that_fails_leaves_no_trace(database: sessionmaker[Session]) -> None:
    append(database, 0)
    with pytest.raises(IntegrityError), database() as db, db.begin():
        LOG.append(db, "episode-0", entry(1), 1)
    with database() as db, db.begin() as transaction:
        assert LOG.append(db, "episode-1", entry(1), 1) == 1
        transaction.rollback()

    with database() as db:
        assert LOG.size(db) == 1
    assert append(database, 2) == 1


def test_an_index_beyond_the_log_is_refused(database: sessionmaker[Session]) -> None:
    with database() as db:
        with pytest.raises(LogIndexError, match="size 0"):
            LOG.prove(db, 0)
        with pytest.raises(LogIndexError):
            LOG.prove_consistency(db, 1)


def test_a_database_without_migrations_is_named() -> None:
    engine = open_engine("sqlite://")
    Base.metadata.create_all(engine)
    with open_database(engine)() as db:
        with pytest.raises(LogMissingError, match="migrations"):
            LOG.append(db, "episode", entry(0), 0)
        with pytest.raises(LogMissingError):
            LOG.size(db)
    engine.dispose()


@ON_SQLITE
def test_the_migration_makes_the_tables_that_the_code_uses(engine: Engine) -> None:
    found = inspect(engine)
    for table in ("EpisodeRow", "UploadRow", "LogHead", "LogEntry", "LogNode"):
        expected = getattr(tables, table).__table__
        columns = {column["name"]: column["nullable"] for column in found.get_columns(expected.name)}
        assert columns == {column.name: column.nullable for column in expected.columns}
        unique = {tuple(one["column_names"]) for one in found.get_unique_constraints(expected.name)}
        assert unique == {(column.name,) for column in expected.columns if column.unique}
        indexed = {tuple(one["column_names"]) for one in found.get_indexes(expected.name)}
        assert indexed == {tuple(c.name for c in index.columns) for index in expected.indexes}
