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
_TOGETHER: Final = 64
"""How many rows are compared at once: one by one, it would cost a tenth of the replay."""
_DONE: Final = ("applied joint_position", "applied gripper", "applied ee_pose")
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
    seen = _Rows(recorded)
    seen.add(_state(world.reset(seed)))
    for index, (joints, openings) in enumerate(zip(joint_position, gripper, strict=True)):
        with _step(index, seen):
            world.send_action(Action(joints, openings))
        seen.add(_state(world.observe()))
    seen.compare()


def replay_driven(world: Robot, seed: int, direct: Direct, acted: Acted, recorded: Mapping[str, Vector]) -> None:
    """Let `direct` drive `world` (connected) through N steps; raise ReplayMismatchError if a bit differs.

    Compared are what the robot did, the limits that changed it, and, as in `replay`, what was seen. Raises
    UnstableWorldError, naming the step, if the world bursts.
    """
    _require_arrays(world, recorded)
    steps = len(acted.joint_position)
    arm, hands, limits = Arm(world), Hands(world.spec), _Limits(acted.limits, steps)
    done = _Rows(dict(zip(_DONE, (acted.joint_position, acted.gripper, acted.ee_pose), strict=True)))
    seen = _Rows(recorded)
    arm.reset(seed)
    seen.add(_state(arm.seen))
    for index in range(steps):
        with _step(index, done, seen):
            directive = direct(index, arm)
            applied = arm.send(directive)
            poses = hands.poses(applied.joint_position)
            done.add(dict(zip(_DONE, (applied.joint_position, applied.gripper, poses), strict=True)))
            limits.compare(index, directive.limits)
            seen.add(_state(arm.seen))
    _compare(done, seen)


def compared(seen: Sequence[Observation]) -> dict[str, Vector]:
    """Return what `replay` takes as `recorded`, from each observation of an episode."""
    rows = [_state(one) for one in seen]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


class _Rows:
    """Arrays as they were recorded, compared with the rows that are found, many at once."""

    def __init__(self, recorded: Mapping[str, Vector]) -> None:
        self._said = {name: said[:, np.newaxis] if said.ndim == 1 else said for name, said in recorded.items()}
        self._found: dict[str, list[Vector]] = {name: [] for name in recorded}
        self._first = self._count = 0
        """Which row is the first that was not compared yet, and how many there are."""

    def add(self, row: Mapping[str, Vector]) -> None:
        """Take the next row of each array; raise ReplayMismatchError if one of many differs."""
        for name, value in row.items():
            self._found[name].append(value)
        self._count += 1
        if self._count == _TOGETHER:
            self.compare()

    def compare(self) -> None:
        """Raise ReplayMismatchError, for the first row that differs, unless all that were found are as recorded."""
        if (differs := self.first_difference()) is not None:
            raise differs
        self._first, self._count = self._first + self._count, 0
        for rows in self._found.values():
            rows.clear()

    def first_difference(self) -> ReplayMismatchError | None:
        """Return what `compare` raises."""
        differ = [one for name in self._found if (one := self._difference(name)) is not None]
        return min(differ, key=lambda one: one.step, default=None)

    def _difference(self, name: str) -> ReplayMismatchError | None:
        if not self._count:
            return None
        said, found = self._said[name][self._first : self._first + self._count], np.array(self._found[name])
        if said.shape != found.shape:
            return ReplayMismatchError(self._first, f"{name} (size)", said[0].size, found[0].size)
        if said.tobytes() == found.tobytes():
            return None
        row, *inside = (int(at) for at in np.argwhere(said.view(np.uint64) != found.view(np.uint64))[0])
        expected, here = float(said[row][tuple(inside)]), float(found[row][tuple(inside)])
        return ReplayMismatchError(self._first + row, f"{name}[{', '.join(map(str, inside))}]", expected, here)


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
def _step(index: int, *rows: _Rows) -> Iterator[None]:
    """Let what differs before step `index` be named instead of what ends the replay there."""
    try:
        yield
    except ReplayMismatchError:
        _compare(*rows)
        raise
    except (ActionShapeError, UnstableWorldError) as error:
        _compare(*rows)
        raise type(error)(f"step {index}: {error}") from error


def _require_arrays(world: Robot, recorded: Mapping[str, Vector]) -> None:
    expected = {spec.name for spec in world.spec.observation} | {"progress", "success"}
    if expected != set(recorded):
        raise ReplayMismatchError(0, ", ".join(sorted(expected ^ set(recorded))), float("nan"), float("nan"))


def _compare(*rows: _Rows) -> None:
    """Raise ReplayMismatchError, for the first step that differs in any of these, unless all are as recorded."""
    differ = [one for each in rows if (one := each.first_difference()) is not None]
    if differ:
        raise min(differ, key=lambda one: one.step)


def _state(seen: Observation) -> dict[str, Vector]:
    judged = {"progress": np.array([seen.progress], np.float64), "success": np.array([seen.success], np.float64)}
    return {**seen.values, **judged}
