"""The list of robots: what is not another is not made again, and what is another is shown at once."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from teleop.hub.leases.docks import Presence
from teleop.hub.listing import READ_EVERY_S, Listing
from teleop.hub.tables import RobotRow

HERE = Presence(False, None, None, None, 0, 0, None, None)


class Robots:
    """Two robots; how often they were read, and a clock."""

    def __init__(self) -> None:
        self.changes = self.read = self.made = 0
        self.now_s = 100.0
        self.names = {"0xA": "one", "0xB": "two"}

    def robots(self) -> list[RobotRow]:
        self.read += 1
        return [
            RobotRow(address=who, owner="0xO", name=name, model="panda", simulated=True, descriptor=None)
            for who, name in self.names.items()
        ]

    def card(self, row: RobotRow, online: dict[str, Presence], _unknown: dict[str, str]) -> dict[str, object]:
        self.made += 1
        here = online.get(row.address)
        return {
            "robot": row.address,
            "name": row.name,
            "model": row.model,
            "owner": row.owner,
            "driver": here.driver if here else None,
            "task": None,
            "simulated": True,
            "online": here is not None,
            "estopped": False,
            "fault": None,
            "unrecordable": None,
            "state": here.state if here else "offline",
            "queue_length": 0,
            "wait_s": here.wait_s if here else None,
            "tasks": [],
        }


@pytest.fixture
def robots() -> Robots:
    return Robots()


@pytest.fixture
def listing(robots: Robots) -> Listing:
    return Listing(robots, robots.card, lambda: robots.now_s)


def shown(listing: Listing, online: dict[str, Presence]) -> dict[str, tuple[str, bool, str | None]]:
    said = msgspec.json.decode(listing.json(online))
    return {one["robot"]: (one["name"], one["online"], one["driver"]) for one in said}


def test_thousands_who_look_at_the_same_cost_one_reading_and_one_card_each(robots, listing):
    for _ in range(1000):
        assert len(shown(listing, {"0xA": HERE})) == 2
    assert (robots.read, robots.made) == (1, 2)


def test_whoever_takes_a_robot_is_shown_at_once_and_only_that_card_is_made_again(robots, listing):
    shown(listing, {"0xA": HERE, "0xB": HERE})
    found = shown(listing, {"0xA": replace(HERE, driver="0xD"), "0xB": HERE})
    assert found == {"0xA": ("one", True, "0xD"), "0xB": ("two", True, None)}
    assert (robots.read, robots.made) == (1, 3)
    assert shown(listing, {"0xB": HERE})["0xA"] == ("one", False, None)


def test_a_robot_that_this_hub_changed_is_read_at_once(robots, listing):
    shown(listing, {})
    robots.names["0xA"] = "uno"
    robots.changes += 1
    assert shown(listing, {})["0xA"][0] == "uno"


def test_a_robot_that_another_hub_changed_is_read_soon(robots, listing):
    shown(listing, {})
    robots.names = {"0xC": "three"}
    assert "0xC" not in shown(listing, {})
    robots.now_s += READ_EVERY_S
    assert list(shown(listing, {})) == ["0xC"], "and the one that is removed is gone"


def test_what_changes_within_a_presence_is_noticed(robots, listing):
    unchecked = {}
    here = replace(HERE, unchecked=unchecked)
    shown(listing, {"0xA": here})
    unchecked["lift"] = "its engine is another"
    shown(listing, {"0xA": here})
    assert robots.made == 3
