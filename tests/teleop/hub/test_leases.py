"""A lease's states, what a failing database does to them, and time: all on a bench without sockets."""

from __future__ import annotations

import asyncio
import secrets

import msgspec
import pytest
from sqlalchemy.exc import OperationalError

from teleop.hub.leases.docks import Lease, LeaseState
from teleop.hub.leases.endings import PAUSES_S
from teleop.hub.leases.grants import GRANT_MS_MAX
from teleop.hub.robots.registry import HUB_LOST
from teleop.identity import SESSION_GRANT, SignatureError, new_key
from teleop.wire import signalling
from teleop.wire.driver import PERSON
from teleop.wire.messages import COMMAND_BYTES_MAX, STATE_BYTES_MAX
from teleop.wire.reasons import EndReason
from teleop.wire.signalling import SignallingError
from tests.teleop.hub.bench import DOMAIN, LEASE_S, STOP, Bench, Ear, Operator

pytestmark = pytest.mark.anyio
Q, GRANTING, GRANTED, LIVE, PAUSED, ENDED = LeaseState
LEGAL = {(Q, GRANTING), (GRANTING, GRANTED), (GRANTED, LIVE), (LIVE, LIVE), (LIVE, PAUSED), (PAUSED, LIVE)} | {
    (s, ENDED) for s in LeaseState if s is not ENDED
}


@pytest.fixture
async def bench() -> Bench:
    return Bench()


async def driving(bench: Bench) -> tuple[Operator, Lease, Ear]:
    """An operator who has begun an episode, the lease, and what the host hears; all heard so far is forgotten."""
    _dock, host = await bench.host()
    operator = bench.operator()
    lease = await operator.join()
    await operator.says(signalling.Begin(PERSON))
    assert lease.state is LIVE
    host.types(), operator.ear.types()
    return operator, lease, host


# --- states


@pytest.mark.parametrize("to", LeaseState)
@pytest.mark.parametrize("at", LeaseState)
async def test_a_lease_makes_no_illegal_move(bench, at, to):
    dock, _ = await bench.host()
    operator = bench.operator()
    lease = Lease(operator.seat, dock, operator.grant().grant, "0x", state=at)
    if (at, to) in LEGAL:
        lease.move(to)
        assert lease.state is to
    else:
        with pytest.raises(SignallingError, match=f"after {at}, got {to}") as refused:
            lease.move(to)
        assert refused.value.code == "state"
        assert lease.state is at


async def test_a_lease_is_queued_then_granting_then_granted_then_live_then_ended(bench):
    dock, host = await bench.host()
    operator = bench.operator()
    release = bench.database.hold("open_lease")
    lease = await operator.join()
    assert (lease.state, dock.holder, lease.row, lease.held) == (GRANTING, lease, None, False)
    assert operator.ear.types() == ["welcome", "queued"]
    release()
    await bench.settle()
    assert (lease.state, lease.since_ms, lease.held) == (GRANTED, bench.monotonic_ms, True)
    order, told = host.last("lease"), operator.ear.last("granted")
    row = bench.store.leases[lease.id]
    assert (order["lease"], order["epoch"], order["operator"]) == (row.lease, 1, operator.wallet.address)
    assert (told["lease"], told["epoch"], told["task"]["name"]) == (row.lease, 1, "lift")
    assert told["robot"] == dock.descriptor
    await operator.says(signalling.Begin(PERSON))
    assert lease.state is LIVE
    assert host.last("begin")["episode"] == "E1"
    bench.pass_s(7)
    await operator.says(signalling.Leave())
    assert (lease.state, lease.held, dock.holder, operator.seat.lease) == (ENDED, False, None, None)
    assert operator.ear.last("left")["reason"] == "left"
    assert host.last("revoke") == {"type": "revoke", "epoch": 1, "reason": "left"}
    assert (row.reason, row.ended_ms) == ("left", bench.now_ms)
    assert list(dock.past_s) == [7.0]


async def test_each_lease_has_a_higher_epoch_than_the_one_before(bench):
    _dock, host = await bench.host()
    for epoch in (1, 2, 3):
        operator = bench.operator()
        await operator.join()
        assert host.last("lease")["epoch"] == epoch
        await operator.leaves()


