"""Re-simulate an episode from its seed and applied actions, and compare every state bit for bit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sim.robot import Action, ActionShapeError, Observation, Robot, RobotError, UnstableWorldError, Vector


class ReplayMismatchError(RobotError):
    """The simulation gives a different state from the one recorded."""

    def __init__(self, step: int, array: str, expected: float, found: float) -> None:
        super().__init__(
            f"step {step}, {array}: the recording has {expected!r}, re-simulation gives {found!r}; "
            "the actions, the states or the engine are not those of this episode"
        )
        self.step = step
        self.array = array


def replay(world: Robot, seed: int, joint_position: Vector, gripper: Vector, recorded: Mapping[str, Vector]) -> None:
    """Drive `world` (connected) through (N, J) rad and (N, K) openings; raise ReplayMismatchError if a bit differs.

    Raises ActionShapeError or UnstableWorldError, naming the step, if the world cannot take an action.

    `recorded` holds each observation array as (N + 1, ...), the first before any action, and as (N + 1,) float64 the
    task's `progress` and its `success` (0 or 1).
    """
    expected = {spec.name for spec in world.spec.observation} | {"progress", "success"}
    if expected != set(recorded):
        names = ", ".join(sorted(expected ^ set(recorded)))
        raise ReplayMismatchError(0, names, float("nan"), float("nan"))
    _compare(0, world.reset(seed), recorded)
    for index, (joints, openings) in enumerate(zip(joint_position, gripper, strict=True)):
        try:
            world.send_action(Action(joints, openings))
        except (ActionShapeError, UnstableWorldError) as error:
            raise type(error)(f"step {index}: {error}") from error
        _compare(index + 1, world.observe(), recorded)


def compared(seen: Sequence[Observation]) -> dict[str, Vector]:
    """Return what `replay` takes as `recorded`, from each observation of an episode."""
    rows = [{**one.values, **_judged(one)} for one in seen]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _judged(seen: Observation) -> dict[str, Vector]:
    return {"progress": np.array([seen.progress], np.float64), "success": np.array([seen.success], np.float64)}


def _compare(step: int, seen: Observation, recorded: Mapping[str, Vector]) -> None:
    for name, found in {**seen.values, **_judged(seen)}.items():
        expected = np.atleast_1d(recorded[name][step])
        if expected.shape != found.shape:
            raise ReplayMismatchError(step, f"{name} (size)", expected.size, found.size)
        if expected.tobytes() != found.tobytes():
            differs = np.argwhere(expected.view(np.uint64) != found.view(np.uint64))[0]
            where, at = ", ".join(str(index) for index in differs), tuple(differs)
            raise ReplayMismatchError(step, f"{name}[{where}]", float(expected[at]), float(found[at]))
