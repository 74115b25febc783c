"""While a camera is recorded, viewers of the film's codec get its bytes; whoever has no credit waits for a key."""

from __future__ import annotations

import time

from teleop.cameras.film import FilmPicture, Mark
from teleop.cameras.live import Live
from teleop.cameras.sources import Sight
from teleop.cameras.spec import CameraSpec
from teleop.wire.frames import FRAME_BYTES_MAX, Frame
from teleop.wire.signalling import Stream
from tests.teleop.cameras.scenes import scene

DESK = CameraSpec("desk", 320, 240, device="0")
KEYS = (1, 5, 9)


class Still:
    """A source whose picture changes when the test says so."""

    number = 1

    def look(self) -> Sight:
        return Sight(scene(self.number), self.number, 0)

    def close(self) -> None:
        pass


def made(codec: str) -> tuple[Live, Still]:
    source = Still()
    live = Live("http://nowhere", [DESK], lambda _spec: source)
    live.look_at([Stream("desk", codec)])
    return live, source


def picture(number: int, size: int = 100) -> FilmPicture:
    return FilmPicture(1000 * number, 1000 * number, number in KEYS, Mark(0), bytes([number]) * size)


def sent(live: Live) -> list[Frame]:
    """Return what goes to the hub now."""
    frames = (live._next(channel) for channel in live._channels.values())
    return [Frame.decode(frame) for frame in frames if frame is not None]


def test_viewers_of_the_films_codec_get_its_bytes_and_nothing_is_encoded_for_them():
    live, source = made("h264")
    live.film(DESK, recorded=True)
    source.number = 2
    assert sent(live) == [], "nothing of its own"
    live.filmed(DESK, picture(1))
    assert [(frame.payload, frame.key, frame.t_host_us) for frame in sent(live)] == [(bytes([1]) * 100, True, 1)]


def test_whoever_has_no_credit_goes_on_with_the_next_key():
    live, _ = made("h264")
    live.film(DESK, recorded=True)
    shown = []
    for number in range(1, 8):  # there are credits for two
        live.filmed(DESK, picture(number))
        shown += sent(live)
    assert [frame.payload[0] for frame in shown] == [1, 2]
    for number in (8, 9):
        next(iter(live._channels.values())).feed.seen(shown[-1].seq, time.monotonic_ns())
        shown += sent(live)
        live.filmed(DESK, picture(number))
        next(iter(live._channels.values())).feed.seen(shown[-1].seq, time.monotonic_ns())
        shown += sent(live)
    assert [frame.payload[0] for frame in shown] == [1, 2, 5, 9], "a key waited; 6 to 8 need what is gone"


def test_whoever_begins_to_look_within_a_film_begins_with_a_key():
    live = Live("http://nowhere", [DESK], lambda _spec: Still())
    live.film(DESK, recorded=True)
    live.look_at([Stream("desk", "h264")])
    shown = []
    for number in (3, 4, 5):
        live.filmed(DESK, picture(number))
        shown += sent(live)
    assert [frame.payload[0] for frame in shown] == [5]


def test_other_codecs_are_encoded_apart():
    live, source = made("jpeg")
    assert len(sent(live)) == 1
    live.film(DESK, recorded=True)
    live.filmed(DESK, picture(1))
    assert sent(live) == [], "it has been shown"
    source.number = 2
    assert [frame.payload[:2] for frame in sent(live)] == [b"\xff\xd8"]


def test_a_recorded_picture_that_is_too_large_for_the_wire_is_encoded_apart():
    live, source = made("h264")
    live.film(DESK, recorded=True)
    live.filmed(DESK, picture(1, FRAME_BYTES_MAX + 1))
    source.number = 2
    frames = sent(live)
    assert [frame.key for frame in frames] == [True]
    assert len(frames[0].payload) < FRAME_BYTES_MAX


def test_after_a_film_viewers_go_on_with_a_key_of_an_encoder_of_their_own():
    live, source = made("h264")
    live.film(DESK, recorded=True)
    live.filmed(DESK, picture(1))
    sent(live)
    live.film(DESK, recorded=False)
    source.number = 2
    assert [frame.key for frame in sent(live)] == [True]