async def test_only_who_holds_the_robot_commands_it(bench):
    _dock, host = await bench.host()
    first, second = bench.operator(), bench.operator()
    release = bench.database.hold("open_lease")
    await first.join()
    await second.join()
    for operator in (first, second, bench.operator()):
        bench.hub.command(operator.seat, b"early")
    assert (host.frames, bench.hub.counts["commands_not_holder"]) == ([], 3)
    release()
    await bench.settle()
    bench.hub.command(first.seat, b"mine")
    bench.hub.command(second.seat, b"not yet")
    assert host.frames == [b"mine"]
    await first.leaves()
    bench.hub.command(first.seat, b"late")
    bench.hub.command(second.seat, b"now")
    assert host.frames == [b"mine", b"now"]
    assert bench.hub.counts["commands"] == 2
    for malformed in (b"", b"x" * (COMMAND_BYTES_MAX + 1)):
        bench.hub.command(second.seat, malformed)
    assert (host.frames[2:], bench.hub.counts["commands_malformed"]) == ([], 2)
    bench.hub.command(second.seat, b"x" * COMMAND_BYTES_MAX)
    assert len(host.frames) == 3


async def test_states_go_to_the_holder_and_to_watchers_and_to_nobody_else(bench):
    dock, _host = await bench.host()
    holder, waiting, watcher, stranger = (bench.operator() for _ in range(4))
    release = bench.database.hold("open_lease")
    await holder.join()
    bench.hub.from_robot(dock, b"early")
    assert holder.ear.frames == []
    release()
    await waiting.join()
    await watcher.says(signalling.Watch(bench.robot))
    for state in (b"", b"x" * (STATE_BYTES_MAX + 1), b"state"):
        bench.hub.from_robot(dock, state)
    assert [one.ear.frames for one in (holder, waiting, watcher, stranger)] == [[b"state"], [], [b"state"], []]
    assert (bench.hub.counts["states"], bench.hub.counts["states_malformed"]) == (2, 2)


async def test_who_leaves_while_the_lease_is_written_down_never_gets_the_robot_and_the_next_does(bench):
    dock, host = await bench.host()
    first, second = bench.operator(), bench.operator()
    release = bench.database.hold("open_lease")
    lease = await first.join()
    await second.join()
    await first.leaves()
    assert (lease.state, dock.holder) == (ENDED, None), "and the next is not called before the answer comes"
    assert bench.database.asked.count("open_lease") == 1
    release()
    await bench.settle()
    assert host.last("lease")["operator"] == second.wallet.address
    assert [message["epoch"] for message in host.said if message["type"] == "lease"] == [2]
    assert "revoke" not in host.types(), "the first never had it"
    assert bench.store.ends == [(first.wallet.address, "left"), (second.wallet.address, None)]
    assert list(dock.past_s) == []


async def test_a_host_that_is_lost_while_a_lease_is_written_down_leaves_no_open_lease(bench):
    dock, host = await bench.host()
    first, second = bench.operator(), bench.operator()
    release = bench.database.hold("open_lease")
    await first.join()
    await second.join()
    bench.hub.undock(dock)
    release()
    await bench.settle()
    assert bench.store.ends == [(first.wallet.address, "host_lost")]
    assert "lease" not in host.types()
    for operator in (first, second):
        assert operator.ear.types() == ["welcome", "queued", "left"]
        with pytest.raises(SignallingError, match="robot that is online"):
            await operator.join()


async def test_a_second_connection_of_a_wallet_takes_its_place(bench):
    _dock, host = await bench.host()
    wallet = new_key()
    old, other, new = bench.operator(wallet), bench.operator(), bench.operator(wallet)
    await old.join()
    await other.join()
    await new.join()
    assert old.ear.last("left")["reason"] == "replaced"
    assert host.last("revoke")["reason"] == "operator_lost"
    assert host.last("lease")["operator"] == other.wallet.address, "the second is next in the queue, not first"
    assert bench.store.ends[0] == (wallet.address, "replaced")


async def test_one_seat_has_one_robot_at_a_time(bench):
    await bench.host()
    operator = bench.operator()
    await operator.join()
    with pytest.raises(SignallingError, match="one robot at a time"):
        await operator.join()
    await operator.says(signalling.Leave())
    with pytest.raises(SignallingError, match="queue to leave"):
        await operator.says(signalling.Leave())
    await operator.join()


