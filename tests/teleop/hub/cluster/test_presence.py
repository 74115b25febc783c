"""What a hub knows of robots at others: by beats that only hubs can say, for as long as they are said."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from teleop.hub.cluster.cluster import Cluster
from teleop.hub.cluster.others import SILENT_MS, Others
from teleop.hub.cluster.said import ROBOTS_MAX, Beat, RobotSaid, Seal, beat_of
from tests.teleop.hub.bench import Bench
from tests.teleop.hub.cluster.buses import MemoryBus, MemoryPlace, Places, Wire

pytestmark = pytest.mark.anyio

RUN = {"a": "0a" * 16, "b": "0b" * 16, "c": "0c" * 16}
ROBOT = "0x" + "11" * 20


def said(robot: str = ROBOT, **changed: Any) -> RobotSaid:
    values: dict[str, Any] = {
        "robot": robot,
        "docked": 1,
        "estopped": False,
        "fault": None,
        "unrecordable": None,
        "driver": None,
        "queue_length": 0,
        "wait_s": 0,
        "kept_s": None,
        "task": None,
        "stop": None,
        "unchecked": {},
        "lease": None,
    }
    return RobotSaid(**{**values, **changed})


def beat(hub: str, number: int, *robots: RobotSaid, **changed: Any) -> Beat:
    return Beat(**{"hub": hub, "run": RUN[hub], "number": number, "last": True, "robots": [*robots], **changed})


class Clock:
    ms = 1_000_000

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def others(clock: Clock) -> Others:
    return Others(lambda name, run: RUN.get(name) == run, clock)


def test_a_robot_is_known_while_its_hub_says_it_and_not_after_a_few_missed_beats(others: Others, clock: Clock):
    assert others.hear(beat("b", 1, said(driver="0xD")))
    assert others.presences()[ROBOT].state == "driven"
    clock.ms += SILENT_MS
    assert others.home(ROBOT) is not None
    clock.ms += 1
    assert others.home(ROBOT) is None
    assert others.presences() == {}
    assert others.unknown() == {ROBOT: "b"}, "the hub says of which robots it knows nothing"
    others.hear(beat("b", 2, said()))
    assert others.unknown() == {}
    assert others.presences()[ROBOT].state == "free"


def test_a_robot_that_its_hub_does_not_name_any_more_is_gone_at_once(others: Others):
    others.hear(beat("b", 1, said()))
    others.hear(beat("b", 2))
    assert others.home(ROBOT) is None
    assert others.unknown() == {}


def test_a_hub_with_many_robots_says_them_in_parts_and_none_is_lost_between(others: Others):
    first, second = said(), said("0x" + "22" * 20)
    for number in (1, 2):
        others.hear(beat("b", number, first, last=False))
        assert others.home(first.robot) is not None
        others.hear(beat("b", number, second))
    assert set(others.presences()) == {first.robot, second.robot}


def test_a_hub_that_says_goodbye_or_is_dead_is_forgotten(others: Others):
    others.hear(beat("b", 1, said()))
    others.hear(beat("b", 2, leaving=True))
    assert (others.home(ROBOT), others.unknown(), others.silent_ms()) == (None, {}, {})


def test_a_hub_that_the_database_does_not_know_is_not_believed(clock: Clock):
    others = Others(lambda _name, _run: False, clock)
    assert not others.hear(beat("b", 1, said()))
    assert others.presences() == {}


def test_of_two_hubs_that_have_a_robot_the_one_to_which_its_host_came_last_has_it(others: Others):
    others.hear(beat("b", 1, said(docked=2)))
    others.hear(beat("c", 1, said(docked=1)))
    found = others.home(ROBOT)
    assert found is not None
    assert found.hub == "b"
    others.hear(beat("c", 2, said(docked=3)))
    found = others.home(ROBOT)
    assert found is not None
    assert found.hub == "c"


def test_an_older_beat_changes_nothing(others: Others):
    others.hear(beat("b", 5, said()))
    assert not others.hear(beat("b", 4))
    assert others.home(ROBOT) is not None


def test_what_a_stranger_writes_or_repeats_on_the_bus_is_not_opened():
    seal, same, other = Seal(b"secret", RUN["a"]), Seal(b"secret", RUN["b"]), Seal(b"another", RUN["b"])
    data = seal.sealed("s", b"words")
    assert same.opened("s", data) == b"words"
    assert same.opened("s", data) is None, "said again"
    fresh = seal.sealed("s", b"words")
    assert same.opened("t", fresh) is None, "said of something else"
    assert other.opened("s", fresh) is None, "another platform's"
    for at in range(len(fresh)):
        changed = bytearray(fresh)
        changed[at] ^= 1
        assert same.opened("s", bytes(changed)) is None
    assert same.opened("s", fresh) == b"words"
    assert seal.prefix == same.prefix != other.prefix


@pytest.mark.parametrize(
    "changed",
    [
        {"robots": [msgspec.to_builtins(said())] * (ROBOTS_MAX + 1)},
        {"robots": [{**msgspec.to_builtins(said()), "fault": "x" * 301}]},
        {"robots": [{**msgspec.to_builtins(said()), "command": "left"}]},
        {"hub": "B" * 33},
        {"number": -1},
        {"watched": ["0x"]},
    ],
)
def test_a_beat_that_is_not_as_it_may_be_is_dropped(changed: dict[str, Any]):
    fine = msgspec.to_builtins(beat("b", 1, said()))
    assert beat_of(msgspec.json.encode(fine)) is not None
    assert beat_of(msgspec.json.encode({**fine, **changed})) is None


class Two:
    """Two hubs on one store, whose clusters a test moves by hand."""

    def __init__(self) -> None:
        self.wire, places = Wire(), Places()
        self.bench = Bench()
        self.hubs = {"a": self.bench.hub, "b": self.bench.new_hub()}
        self.buses = {name: MemoryBus(self.wire) for name in "ab"}
        self.places = {name: MemoryPlace(places, name, RUN[name], f"http://{name}") for name in "ab"}
        self.clusters = {
            name: Cluster(
                self.hubs[name],
                self.places[name],
                self.buses[name],
                Seal(b"secret", RUN[name]),
                now_ms=lambda: self.bench.now_ms,
                monotonic_ms=lambda: self.bench.monotonic_ms,
                ask=self.bench.database.ask,
            )
            for name in "ab"
        }

    async def listen(self) -> None:
        """Let both hear, without any beat of their own."""
        for name, cluster in self.clusters.items():
            await self.buses[name].subscribe(cluster._beats, cluster._hear)

    async def say(self) -> None:
        """Let both say what they have."""
        for cluster in self.clusters.values():
            await cluster.say()


async def test_both_hubs_show_a_robot_that_is_at_one_of_them():
    two = Two()
    await two.listen()
    await two.bench.host()
    await two.say()
    assert set(two.clusters["b"].presences()) == {two.bench.robot}
    home = two.clusters["b"].home(two.bench.robot)
    assert home is not None
    assert (home.hub, home.url) == ("a", "http://a")
    assert two.clusters["a"].home(two.bench.robot) is None, "it is here"


async def test_a_bus_that_is_away_ends_no_drive_and_the_other_hub_says_what_it_does_not_know():
    two = Two()
    await two.listen()
    _dock, _ear = await two.bench.host()
    operator = two.bench.operator()
    lease = await operator.join()
    await two.say()
    assert two.clusters["b"].presences()[two.bench.robot].driver == operator.wallet.address
    two.buses["a"].connected = False
    for _ in range(10):
        two.bench.pass_s(1.0)
        await two.say()
        two.clusters["a"].tidy()
        two.clusters["b"].tidy()
    assert lease.held, "who drives at the other hub goes on"
    assert two.clusters["b"].presences() == {}
    assert two.clusters["b"].unknown() == {two.bench.robot: "a"}
    assert two.clusters["b"].report()["unknown"] == 1
    two.buses["a"].connected = True
    await two.say()
    assert two.clusters["b"].unknown() == {}
    assert set(two.clusters["b"].presences()) == {two.bench.robot}


async def test_a_host_that_has_gone_to_another_hub_is_given_up_by_the_one_before():
    two = Two()
    await two.listen()
    dock, ear = await two.bench.host()
    operator = two.bench.operator()
    await operator.join()
    two.bench.hub = two.hubs["b"]
    again, _ = await two.bench.host()
    assert (dock.docked, again.docked) == (1, 2)
    await two.say()
    assert two.hubs["a"].docks == {}
    assert ear.closed
    assert operator.ear.last("left")["reason"] == "host_lost"
    assert list(two.hubs["b"].docks) == [two.bench.robot], "the older one's word counts for nothing"


async def test_a_hub_that_the_others_took_for_dead_lets_its_hosts_connect_again():
    two = Two()
    dock, ear = await two.bench.host()
    operator = two.bench.operator()
    await operator.join()
    two.places["a"].buried = True
    async with two.clusters["a"]:
        await two.bench.settle()
    assert dock.gone
    assert ear.closed
    assert operator.ear.last("left")["reason"] == "host_lost"
