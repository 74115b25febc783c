"""What a hub asks of the database: the real one, and the bench's in memory, which must not promise more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from teleop.hub.db import open_database, open_engine
from teleop.hub.robots.registry import Registry, UnknownRobotAddressError
from teleop.hub.store import Store
from teleop.hub.tables import RobotRow
from teleop.identity import SignatureError, new_key
from teleop.wire.driver import PERSON, Driver, DriverKind
from teleop.wire.signalling import Grant
from tests.databases import ON_SQLITE, migrated, url_below
from tests.teleop.hub.bench import DOMAIN, FakeStore, descriptor
from tests.teleop.registering import register

pytestmark = pytest.mark.usefixtures("either_database")


class Clock:
    """Stands until it is set on."""

    ms = 1_700_000_000_000

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


def registered(registry: Registry, **changed: object) -> str:
    """Register a robot, and return its address."""
    robot, owner = new_key(), new_key()
    register(registry, owner, robot, **changed)
    return robot.address


@pytest.fixture
def registry(tmp_path: Path, clock: Clock) -> Iterator[Registry]:
    engine = open_engine(url_below(tmp_path))
    migrated(engine)
    yield Registry(open_database(engine), DOMAIN, clock)
    engine.dispose()


@pytest.fixture(params=["real", "fake"])
def place(request: pytest.FixtureRequest, clock: Clock) -> tuple[Store, str]:
    """A store with one robot in it."""
    if request.param == "real":
        registry = request.getfixturevalue("registry")
        return registry, registered(registry)
    fake = FakeStore(clock)
    fake.add("0xRobot", "0xOwner")
    return fake, "0xRobot"


def grant_for(robot: str) -> Grant:
    return Grant("0xOperator", "0xKey", robot, "lift", "0x01", 2**40)


def test_a_robots_epochs_rise_by_one_with_each_lease(place):
    store, robot = place
    rows = [store.open_lease(f"lease-{number}", grant_for(robot), "0x") for number in range(3)]
    assert [row.epoch for row in rows] == [1, 2, 3]
    assert [(row.lease, row.robot, row.operator) for row in rows[:1]] == [("lease-0", robot, "0xOperator")]
    assert store.robot(robot).epoch == 3


def test_a_lease_that_is_renewed_has_an_epoch_above_every_other(place):
    store, robot = place
    first = store.open_lease("first", grant_for(robot), "0x")
    assert [store.renew_lease(first.lease), store.renew_lease(first.lease)] == [2, 3]
    assert store.open_lease("next", grant_for(robot), "0x").epoch == 4
    assert store.robot(robot).epoch == 4


def test_the_first_word_of_a_leases_end_stands(place, clock):
    store, robot = place
    row = store.open_lease("a", grant_for(robot), "0x")
    store.close_lease("a", "left", row.started_ms + 5_000)
    store.close_lease("a", "expired", row.started_ms + 9_000)
    assert store.lease_lengths_s(robot, 10) == [5.0]
    assert store.close_left_open(clock.ms) == 0


def test_the_end_of_a_lease_that_was_never_opened_harms_nothing(place):
    store, robot = place
    store.close_lease("nobody's", "left", 1)
    assert store.lease_lengths_s(robot, 10) == []


def test_only_the_last_leases_that_ended_say_how_long_one_takes_oldest_first(place, clock):
    store, robot = place
    for number, seconds in enumerate((1, 2, 3)):
        store.open_lease(f"lease-{number}", grant_for(robot), "0x")
        clock.ms += seconds * 1000
        store.close_lease(f"lease-{number}", "left", clock.ms)
    store.open_lease("open", grant_for(robot), "0x")
    assert store.lease_lengths_s(robot, 2) == [2.0, 3.0]
    assert store.lease_lengths_s("0xanother", 2) == []


def test_leases_left_open_are_closed_and_say_nothing_of_how_long_one_takes(place, clock):
    store, robot = place
    for name in ("a", "b", "c"):
        store.open_lease(name, grant_for(robot), "0x")
    clock.ms += 60_000
    store.close_lease("b", "left", clock.ms)
    assert store.close_left_open(clock.ms) == 2
    assert store.close_left_open(clock.ms) == 0
    assert store.lease_lengths_s(robot, 10) == [60.0]


def test_a_ticket_is_of_its_lease(place):
    store, robot = place
    row = store.open_lease("a", grant_for(robot), "0x")
    described = {"name": "robot-1", "tasks": [{"name": "lift"}]}
    first, second = (store.issue_ticket(row, "lift", described, PERSON) for _ in range(2))
    assert (first.lease, first.task) == ("a", "lift")
    assert len({first.episode, second.episode}) == len({first.nonce, second.nonce}) == 2


def test_a_ticket_says_who_or_what_drives(place):
    store, robot = place
    row = store.open_lease("a", grant_for(robot), "0x")
    described = {"name": "robot-1", "tasks": [{"name": "lift"}]}
    policy = Driver(DriverKind.POLICY, "my_policy:act", "5" * 64)
    said = [store.issue_ticket(row, "lift", described, driver).driver for driver in (PERSON, policy)]
    assert said == [
        {"kind": "person", "name": "", "sha256": ""},
        {"kind": "policy", "name": "my_policy:act", "sha256": "5" * 64},
    ]


def test_a_robot_that_nobody_registered_is_not_found(place):
    with pytest.raises(UnknownRobotAddressError):
        place[0].robot("0xNobody")


def test_two_leases_opened_at_once_never_share_an_epoch(registry):
    robot = registered(registry)
    with registry._database() as other:  # another connection that has read the robot already
        assert other.get_one(RobotRow, robot).epoch == 0
        first = registry.open_lease("a", grant_for(robot), "0x")
        second = registry.open_lease("b", grant_for(robot), "0x")
    assert (first.epoch, second.epoch) == (1, 2)


@pytest.mark.parametrize(
    "changed",
    [{"name": ""}, {"name": "x" * 65}, {"name": "a\nb"}, {"name": "a\x00"}, {"model": "x" * 65}, {"model": ""}],
)
def test_a_registration_that_no_card_can_show_is_refused_by_name(registry, changed):
    with pytest.raises(SignatureError, match=r"RobotRegistration's values.*\$\." + next(iter(changed))):
        registered(registry, **changed)
    assert registry.robots() == []


@pytest.mark.parametrize("values", [{}, {"robot": [[[]]]}, {"name": {"a": "b"}}, {"more": 1}])
def test_a_registration_that_is_none_is_refused(registry, values):
    with pytest.raises(SignatureError):
        registry.register(values, "0x", "0x")


BAD = {
    "900 deep": "[" * 900 + "]" * 900,
    "5000 deep": '{"a":' * 5000 + "1" + "}" * 5000,
    "not JSON": '{"tasks": [',
    "a number": "7",
    "tasks without names": '{"tasks": [{"price": 1}]}',
}


@ON_SQLITE  # PostgreSQL takes no text that is not JSON
@pytest.mark.parametrize("stored", BAD.values(), ids=BAD)
def test_a_stored_descriptor_that_cannot_be_served_spoils_no_other_robot(registry, stored):
    bad, good = registered(registry), registered(registry)
    registry.describe(good, descriptor())
    with registry._database() as db, db.begin():
        db.execute(text("UPDATE robots SET descriptor = :said WHERE address = :robot"), {"said": stored, "robot": bad})
    listed = {row.address: row.descriptor for row in registry.robots()}
    assert listed == {bad: None, good: descriptor()}
    assert registry.robot(bad).descriptor is None
    registry.describe(bad, descriptor())
    assert registry.robot(bad).descriptor == descriptor(), "its host's next hello mends it"
