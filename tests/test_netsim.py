"""The bad network of our tests is as bad as it says, no worse, and the same again for the same seed."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.netsim import SEGMENT_BYTES, FakeClock, Line, Way, network

pytestmark = pytest.mark.anyio

SENDINGS = st.lists(st.tuples(st.floats(0.0, 0.5), st.integers(0, 4 * SEGMENT_BYTES)), min_size=1, max_size=60).map(
    lambda gaps: [(sum(gap for gap, _ in gaps[: index + 1]), size) for index, (_, size) in enumerate(gaps)]
)
WAYS = st.builds(
    Way,
    delay_s=st.floats(0.0, 0.5),
    jitter_s=st.floats(0.0, 0.3),
    loss=st.floats(0.0, 0.5),
    stall_every_s=st.sampled_from([0.0, 5.0]),
    stall_s=st.just(1.0),
    bytes_per_s=st.sampled_from([0.0, 20_000.0]),
)


def arrivals(way: Way, sendings, seed: str = "seed") -> list[float]:
    line = Line(way, seed)
    return [line.arrival_s(now_s, size) for now_s, size in sendings]


@given(way=WAYS, sendings=SENDINGS)
def test_nothing_arrives_before_its_delay_or_before_what_was_sent_earlier(way, sendings):
    found = arrivals(way, sendings)
    assert found == sorted(found)
    assert all(there >= sent + way.delay_s for there, (sent, _) in zip(found, sendings, strict=True))


@given(way=WAYS, sendings=SENDINGS)
def test_a_seed_gives_the_same_schedule_again(way, sendings):
    assert arrivals(way, sendings) == arrivals(way, sendings)


@given(sendings=SENDINGS, delay_s=st.floats(0.0, 0.5))
def test_a_line_that_only_delays_delays_all_alike(sendings, delay_s):
    assert arrivals(Way(delay_s=delay_s), sendings) == [sent + delay_s for sent, _ in sendings]


def test_jitter_is_within_its_bound_and_uses_it():
    late = [there - sent for there, sent in zip(*_sparse(Way(delay_s=0.1, jitter_s=0.03)), strict=True)]
    assert 0.1 <= min(late) < 0.103
    assert 0.127 < max(late) <= 0.13


def test_a_loss_is_a_retransmission_that_backs_off_and_holds_up_what_comes_behind():
    late = [there - sent for there, sent in zip(*_sparse(Way(loss=0.3, retransmit_s=0.2)), strict=True)]
    assert {round(one, 6) for one in late} >= {0.0, 0.2, 0.6, 1.4}
    assert 0.25 < sum(one > 0.0 for one in late) / len(late) < 0.35
    dense = arrivals(Way(loss=0.05, retransmit_s=0.2), [(0.01 * number, 100) for number in range(500)])
    held = [there for there, before in zip(dense[1:], dense, strict=False) if there == before]
    assert len(held) > 100, "what was sent behind a loss arrives with it"


def test_more_segments_are_lost_more_often():
    line, way = Line(Way(loss=0.1), "seed"), 0
    for number in range(300):
        way += line.arrival_s(10.0 * number, 10 * SEGMENT_BYTES) > 10.0 * number
    assert 0.55 < way / 300 < 0.75, "1 - 0.9^10 is 0.65"


@given(sendings=SENDINGS)
def test_nothing_starts_in_a_stall(sendings):
    way = Way(delay_s=0.1, stall_every_s=5.0, stall_s=1.0)
    for there, (sent, _) in zip(arrivals(way, sendings), sendings, strict=True):
        into_s = sent % 5.0
        expected = sent + 0.1 if into_s < 4.0 else sent - into_s + 5.0 + 0.1
        assert there == pytest.approx(expected)


def test_bandwidth_is_never_exceeded():
    way = Way(bytes_per_s=10_000.0)
    found = arrivals(way, [(0.0, 1000)] * 50)
    assert found == pytest.approx([0.1 * number for number in range(1, 51)])


def test_pieces_of_two_connections_may_overtake_each_other():
    way, sent = Way(jitter_s=0.1), [0.01 * number for number in range(100)]
    first, second = (arrivals(way, [(when, 100) for when in sent], f"0/{number}/there") for number in range(2))
    assert any(one > other for one, other in zip(first, second[1:], strict=False)), "what the first sent before"


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    writer.write_eof()
    writer.close()


@pytest.fixture
async def echo_port():
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


async def test_each_direction_has_its_own_delay_and_nothing_passes_before_it(echo_port):
    clock = FakeClock()
    async with network(echo_port, Way(delay_s=0.25), Way(delay_s=0.5), clock=clock) as between:
        reader, writer = await asyncio.open_connection("127.0.0.1", between.port)
        writer.write(b"hello")
        assert await clock.due() == 0.25
        clock.advance(0.25)
        assert await clock.due() == 0.75, "it went there, and is on its way back"
        answer = asyncio.create_task(reader.readexactly(5))
        clock.advance(0.74)
        assert not answer.done()
        clock.advance(0.75)
        assert await answer == b"hello"
        writer.close()


async def test_bytes_pass_whole_and_in_order_and_so_does_the_end(echo_port):
    way = Way(delay_s=0.001, jitter_s=0.004, loss=0.02, retransmit_s=0.005, bytes_per_s=5e6)
    async with network(echo_port, way, seed=7) as between:
        sent = random.Random(1).randbytes(300_000)
        reader, writer = await asyncio.open_connection("127.0.0.1", between.port)
        reading = asyncio.create_task(reader.read())
        for start in range(0, len(sent), 7001):
            writer.write(sent[start : start + 7001])
            await writer.drain()
        writer.write_eof()
        assert await _all(reader, reading) == sent
        writer.close()


async def test_a_stall_by_hand_holds_all_up_and_loses_nothing(echo_port):
    async with network(echo_port, Way()) as between:
        reader, writer = await asyncio.open_connection("127.0.0.1", between.port)
        writer.write(b"before")
        assert await reader.readexactly(6) == b"before"
        between.passing.clear()
        writer.write(b"after")
        reading = asyncio.create_task(reader.readexactly(5))
        done, _ = await asyncio.wait([reading], timeout=0.05)
        assert not done
        between.passing.set()
        assert await reading == b"after"
        writer.close()


async def test_where_nobody_listens_the_caller_is_closed():
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    async with network(port, Way()) as between:
        reader, writer = await asyncio.open_connection("127.0.0.1", between.port)
        assert await reader.read() == b""
        writer.close()


async def test_a_network_that_is_taken_down_breaks_its_connections(echo_port):
    async with network(echo_port, Way()) as between:
        reader, writer = await asyncio.open_connection("127.0.0.1", between.port)
        writer.write(b"up")
        assert await reader.readexactly(2) == b"up"
    assert await reader.read() == b""
    writer.close()


async def _all(reader: asyncio.StreamReader, reading: asyncio.Task[bytes]) -> bytes:
    data = await reading
    while more := await reader.read():
        data += more
    return data


def _sparse(way: Way) -> tuple[list[float], list[float]]:
    """Return arrivals and sendings so far apart that none holds up the next."""
    sent = [100.0 * number for number in range(1000)]
    return arrivals(way, [(when, 100) for when in sent]), sent
