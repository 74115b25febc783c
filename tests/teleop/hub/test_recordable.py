"""A robot whose host cannot record: the lobby says so, everyone at it is told, and begin is refused in words."""

from __future__ import annotations

import sqlite3

import pytest
from sqlalchemy.exc import OperationalError

from teleop.hub.full import is_full
from teleop.wire import signalling
from teleop.wire.driver import PERSON
from teleop.wire.signalling import SignallingError
from tests.teleop.hub import bench as benches
from tests.teleop.hub.bench import Bench

pytestmark = pytest.mark.anyio
SAID = "its disk is full"


async def test_a_host_that_cannot_record_is_told_to_everyone_and_shown_in_the_lobby():
    bench = Bench()
    dock, _ = await bench.host()
    holder, waiting = bench.operator(), bench.operator()
    await holder.join()
    await waiting.join()
    bench.hub.from_host(dock, signalling.CannotRecord(SAID))
    for one in (holder, waiting):
        assert one.ear.last("cannot_record") == {"type": "cannot_record", "robot": bench.robot, "reason": SAID}
    presence = bench.hub.presences()[bench.robot]
    assert (presence.state, presence.unrecordable) == ("full", SAID)
    with pytest.raises(SignallingError, match=f"cannot record, {SAID}") as refused:
        await holder.says(signalling.Begin(PERSON))
    assert refused.value.code == "cannot_record"

    bench.hub.from_host(dock, signalling.CanRecord())
    assert holder.ear.last("can_record")["robot"] == bench.robot
    assert bench.hub.presences()[bench.robot].state == "driven"
    await holder.says(signalling.Begin(PERSON))


def full_database() -> OperationalError:
    """What SQLAlchemy raises if SQLite's disk is full."""
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t (x BLOB)")
    connection.execute("PRAGMA max_page_count = 3")
    try:
        connection.execute("INSERT INTO t VALUES (zeroblob(100000))")
    except sqlite3.OperationalError as error:
        return OperationalError("INSERT", {}, error)
    finally:
        connection.close()
    raise AssertionError("expected SQLite to find no room")


async def test_a_full_database_is_told_as_that(monkeypatch):
    assert is_full(full_database())
    assert not is_full(benches.broken())
    monkeypatch.setattr(benches, "broken", full_database)
    bench = Bench()
    await bench.host()
    operator = bench.operator()
    bench.database.breaks("open_lease", 1)
    await operator.join()
    said = operator.ear.last("error")
    assert (said["code"], "the hub's disk is full" in said["message"]) == ("hub_full", True)

    await operator.join()
    bench.database.breaks("issue_ticket", 1)
    with pytest.raises(SignallingError, match="the hub's disk is full") as refused:
        await operator.says(signalling.Begin(PERSON))
    assert refused.value.code == "hub_full"
    await operator.says(signalling.Begin(PERSON))
