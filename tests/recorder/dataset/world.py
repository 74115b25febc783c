"""Simulated episodes for tests of the public reader: a hand goes to its target, as `armshare.record` keeps it."""

from __future__ import annotations

from pathlib import Path

import gymnasium
import numpy as np

from recorder.collect.env import RecordedEnv, driver_of


def reaching(folder: Path, seeds: range) -> list[Path]:
    """Record a reach for each seed below `folder`; return the bundles, by seed."""
    names = []
    with RecordedEnv(gymnasium.make("sim.gym:armshare/Reach-Panda-v0"), folder, by=driver_of(None)) as env:
        for seed in seeds:
            seen, _ = env.reset(seed=seed)
            over, info = False, {}
            while not over:
                away = seen["target_pose"][:3] - seen["ee_pose"][:3]
                action = np.zeros(env.action_space.shape, np.float32)
                action[:3] = np.clip(8.0 * away, -1.0, 1.0)
                seen, _, ended, cut, info = env.step(action)
                over = ended or cut
            names.append(info["recorded"])
    return [folder / name for name in names]
