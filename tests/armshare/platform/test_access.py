"""What the recorder is told of an episode's ticket: what was fixed when it began, and what the hub heard since."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from armshare.platform.hub import Access
from recorder.proof.asked import Live, SaidEnd
from teleop.hub.accounts import Accounts
from teleop.hub.db import open_database, open_engine
from teleop.hub.driving import Driving
from teleop.hub.hub import Hub
from teleop.hub.robots.registry import HUB_LOST, Registry
from teleop.hub.tables import LeaseRow, TicketRow
from teleop.identity import new_key
from teleop.wire import signalling
from teleop.wire.driver import PERSON, Driver, DriverKind
from teleop.wire.reasons import EndReason
from teleop.wire.signalling import Grant
from tests.databases import migrated
from tests.teleop.hub.bench import DOMAIN, descriptor
from tests.teleop.registering import register

ENDED: dict[str, Any] = {"kept": True, "steps": 40, "success": None, "valid": True, "reason": "finished"}


class Place:
    """A registry with one open episode, and a hub that may hear of it."""

    def __init__(self, folder: Path) -> None:
        self.engine = open_engine(f"sqlite:///{folder / 'armshare.sqlite'}")
        migrated(self.engine)
        self.database = open_database(self.engine)
        self.registry = Registry(self.database, DOMAIN, prices={"lift": 10**30})
        self.hub = Hub(self.registry, DOMAIN, 600.0)
        accounts = Accounts(self.database, "http://x", DOMAIN.chain_id)
        self.access = Access(Driving(accounts, self.registry, self.hub, DOMAIN))
        robot, owner, operator = new_key(), new_key(), new_key()
        register(self.registry, owner, robot, name="r")
        grant = Grant(operator.address, operator.address, robot.address, "lift", "0x" + 64 * "1", 1)
        self.lease = self.registry.open_lease("L", grant, "0x")
        self.robot = robot.address
        self.row = self.registry.issue_ticket(self.lease, "lift", descriptor(), PERSON)
        self.episode = self.row.episode

    def live(self) -> Live | None:
        ticket = self.access.ticket(self.episode)
        assert ticket is not None
        return ticket.live

    def note(self, **columns: Any) -> None:
        self.registry.note_heard(self.episode, columns)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.engine.dispose()


def test_a_ticket_says_what_the_hub_heard(place: Place) -> None:
    assert place.live() == Live(None, False, None, None)
    place.note(ready_ms=5, finish_ms=6, ended_ms=7, ended=ENDED)
    assert place.live() == Live(5, True, 7, SaidEnd(True, 40, None, True, EndReason.FINISHED))


def test_a_ticket_says_who_or_what_drives_as_the_operator_said_it(place: Place) -> None:
    ticket = place.access.ticket(place.episode)
    assert ticket is not None
    assert ticket.asked is not None
    assert ticket.asked.driver == PERSON
    with place.database() as db, db.begin():
        db.get_one(TicketRow, place.episode).driver = {"kind": "policy", "name": "p:act", "sha256": "5" * 64}
    said = place.access.ticket(place.episode)
    assert said is not None
    assert said.asked is not None
    assert said.asked.driver == Driver(DriverKind.POLICY, "p:act", "5" * 64)


def test_a_ticket_of_an_earlier_release_names_no_driver(place: Place) -> None:
    with place.database() as db, db.begin():
        db.get_one(TicketRow, place.episode).driver = None
    ticket = place.access.ticket(place.episode)
    assert ticket is not None
    assert ticket.asked is not None
    assert ticket.asked.driver is None


def test_what_is_not_written_yet_is_known_all_the_same(place: Place) -> None:
    hearing = place.hub._leases.hearing
    hearing._put = lambda heard: None  # a database that takes its time
    hearing.begun(place.robot, place.episode)
    hearing.finished(place.robot, place.episode)
    hearing.ended(place.robot, signalling.Ended(place.episode, True, 40, None, True, EndReason.FINISHED))

    live = place.live()
    assert live is not None
    assert (live.finished, live.ended) == (True, SaidEnd(True, 40, None, True, EndReason.FINISHED))


@pytest.mark.parametrize(("reason", "finished"), [(HUB_LOST, None), ("host_lost", False), ("left", False)])
def test_a_hub_that_crashed_does_not_know_whether_somebody_finished(
    place: Place, reason: str, finished: bool | None
) -> None:
    with place.database() as db, db.begin():
        db.get_one(LeaseRow, "L").reason = reason
    assert place.live() == Live(None, finished, None, None)


def test_what_it_heard_before_it_crashed_counts(place: Place) -> None:
    place.note(finish_ms=6)
    with place.database() as db, db.begin():
        db.get_one(LeaseRow, "L").reason = HUB_LOST
    assert place.live() == Live(None, True, None, None)


def test_a_ticket_of_an_earlier_release_says_nothing_of_it(place: Place) -> None:
    with place.database() as db, db.begin():
        db.get_one(TicketRow, place.episode).price_wei = None
    assert place.live() is None


def test_the_price_is_the_one_of_when_it_began_however_large(place: Place) -> None:
    assert place.row.price_wei == 10**30
    with place.database() as db:
        assert db.get_one(TicketRow, place.episode).price_wei == 10**30
