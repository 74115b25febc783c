"""Re-simulate an episode from its seed, and compare every bit: from what was applied, or from what drove it.

`replay` sends the recorded actions, and compares what is then seen. `replay_driven` recomputes the actions as well, and
the limits that changed them, by whatever directed the arm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sim.motion.arm import Arm
from sim.motion.control import Directive, Limit, LimitEvent
from sim.motion.kinematics import Hands
from sim.robot import Action, ActionShapeError, Observation, Robot, RobotError, UnstableWorldError, Vector

_RULES: Final = {rule: code for code, rule in enumerate(Limit)}
Direct = Callable[[int, Arm], Directive]
"""Returns what step `index` does with the arm."""


class ReplayMismatchError(RobotError):
    """The simulation gives something else than what was recorded."""

    def __init__(self, step: int, array: str, expected: object, found: object) -> None:
        super().__init__(
            f"step {step}, {array}: the recording has {expected!r}, re-simulation gives {found!r}; "
            "the actions, the states or the engine are not those of this episode"
        )
        self.step = step
        self.array = array


@dataclass(frozen=True, slots=True)
class Acted:
    """What an episode of N steps says that its robot did."""

    joint_position: Vector
    """(N, J) float64, rad."""
    gripper: Vector
    """(N, K) float64, openings."""
    ee_pose: Vector
    """(N, K, 7) float64, m and quaternion: where that puts the end effectors."""
    limits: NDArray[Any]
    """(E,), ordered by step: {step, rule, axis, requested, applied}; a rule is its place in `Limit`."""


def replay(world: Robot, seed: int, joint_position: Vector, gripper: Vector, recorded: Mapping[str, Vector]) -> None:
    """Drive `world` (connected) through (N, J) rad and (N, K) openings; raise ReplayMismatchError if a bit differs.

    Raises ActionShapeError or UnstableWorldError, naming the step, if the world cannot take an action.

    `recorded` holds each observation array as (N + 1, ...), the first before any action, and as (N + 1,) float64 the
    task's `progress` and its `success` (0 or 1).
    """
    _require_arrays(world, recorded)
    _compare(0, _state(world.reset(seed)), recorded)
    for index, (joints, openings) in enumerate(zip(joint_position, gripper, strict=True)):
        with _step(index):
            world.send_action(Action(joints, openings))
        _compare(index + 1, _state(world.observe()), recorded)


def replay_driven(world: Robot, seed: int, direct: Direct, acted: Acted, recorded: Mapping[str, Vector]) -> None:
    """Let `direct` drive `world` (connected) through N steps; raise ReplayMismatchError if a bit differs.

    Compared are what the robot did, the limits that changed it, and, as in `replay`, what was seen. A target that the
    world cannot take is one, too; raises UnstableWorldError, naming the step, if the world bursts.
    """
    _require_arrays(world, recorded)
    steps = len(acted.joint_position)
    arm, hands, limits = Arm(world), Hands(world.spec), _Limits(acted.limits, steps)
    said = {"applied joint_position": acted.joint_position, "applied gripper": acted.gripper}
    said["applied ee_pose"] = acted.ee_pose
    arm.reset(seed)
    _compare(0, _state(arm.seen), recorded)
    for index in range(steps):
        directive = direct(index, arm)
        with _step(index):
            applied = arm.send(directive)
        done = {"applied joint_position": applied.joint_position, "applied gripper": applied.gripper}
        done["applied ee_pose"] = hands.poses(applied.joint_position)
        _compare(index, done, said)
        limits.compare(index, directive.limits)
        _compare(index + 1, _state(arm.seen), recorded)


def compared(seen: Sequence[Observation]) -> dict[str, Vector]:
    """Return what `replay` takes as `recorded`, from each observation of an episode."""
    rows = [_state(one) for one in seen]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


class _Limits:
    """The recorded rows of limits, step by step."""

    def __init__(self, rows: NDArray[Any], steps: int) -> None:
        self._rows, steps_of = rows, rows["step"].astype(np.int64)
        if len(rows) and ((np.diff(steps_of) < 0).any() or steps_of[-1] >= steps):
            raise ReplayMismatchError(int(steps_of[-1]), "limits (order)", steps_of.tolist()[-2:], steps)
        self._ends = np.searchsorted(steps_of, np.arange(steps), side="right").tolist()

    def compare(self, step: int, found: Sequence[LimitEvent]) -> None:
        """Raise ReplayMismatchError unless exactly these are recorded for the step, in this order."""
        said = self._rows[self._ends[step - 1] if step else 0 : self._ends[step]]
        if len(said) != len(found):
            raise ReplayMismatchError(step, "limits (number)", len(said), len(found))
        if not found:
            return
        here = np.array([(step, _RULES[e.rule], e.axis, e.requested, e.applied) for e in found], self._rows.dtype)
        for index, (recorded, row) in enumerate(zip(said, here, strict=True)):
            if recorded.tobytes() != row.tobytes():
                raise ReplayMismatchError(step, f"limits[{index}]", recorded.item()[1:], row.item()[1:])


@contextmanager
def _step(index: int) -> Iterator[None]:
    try:
        yield
    except (ActionShapeError, UnstableWorldError) as error:
        raise type(error)(f"step {index}: {error}") from error


def _require_arrays(world: Robot, recorded: Mapping[str, Vector]) -> None:
    expected = {spec.name for spec in world.spec.observation} | {"progress", "success"}
    if expected != set(recorded):
        raise ReplayMismatchError(0, ", ".join(sorted(expected ^ set(recorded))), float("nan"), float("nan"))


def _state(seen: Observation) -> dict[str, Vector]:
    judged = {"progress": np.array([seen.progress], np.float64), "success": np.array([seen.success], np.float64)}
    return {**seen.values, **judged}


def _compare(step: int, here: Mapping[str, Vector], recorded: Mapping[str, Vector]) -> None:
    for name, found in here.items():
        expected = np.atleast_1d(recorded[name][step])
        if expected.shape != found.shape:
            raise ReplayMismatchError(step, f"{name} (size)", expected.size, found.size)
        if expected.tobytes() != found.tobytes():
            differs = np.argwhere(expected.view(np.uint64) != found.view(np.uint64))[0]
            where, at = ", ".join(str(index) for index in differs), tuple(differs)
            raise ReplayMismatchError(step, f"{name}[{where}]", float(expected[at]), float(found[at]))
