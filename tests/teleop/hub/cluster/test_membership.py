"""Hubs on one PostgreSQL: who may be there, who does what only one does, and what becomes of a dead one's leases."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Engine, select, text

from teleop.hub.cluster.locks import Locks
from teleop.hub.cluster.membership import (
    DEAD_MS,
    DUTIES,
    HubsDisagreeError,
    Me,
    Membership,
    require_alone_to_migrate,
    take_place,
)
from teleop.hub.db import open_database, open_engine
from teleop.hub.robots.registry import HUB_LOST, Registry
from teleop.hub.store import NotHomeError
from teleop.hub.tables import HubRow, LeaseRow, RobotRow
from teleop.identity import new_key
from teleop.wire.signalling import Grant
from tests.databases import Cluster, url_below
from tests.databases import using as databases
from tests.teleop.hub.bench import DOMAIN, descriptor
from tests.teleop.registering import register

ADDRESS, LOG = "0x" + "aa" * 20, "log+1+key"


@dataclass
class Clock:
    ms: int = 1_000_000

    def __call__(self) -> int:
        return self.ms


class Database:
    """One database, and as many hubs on it as a test wants."""

    def __init__(self, url: str, stack: ExitStack) -> None:
        self._url, self._stack, self.clock = url, stack, Clock()
        self.engine = self._opened()
        self.database = open_database(self.engine)

    def _opened(self) -> Engine:
        engine = open_engine(self._url)
        self._stack.callback(engine.dispose)
        return engine

    def locks(self, name: str) -> Locks:
        made = Locks(self._opened(), f"armshare hub {name}", lambda: self.clock.ms / 1000)
        self._stack.callback(made.close)
        return made

    def hub(self, name: str, **changed: Any) -> tuple[Locks, Membership]:
        """Let a hub come in."""
        locks = self.locks(name)
        take_place(locks, name)
        me = Me(**{"name": name, "url": f"http://{name}", "address": ADDRESS, "log": LOG, **changed})
        members = Membership(self.database, locks, me, self.clock, self.clock)
        members.join()
        return locks, members

    def registry(self, hub: str | None) -> Registry:
        return Registry(self.database, DOMAIN, self.clock, hub=hub)

    def robot_at(self, hub: str) -> tuple[Registry, str]:
        """Return a hub's registry, and a robot whose host is there."""
        registry, robot = self.registry(hub), new_key()
        register(registry, new_key(), robot)
        registry.describe(robot.address, descriptor(), f"token of {robot.address}")
        return registry, robot.address

    def ends(self) -> dict[str, str | None]:
        with self.database() as db:
            return {row.lease: row.reason for row in db.scalars(select(LeaseRow))}

    def row(self, name: str) -> HubRow:
        with self.database() as db:
            return db.get_one(HubRow, name)


def granted(robot: str) -> Grant:
    return Grant("0x" + "bb" * 20, "0x" + "cc" * 20, robot, "lift", "0x", 1)


@pytest.fixture
def base(cluster: Cluster, tmp_path) -> Iterator[Database]:
    with ExitStack() as stack:
        stack.enter_context(databases(cluster))
        yield Database(url_below(tmp_path), stack)


def test_a_hub_without_a_name_and_one_with_a_name_keep_each_other_out_by_name(base):
    alone = base.locks("")
    take_place(alone, None)
    with pytest.raises(HubsDisagreeError, match=r"used by armshare hub , and this hub has no --hub-name.*--nats"):
        take_place(base.locks(""), None)
    with pytest.raises(HubsDisagreeError, match="which has no --hub-name: end it first"):
        take_place(base.locks("a"), "a")
    alone.close()
    locks, _ = base.hub("a")
    with pytest.raises(HubsDisagreeError, match="used by armshare hub a, and this hub has no --hub-name"):
        take_place(base.locks(""), None)
    with pytest.raises(HubsDisagreeError, match="a hub called a uses this database already"):
        take_place(base.locks("a"), "a")
    base.hub("b")
    assert locks.holders("hubs") == ["armshare hub b"]


def test_tables_are_not_changed_under_hubs_of_another_release(base):
    locks, _ = base.hub("a")
    require_alone_to_migrate(locks, "a")
    base.hub("b")
    with pytest.raises(HubsDisagreeError, match="armshare hub b of another release uses them: end all hubs"):
        require_alone_to_migrate(locks, "a")


@pytest.mark.parametrize("changed", [{"address": "0x" + "dd" * 20}, {"log": "log+2+key"}])
def test_a_hub_with_other_keys_cannot_be_one_of_them(base, changed):
    base.hub("a")
    with pytest.raises(HubsDisagreeError, match=r"keys are not those of the others.*--shared"):
        base.hub("b", **changed)