async def test_begin_and_finish_belong_to_a_held_robot(bench):
    _dock, host = await bench.host()
    holder, waiting = bench.operator(), bench.operator()
    await holder.join()
    await waiting.join()
    for order in (signalling.Begin(PERSON), signalling.Finish()):
        with pytest.raises(SignallingError, match="expected to hold a robot"):
            await waiting.says(order)
    with pytest.raises(SignallingError, match="open episode to finish"):
        await holder.says(signalling.Finish())
    await holder.says(signalling.Begin(PERSON))
    with pytest.raises(SignallingError, match="no open episode to begin"):
        await holder.says(signalling.Begin(PERSON))
    await holder.says(signalling.Finish())
    assert host.last("finish") == {"type": "finish", "reason": "finished"}


async def test_an_episode_is_told_of_only_if_it_is_the_open_one(bench):
    operator, lease, _host = await driving(bench)
    dock = lease.dock
    ended = signalling.Ended("E1", True, 5, True, True, EndReason.FINISHED)
    bench.hub.from_host(dock, signalling.Ready("another", 1))
    bench.hub.from_host(dock, msgspec.structs.replace(ended, episode="another"))
    assert operator.ear.types() == []
    bench.hub.from_host(dock, signalling.Ready("E1", 1))
    assert operator.ear.last("ready")["task"]["name"] == "lift"
    bench.hub.from_host(dock, ended)
    assert operator.ear.last("ended")["episode"] == "E1"
    bench.hub.from_host(dock, ended)
    assert operator.ear.types() == ["ready", "ended"]
    await operator.says(signalling.Begin(PERSON))
    bench.hub.from_host(dock, msgspec.structs.replace(ended, episode="E2", kept=False))
    assert operator.ear.last("ended")["episode"] is None


async def test_a_lease_that_the_host_refuses_is_over_and_the_operator_hears_why(bench):
    dock, host = await bench.host()
    operator, second = bench.operator(), bench.operator()
    lease = await operator.join()
    await second.join()
    bench.hub.from_host(dock, signalling.Refused("another", "no"))
    assert lease.state is GRANTED
    bench.hub.from_host(dock, signalling.Refused(lease.id, "I do not like it"))
    await bench.settle()
    assert "I do not like it" in operator.ear.last("error")["message"]
    assert operator.ear.last("left")["reason"] == "refused"
    assert host.last("lease")["operator"] == second.wallet.address


async def test_everyone_at_a_robot_hears_that_it_is_stopped_and_nobody_begins(bench):
    dock, host = await bench.host()
    holder, waiting, watcher = (bench.operator() for _ in range(3))
    await holder.join()
    await waiting.join()
    await watcher.says(signalling.Watch(bench.robot))
    await watcher.says(signalling.Estop(bench.robot))
    assert host.last("estop")["by"] == watcher.wallet.address
    bench.hub.from_host(dock, signalling.Estopped("somebody", STOP))
    for operator in (holder, waiting, watcher):
        assert operator.ear.last("estopped")["by"] == "somebody"
    with pytest.raises(SignallingError, match="e-stopped"):
        await holder.says(signalling.Begin(PERSON))
    with pytest.raises(SignallingError, match="only the owner") as refused:
        await holder.says(holder.clear())
    assert refused.value.code == "not_owner"
    owner = bench.operator(bench.owner)
    clear = owner.clear()
    await owner.says(clear)
    assert host.last("clear") == {"type": "clear", "stop": STOP, "signature": clear.signature}
    bench.hub.from_host(dock, signalling.Cleared(bench.owner.address))
    await holder.says(signalling.Begin(PERSON))
    assert host.last("begin")["episode"] == "E1"


async def test_what_comes_once_is_refused_the_second_time(bench):
    dock, _ = await bench.host()
    with pytest.raises(SignallingError, match="only once"):
        bench.hub.from_host(dock, bench.hello())
    with pytest.raises(SignallingError, match="only once"):
        await bench.operator().says(signalling.Hello(1, "token"))


async def test_a_census_counts_who_is_here_and_cards_say_it_too(bench):
    _dock, _ = await bench.host()
    holder, waiting, watcher = (bench.operator() for _ in range(3))
    await holder.join()
    await waiting.join()
    await watcher.says(signalling.Watch(bench.robot))
    census = bench.hub.census()
    named = {name: census[name] for name in ("operators", "robots", "holding", "queued", "watching", "unwritten")}
    assert named == {"operators": 3, "robots": 1, "holding": 1, "queued": 1, "watching": 1, "unwritten": 0}
    card = bench.hub.presences()[bench.robot]
    assert (card.driver, card.queue_length, card.estopped) == (holder.wallet.address, 1, False)
    for operator in (holder, waiting, watcher):
        await operator.leaves()
    census = bench.hub.census()
    assert {census[name] for name in ("operators", "holding", "queued", "watching")} == {0}
    assert bench.hub.presences()[bench.robot].driver is None


