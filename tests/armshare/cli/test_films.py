"""The films of the page's cards: of every task, made by one command, and small."""

from __future__ import annotations

from pathlib import Path

import av

from armshare.researcher.films import BYTES_MAX, RATE_HZ, SECONDS
from sim.catalogue import TASKS, task
from tests.armshare.command import armshare_here

FILMS = Path(__file__).parents[3] / "armshare" / "web" / "films"


def test_every_task_has_a_film_that_is_small_and_three_seconds_long():
    for name in TASKS:
        file = FILMS / f"{name}-{task(name).robots[0]}.mp4"
        assert 5_000 < file.stat().st_size <= BYTES_MAX, file.name
        with av.open(str(file)) as film:
            (stream,) = film.streams
            assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
            assert sum(1 for _ in film.decode(stream)) == round(SECONDS * RATE_HZ), file.name


def test_the_command_makes_a_film_in_which_something_moves(tmp_path):
    done = armshare_here("sim", "films", "--task", "reach", "--to", str(tmp_path))
    assert done.returncode == 0, done.stderr
    with av.open(str(tmp_path / "reach-panda.mp4")) as film:
        first, *_, last = (frame.to_ndarray(format="gray").astype(int) for frame in film.decode(video=0))
    assert abs(first - last).max() > 50
