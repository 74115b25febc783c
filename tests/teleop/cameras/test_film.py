"""A film: what one camera gave during one episode, through every crash on the way."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from teleop.cameras.film import (
    FilmError,
    FilmEvent,
    FilmPicture,
    FilmWriter,
    Mark,
    Trouble,
    films_of,
    read_film,
)
from teleop.steps import FilmHead

HEAD = FilmHead("front", "h264", 640, 480, 30.0, "arrival")
PICTURES = [
    FilmPicture(1000 * i, 1000 * i + 7, i % 2 == 0, Mark.LATE if i == 3 else Mark(0), bytes([i] * i)) for i in range(5)
]
EVENT = FilmEvent(2000, 4000, Trouble.MISSING, 2)


def written(path: Path) -> FilmWriter:
    writer = FilmWriter(path, HEAD)
    for picture in PICTURES:
        writer.picture(picture)
    writer.event(EVENT)
    return writer


def test_a_film_says_what_was_put_into_it(tmp_path: Path) -> None:
    written(tmp_path / "e.front.film").end()
    film = read_film(tmp_path / "e.front.film")
    assert (film.head, film.pictures, film.events, film.whole) == (HEAD, PICTURES, [EVENT], True)
    assert list(films_of(tmp_path / "e.journal")) == [tmp_path / "e.front.film"]


def test_a_film_can_be_read_up_to_its_first_damage(tmp_path: Path) -> None:
    written(tmp_path / "whole.front.film").end()
    data = (tmp_path / "whole.front.film").read_bytes()
    counts = set()
    for size in range(len(data) - 1):
        (tmp_path / "cut.film").write_bytes(data[:size])
        try:
            film = read_film(tmp_path / "cut.film")
        except FilmError:
            continue
        assert film.pictures == PICTURES[: len(film.pictures)]
        assert not film.whole
        counts.add(len(film.pictures))
    assert counts == set(range(6))


def test_a_flipped_bit_ends_a_film_before_it(tmp_path: Path) -> None:
    written(tmp_path / "f.front.film").end()
    data = bytearray((tmp_path / "f.front.film").read_bytes())
    data[data.index(bytes([4] * 4))] ^= 1
    (tmp_path / "f.front.film").write_bytes(data)
    assert read_film(tmp_path / "f.front.film").pictures == PICTURES[:4]


def test_whoever_reads_a_film_waits_for_its_end(tmp_path: Path) -> None:
    writer = written(tmp_path / "e.front.film")
    found: list[bool] = []
    reading = threading.Thread(target=lambda: found.append(read_film(tmp_path / "e.front.film").whole))
    reading.start()
    reading.join(0.2)
    assert not found
    writer.end()
    reading.join()
    assert found == [True]


def test_a_film_that_was_abandoned_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    writer = written(tmp_path / "e.front.film")
    writer.commit()
    writer.abandon()
    film = read_film(tmp_path / "e.front.film")
    assert (film.pictures, film.whole) == (PICTURES, False)


def test_what_is_no_film_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "e.front.film").write_bytes(b"RIFF" + bytes(100))
    with pytest.raises(FilmError, match=r"e\.front\.film: expected a film"):
        read_film(tmp_path / "e.front.film")