async def test_watching_another_robot_ends_watching_the_first(bench):
    dock, _ = await bench.host()
    watcher = bench.operator()
    await watcher.says(signalling.Watch(bench.robot))
    bench.key = new_key()
    bench.robot = bench.key.address
    bench.store.add(bench.robot, bench.owner.address)
    other, _ = await bench.host()
    await watcher.says(signalling.Watch(bench.robot))
    assert (dock.watchers, other.watchers) == (set(), {watcher.seat})


# --- a database that fails


async def test_a_lease_that_cannot_be_written_is_said_to_its_operator_and_the_robot_goes_to_the_next(bench):
    dock, host = await bench.host()
    first, second = bench.operator(), bench.operator()
    release = bench.database.hold("open_lease")
    bench.database.breaks("open_lease", 1)
    lease = await first.join()
    await second.join()
    release()
    await bench.settle()
    assert (lease.state, first.seat.lease) == (ENDED, None)
    error = first.ear.last("error")
    assert error["code"] == "unavailable"
    assert "join the robot again" in error["message"]
    assert first.ear.last("left")["reason"] == "unavailable"
    assert host.last("lease")["operator"] == second.wallet.address
    assert (dock.holder.seat, bench.hub.counts["leases_failed"]) == (second.seat, 1)


async def test_while_no_lease_can_be_written_nobody_holds_the_robot_and_afterwards_it_is_free(bench):
    dock, host = await bench.host()
    bench.database.breaks("open_lease")
    operators = [bench.operator() for _ in range(3)]
    for operator in operators:
        await operator.join()
        assert operator.ear.last("error")["code"] == "unavailable"
    assert (dock.holder, dock.queue, bench.hub.presences()[bench.robot].driver) == (None, [], None)
    assert bench.hub.census()["holding"] == 0
    assert "lease" not in host.types()
    bench.database.breaks("open_lease", 0)
    await operators[0].join()
    assert dock.holder is operators[0].seat.lease


async def test_a_lease_whose_answer_was_lost_is_closed_in_the_table_too(bench):
    await bench.host()
    operator = bench.operator()
    bench.database.loses_answers("open_lease")
    await operator.join()
    assert operator.ear.last("error")["code"] == "unavailable"
    assert bench.store.ends == [(operator.wallet.address, "unavailable")]


async def test_who_left_before_a_lease_failed_is_told_of_no_error(bench):
    dock, _ = await bench.host()
    operator = bench.operator()
    release = bench.database.hold("open_lease")
    bench.database.breaks("open_lease", 1)
    await operator.join()
    await operator.says(signalling.Leave())
    release()
    await bench.settle()
    assert operator.ear.types() == ["welcome", "queued", "left"]
    assert (dock.holder, dock.granting) == (None, None)


async def test_an_end_that_cannot_be_written_frees_the_robot_at_once_and_is_tried_until_it_is_written(bench):
    dock, host = await bench.host()
    first, second = bench.operator(), bench.operator()
    await first.join()
    await second.join()
    bench.database.breaks("close_lease", 7)
    ended_ms = bench.now_ms
    await first.leaves()
    assert (host.last("lease")["operator"], dock.holder.seat) == (second.wallet.address, second.seat)
    assert bench.hub.census()["unwritten"] == 1
    bench.pass_s(60)
    for tried in range(1, 8):
        assert len(bench.pauses_s) == tried
        assert bench.store.ends[0] == (first.wallet.address, None)
        await bench.rest()
    assert bench.pauses_s == [*PAUSES_S, PAUSES_S[-1], PAUSES_S[-1]], "longer each time, and then no longer"
    row = next(iter(bench.store.leases.values()))
    assert (row.reason, row.ended_ms) == ("left", ended_ms), "the time at which it ended, not at which it was written"
    assert bench.hub.census()["unwritten"] == 0


