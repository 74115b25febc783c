"""What a hub says and keeps: at the door, of a robot that broke, of who waits; whole, on a bench without sockets."""

from __future__ import annotations

import asyncio
import re

import pytest

from teleop.hub.asking import UNAVAILABLE
from teleop.hub.hub import ANYBODY
from teleop.hub.leases.docks import Lease, LeaseState, Presence
from teleop.hub.leases.endings import CLOSING_TRIES, PAUSES_S, Ending, Endings
from teleop.hub.leases.grants import GRANT_MS_MAX
from teleop.hub.leases.queues import STARTING_MS
from teleop.hub.leases.returning import AWAY_S
from teleop.identity import SESSION_GRANT, Domain, SignatureError, new_key
from teleop.wire import signalling
from teleop.wire.driver import PERSON
from teleop.wire.messages import PROTOCOL, STATE_BYTES_MAX
from teleop.wire.reasons import EndReason
from teleop.wire.signalling import SignallingError
from tests.teleop.hub.bench import CHALLENGE, DOMAIN, LEASE_S, STOP, Bench, Ear, Operator, broken, descriptor
from tests.teleop.hub.test_returning import back, driving
from tests.teleop.hub.test_tasks import descriptor as at_tasks

pytestmark = pytest.mark.anyio
NONCE = re.compile(r"0x[0-9a-f]{64}")
REASON = "expected servo 3 below 65 degrees C, got 66; let the arm rest"


@pytest.fixture
async def bench() -> Bench:
    return Bench()


async def refused(operator: Operator, message: signalling.FromOperator) -> tuple[str, str]:
    """Return the code and the words with which a message is refused."""
    with pytest.raises(SignallingError) as error:
        await operator.says(message)
    assert " " in str(error.value), "it is a sentence"
    return error.value.code, str(error.value)


# --- at the door


async def test_an_operator_is_welcomed_with_a_nonce_of_their_own_and_the_hubs_time(bench):
    first, second = bench.operator(), bench.operator()
    for operator in (first, second):
        assert operator.ear.said == [
            {
                "type": "welcome",
                "protocol": PROTOCOL,
                "address": operator.wallet.address,
                "nonce": operator.seat.nonce,
                "now_ms": bench.now_ms,
            }
        ]
        assert NONCE.fullmatch(operator.seat.nonce)
    assert first.seat.nonce != second.seat.nonce


async def test_a_nonce_that_has_served_is_followed_by_another_as_hard_to_guess(bench):
    await bench.host()
    operator = bench.operator()
    before = operator.seat.nonce
    await operator.join()
    assert NONCE.fullmatch(operator.seat.nonce)
    assert operator.seat.nonce != before


async def test_a_host_is_welcomed_with_its_token_and_the_hubs_time_and_kept_as_it_says_it_is(bench):
    dock, host = await bench.host(estopped=True, stop=STOP)
    assert host.said == [{"type": "welcome", "upload_token": dock.upload_token, "now_ms": bench.now_ms}]
    assert len(dock.upload_token) >= 43, "256 bits"
    assert (dock.address, dock.owner, dock.estopped, dock.stop) == (bench.robot, bench.owner.address, True, STOP)
    assert dock.descriptor == {**descriptor(), "name": "robot-1"}
    assert bench.store.robots[bench.robot].descriptor == dock.descriptor
    operator = bench.operator()
    await operator.join()
    assert (await refused(operator, signalling.Begin(PERSON)))[0] == "state"


async def test_a_host_is_known_by_its_registered_name_whatever_it_calls_itself(bench):
    dock, _ = await bench.host(descriptor={**descriptor(), "name": "another"})
    assert dock.descriptor["name"] == "robot-1"


async def test_a_hello_for_another_hub_is_refused(bench):
    elsewhere = bench.new_hub()
    elsewhere._domain = Domain(1, bench.robot)
    with pytest.raises(SignatureError):
        await elsewhere.dock(bench.hello(), CHALLENGE, Ear())


async def test_half_a_descriptor_is_refused_before_the_database_is_asked(bench):
    with pytest.raises(SignallingError) as error:
        await bench.host(descriptor={"name": "robot-1"})
    assert (error.value.code, bench.database.asked, bench.hub.docks) == ("malformed", [], {})


