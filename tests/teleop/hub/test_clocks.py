"""A wall clock may be set: leases and waits are measured by the monotonic one, and clocks that differ are named."""

from __future__ import annotations

import pytest

from teleop.clock import compared
from teleop.hub.leases.grants import GRANT_MS_MAX
from teleop.wire import signalling
from teleop.wire.driver import PERSON
from teleop.wire.signalling import SignallingError
from tests.teleop.hub.bench import LEASE_S, Bench

pytestmark = pytest.mark.anyio
STEPS_S = (1000.0, 86_400.0, -1000.0, -86_400.0)


@pytest.mark.parametrize("step_s", STEPS_S)
async def test_a_wall_clock_that_is_set_ends_no_lease_and_changes_no_wait(step_s):
    bench = Bench()
    dock, _ = await bench.host()
    holder, waiting = bench.operator(), bench.operator()
    lease = await holder.join()
    await holder.says(signalling.Begin(PERSON))
    await waiting.join()
    bench.pass_s(100.0)
    before = bench.hub.wait_s(dock, 0)

    bench.now_ms += round(step_s * 1000)
    bench.hub.expire()
    await bench.settle()
    assert holder.seat.lease is lease
    assert bench.hub.wait_s(dock, 0) == before

    bench.pass_s(LEASE_S - 99.0)
    bench.hub.expire()
    await bench.settle()
    assert holder.ear.last("left")["reason"] == "expired"
    assert waiting.seat.lease is not None
    assert waiting.seat.lease.held
    assert list(dock.past_s) == [LEASE_S + 1.0]
    row = bench.store.leases[lease.id]
    assert row.ended_ms is not None
    assert row.ended_ms - row.started_ms == (LEASE_S + 1.0) * 1000


@pytest.mark.parametrize(
    ("not_after_ms", "found"), [(-1_000_000, "got 1000 s ago"), (GRANT_MS_MAX + 1_000_000, "got 87400 s from now")]
)
async def test_a_grant_of_another_time_is_refused_as_clocks_that_differ(not_after_ms, found):
    bench = Bench()
    await bench.host()
    operator = bench.operator()
    welcome = operator.ear.last("welcome")
    assert welcome["now_ms"] == bench.now_ms, "so that whoever is refused can name the difference"
    with pytest.raises(SignallingError, match=f"{found} by the hub's clock") as refused:
        await operator.says(operator.grant(not_after_ms=bench.now_ms + not_after_ms))
    assert refused.value.code == "clock"


async def test_a_host_is_told_the_hubs_time():
    bench = Bench()
    _dock, ear = await bench.host()
    assert ear.last("welcome")["now_ms"] == bench.now_ms


@pytest.mark.parametrize(
    ("ahead_ms", "said"),
    [
        (1_000_000, "is 1000 s ahead of the hub's"),
        (-61_500, "is 61 s behind the hub's"),
        (4_999, "is the same as the hub's"),
    ],
)
def test_two_clocks_are_compared_in_words(ahead_ms, said):
    assert compared(ahead_ms, "the hub") == said