async def test_ends_are_written_in_their_order_and_pauses_begin_anew_after_each(bench):
    await bench.host()
    bench.database.breaks("close_lease", 1)
    operators = [bench.operator() for _ in range(3)]
    for operator in operators:
        await operator.join()
        await operator.leaves()
    assert [reason for _, reason in bench.store.ends] == [None, None, None]
    assert bench.database.asked.count("close_lease") == 1, "the others wait behind the first"
    await bench.rest()
    assert [reason for _, reason in bench.store.ends] == ["left", "left", "left"]
    await operators[0].says(operators[0].grant())
    bench.database.breaks("close_lease", 1)
    await operators[0].leaves()
    assert bench.pauses_s == [PAUSES_S[0], PAUSES_S[0]]


async def test_a_hub_that_stops_ends_every_lease_and_writes_what_waits_though_the_database_fails_twice(bench):
    operators = [bench.operator() for _ in range(3)]
    async with bench.hub:
        await bench.host()
        bench.database.breaks("close_lease", 3)
        for operator in operators:
            await operator.join()
        await operators[0].leaves()
        assert len(bench.pauses_s) == 1
        bench.rests_at_once()
    assert bench.store.ends == [(operators[0].wallet.address, "left"), (operators[1].wallet.address, "host_lost")]
    assert operators[2].ear.last("left")["reason"] == "host_lost"
    assert bench.hub.census()["unwritten"] == 0


async def test_a_hub_that_stops_while_a_lease_is_written_down_waits_for_it_and_closes_it(bench):
    await bench.host()
    operator = bench.operator()
    release = bench.database.hold("open_lease")
    await operator.join()
    stopping = asyncio.create_task(bench.hub.__aexit__())
    await bench.settle()
    assert not stopping.done()
    release()
    await stopping
    assert bench.store.ends == [(operator.wallet.address, "host_lost")]


async def test_what_a_hub_could_not_write_when_it_stopped_is_closed_when_it_starts_and_says_nothing_of_waiting(bench):
    operator = bench.operator()
    async with bench.hub:
        await bench.host()
        await operator.join()
        bench.database.breaks("close_lease")
        bench.rests_at_once()
    assert bench.store.ends == [(operator.wallet.address, None)]
    bench.pass_s(3600)
    async with bench.new_hub() as bench.hub:
        assert bench.store.ends == [(operator.wallet.address, HUB_LOST)]
        dock, _ = await bench.host()
        assert list(dock.past_s) == [], "nobody knows how long it was"


async def test_an_episode_that_cannot_be_written_down_is_not_begun_and_can_be_asked_for_again(bench):
    _dock, host = await bench.host()
    operator = bench.operator()
    await operator.join()
    bench.database.breaks("issue_ticket", 1)
    with pytest.raises(SignallingError, match="try again") as refused:
        await operator.says(signalling.Begin(PERSON))
    assert refused.value.code == "unavailable"
    assert "begin" not in [message["type"] for message in host.said]
    await operator.says(signalling.Begin(PERSON))
    assert host.last("begin")["episode"] == "E1"


@pytest.mark.parametrize("end", ["leave", "host", "stop"])
async def test_nothing_begins_once_the_lease_is_over_or_the_robot_stopped(bench, end):
    dock, host = await bench.host()
    operator = bench.operator()
    await operator.join()
    release = bench.database.hold("issue_ticket")
    beginning = asyncio.create_task(operator.says(signalling.Begin(PERSON)))
    await bench.settle()
    match end:
        case "leave":
            bench.hub.stand(operator.seat)
        case "host":
            bench.hub.undock(dock)
        case "stop":
            bench.hub.from_host(dock, signalling.Estopped("somebody", STOP))
    release()
    await bench.settle()
    assert "begin" not in host.types()
    if end == "stop":
        with pytest.raises(SignallingError, match="e-stopped"):
            await beginning
        bench.hub.from_host(dock, signalling.Cleared("owner"))
        await operator.says(signalling.Begin(PERSON))
        assert host.last("begin")
    else:
        await beginning


async def test_a_connection_that_is_cut_while_an_episode_is_written_down_ends_its_lease(bench):
    dock, _ = await bench.host()
    operator, second = bench.operator(), bench.operator()
    await operator.join()
    await second.join()
    bench.database.hold("issue_ticket")
    beginning = asyncio.create_task(operator.says(signalling.Begin(PERSON)))
    await bench.settle()
    beginning.cancel()
    await asyncio.gather(beginning, return_exceptions=True)
    await operator.leaves()
    assert dock.holder is second.seat.lease
    assert bench.store.ends[0] == (operator.wallet.address, "left")


# --- robots that come


