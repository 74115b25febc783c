"""What a hub does again and again, or as it starts, looks at what is to be done, and not at a million episodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from armshare.migrations import migrate
from recorder.hub.erasing import Erasing
from recorder.hub.store import FolderStore
from rewards.hub import paying
from rewards.hub.judging import judge
from rewards.hub.scoring import Scoring
from rewards.ledger import ledger
from rewards.score.versions import VERSIONS
from teleop.hub.db import Database, open_database, open_engine
from teleop.hub.robots.registry import Registry
from tests.recorder.factory import DOMAIN

GROW = ("episodes", "scores", "leases", "searched", "ledger_transactions", "ledger_postings", "tickets", "motions")

OWN = {
    "scoring": "ix_searched_unscored",
    "paying": "ix_unpaid_scored_ms",
    "leases that a hub left open": "ix_leases_open",
    "erasing": "ix_episodes_unwanted",
    "balances": "SEARCH ledger_postings",
}
"""How each finds it: by an index that has nothing else, or from one account to the next."""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = open_engine(f"sqlite:///{tmp_path / 'armshare.sqlite'}")
    migrate(made)
    yield made
    made.dispose()


def plans(engine: Engine, call: Callable[[], Any]) -> list[str]:
    """Return how SQLite finds what a call asks for."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, given: Any, _context: Any, _many: bool) -> None:
        asked.append((statement, given))

    event.listen(engine, "before_cursor_execute", note)
    call()
    event.remove(engine, "before_cursor_execute", note)
    with engine.connect() as connection:
        return [
            row.detail
            for statement, given in asked
            if statement.startswith(("SELECT", "UPDATE", "WITH"))
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", given)
        ]


def scoring(database: Database, folder: Path) -> Scoring:
    said = {
        "qualification": False,
        "executor": None,
        "reads": None,
        "clock_ms": lambda: 1,
        "told": lambda _episode: None,
    }
    return Scoring(database, FolderStore(folder), {}, judge=judge, versions=VERSIONS, **said)


def calls(database: Database, folder: Path) -> dict[str, Callable[[], Any]]:
    return {
        "scoring": lambda: scoring(database, folder)._unscored(False),
        "paying": lambda: paying.pay_waiting(database),
        "leases that a hub left open": lambda: Registry(database, DOMAIN).close_left_open(1),
        "erasing": Erasing(database, FolderStore(folder), lambda: 1, 1)._due,
        "balances": lambda: ledger.balances(database(), ledger.OPERATOR),
    }


@pytest.mark.parametrize("name", OWN)
def test_what_is_to_be_done_is_found_without_reading_through_a_table_that_grows(engine, tmp_path, name):
    found = plans(engine, calls(open_database(engine), tmp_path)[name])
    read = [one for one in found if one.startswith("SCAN") and one.split()[1] in GROW and OWN[name] not in one]
    assert read == []
    assert any(OWN[name] in one for one in found), found


def test_what_waited_for_its_pay_before_there_was_a_table_of_it_still_does(tmp_path):
    from benchmarks.scale import to_revision

    engine = open_engine(f"sqlite:///{tmp_path / 'armshare.sqlite'}")
    to_revision(engine, "0017")
    score = (
        "INSERT INTO scores (episode, version, score_ppm, accepted, vector, reasons, task, operator, price_wei, "
        "pay_wei, scored_ms, rescored, adds_wei) "
        "VALUES (:e, '3', 1, :accepted, '{}', '[]', 'lift', '0x', '1', :pay, :ms, 0, :pay)"
    )
    booked = (
        "INSERT INTO ledger_transactions (key, kind, episode, time_ms, content_sha256) VALUES ('episode:paid', 'e', "
        "'paid', 1, '')"
    )
    rows = [("waits", True, "5", 7), ("paid", True, "5", 6), ("refused", False, "0", 5), ("free", True, "0", 4)]
    with engine.begin() as connection:
        connection.execute(text("PRAGMA foreign_keys=OFF"))
        for episode, accepted, pay, scored_ms in rows:
            connection.execute(
                text(
                    "INSERT INTO episodes (episode, state, robot, operator, task, created_ms, tries) VALUES "
                    "(:e, 'verified', '0x', '0x', 'lift', 1, 0)"
                ),
                {"e": episode},
            )
            connection.execute(text(score), {"e": episode, "accepted": accepted, "pay": pay, "ms": scored_ms})
        connection.execute(text(booked))
    migrate(engine)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT episode, version, scored_ms FROM unpaid")).all() == [("waits", "3", 7)]
    engine.dispose()
