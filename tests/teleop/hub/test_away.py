"""A database that is away is told apart from a fault of ours, on SQLite and on PostgreSQL, and one wait has an end."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from teleop.hub import errors
from teleop.hub.away import is_away
from teleop.hub.db import SlowQueryError, database_url, ending_in, open_database, open_engine
from tests.databases import url_below
from tests.postgres import Postgres, postgres


@pytest.fixture
def server() -> Iterator[Postgres]:
    """A server of this test's own: it is stopped, and started again."""
    with postgres() as made:
        yield made


def code(answer) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_a_server_that_is_stopped_and_started_is_away_and_back(server):
    engine = open_engine(server.url("postgres"))
    app = FastAPI()
    errors.install(app)

    @app.get("/asked")
    def asked() -> int:
        with engine.connect() as connection:
            return int(connection.scalar(text("SELECT 7")) or 0)

    with TestClient(app) as web:
        assert web.get("/asked").json() == 7
        with engine.connect() as connection:
            server.stop()
            with pytest.raises(DBAPIError) as lost:
                connection.execute(text("SELECT 1"))
        assert is_away(lost.value)
        assert code(web.get("/asked")) == code(web.get("/asked")) == (503, "unavailable")
        server.start()
        assert web.get("/asked").json() == 7, "at once: a connection is tried before it is used"
    engine.dispose()


def test_a_fault_of_ours_is_not_called_a_database_that_is_away(server):
    engine = open_engine(server.url("postgres"))
    for wrong in ("SELECT nothing FROM nowhere", "SELECT 1/0", "SELECT 'x'::int"):
        with pytest.raises(DBAPIError) as ours, engine.connect() as connection:
            connection.execute(text(wrong))
        assert not is_away(ours.value), wrong
    engine.dispose()
    assert not is_away(ValueError("any"))


def test_a_server_without_a_connection_to_spare_is_away(server):
    server.run("ALTER ROLE armshare CONNECTION LIMIT 1")
    server.run("CREATE ROLE other LOGIN CONNECTION LIMIT 0")
    engine = open_engine(server.url("postgres").replace("armshare@", "other@"))
    with pytest.raises(OperationalError) as full, engine.connect():
        pass
    assert is_away(full.value)
    engine.dispose()


def test_a_file_that_another_has_locked_for_long_is_away(tmp_path: Path):
    engine = open_engine(f"sqlite:///{tmp_path / 'db.sqlite'}")
    with engine.connect() as connection, closing(sqlite3.connect(tmp_path / "db.sqlite")) as holder:
        connection.execute(text("CREATE TABLE kept (value INTEGER)"))
        connection.execute(text("PRAGMA busy_timeout=0"))
        connection.commit()
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(OperationalError, match="locked") as locked:
            connection.execute(text("INSERT INTO kept VALUES (1)"))
        with pytest.raises(OperationalError, match="no such table") as ours:
            connection.execute(text("SELECT * FROM lost"))
    engine.dispose()
    assert is_away(locked.value)
    assert not is_away(ours.value)


def test_a_wait_for_a_free_connection_that_took_too_long_is_said_to_be():
    assert is_away(PoolTimeoutError("QueuePool limit reached"))


def test_what_asks_too_much_is_ended_and_the_connection_serves_the_next(tmp_path: Path, either_database: str):
    engine = open_engine(url_below(tmp_path))
    database = open_database(engine)
    numbers = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000) SELECT count(*) FROM n"
    )
    began_s = time.monotonic()
    with pytest.raises(SlowQueryError, match=r"longer than 0\.1 s"), database() as db, ending_in(db, 0.1):
        db.execute(text(numbers))
    assert time.monotonic() - began_s < 60
    with database() as db:
        assert db.scalar(text(numbers.replace("1000000000", "200000"))) == 200_000, "without that bound"
    engine.dispose()


@pytest.mark.parametrize("url", ["postgresql://h/d", "postgres://h/d", "postgresql+psycopg://h/d"])
def test_a_database_is_named_as_people_name_it(url):
    assert database_url(url).drivername == "postgresql+psycopg"


@pytest.mark.parametrize("url", ["", "arms", "mysql://h/d", "http://h/d", "postgresql+asyncpg://h/d"])
def test_another_kind_of_database_is_refused(url):
    with pytest.raises(ValueError, match=r"expected a database's URL"):
        database_url(url)
