"""Re-simulate an episode from its seed and applied actions, and compare every state bit for bit."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sim.robot import Action, Observation, Robot, RobotError, Vector


class ReplayMismatchError(RobotError):
    """The simulation gives another state than the one recorded."""

    def __init__(self, step: int, array: str, expected: float, found: float) -> None:
        super().__init__(
            f"step {step}, {array}: the recording has {expected!r}, re-simulation gives {found!r}; "
            "the actions, the states or the engine are not those of this episode"
        )
        self.step = step
        self.array = array


def replay(world: Robot, seed: int, joint_position: Vector, gripper: Vector, recorded: Mapping[str, Vector]) -> None:
    """Drive `world` (connected) through (N, J) rad and (N,) openings; raise ReplayMismatchError at the first other bit.

    `recorded` holds each observation array as (N + 1, ...), the first before any action, and as (N + 1,) float64 the
    task's `progress` and its `success` (0 or 1).
    """
    expected = {spec.name for spec in world.spec.observation} | {"progress", "success"}
    if expected != set(recorded):
        names = ", ".join(sorted(expected ^ set(recorded)))
        raise ReplayMismatchError(0, names, float("nan"), float("nan"))
    _compare(0, world.reset(seed), recorded)
    for index, (joints, opening) in enumerate(zip(joint_position, gripper, strict=True)):
        world.send_action(Action(joints, float(opening)))
        _compare(index + 1, world.observe(), recorded)


def _compare(step: int, seen: Observation, recorded: Mapping[str, Vector]) -> None:
    judged = {"progress": np.array([seen.progress], np.float64), "success": np.array([seen.success], np.float64)}
    for name, found in {**seen.values, **judged}.items():
        expected = np.atleast_1d(recorded[name][step])
        if expected.shape != found.shape:
            raise ReplayMismatchError(step, f"{name} (size)", expected.size, found.size)
        if expected.tobytes() != found.tobytes():
            differs = np.flatnonzero(expected.view(np.uint64) != found.view(np.uint64))[0]
            raise ReplayMismatchError(step, f"{name}[{differs}]", float(expected[differs]), float(found[differs]))