async def test_a_robot_does_not_wait_at_the_door_for_what_the_database_says_of_another(bench):
    bench.database.hold("robot")
    first = asyncio.create_task(bench.host())
    await bench.settle()
    bench.database._held.clear()  # the next one's questions are answered at once
    bench.key = new_key()
    bench.robot = bench.key.address
    bench.store.add(bench.robot, bench.owner.address)
    second = asyncio.create_task(bench.host())
    await bench.settle()
    assert (first.done(), second.done(), list(bench.hub.docks)) == (False, True, [bench.robot])
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)


async def test_a_host_is_told_which_of_its_cameras_somebody_looks_at(bench):
    dock, host = await bench.host()
    camera = dock.descriptor["cameras"][0]
    viewer = dock.cameras.join(camera["name"], camera["codecs"])
    assert host.last("looked")["streams"] == [{"camera": camera["name"], "codec": camera["codecs"][0]}]
    assert bench.hub.census()["looking"] == 1
    dock.cameras.leave(viewer)
    assert host.last("looked")["streams"] == []


async def test_a_host_without_cameras_is_let_in(bench):
    said = descriptor()
    del said["cameras"]
    dock, _ = await bench.host(descriptor=said)
    with pytest.raises(SignallingError) as error:
        dock.cameras.join("wrist", ["jpeg"])
    assert error.value.code == "unknown_camera"


async def test_a_robot_that_comes_back_remembers_how_long_its_last_leases_took(bench):
    await bench.host()
    for held_s in range(1, 23):
        operator = bench.operator()
        await operator.join()
        bench.pass_s(held_s)
        await operator.leaves()
    bench.hub = bench.new_hub()
    dock, _ = await bench.host()
    assert list(dock.past_s) == [float(held_s) for held_s in range(3, 23)], "the last twenty"
    await bench.operator().join()
    waiting = bench.operator()
    await waiting.join()
    assert waiting.ear.last("queued")["wait_s"] == 12, "their median, as nothing has been held yet"


async def test_a_second_hello_is_refused_by_its_code(bench):
    dock, _ = await bench.host()
    with pytest.raises(SignallingError) as error:
        bench.hub.from_host(dock, bench.hello())
    assert (error.value.code, " " in str(error.value)) == ("state", True)
    assert (await refused(bench.operator(), signalling.Hello(1, "token")))[0] == "state"


# --- refusals: pages and programs read their codes


async def test_a_refusal_has_its_code_and_names_what_it_is_about(bench):
    _dock, _host = await bench.host()
    operator = bench.operator()
    code, words = await refused(operator, signalling.Watch("0xnobody"))
    assert (code, "0xnobody" in words) == ("robot_offline", True)
    assert (await refused(operator, signalling.Resume("0" * 32, PERSON)))[0] == "lease_over"
    for message in (signalling.Begin(PERSON), signalling.Leave()):
        assert (await refused(operator, message))[0] == "state"
    lease = await operator.join()
    assert (await refused(operator, signalling.Resume(lease.id, PERSON)))[0] == "state", "it has a robot already"
    assert (await refused(operator, signalling.Finish()))[0] == "state"
    assert (await refused(operator, operator.grant()))[0] == "state"
    code, words = await refused(operator, operator.clear())
    assert (code, bench.owner.address in words, operator.wallet.address in words) == ("not_owner", True, True)


async def test_who_has_not_signed_in_may_only_watch(bench):
    await bench.host()
    ear = Ear()
    seat = bench.hub.sit(ANYBODY, ear)
    for message in (signalling.Begin(PERSON), signalling.Leave(), signalling.Estop(bench.robot)):
        with pytest.raises(SignallingError) as error:
            await bench.hub.from_operator(seat, message)
        assert (error.value.code, " " in str(error.value)) == ("auth", True)
    await bench.hub.from_operator(seat, signalling.Watch(bench.robot))
    assert [message["type"] for message in ear.said] == ["welcome", "watching"]


async def test_who_is_stopped_by_the_hosts_refusal_hears_it_whole(bench):
    dock, host = await bench.host()
    operator = bench.operator()
    lease = await operator.join()
    operator.ear.types(), host.types()
    bench.hub.from_host(dock, signalling.Refused(lease.id, "I do not like it"))
    await bench.settle()
    assert operator.ear.said == [
        {"type": "error", "code": "grant", "message": "the robot's host: I do not like it"},
        {"type": "left", "reason": "refused"},
    ]
    assert host.said == [{"type": "revoke", "epoch": 1, "reason": "revoked"}]
    assert bench.store.ends == [(operator.wallet.address, "refused")]
    bench.hub.from_host(dock, signalling.Refused(lease.id, "again"))
    assert len(operator.ear.said) == 2, "nobody holds it any more"


