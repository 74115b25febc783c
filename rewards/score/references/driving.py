"""Scripted drives for a reference set: a task's expert in several manners, driven in the simulation, as facts.

Part of the making of reference sets, which decides no score: a set is data, and has a digest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from rewards.score.facts import EpisodeFacts
from rewards.score.fixed import Array
from sim.motion.control import SHAPING, Controller, Twist
from sim.physics.world import World
from sim.robot import Action, Observation, Vector
from sim.task import Expert

_SWITCH: Final = 1.3
"""How much larger another axis must be before a hand that moves along one axis at a time changes to it."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How somebody drives who makes no mistakes."""

    name: str
    speed: float = 1.0
    """Of the expert's."""
    one_axis: bool = False
    """Along one axis at a time, as with keys."""


MANNERS: Final = (Manner("straight"), Manner("careful", speed=0.6), Manner("keys", one_axis=True))


class Mannered:
    """An expert that drives in a manner."""

    def __init__(self, expert: Expert, manner: Manner) -> None:
        self._expert, self._manner = expert, manner
        self._axes: dict[int, int] = {}

    def act(self, values: Mapping[str, Vector]) -> Twist:
        """Return what to ask for next."""
        asked = self._expert.act(values)
        twist = asked.twist * self._manner.speed
        if self._manner.one_axis:
            twist = np.array([self._along_one(hand, row) for hand, row in enumerate(twist)])
        return replace(asked, twist=twist)

    def _along_one(self, hand: int, row: Vector) -> Vector:
        sizes = np.abs(row[:3])
        axis = self._axes.get(hand, int(np.argmax(sizes)))
        if np.max(sizes) > _SWITCH * sizes[axis]:
            axis = int(np.argmax(sizes))
        self._axes[hand] = axis
        along = np.zeros(6)
        along[axis], along[3:] = row[axis], row[3:]
        return along


@dataclass(slots=True)
class _Seen:
    """What a drive is made of, as it goes."""

    observations: list[Observation]
    actions: list[Action] = field(default_factory=list)
    limited: list[bool] = field(default_factory=list)


def driven(world: World, expert: Expert, seed: int, *, max_steps: int | None = None, after: int = 0) -> EpisodeFacts:
    """Reset `world` (connected), let `expert` drive until success, and `after` more steps; return it as facts.

    They are what `rewards.score.score.facts_of` finds in the file of such a drive. Raises UnstableWorldError.
    """
    controller, seen = Controller(world.spec), world.reset(seed)
    controller.start(seen)
    found, left = _Seen([seen]), after
    for _ in range(max_steps or world.task.spec.max_steps):
        said = controller.step(expert.act(seen.values), seen)
        found.actions.append(world.send_action(said.action))
        found.limited.append(any(event.rule not in SHAPING for event in said.limits))
        seen = world.observe()
        found.observations.append(seen)
        if seen.success:
            left -= 1
            if left < 0:
                break
    return _facts(world, found, seed)


def _facts(world: World, found: _Seen, seed: int) -> EpisodeFacts:
    spec, task = world.spec, world.task.spec
    rows = {name: np.array([one.values[name] for one in found.observations]) for name in found.observations[0].values}
    steps, hands = len(found.actions), [end.pose for end in spec.end_effectors]
    t_s: Array = np.arange(steps + 1) / spec.control_hz
    success = np.array([bool(one.success) for one in found.observations])
    return EpisodeFacts(
        episode=f"{spec.model.name}-{seed}",
        task=task.name,
        success=bool(success[-1]),
        valid=True,
        end_reason="finished",
        control_hz=spec.control_hz,
        t_s=t_s,
        ee_position_m=np.hstack([rows[name][:, :3] for name in hands]),
        joint_rad=rows["joint_position"],
        gripper=rows.get("gripper_position", np.zeros((steps + 1, len(hands)))),
        applied_rad=np.array([one.joint_position for one in found.actions]),
        applied_gripper=np.array([one.gripper for one in found.actions]),
        limited=np.array(found.limited),
        done_s=float(t_s[np.argmax(success)]) if success[-1] else None,
        version="3",
        poses={name: row for name, row in rows.items() if row.shape[1:] == (7,)},
        hands=tuple(hands),
        movable=frozenset(name for name in rows if name.endswith("_pose") and f"{name[:-5]}_velocity" in rows),
        progress=np.array([np.nan if one.progress is None else one.progress for one in found.observations]),
        stages=task.stages,
        task_version=task.version,
    )
