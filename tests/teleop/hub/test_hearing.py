"""What the hub hears of an episode, by its own clocks, is beside the ticket; what is not written yet is in memory."""

from __future__ import annotations

from typing import Any

import pytest

from teleop.hub.leases.docks import Dock
from teleop.hub.leases.hearing import OPEN_MAX
from teleop.hub.tables import TicketRow
from teleop.wire import signalling
from teleop.wire.driver import PERSON
from teleop.wire.reasons import EndReason
from tests.teleop.hub.bench import Bench, Ear, Operator

pytestmark = pytest.mark.anyio
SAID = {"kept": True, "steps": 40, "success": True, "valid": True, "reason": "finished"}


@pytest.fixture
async def bench() -> Bench:
    return Bench()


async def begun(bench: Bench) -> tuple[Dock, Operator, Ear]:
    dock, host = await bench.host()
    operator = bench.operator()
    await operator.join()
    await operator.says(signalling.Begin(PERSON))
    return dock, operator, host


def ended(episode: str = "E1", **changes: Any) -> signalling.Ended:
    said = {"kept": True, "steps": 40, "success": True, "valid": True, "reason": EndReason.FINISHED, **changes}
    return signalling.Ended(episode, **said)


async def hears(bench: Bench, dock: Dock, message: signalling.FromHost) -> None:
    bench.hub.from_host(dock, message)
    await bench.settle()


def heard(ticket: TicketRow) -> tuple[int | None, int | None, int | None, dict[str, Any] | None]:
    return ticket.ready_ms, ticket.finish_ms, ticket.ended_ms, ticket.ended


async def test_ready_finish_and_end_are_noted_by_the_hubs_clock(bench: Bench) -> None:
    dock, operator, _host = await begun(bench)
    ready_ms = bench.now_ms
    await hears(bench, dock, signalling.Ready("E1", 1))
    bench.pass_s(3)
    await operator.says(signalling.Finish())
    bench.pass_s(0.2)
    await hears(bench, dock, ended())

    assert heard(bench.store.tickets[0]) == (ready_ms, ready_ms + 3000, ready_ms + 3200, SAID)
    assert bench.hub.heard("E1") is None, "all of it is in the table"


async def test_setting_the_hubs_clock_does_not_change_how_long_an_episode_was(bench: Bench) -> None:
    dock, _operator, _host = await begun(bench)
    await hears(bench, dock, signalling.Ready("E1", 1))
    bench.pass_s(3)
    bench.now_ms -= 60_000
    await hears(bench, dock, ended())

    ticket = bench.store.tickets[0]
    assert (ticket.ended_ms or 0) - (ticket.ready_ms or 0) == 3000


async def test_only_the_first_ready_and_the_first_end_count(bench: Bench) -> None:
    dock, _operator, _host = await begun(bench)
    await hears(bench, dock, signalling.Ready("E1", 1))
    before = bench.now_ms
    bench.pass_s(5)
    await hears(bench, dock, signalling.Ready("E1", 1))
    await hears(bench, dock, ended())
    bench.pass_s(5)
    await hears(bench, dock, ended(steps=4000))

    assert heard(bench.store.tickets[0]) == (before, None, before + 5000, SAID)


async def test_what_is_heard_after_the_lease_is_over_is_noted_too(bench: Bench) -> None:
    """The last step may come while the operator leaves: the episode counts."""
    dock, operator, _host = await begun(bench)
    await hears(bench, dock, signalling.Ready("E1", 1))
    await operator.says(signalling.Leave())
    await hears(bench, dock, ended(reason=EndReason.STEP_LIMIT))

    assert bench.store.tickets[0].ended == SAID | {"reason": "step_limit"}


async def test_another_robots_host_has_no_say(bench: Bench) -> None:
    dock, _operator, _host = await begun(bench)
    bench.hub._leases.hearing.ended("0xAnother", ended())
    await bench.settle()
    assert heard(bench.store.tickets[0]) == (None, None, None, None)

    await hears(bench, dock, ended("E2"))
    assert heard(bench.store.tickets[0]) == (None, None, None, None)


async def test_a_lost_host_leaves_what_was_heard_and_says_nothing_afterwards(bench: Bench) -> None:
    dock, operator, _host = await begun(bench)
    await hears(bench, dock, signalling.Ready("E1", 1))
    await operator.says(signalling.Finish())
    bench.hub.undock(dock)
    await bench.settle()
    again, _ear = await bench.host()
    await hears(bench, again, ended())

    ticket = bench.store.tickets[0]
    assert (ticket.ready_ms, ticket.finish_ms) == (bench.now_ms, bench.now_ms)
    assert (ticket.ended_ms, ticket.ended) == (None, None)
    assert bench.hub.heard("E1") is None


async def test_an_old_connection_that_closes_late_takes_nothing_from_the_new_one(bench: Bench) -> None:
    old, _ear = await bench.host()
    dock, _operator, _host = await begun(bench)
    bench.hub.undock(old)
    await hears(bench, dock, signalling.Ready("E1", 1))
    await hears(bench, dock, ended())

    assert bench.store.tickets[0].ended == SAID


async def test_what_the_database_does_not_take_yet_is_answered_from_memory_and_written_later(bench: Bench) -> None:
    dock, operator, _host = await begun(bench)
    await hears(bench, dock, signalling.Ready("E1", 1))
    bench.database.breaks("note_heard", 2)
    await operator.says(signalling.Finish())
    await hears(bench, dock, ended())

    found = bench.hub.heard("E1")
    assert found is not None
    assert found.columns == {
        "ready_ms": bench.now_ms,
        "finish_ms": bench.now_ms,
        "said": None,
        "ended_ms": bench.now_ms,
        "ended": SAID,
    }
    assert bench.store.tickets[0].finish_ms is None
    await bench.rest()
    await bench.rest()
    assert bench.store.tickets[0].finish_ms == bench.now_ms
    assert bench.store.tickets[0].ended == SAID
    assert bench.hub.heard("E1") is None


async def test_what_was_heard_before_a_lease_ended_is_written_before_its_end(bench: Bench) -> None:
    """So a lease whose end is in the table, by a hub that did not crash, has all of it."""
    _dock, operator, _host = await begun(bench)
    bench.database.breaks("note_heard", 1)
    await operator.says(signalling.Finish())
    await operator.says(signalling.Leave())
    assert bench.store.ends == [(operator.wallet.address, None)]
    await bench.rest()

    asked = [name for name in bench.database.asked if name in ("note_heard", "close_lease")]
    assert asked[-2:] == ["note_heard", "close_lease"]


async def test_a_host_that_never_says_an_end_costs_no_memory(bench: Bench) -> None:
    dock, _operator, _host = await begun(bench)
    hearing = bench.hub._leases.hearing
    for number in range(3 * OPEN_MAX):
        hearing.begun(dock.address, f"more-{number}")
    await bench.settle()

    assert hearing.of("E1") is None
    assert sum(hearing.of(f"more-{number}") is not None for number in range(3 * OPEN_MAX)) == OPEN_MAX