async def test_a_refusal_of_a_lease_that_is_still_being_written_down_ends_nothing(bench):
    dock, _ = await bench.host()
    operator = bench.operator()
    release = bench.database.hold("open_lease")
    lease = await operator.join()
    bench.hub.from_host(dock, signalling.Refused(lease.id, "no"))
    assert lease.state is LeaseState.GRANTING
    release()
    await bench.settle()
    assert lease.state is LeaseState.GRANTED


# --- a robot that broke


async def test_everyone_at_a_robot_hears_that_it_broke_and_nobody_begins_until_it_is_cleared(bench):
    dock, _ = await bench.host()
    holder, waiting, watcher = (bench.operator() for _ in range(3))
    await holder.join()
    await waiting.join()
    await watcher.says(signalling.Watch(bench.robot))
    bench.hub.from_host(dock, signalling.Faulted(REASON, STOP))
    told = {"type": "faulted", "robot": bench.robot, "reason": REASON, "stop": STOP}
    for operator in (holder, waiting, watcher):
        assert operator.ear.last("faulted") == told
    card = bench.hub.presences()[bench.robot]
    assert (card.fault, card.state) == (REASON, "faulted")
    code, words = await refused(holder, signalling.Begin(PERSON))
    assert (code, REASON in words) == ("state", True)
    late = bench.operator()
    await late.join()
    assert late.ear.last("faulted") == told, "who joins later is told, too"
    bench.hub.from_host(dock, signalling.Cleared("owner"))
    assert bench.hub.presences()[bench.robot].fault is None
    await holder.says(signalling.Begin(PERSON))


async def test_a_stop_does_not_hide_from_a_card_that_the_robot_broke(bench):
    dock, _ = await bench.host()
    bench.hub.from_host(dock, signalling.Faulted(REASON, STOP))
    bench.hub.from_host(dock, signalling.Estopped("somebody", STOP))
    card = bench.hub.presences()[bench.robot]
    assert (card.state, card.fault) == ("stopped", REASON)


async def test_who_joins_a_robot_that_cannot_record_is_told_so(bench):
    dock, _ = await bench.host()
    operator = bench.operator()
    bench.hub.from_host(dock, signalling.CannotRecord("its disk is full"))
    await operator.join()
    assert operator.ear.last("cannot_record") == {
        "type": "cannot_record",
        "robot": bench.robot,
        "reason": "its disk is full",
    }
    code, words = await refused(operator, signalling.Begin(PERSON))
    assert (code, "its disk is full" in words) == ("cannot_record", True)
    bench.hub.from_host(dock, signalling.CanRecord())
    assert operator.ear.last("can_record") == {"type": "can_record", "robot": bench.robot}


# --- counts and cards, whole


async def test_a_census_and_a_card_are_whole(bench):
    assert bench.hub.census() == {
        "operators": 0,
        "robots": 0,
        "holding": 0,
        "queued": 0,
        "watching": 0,
        "looking": 0,
        "unwritten": 0,
        "counts": {},
    }
    dock, _ = await bench.host()
    assert bench.hub.presences() == {bench.robot: Presence(False, None, None, None, 0, 0, None, None)}
    holder, waiting = bench.operator(), bench.operator()
    await holder.join()
    await waiting.join()
    bench.hub.sit(ANYBODY, Ear())
    for data in (b"", b"x", b"y"):
        bench.hub.command(holder.seat, data)
        bench.hub.command(waiting.seat, data)
        bench.hub.from_robot(dock, data)
    for data in (b"", b"z"):
        bench.hub.command(waiting.seat, data)
    await holder.says(signalling.Begin(PERSON))
    for _ in range(2):
        bench.hub.from_host(dock, signalling.Ended("another", True, 5, True, True, EndReason.FINISHED))
    assert bench.hub.census() == {
        "operators": 2,
        "robots": 1,
        "holding": 1,
        "queued": 1,
        "watching": 0,
        "looking": 0,
        "unwritten": 0,
        "counts": {
            "leases": 1,
            "commands": 2,
            "commands_malformed": 3,
            "commands_not_holder": 3,
            "states": 2,
            "states_malformed": 1,
            "episodes_finished": 2,
        },
    }
    expected = Presence(False, None, None, holder.wallet.address, 1, round(2 * LEASE_S), None, "lift")
    assert bench.hub.presences() == {bench.robot: expected}


