"""Frames on their way to one reader: credits, the newest first, and never a picture that cannot be decoded."""

from __future__ import annotations

import json
from collections import deque
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teleop.wire.credits import CREDITS_MAX, Feed, Window
from teleop.wire.frames import Codec, Frame, Seen
from teleop.wire.messages import WireError

MS = 1_000_000
GOLDEN = json.loads((Path(__file__).parents[1] / "golden_frames.json").read_text())
FRAMES = st.builds(
    Frame,
    camera=st.integers(0, 15),
    codec=st.sampled_from(Codec),
    key=st.booleans(),
    width=st.integers(0, 2**16 - 1),
    height=st.integers(0, 2**16 - 1),
    seq=st.integers(0, 2**32 - 1),
    state=st.integers(0, 2**32 - 1),
    t_host_us=st.integers(0, 2**64 - 1),
    payload=st.binary(min_size=1, max_size=80),
    asks=st.booleans(),
)
SEENS = st.builds(Seen, st.integers(0, 15), st.sampled_from(Codec), st.integers(0, 2**32 - 1), want_key=st.booleans())


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden["name"])
def test_golden_bytes_are_written_and_read(golden):
    fields = {**golden["fields"], "codec": Codec[golden["fields"]["codec"].upper()]}
    if golden["message"] == "frame":
        message = Frame(
            **{**fields, "t_host_us": int(fields["t_host_us"]), "payload": bytes.fromhex(fields["payload"])}
        )
    else:
        message = Seen(**fields)
    assert message.encode().hex() == golden["hex"]
    assert type(message).decode(bytes.fromhex(golden["hex"])) == message


@given(FRAMES, SEENS)
def test_frames_and_answers_are_read_as_they_were_written(frame, seen):
    assert Frame.decode(frame.encode()) == frame
    assert Seen.decode(seen.encode()) == seen


@given(st.one_of(st.binary(max_size=80), FRAMES.map(Frame.encode), SEENS.map(Seen.encode)), st.data())
def test_arbitrary_bytes_are_a_message_or_one_named_error(data, draw):
    cut = data[: draw.draw(st.integers(0, len(data)))]
    for kind in (Frame, Seen):
        try:
            assert kind.decode(cut).encode() == cut
        except WireError as error:
            assert "expected" in str(error)  # noqa: PT017  it may also be one


def follow(fps: float, takes_ms: float, way_ms: float, seconds: float) -> tuple[list[float], int]:
    """Return how old each frame is (ms) when a reader that needs `takes_ms` for each has read it; and its answers."""
    feed, ages, now, answered = Feed(), [], 0, 0
    on_way: deque[tuple[float, int, bool]] = deque()  # arrives, its number, asks for an answer
    busy_until, answers = 0.0, deque()
    made: dict[int, int] = {}
    for seq in range(1, int(fps * seconds)):
        due = int(seq * 1e9 / fps)
        while now < due:
            now += MS
            while answers and answers[0][0] <= now:
                feed.seen(answers.popleft()[1], now)
            while on_way and max(on_way[0][0], busy_until) <= now:
                _, number, asked = on_way.popleft()
                busy_until = now + takes_ms * MS
                ages.append((busy_until - made[number]) / MS)
                answered += asked
                if asked:
                    answers.append((busy_until + way_ms * MS, number))
            if (taken := feed.take(now)) is not None:
                on_way.append((now + way_ms * MS, *taken))
        made[seq] = now
        feed.offer(seq, True, seq)
    return ages, answered


def test_a_slow_reader_sees_the_present():
    """Ten frames a second of thirty: without credits its frames were older by the second."""
    ages, _ = follow(fps=30, takes_ms=100, way_ms=1, seconds=30)
    assert len(ages) > 250, "it reads all the time"
    assert max(ages[20:]) < 2 * 100 + 2 * 34 + 2, "one frame in its hands, one waiting, and the newest of the feed"


@pytest.mark.parametrize("way_ms", [1, 20, 60])
def test_a_fast_reader_far_away_misses_nothing_for_want_of_credit(way_ms):
    ages, answers = follow(fps=30, takes_ms=1, way_ms=way_ms, seconds=20)
    assert len(ages) > 0.98 * 30 * 20
    assert answers < 0.4 * len(ages), "three frames share an answer"
    assert max(ages[60:]) < way_ms + 40


@settings(max_examples=200)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 40), st.integers(0, 2000 * MS)), max_size=60))
def test_credits_stay_within_bounds_and_never_end_with_no_answer_to_come_whatever_is_answered(steps):
    window, now, seq, asked, seen = Window(), 0, 0, 0, 0
    for sends, number, gap in steps:
        now += gap
        if sends and window.free:
            seq += 1
            asked = seq if window.sent(seq, now) else asked
        elif not sends:
            window.seen(number, now)
            seen = max(seen, number if number <= seq else 0)
        assert 1 <= window.credits <= CREDITS_MAX
        assert window.free or asked > seen


@given(st.lists(st.integers(1, 12), max_size=8), st.integers(0, 100 * MS))
def test_whoever_counts_from_one_again_is_answered_again(opened_after, gap):
    """A camera is opened anew, after so many frames, each time; its reader answers what asks, and goes on."""
    window, now = Window(), 0
    for frames in opened_after:
        for seq in range(1, frames + 1):
            now += gap
            assert window.free
            if window.sent(seq, now):
                window.seen(seq, now)


def test_a_reader_that_cannot_go_on_is_sent_nothing_that_needs_what_it_lost():
    feed = Feed()
    for seq in (1, 2):
        feed.offer(seq, seq == 1, seq)
        assert feed.take(0)[0] == seq
    feed.offer(3, False, 3)
    feed.seen(2, 0, want_key=True)
    assert feed.take(0) is None
    feed.offer(4, True, 4)
    feed.seen(2, 0, want_key=True)
    assert not feed.broken, "what it wants waits for it"
    assert feed.take(0)[0] == 4


@given(st.lists(st.sampled_from(["key", "delta", "delta", "take", "seen", "lost"]), max_size=80))
def test_what_a_reader_gets_can_be_decoded(steps):
    """Each frame that is no key frame comes straight after the one before it; a key frame may come at any time."""
    feed, seq, got, answered = Feed(), 0, [], 0
    keys = set()
    for step in steps:
        if step in ("key", "delta"):
            seq += 1
            keys |= {seq} if step == "key" else set()
            feed.offer(seq, step == "key", seq.to_bytes(4))
        elif step == "take":
            taken = feed.take(seq)
            got += [] if taken is None else [int.from_bytes(taken[0])]
        elif answered < len(got):
            answered += 1
            feed.seen(got[answered - 1], seq, want_key=step == "lost")
    for before, after in zip([0, *got], got, strict=False):
        assert after in keys or (after == before + 1 and before > 0)


def test_the_newest_picture_waits_and_a_reader_that_lost_one_waits_for_a_key_frame():
    feed = Feed()
    assert feed.broken
    for seq in (1, 2, 3):
        feed.offer(seq, True, bytes([seq]))
    assert feed.take(0)[0] == b"\x03"
    assert feed.skipped == 2
    feed.offer(4, False, b"\x04")
    feed.offer(5, False, b"\x05")
    assert feed.broken, "5 would need 4 to be decoded, which waits; whatever comes after 5 would need 5"
    feed.seen(3, 0)
    assert feed.take(0)[0] == b"\x04"
    feed.offer(6, False, b"\x06")
    assert feed.take(0) is None
    feed.offer(7, True, b"\x07")
    assert not feed.broken
    assert feed.take(0)[0] == b"\x07"
