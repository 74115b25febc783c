"""Where things stood when an episode began: read from the file, and as far apart as the thing that moved most."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.file.episode import read_episode
from rewards.score.starts import LIKE_M, Start, apart_m, start_cells, start_of
from sim.robot import ArraySpec
from tests.recorder.factory import fake_end, fake_episode, fake_spec, fake_start, fake_steps
from tests.rewards.drives import write_episode

METRES = st.floats(-2.0, 2.0)
THINGS = st.lists(st.tuples(METRES, METRES, METRES), min_size=1, max_size=4)


def began(things: list[tuple[float, ...]]) -> Start:
    return Start("lift", 1, "panda", True, tuple(one for thing in things for one in thing), 1.0)


def test_a_start_is_where_the_things_stood_and_not_the_hand(tmp_path: Path) -> None:
    found = start_of(read_episode(write_episode(tmp_path, *fake_episode(steps=40))))
    assert found == Start("lift", 1, "fake_arm", True, (0.4, 0.0, 0.02), 2.0)


def test_a_real_robot_that_sees_none_of_its_things_has_no_known_start(tmp_path: Path) -> None:
    spec = fake_spec(simulated=False)
    spec = dataclasses.replace(spec, observation=tuple(one for one in spec.observation if one.name != "cube_pose"))
    found = start_of(read_episode(written(tmp_path, spec, lambda values: values.pop("cube_pose"))))
    assert (found.simulated, found.things_m, found.cell) == (False, None, "")


def test_every_row_of_an_array_of_several_things_counts(tmp_path: Path) -> None:
    spec = fake_spec()
    spec = dataclasses.replace(spec, observation=(*spec.observation, ArraySpec("ball_poses", (2, 7), "m, 1", "each")))
    balls = np.array([[1.0, 2.0, 3.0, 0, 0, 0, 1], [4.0, 5.0, 6.0, 0, 0, 0, 1]])
    found = start_of(read_episode(written(tmp_path, spec, lambda values: values.update(ball_poses=balls))))
    assert found.things_m == (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 0.4, 0.0, 0.02)


@pytest.mark.parametrize("nowhere", [math.nan, math.inf, 1e9])
def test_a_thing_that_stands_nowhere_has_no_known_start(tmp_path: Path, nowhere: float) -> None:
    def lost(values: dict[str, Any]) -> None:
        values["cube_pose"] = np.array([nowhere, 0, 0, 0, 0, 0, 1.0])

    assert start_of(read_episode(written(tmp_path, fake_spec(), lost))).things_m is None


def written(folder: Path, spec: Any, change: Any) -> Path:
    """Record an episode whose observations a test changes."""
    start = fake_start(spec=fake_spec(simulated=spec.simulated))
    steps = fake_steps(start, 12)
    for seen in (start.initial, *(step.observed for step in steps)):
        change(seen.values)
    return write_episode(folder, dataclasses.replace(start, spec=spec), steps, fake_end(start, steps))


@given(THINGS, st.floats(0.0, LIKE_M), st.floats(0.0, 2 * math.pi))
def test_every_start_that_is_alike_is_in_one_of_the_nine_cells(
    things: list[tuple[float, float, float]], far_m: float, towards: float
) -> None:
    away = far_m * math.cos(towards), far_m * math.sin(towards)
    other = began([(x + away[0], y + away[1], z) for x, y, z in things])
    here = began(things)
    assert here.things_m is not None
    assert other.things_m is not None
    assert apart_m(here.things_m, other.things_m) <= LIKE_M + 1e-9
    if apart_m(here.things_m, other.things_m) <= LIKE_M:
        assert other.cell in start_cells(here.things_m)


def test_starts_are_as_far_apart_as_the_thing_that_stood_farthest_off() -> None:
    assert apart_m((0, 0, 0, 1, 1, 1), (0.01, 0, 0, 1, 1.03, 1.04)) == pytest.approx(0.05)
    assert apart_m((), ()) == 0.0
    assert apart_m((0, 0, 0), ()) == math.inf
