"""What is said of a drive can be read alone: whole, and true of it."""

from __future__ import annotations

import pytest

from rewards.score.teaching import words
from rewards.score.teaching.flow import Flow
from rewards.score.teaching.pace import Pace
from sim.tasks.sort import Sort


@pytest.mark.parametrize("number", range(3))
def test_a_stage_of_sorting_says_what_is_sorted(number: int) -> None:
    stages = Sort.spec.stages
    pace = Pace(0.5, (9.0, 9.0, 9.0), (4.0, 4.0, 4.0))
    assert " cube, pauses not counted" in words.of_pace(stages[number], pace, number)
    assert " cube) " in words.of_path(stages[number], 50, "height_m")


def test_how_long_somebody_stood_still_is_said_with_the_longest_pause() -> None:
    whole = "You stood still for 3.0 s in all; the longest pause was 2.0 s, at 0:01"
    assert words.of_flow(Flow(0.4, 3.0, (20, 59))).startswith(f"{whole}: plan")
    assert words.of_flow(Flow(0.4, 3.0, None)).startswith("You stood still for 3.0 s in all: plan")
