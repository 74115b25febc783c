"""Who or what drives is said when an episode begins, and stays what it is, on a bench without sockets."""

from __future__ import annotations

import json

import pytest

from teleop.hub.leases.docks import Lease
from teleop.wire import signalling
from teleop.wire.driver import NAME_MAX, PERSON, Driver, DriverKind
from teleop.wire.messages import COMMAND_BYTES_MAX
from teleop.wire.signalling import SignallingError
from tests.teleop.hub.bench import Bench, Operator
from tests.teleop.hub.test_returning import state

pytestmark = pytest.mark.anyio
POLICY = Driver(DriverKind.POLICY, "my_policy:act", "5" * 64)
ANOTHER = Driver(DriverKind.POLICY, "my_policy:act", "6" * 64)
SCRIPT = Driver(DriverKind.SCRIPT, "my_script.py", "7" * 64)


def begin(driver: dict) -> str:
    return json.dumps({"type": "begin", "driver": driver})


async def test_who_drives_goes_into_the_ticket_and_to_the_robots_host():
    bench = Bench()
    _dock, host = await bench.host()
    operator = bench.operator()
    await operator.join()
    await operator.says(signalling.Begin(POLICY))
    said = {"kind": "policy", "name": "my_policy:act", "sha256": "5" * 64}
    assert host.last("begin")["driver"] == bench.store.tickets[0].driver == said


@pytest.mark.parametrize(
    "driver",
    [
        {"kind": "person", "name": "Ada"},
        {"kind": "person", "sha256": "5" * 64},
        {"kind": "policy"},
        {"kind": "policy", "name": "my_policy:act"},
        {"kind": "script", "sha256": "5" * 64},
        {"kind": "script", "name": "a\nb", "sha256": "5" * 64},
        {"kind": "script", "name": "a\u202eb", "sha256": "5" * 64},
        {"kind": "script", "name": "x" * (NAME_MAX + 1), "sha256": "5" * 64},
        {"kind": "script", "name": "x", "sha256": "5" * 63},
        {"kind": "script", "name": "x", "sha256": "5" * 63 + "G"},
        {"kind": "robot", "name": "x", "sha256": "5" * 64},
        {"kind": "script", "name": "x", "sha256": "5" * 64, "trusted": True},
        {},
    ],
)
def test_a_driver_that_is_half_said_begins_nothing(driver):
    with pytest.raises(SignallingError) as refused:
        signalling.from_operator(begin(driver))
    assert refused.value.code == "malformed"


def test_nobody_begins_an_episode_without_saying_who_drives():
    with pytest.raises(SignallingError, match="driver"):
        signalling.from_operator('{"type": "begin"}')


def test_what_is_said_comes_back_as_it_was_said():
    for driver in (PERSON, POLICY, SCRIPT):
        said = signalling.encode(signalling.Begin(driver))
        assert signalling.from_operator(said) == signalling.Begin(driver)


async def begun(bench: Bench, driver: Driver) -> tuple[Operator, Lease]:
    """An operator in the middle of an episode that this driver began."""
    dock, _host = await bench.host()
    operator = bench.operator()
    lease = await operator.join()
    await operator.says(signalling.Begin(driver))
    bench.hub.from_host(dock, signalling.Ready("E1", 1))
    bench.hub.from_robot(dock, state(1))
    return operator, lease


@pytest.mark.parametrize(("first", "then"), [(PERSON, POLICY), (PERSON, SCRIPT), (POLICY, ANOTHER), (POLICY, SCRIPT)])
async def test_no_other_program_drives_on_in_a_drivers_name(first, then):
    bench = Bench()
    operator, lease = await begun(bench, first)
    await operator.leaves()
    again = bench.operator(operator.wallet)
    with pytest.raises(SignallingError) as refused:
        await again.says(signalling.Resume(lease.id, then))
    assert refused.value.code == "state"
    assert lease.row is not None
    assert lease.row.epoch == 1
    await again.says(signalling.Resume(lease.id, first))
    assert lease.row.epoch == 2


async def test_a_person_may_drive_on_and_is_told_what_began():
    bench = Bench()
    operator, lease = await begun(bench, POLICY)
    person = bench.operator(operator.wallet)
    await person.says(signalling.Resume(lease.id, PERSON))
    bench.hub.from_host(lease.dock, signalling.HostResumed(lease.id, 2, "E1", 31, 40))
    said = {"kind": "policy", "name": "my_policy:act", "sha256": "5" * 64}
    assert person.ear.last("resumed")["driver"] == bench.store.tickets[0].driver == said
    bench.hub.command(person.seat, b"x" * COMMAND_BYTES_MAX)
    assert bench.hub.counts["commands"] == 1
