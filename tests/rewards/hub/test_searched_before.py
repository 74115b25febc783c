"""What an earlier release left is searched like everything else: migration 0015 fills in what it did not keep."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, inspect, text

import armshare.migrations
from armshare.migrations import migrate
from rewards.datasets.words import Words
from rewards.hub.search import Search
from teleop.hub.db import Base, open_database, open_engine
from tests.postgres import Postgres

SIMULATED = {"robot": {"model": "panda", "simulated": True}, "steps": 300, "control_hz": 30.0}
REAL = {"robot": {"model": "so101", "simulated": False}, "steps": 300, "control_hz": 30.0}
CLOCKS = {"started_ms": "1000", "ended_ms": "13500"}


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An empty database."""
    url = f"sqlite:///{tmp_path / 'old.sqlite'}"
    if request.param == "postgresql":
        server: Postgres = request.getfixturevalue("postgres_server")
        name = server.create()
        url = server.url(name)
    made = open_engine(url)
    yield made
    made.dispose()
    if request.param == "postgresql":
        server.drop(name)


def upgrade(engine: Engine, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(armshare.migrations.__file__).parent))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def old_episode(engine: Engine, episode: str, manifest: str | None, **scores: tuple[int, dict[str, float]]) -> None:
    """Write an episode as release 0012 did, with a score by each version of the rules."""
    said: dict[str, Any] = {"episode": episode, "manifest": manifest, "accepted": True}
    with engine.begin() as db:
        db.execute(
            text(
                "INSERT INTO episodes (episode, state, robot, operator, task, success, manifest, created_ms, tries) "
                "VALUES (:episode, 'verified', 'R', 'O', 'lift', :accepted, :manifest, 7, 0)"
            ),
            said,
        )
        for version, (ppm, vector) in scores.items():
            db.execute(
                text(
                    "INSERT INTO scores (episode, version, score_ppm, accepted, vector, reasons, task, operator, "
                    "price_wei, pay_wei, scored_ms) VALUES (:episode, :version, :ppm, :accepted, :vector, '[]', "
                    "'lift', 'O', '1', '1', 1)"
                ),
                {**said, "version": version.removeprefix("by_"), "ppm": ppm, "vector": json.dumps(vector)},
            )


def test_what_was_there_before_is_found_by_what_its_manifest_and_its_newest_score_say(engine):
    upgrade(engine, "0012")
    old_episode(engine, "e1", json.dumps(SIMULATED | CLOCKS), by_2=(900_000, {"smoothness": 0.9}))
    old_episode(
        engine,
        "e2",
        json.dumps(REAL | CLOCKS),
        by_3=(600_000, {"success": 1.0, "object_path": 0.7}),
        by_1=(990_000, {"idle": 1.0}),
    )
    old_episode(engine, "e3", "no manifest at all")
    old_episode(engine, "e4", json.dumps({**SIMULATED, "robot": {"model": "x" * 900, "simulated": True}, **CLOCKS}))
    with engine.begin() as db:
        db.execute(
            text("INSERT INTO practices (episode, operator, passed, checks, checked_ms) VALUES ('e2','O',:yes,'[]',1)"),
            {"yes": True},
        )
    migrate(engine)

    page = Search(open_database(engine)).page(Words())
    found = {one.episode: (one.model, one.duration_s, one.score, one.rules, one.practice) for one in page.episodes}
    assert found == {
        "e1": ("panda", 10.0, 0.9, "2", False),
        "e2": ("so101", 12.5, 0.6, "3", True),
        "e3": (None, None, None, None, False),
        "e4": (None, 10.0, None, None, False),
    }
    with engine.begin() as db:
        db.execute(text("UPDATE episodes SET state = 'rejected' WHERE episode = 'e1'"))
    by_part = Search(open_database(engine)).page(Words.of({"object_path_min": "0.7", "state": "verified"}.items()))
    assert [one.episode for one in by_part.episodes] == ["e2"]


def test_more_than_is_read_at_once_is_filled_in(engine):
    upgrade(engine, "0012")
    said = [
        {"episode": f"e{number:04}", "ppm": 1000 * (number % 1000), "manifest": json.dumps(SIMULATED | CLOCKS)}
        for number in range(2100)
    ]
    with engine.begin() as db:
        db.execute(
            text(
                "INSERT INTO episodes (episode, state, robot, operator, task, manifest, created_ms, tries) "
                "VALUES (:episode, 'verified', 'R', 'O', 'lift', :manifest, 7, 0)"
            ),
            said,
        )
        db.execute(
            text(
                "INSERT INTO scores (episode, version, score_ppm, accepted, vector, reasons, task, operator, "
                "price_wei, pay_wei, scored_ms) VALUES (:episode, '3', :ppm, :yes, :vector, '[]', 'lift', 'O', '1', "
                "'1', 1)"
            ),
            [{**one, "yes": True, "vector": '{"pace": 0.5}'} for one in said],
        )
    migrate(engine)
    search = Search(open_database(engine))
    found = search.page(Words.of({"pace_min": "0.5", "duration_min_s": "10", "limit": "1"}.items()))
    assert found.total == 2100
    assert search.page(Words.of({"score_min": "0.999", "model": "panda"}.items())).total == 2


def test_the_migrations_make_the_tables_and_the_columns_that_the_models_say(engine):
    migrate(engine)
    looked = inspect(engine)
    for table in Base.metadata.sorted_tables:
        made = {one["name"]: one["nullable"] for one in looked.get_columns(table.name)}
        assert made == {column.name: bool(column.nullable) for column in table.columns}, table.name
        indexes = {(tuple(one["column_names"]), bool(one["unique"])) for one in looked.get_indexes(table.name)}
        expected = {(tuple(column.name for column in one.columns), bool(one.unique)) for one in table.indexes}
        assert expected <= indexes, table.name