@pytest.mark.parametrize("call", ["robot", "lease_lengths_s", "describe"])
async def test_a_host_that_comes_while_the_database_fails_is_told_to_try_again(bench, call):
    bench.database.breaks(call, 1)
    with pytest.raises(SignallingError, match="try again") as refused:
        await bench.host()
    assert (refused.value.code, bench.hub.docks) == ("unavailable", {})
    dock, ear = await bench.host()
    assert bench.hub.docks == {bench.robot: dock}
    assert ear.types() == ["welcome"]


@pytest.mark.parametrize("call", ["robot", "lease_lengths_s", "describe"])
async def test_of_two_host_connections_the_newest_stays_however_the_database_answers(bench, call):
    release = bench.database.hold(call)
    old_ear, new_ear = Ear(), Ear()
    old = asyncio.create_task(bench.hub.dock(bench.hello(), "0x" + "07" * 32, old_ear))
    await bench.settle()
    bench.database._held.pop(call)  # the newer one's questions are answered at once
    new = asyncio.create_task(bench.hub.dock(bench.hello(), "0x" + "07" * 32, new_ear))
    await bench.settle()
    release()
    await asyncio.gather(old, new, return_exceptions=True)
    assert bench.hub.docks[bench.robot].outbox is new_ear
    assert (old_ear.closed, new_ear.closed) == (True, False)
    bench.hub.undock(old.result())
    assert bench.hub.docks[bench.robot] is new.result(), "the end of the old connection is not the robot's"
    assert bench.hub.uploader(old.result().upload_token) is None
    assert bench.hub.uploader(new.result().upload_token) is new.result()


async def test_a_host_connection_that_is_cut_while_it_waits_lets_the_next_in(bench):
    bench.database.hold("robot")
    old = asyncio.create_task(bench.host())
    await bench.settle()
    new = asyncio.create_task(bench.host())
    await bench.settle()
    bench.database._held.clear()
    old.cancel()
    dock, _ear = await new
    assert bench.hub.docks == {bench.robot: dock}


async def test_a_second_connection_of_a_robot_ends_what_was_at_the_first(bench):
    old, old_ear = await bench.host()
    holder, waiting, watcher = (bench.operator() for _ in range(3))
    await holder.join()
    await waiting.join()
    await watcher.says(signalling.Watch(bench.robot))
    for operator in (holder, waiting, watcher):
        operator.ear.types()
    new, _ = await bench.host()
    await bench.settle()
    for operator in (holder, waiting, watcher):
        assert operator.ear.said == [{"type": "left", "reason": "host_lost"}]
    assert (old_ear.closed, new.holder, new.queue, new.watchers) == (True, None, [], set())
    assert old.watchers == set()
    assert bench.store.ends == [(holder.wallet.address, "host_lost")]
    assert old_ear.last("revoke")["reason"] == "host_lost"


async def test_a_host_is_let_in_by_its_robots_signature_over_this_challenge_alone(bench):
    good = bench.hello()
    for hello, challenge in (
        (good, "0x" + "08" * 32),
        (msgspec.structs.replace(good, robot=new_key().address), "0x" + "07" * 32),
        (msgspec.structs.replace(good, signature="0x" + "11" * 65), "0x" + "07" * 32),
    ):
        with pytest.raises(SignatureError):
            await bench.hub.dock(hello, challenge, Ear())
    assert (bench.hub.docks, bench.database.asked) == ({}, []), "a stranger costs the database nothing"


async def test_no_other_token_uploads(bench):
    dock, _ = await bench.host()
    assert bench.hub.uploader(dock.upload_token) is dock
    for token in ("", dock.upload_token + "x", secrets.token_urlsafe(32), "\ud800"):
        assert bench.hub.uploader(token) is None
    bench.hub.undock(dock)
    assert bench.hub.uploader(dock.upload_token) is None


# --- grants


async def refused_join(operator: Operator, join: signalling.Join) -> SignallingError:
    with pytest.raises(SignallingError) as refused:
        await operator.says(join)
    assert operator.seat.lease is None
    return refused.value


@pytest.mark.parametrize("for_ms", [-1, 0, GRANT_MS_MAX + 1, 365 * GRANT_MS_MAX])
async def test_a_grant_that_is_over_or_for_longer_than_a_day_is_refused(bench, for_ms):
    await bench.host()
    operator = bench.operator()
    refused = await refused_join(operator, operator.grant(not_after_ms=bench.now_ms + for_ms))
    assert (refused.code, "at most 24 hours" in str(refused)) == ("clock", True)


