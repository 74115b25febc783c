"""Exported actions, played in the environment that the export names, do what was recorded."""

from __future__ import annotations

from pathlib import Path

import gymnasium
import numpy as np
import pytest

from recorder.export.actions import ACTIONS, ActionName
from recorder.export.demonstrations import Demonstration, demonstrations
from tests.recorder.dataset.world import reaching

pytestmark = pytest.mark.slow
LATER = 5
"""By how many steps a task may be done later: goals are reached more smoothly than they were set."""


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return reaching(tmp_path_factory.mktemp("reaching"), range(2))


def played(env: gymnasium.Env, one: Demonstration) -> tuple[int, float]:
    """Play an episode's actions, the last one on until the task is done; return after how many, and how far off (m)."""
    seen, _ = env.reset(seed=one.episode.meta.seed)
    hand, off = one.episode.observation("ee_pose"), 0.0
    for step in range(len(one.actions) + LATER):
        action = one.actions[min(step, len(one.actions) - 1)].copy()
        if step >= len(one.actions) and one.space.name.endswith(("twist", "delta")):
            action[:-1] = 0.0
        seen, _, done, _, _ = env.step(action)
        off = max(off, float(np.abs(seen["ee_pose"][:3] - hand[min(step + 1, len(hand) - 1), :3]).max()))
        if done:
            return step + 1, off
    pytest.fail(f"not done after {len(one.actions) + LATER} steps")


@pytest.mark.parametrize("action", ACTIONS)
def test_played_actions_do_the_task(action: ActionName, bundles: list[Path]) -> None:
    found = demonstrations(bundles, action=action, unverified=True)
    with gymnasium.make(found.space.env.id, **found.space.env.kwargs) as env:
        for one in found:
            assert one.episode.end.success
            steps, off_m = played(env, one)
            if action == "ee_twist":
                assert steps == len(one.actions), "what was commanded does the same again"
                assert off_m < 0.001
            assert off_m < 0.04