async def test_every_lease_that_could_not_be_written_is_counted_and_said(bench):
    await bench.host()
    bench.database.breaks("open_lease", 2)
    operator = bench.operator()
    for _ in range(2):
        await operator.join()
    assert bench.hub.census()["counts"] == {"leases_failed": 2}
    assert operator.ear.last("error")["code"] == "unavailable"
    assert operator.ear.last("error")["message"].endswith(f": {UNAVAILABLE}")
    bench.database.breaks("issue_ticket", 1)
    await operator.join()
    assert await refused(operator, signalling.Begin(PERSON)) == ("unavailable", UNAVAILABLE)


async def test_a_lease_carries_the_operators_grant_and_signature_to_the_host_and_into_the_table(bench):
    _dock, host = await bench.host()
    operator = bench.operator()
    join = operator.grant()
    await operator.says(join)
    order, row = host.last("lease"), next(iter(bench.store.leases.values()))
    assert (order["signature"], order["task"]) == (join.signature, "lift") == (row.signature, "lift")
    assert order["grant"]["nonce"] == join.grant.nonce
    assert row.grant == join.grant.values


# --- time


async def test_a_lease_lasts_for_one_episode_of_its_task_however_short_the_hubs_leases_are(bench):
    """While others wait: its longest episode, and a minute to begin it."""
    bench.hub._queues._lease_ms = 1000
    dock, _ = await bench.host()
    holder, waiting = bench.operator(), bench.operator()
    lease = await holder.join()
    await waiting.join()
    task = dock.descriptor["tasks"][0]
    longest_ms = int(task["max_steps"] / dock.descriptor["control_hz"] * 1000) + STARTING_MS
    assert holder.ear.last("waiting")["left_s"] == longest_ms // 1000
    assert waiting.ear.last("queued")["wait_s"] == round(longest_ms / 1000)
    bench.pass_s(longest_ms / 1000)
    bench.hub.expire()
    assert lease.held
    bench.pass_s(0.001)
    bench.hub.expire()
    assert lease.state is LeaseState.ENDED


async def test_the_holder_is_told_the_whole_seconds_that_are_left_and_only_when_the_queue_changes(bench):
    await bench.host()
    holder = bench.operator()
    await holder.join()
    bench.pass_s(0.001)
    first, second = bench.operator(), bench.operator()
    await first.join()
    assert holder.ear.last("waiting") == {"type": "waiting", "length": 1, "left_s": int(LEASE_S) - 1}
    holder.ear.types()
    await second.join()
    assert holder.ear.types() == ["waiting"]
    bench.hub._queues.tell_positions(bench.hub.docks[bench.robot])
    assert holder.ear.types() == []


async def test_the_wait_is_what_is_left_of_the_longest_lease_to_the_second(bench):
    await bench.host()
    await bench.operator().join()
    bench.pass_s(LEASE_S - 1)
    waiting = bench.operator()
    await waiting.join()
    assert waiting.ear.last("queued")["wait_s"] == 1
    bench.pass_s(1.001)
    bench.hub.expire()
    assert not bench.hub.census()["queued"]
    await bench.settle()
    assert bench.hub.counts["leases"] == 2


async def test_who_left_before_the_lease_was_written_ended_when_they_left(bench):
    await bench.host()
    operator = bench.operator()
    release = bench.database.hold("open_lease")
    await operator.join()
    bench.pass_s(3)
    left_ms = bench.now_ms
    await operator.says(signalling.Leave())
    bench.pass_s(4)
    release()
    await bench.settle()
    assert [(row.reason, row.ended_ms) for row in bench.store.leases.values()] == [("left", left_ms)]


async def test_a_lease_that_ended_by_a_clock_that_was_set_is_as_long_as_it_was(bench):
    await bench.host()
    operator = bench.operator()
    await operator.join()
    started_ms = bench.now_ms
    bench.monotonic_ms += 7000
    bench.now_ms += 3_600_000
    await operator.leaves()
    assert [row.ended_ms for row in bench.store.leases.values()] == [started_ms + 7000]