@pytest.mark.parametrize("for_ms", [1, 24 * 3_600_000])
async def test_a_grant_of_up_to_a_day_holds(bench, for_ms):
    await bench.host()
    operator = bench.operator()
    await operator.says(operator.grant(not_after_ms=bench.now_ms + for_ms))
    assert operator.seat.lease.state is GRANTED


async def test_a_grant_is_by_this_wallet_for_this_connection_and_serves_once(bench):
    await bench.host()
    operator, other = bench.operator(), bench.operator()
    first = operator.grant()
    for changed in ({"operator": other.wallet.address}, {"nonce": other.seat.nonce}):
        assert (await refused_join(operator, operator.grant(**changed))).code == "grant"
    forged = signalling.Join(first.grant, SESSION_GRANT.sign(other.wallet, DOMAIN, first.grant.values))
    assert (await refused_join(operator, forged)).code == "grant"
    assert (await refused_join(operator, operator.grant(session_key=operator.wallet.address.lower()))).code == "grant"
    assert (await refused_join(operator, operator.grant(task="dance"))).code == "unknown_task"
    assert (await refused_join(operator, operator.grant(robot=new_key().address))).code == "robot_offline"
    await operator.says(first)
    await operator.says(signalling.Leave())
    assert (await refused_join(operator, first)).code == "grant", "its nonce has served"


# --- time


@pytest.mark.parametrize("begun", [False, True])
async def test_a_lease_ends_by_time_while_others_wait_and_not_a_moment_before(bench, begun):
    dock, host = await bench.host()
    holder, waiting = bench.operator(), bench.operator()
    lease = await holder.join()
    if begun:
        await holder.says(signalling.Begin(PERSON))
    await waiting.join()
    bench.pass_s(LEASE_S)
    bench.hub.expire()
    assert lease.held, "its time is not over"
    bench.pass_s(0.001)
    bench.hub.expire()
    await bench.settle()
    assert (lease.state, holder.ear.last("left")["reason"]) == (ENDED, "expired")
    assert host.last("revoke")["reason"] == "revoked"
    assert dock.holder is waiting.seat.lease
    assert bench.store.ends[0] == (holder.wallet.address, "expired")


async def test_nobody_loses_a_robot_that_nobody_waits_for(bench):
    await bench.host()
    holder = bench.operator()
    lease = await holder.join()
    bench.pass_s(100 * LEASE_S)
    bench.hub.expire()
    assert lease.held
    await holder.says(signalling.Begin(PERSON))
    assert lease.state is LIVE
    waiting = bench.operator()
    await waiting.join()
    bench.hub.expire()
    assert lease.state is ENDED


async def test_who_begins_when_the_time_is_over_and_others_wait_is_too_late(bench):
    _dock, host = await bench.host()
    holder, waiting = bench.operator(), bench.operator()
    lease = await holder.join()
    await waiting.join()
    bench.pass_s(LEASE_S + 1)
    await holder.says(signalling.Begin(PERSON))
    assert (lease.state, holder.ear.last("left")["reason"]) == (ENDED, "expired")
    assert "begin" not in host.types()
    assert bench.store.tickets == []


async def test_a_lease_that_is_being_written_down_does_not_end_by_time(bench):
    await bench.host()
    holder, waiting = bench.operator(), bench.operator()
    release = bench.database.hold("open_lease")
    lease = await holder.join()
    await waiting.join()
    bench.pass_s(10 * LEASE_S)
    bench.hub.expire()
    assert lease.state is GRANTING
    release()
    await bench.settle()
    bench.hub.expire()
    assert lease.state is GRANTED, "its time begins when it has the robot"


async def test_everyone_is_told_their_place_and_the_holder_who_waits_and_how_long(bench):
    await bench.host()
    holder, second, third = (bench.operator() for _ in range(3))
    await holder.join()
    bench.pass_s(100)
    await second.join()
    assert holder.ear.last("waiting") == {"type": "waiting", "length": 1, "left_s": 500}
    assert second.ear.last("queued") == {
        "type": "queued",
        "robot": bench.robot,
        "position": 1,
        "length": 1,
        "wait_s": 500,
    }
    await third.join()
    told = third.ear.last("queued")
    assert (told["position"], told["length"], told["wait_s"]) == (2, 2, 1100)
    assert second.ear.last("queued")["length"] == 2
    assert holder.ear.last("waiting")["length"] == 2
    await third.leaves()
    assert (second.ear.last("queued")["length"], holder.ear.last("waiting")["length"]) == (1, 1)
    bench.pass_s(10_000)
    await second.leaves()
    assert holder.ear.last("waiting") == {"type": "waiting", "length": 0, "left_s": 0}


