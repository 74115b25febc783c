"""A drive whose connection was lost is kept for its wallet for a minute, on a bench without sockets."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from teleop.hub.leases.docks import Lease, LeaseState
from teleop.hub.leases.returning import AWAY_S
from teleop.wire import signalling
from teleop.wire.driver import PERSON
from teleop.wire.messages import FIRST, Safety, State
from teleop.wire.reasons import EndReason
from teleop.wire.signalling import SignallingError
from tests.teleop.hub.bench import LEASE_S, Bench, Ear, Operator

pytestmark = pytest.mark.anyio
ENDED = signalling.Ended("E1", True, 7, True, True, EndReason.STEP_LIMIT)


@pytest.fixture
async def bench() -> Bench:
    return Bench()


def state(epoch: int, *, recording: bool = True) -> bytes:
    """A state of the robot, as its host sends it."""
    values = np.zeros(3, np.float32)
    return State(Safety.DRIVING, recording, False, False, 0, epoch, 40, 0, 1, 1, FIRST, None, values).encode()


async def driving(bench: Bench, *, recording: bool = True) -> tuple[Operator, Lease, Ear]:
    """An operator in the middle of an episode, the lease, and what the host hears."""
    dock, host = await bench.host()
    operator = bench.operator()
    lease = await operator.join()
    await operator.says(signalling.Begin(PERSON))
    bench.hub.from_host(dock, signalling.Ready("E1", 1))
    bench.hub.from_robot(dock, state(1, recording=recording))
    host.types(), operator.ear.types()
    return operator, lease, host


async def back(bench: Bench, gone: Operator, lease: Lease) -> Operator:
    """The same wallet comes back on another connection, and asks for its drive."""
    again = bench.operator(gone.wallet)
    await again.says(signalling.Resume(lease.id, PERSON))
    return again


async def test_a_drive_is_kept_when_its_connection_is_lost_and_the_arm_brakes_at_once(bench):
    operator, lease, host = await driving(bench)
    await operator.leaves()
    assert lease.state is LeaseState.PAUSED
    assert host.said == [{"type": "pause", "epoch": 1}]
    card = bench.hub.presences()[bench.robot]
    assert (card.driver, card.kept_s) == (operator.wallet.address, AWAY_S)
    bench.pass_s(20)
    assert bench.hub.presences()[bench.robot].kept_s == AWAY_S - 20


async def test_who_comes_back_goes_on_with_a_new_epoch_and_finishes(bench):
    operator, lease, host = await driving(bench)
    await operator.leaves()
    again = await back(bench, operator, lease)
    assert host.last("resume") == {"type": "resume", "lease": lease.id, "epoch": 2}
    bench.hub.command(again.seat, b"too early")
    bench.hub.from_host(lease.dock, signalling.HostResumed(lease.id, 2, "E1", 31, 40))
    told = again.ear.last("resumed")
    assert (told["lease"], told["epoch"], told["episode"], told["steps"], told["seq"]) == (lease.id, 2, "E1", 31, 40)
    assert told["task"]["name"] == "lift"
    assert (lease.state, bench.hub.presences()[bench.robot].kept_s) == (LeaseState.LIVE, None)
    bench.hub.command(again.seat, b"go on")
    bench.hub.from_robot(lease.dock, b"state")
    assert (host.frames, again.ear.frames[-1:]) == ([b"go on"], [b"state"])
    await again.says(signalling.Finish())
    assert host.last("finish")["reason"] == "finished"
    bench.hub.from_host(lease.dock, ENDED)
    assert again.ear.last("ended")["valid"]
    await again.says(signalling.Leave())
    assert host.last("revoke") == {"type": "revoke", "epoch": 2, "reason": "left"}


async def test_after_a_minute_the_drive_is_lost_and_the_next_has_the_robot(bench):
    operator, lease, host = await driving(bench)
    second = bench.operator()
    await second.join()
    await operator.leaves()
    bench.pass_s(AWAY_S - 0.001)
    bench.hub.expire()
    assert lease.state is LeaseState.PAUSED
    bench.pass_s(0.001)
    bench.hub.expire()
    await bench.settle()
    assert host.last("revoke") == {"type": "revoke", "epoch": 1, "reason": "operator_lost"}
    assert host.last("lease")["operator"] == second.wallet.address
    with pytest.raises(SignallingError) as refused:
        await back(bench, operator, lease)
    assert refused.value.code == "lease_over"


async def test_who_is_back_in_time_is_not_sent_away_by_the_minute(bench):
    operator, lease, _host = await driving(bench)
    await operator.leaves()
    bench.pass_s(AWAY_S - 1)
    await back(bench, operator, lease)
    bench.pass_s(5)
    bench.hub.expire()
    bench.hub.from_host(lease.dock, signalling.HostResumed(lease.id, 2, "E1", 31, 40))
    assert lease.state is LeaseState.LIVE


@pytest.mark.parametrize("what", ["leave", "nothing recorded", "no episode", "old state"])
async def test_nothing_is_kept_of_a_drive_that_is_given_up_or_never_moved(bench, what):
    operator, lease, host = await driving(bench, recording=what != "nothing recorded")
    match what:
        case "leave":
            await operator.says(signalling.Leave())
        case "no episode":
            bench.hub.from_host(lease.dock, ENDED)
        case "old state":
            bench.hub.from_robot(lease.dock, state(0))
    await operator.leaves()
    assert lease.state is LeaseState.ENDED
    assert "revoke" in host.types()


async def test_only_the_wallet_that_drove_comes_back(bench):
    operator, lease, host = await driving(bench)
    await operator.leaves()
    for stranger, named in ((bench.operator(), lease.id), (bench.operator(operator.wallet), "0" * 32)):
        with pytest.raises(SignallingError) as refused:
            await stranger.says(signalling.Resume(named, PERSON))
        assert refused.value.code == "lease_over"
        assert stranger.seat.lease is None
    assert "resume" not in host.types()
    assert lease.state is LeaseState.PAUSED


async def test_a_connection_that_the_hub_still_believes_in_is_replaced_by_the_one_that_comes_back(bench):
    operator, lease, host = await driving(bench)
    again = await back(bench, operator, lease)
    assert host.types() == ["pause", "resume"]
    assert operator.ear.last("left")["reason"] == "taken_over"
    bench.hub.command(operator.seat, b"late")
    await operator.leaves()
    bench.hub.from_host(lease.dock, signalling.HostResumed(lease.id, 2, "E1", 31, 40))
    assert (lease.state, lease.seat, host.frames) == (LeaseState.LIVE, again.seat, [])


async def test_a_second_window_takes_over_what_is_driven_and_not_what_is_at_rest_between_two_drives(bench):
    operator, lease, host = await driving(bench, recording=False)
    second = await back(bench, operator, lease)
    bench.hub.from_host(lease.dock, signalling.HostResumed(lease.id, 2, "E1", 0, 40))
    assert second.ear.last("resumed")["steps"] == 0, "also before anything is recorded"
    bench.hub.from_host(lease.dock, ENDED)
    third = bench.operator(operator.wallet)
    with pytest.raises(SignallingError) as refused:
        await third.says(signalling.Resume(lease.id, PERSON))
    assert (refused.value.code, third.seat.lease) == ("state", None)
    assert (lease.state, lease.seat) == (LeaseState.LIVE, second.seat), "the second window keeps the robot"
    assert "left" not in second.ear.types()
    assert "revoke" not in host.types()


async def test_of_two_that_come_back_at_once_the_newest_stays(bench):
    operator, lease, host = await driving(bench)
    await operator.leaves()
    first = await back(bench, operator, lease)
    second = await back(bench, operator, lease)
    assert first.ear.last("left")["reason"] == "taken_over"
    bench.hub.from_host(lease.dock, signalling.HostResumed(lease.id, 2, "E1", 31, 40))
    assert lease.state is LeaseState.PAUSED, "that was for the first"
    bench.hub.from_host(lease.dock, signalling.HostResumed(lease.id, 3, "E1", 33, 42))
    assert second.ear.last("resumed")["epoch"] == 3
    assert "resumed" not in first.ear.types()
    assert host.types().count("resume") == 2


async def test_who_is_lost_again_on_the_way_back_has_a_minute_again(bench):
    operator, lease, _host = await driving(bench)
    await operator.leaves()
    again = await back(bench, operator, lease)
    await again.leaves()
    bench.hub.from_host(lease.dock, signalling.HostResumed(lease.id, 2, "E1", 31, 40))
    assert (lease.state, bench.hub.presences()[bench.robot].kept_s) == (LeaseState.PAUSED, AWAY_S)


async def test_a_drive_that_reached_its_last_step_meanwhile_can_be_handed_in_by_who_comes_back(bench):
    operator, lease, _host = await driving(bench)
    await operator.leaves()
    bench.hub.from_host(lease.dock, ENDED)
    assert lease.state is LeaseState.PAUSED
    again = await back(bench, operator, lease)
    bench.hub.from_host(lease.dock, signalling.HostResumed(lease.id, 2, None, 0, 40))
    assert again.ear.types()[-2:] == ["resumed", "ended"]


async def test_a_drive_that_was_stopped_meanwhile_is_not_kept(bench):
    operator, lease, host = await driving(bench)
    await operator.leaves()
    bench.hub.from_host(lease.dock, signalling.Ended("E1", True, 7, None, False, EndReason.ESTOPPED))
    assert lease.state is LeaseState.ENDED
    assert "revoke" in host.types()


async def test_a_host_that_is_lost_meanwhile_ends_it(bench):
    operator, lease, _host = await driving(bench)
    await operator.leaves()
    bench.hub.undock(lease.dock)
    await bench.settle()
    assert bench.store.ends == [(operator.wallet.address, "host_lost")]


async def test_a_lease_whose_time_is_up_is_not_kept_while_others_wait(bench):
    operator, _lease, _host = await driving(bench)
    await bench.operator().join()
    bench.pass_s(LEASE_S - 1)
    await operator.leaves()
    bench.pass_s(2)
    bench.hub.expire()
    await bench.settle()
    assert bench.store.ends[0] == (operator.wallet.address, "expired")


async def test_if_the_database_does_not_answer_the_drive_is_kept_on_and_asked_for_again(bench):
    operator, lease, _host = await driving(bench)
    await operator.leaves()
    bench.database.breaks("renew_lease", 1)
    again = bench.operator(operator.wallet)
    with pytest.raises(SignallingError) as refused:
        await again.says(signalling.Resume(lease.id, PERSON))
    assert (refused.value.code, lease.state) == ("unavailable", LeaseState.PAUSED)
    assert bench.hub.presences()[bench.robot].kept_s == AWAY_S
    await again.says(signalling.Resume(lease.id, PERSON))
    bench.hub.from_host(lease.dock, signalling.HostResumed(lease.id, 2, "E1", 31, 40))
    assert lease.state is LeaseState.LIVE


async def test_a_drive_that_ends_while_the_database_answers_is_not_given_to_anybody(bench):
    operator, lease, host = await driving(bench)
    await operator.leaves()
    release = bench.database.hold("renew_lease")
    coming = asyncio.create_task(back(bench, operator, lease))
    await bench.settle()
    bench.hub.from_host(lease.dock, signalling.Ended("E1", True, 7, None, False, EndReason.ESTOPPED))
    release()
    await coming
    assert lease.state is LeaseState.ENDED
    assert "resume" not in host.types()


async def test_the_same_wallet_that_joins_again_gives_the_kept_drive_up(bench):
    operator, lease, host = await driving(bench)
    await operator.leaves()
    again = bench.operator(operator.wallet)
    fresh = await again.join()
    assert (lease.state, fresh.held) == (LeaseState.ENDED, True)
    assert host.last("revoke")["reason"] == "operator_lost"


async def test_somebody_who_has_not_signed_in_watches_and_does_nothing_else(bench):
    dock, host = await bench.host()
    anybody = bench.operator()
    anybody.seat.address = ""
    await anybody.says(signalling.Watch(bench.robot))
    bench.hub.from_robot(dock, b"state")
    assert anybody.ear.frames == [b"state"]
    assert bench.hub.census()["operators"] == 0
    for message in (anybody.grant(), signalling.Begin(PERSON), signalling.Estop(bench.robot), anybody.clear()):
        with pytest.raises(SignallingError) as refused:
            await anybody.says(message)
        assert refused.value.code == "auth"
    bench.hub.command(anybody.seat, b"command")
    assert (host.types(), host.frames) == (["welcome"], [])