def test_a_hub_that_starts_closes_its_own_leases_and_no_other_hubs(base):
    base.hub("a")
    base.hub("b")
    (at_a, first), (at_b, second) = base.robot_at("a"), base.robot_at("b")
    at_a.open_lease("A", granted(first), "0x")
    at_b.open_lease("B", granted(second), "0x")
    assert base.registry("a").close_left_open(base.clock.ms) == 1
    assert base.ends() == {"A": HUB_LOST, "B": None}
    assert base.registry(None).close_left_open(base.clock.ms) == 1, "who is alone closes all"


def test_the_leases_of_a_dead_hub_are_closed_by_one_that_lives_and_not_those_of_the_living(base):
    _, a = base.hub("a")
    _, b = base.hub("b")
    _, c = base.hub("c")
    (at_a, first), (at_b, second) = base.robot_at("a"), base.robot_at("b")
    at_a.open_lease("A", granted(first), "0x")
    at_b.open_lease("B", granted(second), "0x")
    for _ in range(DEAD_MS // 2000):
        assert b.beat()
        assert c.beat()
        base.clock.ms += 2000
    assert base.ends() == {"A": None, "B": None}, "it may be alive"
    b.beat()
    c.beat()
    assert base.ends() == {"A": HUB_LOST, "B": None}
    assert set(b.living) == {"c"}
    assert base.row("a").ended_ms is not None
    assert at_b.uploader(f"token of {first}") is None, "its upload tokens are over"
    assert at_b.uploader(f"token of {second}") == second
    assert not a.beat(), "it lives after all, and is told that what it granted is over"
    assert a.beat()
    b.beat()
    assert set(b.living) == {"a", "c"}


def test_a_database_that_was_away_buries_nobody(base):
    _, a = base.hub("a")
    _, b = base.hub("b")
    b.beat()
    base.clock.ms += 60_000
    b._seen.clear()  # as `beat` leaves it when the database does not answer
    b.beat()
    base.clock.ms += DEAD_MS - 1
    b.beat()
    a.beat()
    base.clock.ms += 1
    b.beat()
    assert set(b.living) == {"a"}


def test_a_beat_that_cannot_be_written_forgets_how_long_others_were_silent(base):
    base.hub("a")
    locks, b = base.hub("b")
    b.beat()
    assert b._seen
    base.engine.dispose()
    locks._engine = open_engine("postgresql://nobody@127.0.0.1:1/nothing")
    locks._connection.invalidate()
    locks._connection.close()
    locks._connection = None
    with pytest.raises(Exception, match="connection"):
        b.beat()
    assert not b._seen
    locks._engine.dispose()


def test_only_the_home_of_a_robot_gives_it_to_anybody(base):
    at_a, robot = base.robot_at("a")
    at_b = base.registry("b")
    with pytest.raises(NotHomeError):
        at_b.open_lease("B", granted(robot), "0x")
    assert at_a.open_lease("A", granted(robot), "0x").epoch == 1
    at_b.describe(robot, descriptor(), "token")
    with pytest.raises(NotHomeError):
        at_a.renew_lease("A")
    with pytest.raises(NotHomeError):
        at_a.open_lease("C", granted(robot), "0x")
    assert at_b.open_lease("D", granted(robot), "0x").epoch == 2
    at_a.depart(robot, 1)
    with base.database() as db:
        assert db.get_one(RobotRow, robot).hub == "b", "that it left the first is old news"


def test_one_hub_has_the_duties_and_when_it_is_killed_another_takes_them(base):
    first, _ = base.hub("a")
    second, _ = base.hub("b")
    assert first.take(DUTIES)
    assert not second.take(DUTIES)
    assert (first.holds(DUTIES), second.holds(DUTIES)) == (True, False)
    with base.engine.connect() as connection:
        killed = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'armshare hub a'"
        connection.execute(text(killed))
        connection.commit()
    assert second.take(DUTIES)
    assert not first.check(), "it finds that it has lost them"
    assert not first.holds(DUTIES)
    assert not first.take(DUTIES)


def test_duties_count_as_held_only_while_the_database_was_seen_a_moment_ago(base):
    locks, _ = base.hub("a")
    locks.take(DUTIES)
    base.clock.ms += 5_900
    assert locks.holds(DUTIES)
    base.clock.ms += 200
    assert not locks.holds(DUTIES)
    assert locks.check()
    assert locks.holds(DUTIES)


def test_of_two_hubs_only_one_at_a_time_is_in_what_both_want_to_do(base):
    inside, most = [], []

    def work(locks: Locks) -> None:
        for _ in range(20):
            with locks.alone("settling"):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work, args=(base.hub(name)[0],)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 40
    assert max(most) == 1
