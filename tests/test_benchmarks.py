"""The benchmarks of size, with next to nothing in them: that their rows are sound, and that each figure has a name."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import func, select

from armshare.migrations import migrate
from benchmarks import catalogue, fetch, verify
from benchmarks.scaling import asks, files, lobby
from benchmarks.scaling.filling import fill, sizes_mb
from benchmarks.scaling.searches import Asking
from benchmarks.scaling.year import Year
from recorder.hub.tables import EpisodeRow
from rewards.ledger import ledger
from rewards.tables import SearchedRow
from teleop.hub.db import open_database, open_engine

COUNT = 120


def quiet(_line: str) -> None:
    """Say nothing."""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("year")
    engine = open_engine(f"sqlite:///{folder / 'armshare.sqlite'}")
    migrate(engine)
    year = Year(COUNT)
    fill(engine, year, quiet)
    yield asks.Hub(open_database(engine), year, folder, None, 1)
    engine.dispose()


def test_a_years_rows_are_sound(hub):
    with hub.database() as db:
        assert db.scalar(select(func.count()).select_from(EpisodeRow)) == COUNT
        assert db.scalar(select(func.count()).select_from(SearchedRow)) == COUNT
        assert ledger.audit(db) > 11, "the pools, and what was paid from them"
        size = hub.log.size(db)
        assert hub.log.head(db) == (size, hub.log.head(db, size)[1])
        assert hub.log.prove(db, size // 2).size == size == int(hub.year.verified.sum())
    assert sizes_mb(hub.database.kw["bind"])["episodes"] > 0


def test_what_fills_the_tables_leaves_their_guards_and_indexes(hub):
    with hub.database() as db:
        kinds = "SELECT name FROM sqlite_master WHERE type IN ('trigger', 'index')"
        there = {name for (name,) in db.connection().exec_driver_sql(kinds)}
    assert {"scores_no_update", "episodes_searched_insert", "ix_searched_kind", "ix_episodes_unwanted"} <= there


def test_questions_of_each_kind_are_answered(hub):
    asking = Asking(hub.database, hub.year, 1, None)
    found = asking.all(1)
    assert found.keys() == asking.worked.keys() == {"page", "search", "words", "neighbours"}
    lines = list(catalogue.table({"episodes": COUNT, **_flat(found), "processor_searches": _flat(found)["searches"]}))
    assert len(lines) == 1 + sum(len(one) for one in found.values())


def _flat(found):
    return {
        "searches": {f"{kind}: {name}": {"sqlite": ms} for kind, some in found.items() for name, ms in some.items()}
    }


def test_everything_that_a_hub_does_has_a_figure(hub):
    groups = dict(asks.everything(hub, 5, (10,)))
    assert tuple(groups) == asks.GROUPS
    assert all(said["ms"] >= 0 and said["core_ms"] >= 0 for figures in groups.values() for said in figures.values())
    assert {"make_10", "append_one_to_10", "document_of_10", "card_of_5"} <= groups["sets"].keys()
    assert len(list(asks.summary(groups))) == sum(len(figures) for figures in groups.values())


def test_a_store_is_measured(tmp_path: Path):
    found = files.in_folder(tmp_path, 4)
    assert found["episodes"] == 4
    assert found["take_in_second_half_ms"] > 0


def test_robots_of_the_lobby_are_described_as_their_hosts_would():
    rows = lobby.robot_rows(4)
    assert len({row["address"] for row in rows}) == 4
    assert all(row["descriptor"]["tasks"] for row in rows)


def test_a_line_through_times_says_how_they_grow():
    assert fetch._exponent((50, 100, 200), (1.0, 2.0, 4.0)) == 1.0
    assert fetch._exponent((50, 100, 200), (1.0, 4.0, 16.0)) == 2.0


@pytest.mark.slow
def test_what_is_fetched_is_whole_and_what_it_took_is_said():
    found = fetch.measured((2, 4), 1, 1)
    assert [one["episodes"] for one in found["fetches"]] == [2, 4]
    assert found["core_ms_per_episode"] > 0


def test_a_recorded_episode_is_verified(tmp_path: Path):
    verify.verify(str(verify.record(tmp_path, 6, "stack")), replay=False)
    found = {"episodes_per_s_1": 2.0, "episodes_per_s_2": 3.0}
    derived = verify.derived(found, (1, 2))
    assert derived == {"speedup_1": 1.0, "speedup_2": 1.5, "per_day_1": 172_800, "per_day_2": 259_200}