# --- hosts that go, and hubs that stop


async def test_a_hub_that_stops_waits_for_leases_that_cannot_be_written(bench):
    async with bench.hub:
        await bench.host()
        operator = bench.operator()
        release = bench.database.hold("open_lease")
        bench.database.breaks("open_lease", 1)
        await operator.join()
        asyncio.get_running_loop().call_soon(release)
    assert bench.hub.census()["unwritten"] == 0
    assert bench.store.ends == []


async def test_who_stands_up_is_no_longer_shown_what_they_watched(bench):
    dock, _ = await bench.host()
    watcher = bench.operator()
    await watcher.says(signalling.Watch(bench.robot))
    await watcher.leaves()
    bench.hub.from_robot(dock, b"state")
    assert (dock.watchers, watcher.ear.frames) == (set(), [])


async def test_when_a_host_goes_whoever_watches_leaves_and_its_leases_are_over_for_everyone(bench):
    dock, host = await bench.host()
    holder, waiting, watcher = (bench.operator() for _ in range(3))
    await holder.join()
    await waiting.join()
    await watcher.says(signalling.Watch(bench.robot))
    for operator in (holder, waiting, watcher):
        operator.ear.types()
    host.types()
    bench.hub.undock(dock)
    await bench.settle()
    gone = [{"type": "left", "reason": "host_lost"}]
    assert [operator.ear.said for operator in (holder, waiting, watcher)] == [gone, gone, gone]
    assert host.said == [{"type": "revoke", "epoch": 1, "reason": "host_lost"}]
    assert (bench.hub.docks, dock.watchers, watcher.seat.watching, holder.seat.lease) == ({}, set(), None, None)
    bench.hub.undock(dock)
    await bench.settle()
    assert holder.ear.said == gone, "it is gone only once"


# --- grants, docks and endings


@pytest.mark.parametrize(
    ("from_now_ms", "found"),
    [(-5_000_999, "5000 s ago"), (0, "0 s ago"), (GRANT_MS_MAX + 1, "86400 s from now"), (10**9, "1000000 s from now")],
)
async def test_whose_clock_is_wrong_is_told_by_how_much(bench, from_now_ms, found):
    await bench.host()
    operator = bench.operator()
    code, words = await refused(operator, operator.grant(not_after_ms=bench.now_ms + from_now_ms))
    assert (code, f"got {found} by the hub's clock" in words) == ("clock", True)


async def test_a_grant_for_another_chain_or_by_another_wallet_says_whose_it_should_be(bench):
    await bench.host()
    operator, other = bench.operator(), bench.operator()
    join = operator.grant()
    elsewhere = SESSION_GRANT.sign(operator.wallet, Domain(1, DOMAIN.vault), join.grant.values)
    code, words = await refused(operator, signalling.Join(join.grant, elsewhere))
    assert (code, operator.wallet.address in words) == ("grant", True)
    code, words = await refused(operator, operator.grant(operator=other.wallet.address))
    assert (code, operator.wallet.address in words, operator.seat.nonce in words) == ("grant", True, True)
    code, words = await refused(operator, operator.grant(task="dance"))
    assert (code, "['lift']" in words, "'dance'" in words) == ("unknown_task", True, True)


async def test_a_lease_has_been_held_for_no_time_before_its_operator_has_the_robot(bench):
    dock, _ = await bench.host()
    operator = bench.operator()
    lease = Lease(operator.seat, dock, operator.grant().grant, "0x")
    assert (lease.held_ms(10**6), lease.waiting, lease.paused_ms) == (0, 0, None)
    lease.since_ms = 400
    assert lease.held_ms(1000) == 600


async def test_an_episode_is_as_long_as_its_steps_take_and_an_unknown_one_takes_no_time(bench):
    dock, _ = await bench.host()
    said = dock.descriptor
    assert dock.episode_ms("lift") == int(said["tasks"][0]["max_steps"] / said["control_hz"] * 1000)
    assert dock.episode_ms("dance") == 0


async def test_a_lease_that_is_over_goes_nowhere_and_says_so(bench):
    dock, _ = await bench.host()
    operator = bench.operator()
    lease = Lease(operator.seat, dock, operator.grant().grant, "0x", state=LeaseState.ENDED)
    with pytest.raises(SignallingError, match="expected nothing after ended, got live"):
        lease.move(LeaseState.LIVE)
    lease.state = LeaseState.PAUSED
    with pytest.raises(SignallingError, match="expected ended, live after paused, got granted"):
        lease.move(LeaseState.GRANTED)