async def test_a_fake_error_is_the_one_that_the_database_raises(bench):
    bench.database.breaks("robot")
    with pytest.raises(OperationalError):
        await bench.database.ask(bench.store.robot, bench.robot)


# --- what is said, to the letter


async def test_what_an_operator_and_a_host_are_told_is_whole(bench):
    dock, host = await bench.host()
    operator = bench.operator()
    await operator.join()
    await operator.says(signalling.Begin(PERSON))
    ticket = bench.store.tickets[0]
    person = {"kind": "person", "name": "", "sha256": ""}
    begin = {"type": "begin", "episode": "E1", "seed": ticket.seed, "nonce": ticket.nonce, "driver": person}
    begin |= {"rules": None}
    assert (host.last("begin"), ticket.task) == (begin, "lift")
    bench.hub.from_host(dock, signalling.Ready("E1", 42))
    assert (operator.ear.last("ready")["episode"], operator.ear.last("ready")["seed"]) == ("E1", 42)
    bench.hub.from_host(dock, signalling.Ended("E1", True, 5, False, True, EndReason.STEP_LIMIT))
    ended = {"episode": "E1", "steps": 5, "success": False, "valid": True, "reason": "step_limit"}
    assert operator.ear.last("ended") == {"type": "ended", **ended}
    assert bench.hub.counts["episodes_step_limit"] == 1
    bench.hub.from_host(dock, signalling.Ready("E1", 42))
    assert operator.ear.types()[-1] == "ended", "no episode is open"
    bench.hub.from_host(dock, signalling.Estopped("a", STOP))
    bench.hub.from_host(dock, signalling.Cleared("b"))
    assert operator.ear.said == [
        {"type": "estopped", "robot": bench.robot, "by": "a", "stop": STOP},
        {"type": "cleared", "robot": bench.robot, "by": "b"},
    ]
    await operator.leaves()
    assert host.last("revoke") == {"type": "revoke", "epoch": 1, "reason": "operator_lost"}
    assert bench.hub.presences()[bench.robot].wait_s == 0


async def test_every_refusal_has_its_code(bench):
    dock, host = await bench.host()
    operator, waiting = bench.operator(), bench.operator()
    for order in (signalling.Begin(PERSON), signalling.Finish(), signalling.Leave()):
        with pytest.raises(SignallingError) as refused:
            await operator.says(order)
        assert refused.value.code == "state"
    lease = await operator.join()
    await operator.says(signalling.Begin(PERSON))
    for order in (signalling.Begin(PERSON), operator.grant()):
        with pytest.raises(SignallingError) as refused:
            await operator.says(order)
        assert refused.value.code == "state"
    lease.ticket = None
    dock.estopped = True
    with pytest.raises(SignallingError) as refused:
        await operator.says(signalling.Begin(PERSON))
    assert refused.value.code == "state"
    dock.estopped = False
    await waiting.join()
    bench.pass_s(LEASE_S + 1)
    await operator.says(signalling.Begin(PERSON))
    assert host.last("revoke")["reason"] == "revoked"
    bench.hub.from_host(dock, signalling.Refused(waiting.seat.lease.id, "no"))
    assert waiting.ear.last("error")["code"] == "grant"


async def test_one_byte_is_relayed_and_a_watcher_of_a_lost_robot_may_watch_another(bench):
    dock, host = await bench.host()
    operator, watcher = bench.operator(), bench.operator()
    await operator.join()
    await watcher.says(signalling.Watch(bench.robot))
    bench.hub.command(operator.seat, b"x")
    bench.hub.from_robot(dock, b"y")
    assert (host.frames, watcher.ear.frames) == ([b"x"], [b"y"])
    bench.hub.undock(dock)
    assert watcher.seat.watching is None


async def test_leases_that_are_closed_at_the_start_ended_now(bench):
    await bench.host()
    await bench.operator().join()
    bench.pass_s(5)
    async with bench.new_hub():
        assert [row.ended_ms for row in bench.store.leases.values()] == [bench.now_ms]
