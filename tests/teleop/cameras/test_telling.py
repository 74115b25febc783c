"""What is wrong with a camera's pictures is told while it goes on, and once it is over: no silence, and no flood."""

from __future__ import annotations

import pytest

from teleop.cameras.checks import Checks
from teleop.cameras.film import FilmEvent, Trouble
from teleop.cameras.telling import LASTS_NS, Telling
from tests.teleop.cameras.test_checks import FIRST, PERIOD, RANDOM, shot


class Film:
    """A film's checks, and what was told of them: (trouble, from which period, until which or None)."""

    def __init__(self) -> None:
        self.checks = Checks(25.0, FIRST, still=False, depth=False)
        self.told: list[tuple[Trouble, float, float | None]] = []
        self.telling = Telling(self._tell)

    def _tell(self, event: FilmEvent, over: bool) -> None:
        self.told.append((event.trouble, at(event.t_from_ns), at(event.t_to_ns) if over else None))

    def see(self, *periods: float, image: object = None, reopened: bool = False) -> None:
        for period in periods:
            seen = shot(period, image, reopened=reopened)  # type: ignore[arg-type]  a test's own image
            self.checks.see(seen)
            self.telling.seen(seen.t_captured_ns, self.checks.under_way, self.checks.take())

    def silent(self, period: float) -> None:
        self.telling.silent(self.checks.seen_ns, FIRST + round(period * PERIOD))

    def end(self, period: float) -> None:
        self.checks.end(FIRST + round(period * PERIOD))
        self.telling.ended(self.checks.take())


def at(t_ns: int) -> float:
    return round((t_ns - FIRST) / PERIOD, 3)


LASTS = LASTS_NS / PERIOD


def test_of_good_pictures_nothing_is_told():
    film = Film()
    film.see(*range(60))
    film.end(60)
    assert film.told == []


def test_what_lasts_is_told_while_it_goes_on_and_again_once_it_is_over():
    film, same = Film(), RANDOM.integers(20, 250, (48, 64, 3), "uint8")
    film.see(0, 1)
    film.see(*range(2, 40), image=same)
    assert film.told == [(Trouble.FROZEN, 2, None)]
    film.see(*range(40, 80))
    assert film.told == [(Trouble.FROZEN, 2, None), (Trouble.FROZEN, 2, 39)]
    film.end(80)
    assert len(film.told) == 2


def test_what_is_short_is_told_once_when_it_is_over():
    film = Film()
    film.see(0, 1, 2, 5, 6)
    assert film.told == []
    film.see(*range(7, 40))
    assert film.told == [(Trouble.MISSING, 2, 5)]


def test_what_is_under_way_at_the_end_of_a_film_is_told_to_be_over():
    film = Film()
    film.see(0, 1, 2, 5, 6)
    film.end(7)
    assert film.told == [(Trouble.MISSING, 2, 5)]


def test_a_camera_that_falls_silent_is_told_once_and_once_more_when_it_is_back():
    film = Film()
    film.see(0, 1)
    film.silent(26)
    film.silent(51)
    assert film.told == [(Trouble.LOST, 1, None)]
    film.see(60, reopened=True)
    film.see(*range(61, 100))
    assert film.told[1:] == [(Trouble.LOST, 1, 60)]


def test_a_silence_of_a_device_that_was_there_all_the_time_is_not_told_twice():
    film = Film()
    film.see(0, 1)
    film.silent(26)
    film.see(*range(60, 100))
    film.end(100)
    assert film.told == [(Trouble.LOST, 1, None), (Trouble.LOST, 1, 60)]


@pytest.mark.parametrize("pictures", [(), (0, 1)])
def test_a_camera_that_gives_nothing_any_more_is_lost_to_the_end(pictures):
    film = Film()
    film.see(*pictures)
    film.silent(26)
    film.end(50)
    since = pictures[-1] if pictures else 0
    assert film.told == [(Trouble.LOST, since, None), (Trouble.LOST, since, 50)]


def test_a_camera_that_fails_again_and_again_is_told_at_most_twice_for_each_event():
    film = Film()
    period = 0.0
    for _ in range(20):
        film.see(*(period + at for at in range(30)))
        period += 30 + LASTS + 1
    film.end(period)
    missing = [told for told in film.told if told[0] is Trouble.MISSING]
    assert 20 <= len(missing) <= 40
