"""Re-simulate an episode from its seed and applied actions, and compare every state bit for bit."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sim.robot import Action, Robot, RobotError, Vector


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

    `recorded` holds each observation array as (N + 1, ...), the first before any action.
    """
    missing = {spec.name for spec in world.spec.observation} ^ set(recorded)
    if missing:
        raise ReplayMismatchError(0, ", ".join(sorted(missing)), float("nan"), float("nan"))
    _compare(0, world.reset(seed).values, recorded)
    for index, (joints, opening) in enumerate(zip(joint_position, gripper, strict=True)):
        world.send_action(Action(joints, float(opening)))
        _compare(index + 1, world.observe().values, recorded)


def _compare(step: int, found: Mapping[str, Vector], recorded: Mapping[str, Vector]) -> None:
    for name, value in found.items():
        expected = recorded[name][step]
        if expected.shape != value.shape:
            raise ReplayMismatchError(step, f"{name} (shape)", expected.size, value.size)
        if expected.tobytes() != value.tobytes():
            differs = np.flatnonzero(expected.view(np.uint64) != value.view(np.uint64))[0]
            raise ReplayMismatchError(step, f"{name}[{differs}]", float(expected[differs]), float(value[differs]))