@pytest.mark.parametrize("failures", [0, 1, CLOSING_TRIES - 1, CLOSING_TRIES, 10**9])
async def test_a_hub_that_stops_tries_to_write_an_end_three_times(bench, failures):
    async with bench.hub:
        await bench.host()
        await bench.operator().join()
        bench.database.breaks("close_lease", failures)
        bench.hub.undock(bench.hub.docks[bench.robot])
        bench.hub._leases._endings._task.cancel()  # before its first try
        bench.rests_at_once()
    written = failures < CLOSING_TRIES
    assert bench.database.asked.count("close_lease") == (failures + 1 if written else CLOSING_TRIES)
    assert bench.hub.census()["unwritten"] == (0 if written else 1)
    assert [reason for _, reason in bench.store.ends] == ["host_lost" if written else None]


async def test_an_end_that_comes_while_another_waits_is_written_after_it_by_one_writer(bench):
    await bench.host()
    first, second = bench.operator(), bench.operator()
    await first.join()
    release = bench.database.hold("close_lease")
    await first.leaves()
    await second.join()
    await second.leaves()
    assert (bench.database.asked.count("close_lease"), len(bench.hub._leases._endings)) == (1, 2)
    release()
    await bench.settle()
    assert (bench.database.asked.count("close_lease"), len(bench.hub._leases._endings)) == (2, 0)
    assert [reason for _, reason in bench.store.ends] == ["left", "left"]


# --- an operator who was away


async def test_who_was_away_for_too_long_is_written_down_as_having_left(bench):
    operator, lease, host = await driving(bench)
    await operator.leaves()
    bench.pass_s(AWAY_S)
    bench.hub.expire()
    await bench.settle()
    assert lease.state is LeaseState.ENDED
    assert bench.store.ends == [(operator.wallet.address, "left")]
    assert host.last("revoke")["reason"] == "operator_lost"


async def test_who_is_on_the_way_back_neither_finishes_nor_begins_before_the_host_is_ready(bench):
    operator, lease, host = await driving(bench)
    await operator.leaves()
    again = await back(bench, operator, lease)
    host.types()
    for order in (signalling.Finish(), signalling.Begin(PERSON)):
        assert (await refused(again, order))[0] == "state"
    bench.hub.command(again.seat, b"too early")
    assert (host.said, host.frames) == ([], [])


async def test_the_longest_state_is_relayed_and_a_byte_more_is_not(bench):
    dock, _ = await bench.host()
    watcher = bench.operator()
    await watcher.says(signalling.Watch(bench.robot))
    for length in (STATE_BYTES_MAX, STATE_BYTES_MAX + 1, 1):
        bench.hub.from_robot(dock, b"x" * length)
    assert [len(frame) for frame in watcher.ear.frames] == [STATE_BYTES_MAX, 1]


async def test_after_an_end_that_was_written_pauses_are_short_again_for_the_next():
    answers, pauses, written = [False, False, True, False, True], [], []

    async def write(ending: Ending) -> None:
        if not answers.pop(0):
            raise broken()
        written.append(ending.lease)

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    endings = Endings(write, pause)
    for lease in ("first", "second"):
        endings.put(Ending(lease, "left", 1))
    await endings.close()
    assert (written, len(endings), answers) == (["first", "second"], 0, [])
    assert pauses == [PAUSES_S[0], PAUSES_S[1], PAUSES_S[0]]


@pytest.mark.parametrize(("tasks", "from_epoch"), [(("lift",), 0), (("lift", "stack"), 2)])
async def test_a_watcher_reads_the_states_of_the_next_lease_and_not_those_of_another_task_before_it(
    bench, tasks, from_epoch
):
    await bench.host(descriptor=at_tasks(*tasks))
    await bench.operator().join()
    assert bench.store.robots[bench.robot].epoch == 1
    bench.hub = bench.new_hub()
    await bench.host(descriptor=at_tasks(*tasks))
    watcher = bench.operator()
    await watcher.says(signalling.Watch(bench.robot))
    assert watcher.ear.last("watching")["epoch"] == from_epoch
