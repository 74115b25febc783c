"""Promises of versions, on SQLite and PostgreSQL: each is a step from the one before, and none is changed or lost."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select, text
from sqlalchemy.exc import DBAPIError

from recorder.hub.tables import MotionPathRow, MotionRow
from rewards.datasets.splits import split_of, start_key
from rewards.datasets.version import ChangeKind, DatasetVersion, Shares, Split
from rewards.hub.datasets import changes as changing
from rewards.hub.datasets.changes import Chosen
from rewards.hub.datasets.consent import Consent
from rewards.hub.datasets.refusals import (
    LicencesDifferError,
    NothingNewError,
    NotInDatasetError,
    TooManyEpisodesError,
    TooManyNamespacesError,
    TornEpisodesError,
    WithdrawnEpisodesError,
)
from rewards.hub.datasets.texts import described
from rewards.hub.search import Search
from rewards.hub.starts import best
from rewards.tables import APPEND_ONLY, DatasetRow, MemberRow, StartRow, VersionRow, unique_keys
from teleop.hub.db import Base
from tests.rewards.hub.datasets.shop import Shop, opened
from tests.rewards.world import ADA, BOB

LIFTS = described("Lifts", "", "CC-BY-4.0")
HALVES = Shares(500_000, 0, 500_000)


@pytest.fixture
def shop(tmp_path: Path, either_database: str) -> Iterator[Shop]:
    made = opened(tmp_path)
    yield made
    made.database.kw["bind"].dispose()


def create(shop: Shop, ids: list[str], name: str = "lab/lift", shares: Shares = HALVES, **said: str) -> None:
    shop.changes.create(
        ADA,
        name,
        described(said.get("title", "Lifts"), "", said.get("licence", "CC-BY-4.0")),
        Chosen(tuple(ids)),
        shares,
    )


def newest(shop: Shop, name: str = "lab/lift") -> DatasetVersion:
    found = shop.sets.newest(name)
    assert found is not None
    return found


def chain(shop: Shop, name: str = "lab/lift") -> list[DatasetVersion]:
    """Return every version, each of which names the digest of the one before it."""
    every = []
    for number in range(1, newest(shop, name).version + 1):
        found = shop.sets.version(name, number)
        assert found is not None
        assert found.previous == (every[-1].digest if every else "")
        assert hashlib.sha256(b"".join(shop.sets.document(f"{name}@{number}"))).hexdigest() == found.digest
        every.append(found)
    with shop.database() as db:
        rows = db.scalars(
            select(VersionRow).join(DatasetRow, DatasetRow.id == VersionRow.dataset).where(DatasetRow.name == name)
        ).all()
    assert {row.version: (row.digest, row.episodes) for row in rows} == {
        one.version: (one.digest, len(one.episodes)) for one in every
    }
    return every


def ids_of(version: DatasetVersion) -> list[str]:
    return [one.episode for one in version.episodes]


OPS = st.tuples(st.sampled_from(["append", "withdraw", "merge", "describe"]), st.sets(st.integers(0, 11), min_size=1))


def test_any_chain_of_changes_verifies_and_is_what_was_asked(tmp_path):
    shop, number = opened(tmp_path), count()
    seeds = [3, 3, 4, 5, 6, 7, 8, 9, 9, 10, 11, 12]
    ids = shop.stock(12, seeds=seeds)

    @settings(max_examples=12)
    @given(st.sets(st.integers(0, 11), min_size=1), st.lists(OPS, max_size=6))
    def holds(first: set[int], ops: list[tuple[str, set[int]]]) -> None:
        name, other = (f"lab/{what}{next(number)}" for what in "ab")
        model = [ids[at] for at in sorted(first)]
        create(shop, model, name)
        create(shop, [ids[at] for at in (0, 5, 11)], other)
        expected = [list(model)]
        for op, chosen in ops:
            named = [ids[at] for at in sorted(chosen)]
            new = [one for one in (named if op == "append" else [ids[0], ids[5], ids[11]]) if one not in model]
            if op == "describe":
                shop.changes.describe(ADA, name, "", title=f"T{len(expected)}")
            elif op == "withdraw":
                if not set(named) <= set(model):
                    with pytest.raises(NotInDatasetError):
                        shop.changes.withdraw(ADA, name, named, "")
                    continue
                shop.changes.withdraw(ADA, name, named, "")
                model = [one for one in model if one not in named]
            else:
                change: Callable[[], Any] = partial(shop.changes.merge, ADA, name, other, "", practice=False)
                if op == "append":
                    change = partial(shop.changes.append, ADA, name, Chosen(tuple(named)), "")
                if not new:
                    with pytest.raises(NothingNewError):
                        change()
                    continue
                change()
                model = [*model, *new]
            expected.append(list(model))
        assert [ids_of(one) for one in chain(shop, name)] == expected
        splits: dict[int, set[Split]] = {}
        for version in chain(shop, name):
            for one in version.episodes:
                seed = seeds[ids.index(one.episode)]
                assert one.split is split_of(start_key("lift", seed, ""), HALVES)
                splits.setdefault(seed, set()).add(one.split)
        assert all(len(found) == 1 for found in splits.values())

    holds()
    shop.database.kw["bind"].dispose()


def test_writers_at_once_give_one_version_each_and_none_is_lost(shop):
    ids = shop.stock(13)
    create(shop, ids[:1])
    together, made = threading.Barrier(4), []

    def write(mine: list[str]) -> None:
        changes = shop.changes
        together.wait()
        made.extend(changes.append(ADA, "lab/lift", Chosen((one,)), one).row.version for one in mine)

    threads = [threading.Thread(target=write, args=(ids[1 + 3 * at : 4 + 3 * at],)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == list(range(2, 14))
    every = chain(shop)
    assert set(ids_of(every[-1])) == set(ids)
    for before, after in pairwise(every):
        assert ids_of(after) == [*ids_of(before), after.change.reason]


def someone_waits(shop: Shop) -> bool:
    """Whether a transaction waits for another, as PostgreSQL says; SQLite lets one in at a time and says nothing."""
    if shop.database.kw["bind"].dialect.name == "sqlite":
        return True
    with shop.database() as db:
        return bool(db.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")))


@pytest.mark.parametrize("at", ["candidates", "make", "note"])
def test_consent_that_ends_while_a_version_is_made_is_in_no_version_after_it(shop, monkeypatch, at):
    """One of the two is in the middle of its transaction (`at`) when the other begins, and goes on once that waits."""
    ids = shop.stock(3, operator=BOB)
    create(shop, ids[:1])
    there = threading.Event()

    def end() -> None:
        assert at == "note" or there.wait(10)
        consent = Consent(shop.database, shop.changes, told if at == "note" else shop.clock)
        consent.withdraw(ids[1], BOB, "")

    def append() -> None:
        assert at != "note" or there.wait(10)
        with suppress(WithdrawnEpisodesError):  # it may have been faster
            shop.changes.append(ADA, "lab/lift", Chosen((ids[1],)), "")

    ending, appending = threading.Thread(target=end), threading.Thread(target=append)
    other = appending if at == "note" else ending

    def told(*arguments: Any, **named: Any) -> Any:
        there.set()
        while threading.current_thread() is not other and other.is_alive() and not someone_waits(shop):
            pass
        return real(*arguments, **named)

    real: Callable[..., Any] = shop.clock if at == "note" else getattr(changing, at)
    if at != "note":
        monkeypatch.setattr(changing, at, told)
    ending.start()
    appending.start()
    ending.join()
    appending.join()
    assert [ids_of(one) for one in chain(shop)] in ([ids[:1]], [ids[:1], ids[:2], ids[:1]])


def test_an_end_of_consent_that_a_crash_interrupts_is_gone_on_with(shop, monkeypatch):
    ids = shop.stock(3, operator=BOB)
    for name in ("lab/one", "lab/two", "lab/three"):
        create(shop, ids, name)
    calls, real = count(1), changing.make

    def crash(*arguments: Any) -> Any:
        made = real(*arguments)
        if next(calls) == 2:
            raise SystemExit("the hub was killed")
        return made

    monkeypatch.setattr(changing, "make", crash)
    with pytest.raises(SystemExit):
        shop.consent.withdraw(ids[0], BOB, "no more")
    monkeypatch.undo()
    assert sorted(newest(shop, f"lab/{name}").version for name in ("one", "two", "three")) == [1, 1, 2]
    restarted = Shop(shop.database, now_ms=shop.now_ms)
    assert len(restarted.consent.finish()) == 2
    for name in ("one", "two", "three"):
        assert [ids_of(one) for one in chain(shop, f"lab/{name}")] == [ids, ids[1:]]
        assert newest(shop, f"lab/{name}").change.kind is ChangeKind.WITHDRAWN
    assert restarted.consent.finish() == []


def test_a_change_comes_after_what_was_withdrawn_has_gone_even_if_nobody_finished_that(shop, monkeypatch):
    ids = shop.stock(3, operator=BOB)
    create(shop, ids[:2])
    monkeypatch.setattr("rewards.hub.datasets.consent.Consent.finish", lambda _self: [])
    shop.consent.withdraw(ids[0], BOB, "no more")
    shop.changes.append(ADA, "lab/lift", Chosen((ids[2],)), "more")
    assert [ids_of(one) for one in chain(shop)] == [ids[:2], [ids[1]], ids[1:]]


def test_what_was_withdrawn_is_nobodys_neighbour_and_nobodys_example(shop):
    ids = shop.stock(3)
    start = {"task": "lift", "task_version": 1, "model": "panda", "simulated": True, "operator": ADA, "cell": "0,0"}
    kept = {**start, "things_m": [0.01, 0.01, 0.0], "duration_s": 1.0, "version": "3", "accepted": True}
    path = {"kind": "hands", "width": 9, "points": bytes(4), "world": None, **{f"cell_{at}": 0 for at in range(4)}}
    with shop.database() as db, db.begin():
        db.execute(insert(StartRow), [{"episode": one, "score_ppm": at, **kept} for at, one in enumerate(ids)])
        db.execute(insert(MotionRow), [{"episode": one, "digest": None} for one in ids])
        db.execute(insert(MotionPathRow), [{"episode": one, **path} for one in ids])

    def shown() -> tuple[set[str | None], str | None]:
        beside = Search(shop.database).neighbours(ids[0])
        with shop.database() as db:
            found = best(db, ids[0])
        return {
            beside.task.next,
            beside.operator.next,
            *(one.episode for one in beside.motion),
        }, found and found.episode

    assert shown() == (set(ids[1:]), ids[2])
    shop.consent.withdraw(ids[2], ADA, "")
    assert shown() == ({ids[1]}, ids[1])
    shop.consent.withdraw(ids[1], ADA, "")
    assert shown() == ({None}, None)


def test_what_was_withdrawn_does_not_come_back_by_a_merge(shop):
    ids = shop.stock(3, operator=BOB)
    create(shop, ids[:2], "lab/other")
    create(shop, ids[2:])
    shop.consent.withdraw(ids[0], BOB, "")
    shop.changes.merge(ADA, "lab/lift", "lab/other@1", "", practice=False)
    assert ids_of(newest(shop)) == [ids[2], ids[1]]


@pytest.mark.parametrize("statement", ["UPDATE {0} SET {1} = {1}", "DELETE FROM {0}"])
def test_the_database_refuses_to_change_what_a_data_set_was(shop, statement):
    ids = shop.stock(3)
    create(shop, ids)
    shop.changes.withdraw(ADA, "lab/lift", ids[:1], "")
    shop.consent.withdraw(ids[1], ADA, "")
    for table in [one for one in APPEND_ONLY if one.startswith("dataset") and one != "dataset_cards"] + ["withdrawals"]:
        column = unique_keys(table)[0][0]
        with pytest.raises(DBAPIError, match="append-only"), shop.database() as db, db.begin():
            db.execute(text(statement.format(table, column)))
    assert len(chain(shop)) == 3


@pytest.mark.parametrize("table", ["dataset_members", "dataset_versions", "dataset_removals", "scores", "withdrawals"])
def test_sqlites_insert_or_replace_replaces_nothing(tmp_path, table):
    shop = opened(tmp_path)
    ids = shop.stock(2)
    create(shop, ids)
    shop.changes.withdraw(ADA, "lab/lift", ids[:1], "")
    shop.consent.withdraw(ids[1], ADA, "")
    columns = ", ".join(column.name for column in Base.metadata.tables[table].columns)
    with pytest.raises(DBAPIError, match="append-only"), shop.database() as db, db.begin():
        db.execute(text(f"INSERT OR REPLACE INTO {table} ({columns}) SELECT {columns} FROM {table}"))
    shop.database.kw["bind"].dispose()


def test_an_episode_whose_group_was_in_a_split_goes_there_in_every_later_version(shop):
    ids = shop.stock(4, seeds=[5, 6, 5, 5])
    create(shop, ids[:2])
    first = {one.episode: one.split for one in newest(shop).episodes}
    shop.changes.withdraw(ADA, "lab/lift", [ids[0]], "")
    shop.changes.append(ADA, "lab/lift", Chosen((ids[2],)), "")
    create(shop, [ids[3]], "lab/other", Shares(0, 1_000_000, 0))
    assert {one.episode: one.split for one in newest(shop).episodes}[ids[2]] is first[ids[0]]
    with pytest.raises(TornEpisodesError, match=ids[3]):
        shop.changes.merge(ADA, "lab/lift", "lab/other", "", practice=False)


def test_failed_drives_that_moved_alike_are_in_one_split_and_what_would_leak_is_refused(shop):
    seeds = list(range(40))
    ids = shop.stock(40, seeds=seeds, success=False)
    splits = {one: split_of(start_key("lift", seed, ""), HALVES) for one, seed in zip(ids, seeds, strict=True)}
    train = next(one for one in ids if splits[one] is Split.TRAIN)
    tests = [one for one in ids if splits[one] is Split.TEST][:3]
    alike = [train, tests[0]]
    with shop.database() as db, db.begin():
        db.execute(insert(MotionRow), [{"episode": one, "digest": None} for one in alike])
        cells = {f"cell_{at}": 0 for at in range(4)}
        same = {"kind": "joints", "width": 7, "points": b"the same", "world": None, **cells}
        db.execute(insert(MotionPathRow), [{"episode": one, **same} for one in alike])
    create(shop, [train, tests[0], tests[1]])
    assert [one.split for one in newest(shop).episodes] == [Split.TRAIN, Split.TRAIN, Split.TEST]
    create(shop, [tests[2]], "lab/other")
    again = shop.stock(1, first=100, seeds=[seeds[ids.index(tests[1])]], success=False)
    with shop.database() as db, db.begin():
        db.execute(insert(MotionRow), [{"episode": again[0], "digest": None}])
        db.execute(insert(MotionPathRow), [{"episode": again[0], **same}])
    with pytest.raises(TornEpisodesError, match=again[0]):
        shop.changes.append(ADA, "lab/lift", Chosen(tuple(again)), "")


def test_what_is_too_much_is_refused_and_nothing_is_left_of_it(shop):
    shop.episodes_max = 3
    ids = shop.stock(4)
    with pytest.raises(TooManyEpisodesError, match="at most 3"):
        create(shop, ids)
    create(shop, ids[:3])
    with pytest.raises(TooManyEpisodesError):
        shop.changes.append(ADA, "lab/lift", Chosen((ids[3],)), "")
    for at in range(changing.NAMESPACES_MAX - 1):
        create(shop, ids[:1], f"lab{at}/lift")
    with pytest.raises(TooManyNamespacesError):
        create(shop, ids[:1], "one-more/lift")
    with shop.database() as db:
        assert len(db.scalars(select(DatasetRow.id)).all()) == changing.NAMESPACES_MAX
        assert len(db.scalars(select(MemberRow.place)).all()) == 3 + changing.NAMESPACES_MAX - 1


def test_data_sets_under_different_licences_are_not_merged(shop):
    ids = shop.stock(2)
    create(shop, ids[:1])
    create(shop, ids[1:], "lab/other", licence="CC-BY-NC-4.0")
    with pytest.raises(LicencesDifferError, match=r"CC-BY-NC-4\.0"):
        shop.changes.merge(ADA, "lab/lift", "lab/other", "", practice=False)
