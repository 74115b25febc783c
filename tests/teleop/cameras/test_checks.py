"""What is wrong with a camera's pictures is marked on them, and said as events: never silence."""

from __future__ import annotations

import numpy as np
import pytest

from teleop.cameras.capture import Shot
from teleop.cameras.checks import Checks
from teleop.cameras.film import FilmEvent, Mark, Trouble

PERIOD = 40_000_000
FIRST = 1_000_000_000
RANDOM = np.random.default_rng(0)


def shot(periods: float, image: np.ndarray | None = None, *, reopened: bool = False) -> Shot:
    noise = RANDOM.integers(20, 250, (48, 64, 3), np.uint8)
    t_ns = FIRST + round(periods * PERIOD)
    return Shot(noise if image is None else image, t_ns, t_ns, reopened)


def checks(*, still: bool = False, depth: bool = False) -> Checks:
    return Checks(25.0, FIRST, still=still, depth=depth)


def ended(found: Checks, periods: float) -> list[FilmEvent]:
    found.end(FIRST + round(periods * PERIOD))
    return found.take()


def event(trouble: Trouble, since: float, until: float, pictures: int) -> FilmEvent:
    return FilmEvent(FIRST + round(since * PERIOD), FIRST + round(until * PERIOD), trouble, pictures)


def test_pictures_that_come_in_time_and_differ_have_nothing_wrong() -> None:
    found = checks()
    for at in (-0.4, 0.7, 1.9, 2.8, 4.2):
        assert found.see(shot(at)) == Mark(0)
    assert ended(found, 5) == []


def test_a_gap_is_marked_and_says_how_many_pictures_are_missing() -> None:
    found = checks()
    assert found.see(shot(0)) == Mark(0)
    assert found.see(shot(1.4)) == Mark(0)
    assert found.see(shot(4.4)) == Mark.LATE
    assert ended(found, 5) == [event(Trouble.MISSING, 1.4, 4.4, 2)]


def test_gaps_within_a_second_are_one_event_and_others_are_their_own() -> None:
    found = checks()
    for at in (0, 2, 4, 6):
        found.see(shot(at))
    for at in range(7, 40):
        found.see(shot(at))
    found.see(shot(42))
    assert ended(found, 43) == [event(Trouble.MISSING, 0, 6, 3), event(Trouble.MISSING, 39, 42, 2)]


def test_a_picture_like_the_one_before_to_the_last_pixel_is_frozen() -> None:
    found, same = checks(), shot(0).image
    nearly = same.copy()
    nearly[47, 63, 2] ^= 1
    assert found.see(shot(0, same)) == Mark(0)
    assert found.see(shot(1, same.copy())) == Mark.FROZEN
    assert found.see(shot(2, same.copy())) == Mark.FROZEN
    assert found.see(shot(3, nearly)) == Mark(0), "one pixel in one colour"
    assert ended(found, 4) == [event(Trouble.FROZEN, 0, 2, 2)]


def test_a_camera_without_noise_may_give_the_same_picture_again() -> None:
    found, same = checks(still=True), shot(0).image
    assert [found.see(shot(at, same.copy())) for at in range(3)] == [Mark(0)] * 3
    assert ended(found, 3) == []


def test_a_picture_without_a_pixel_brighter_than_16_is_black() -> None:
    found = checks()
    dark = RANDOM.integers(0, 17, (48, 64, 3), np.uint8)
    dark[0, 0, 0] = 16
    spot = dark.copy()
    spot[47, 63, 1] = 17
    assert found.see(shot(0, dark)) == Mark.BLACK
    assert found.see(shot(1, spot)) == Mark(0)
    assert ended(found, 2) == [event(Trouble.BLACK, 0, 0, 1)]


def test_depth_is_black_only_if_there_is_no_distance_at_all() -> None:
    found, near = checks(depth=True), np.zeros((48, 64), np.uint16)
    near[47, 63] = 1
    assert found.see(shot(0, near)) == Mark(0)
    assert found.see(shot(1, np.zeros((48, 64), np.uint16))) == Mark.BLACK


def test_what_was_dropped_is_said_to_be_dropped_and_not_missing() -> None:
    found = checks()
    found.see(shot(0))
    for at in (1, 2, 3):
        found.dropped(shot(at).t_captured_ns)
    assert found.see(shot(4)) == Mark.LATE
    assert ended(found, 5) == [event(Trouble.DROPPED, 1, 3, 3)]


def test_a_device_that_was_gone_is_lost_until_it_comes_back() -> None:
    found = checks()
    found.see(shot(0))
    assert found.see(shot(50, reopened=True)) == Mark.LATE
    found.see(shot(51))
    assert ended(found, 52) == [event(Trouble.LOST, 0, 50, 49)]


@pytest.mark.parametrize("before", [True, False])
def test_a_camera_that_gives_nothing_is_lost_from_the_first_observation_to_the_last(before: bool) -> None:
    found = checks()
    if before:
        found.see(shot(-100))
    assert ended(found, 75) == [event(Trouble.LOST, 0, 75, 74)]


def test_what_comes_late_in_an_episode_was_lost_before() -> None:
    found = checks()
    assert found.see(shot(10, reopened=True)) == Mark(0), "there is none before it"
    assert ended(found, 11) == [event(Trouble.LOST, 0, 10, 9)]


@pytest.mark.parametrize("periods", [4, 6])
def test_what_another_process_left_off_was_lost_however_short_it_was(periods):
    found = checks()
    found.go_on(FIRST + round(3 * PERIOD))
    found.see(shot(periods, reopened=True))
    found.see(shot(periods + 1))
    (lost,) = found.take()
    assert (lost.trouble, lost.t_from_ns, lost.t_to_ns) == (Trouble.LOST, FIRST + 3 * PERIOD, FIRST + periods * PERIOD)
    assert lost.pictures == periods - 4
    assert ended(found, periods + 2) == []
