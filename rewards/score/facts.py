"""What scoring needs to know about an episode, as plain values, and whether that can be measured at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from rewards.score.fixed import Array
from rewards.score.series import Mask
from rewards.score.versions import SECOND

DURATION_MAX_S: Final = 3900.0
"""An hour, which is the longest that a task may take, and what a slow loop adds."""
TICK_S: Final = 1e-9
"""The recorded clock's resolution."""
VALUE_MAX: Final = 1e6
"""No position, angle or opening of a real episode is larger."""


@dataclass(frozen=True, slots=True)
class EpisodeFacts:
    """What scoring needs to know about an episode of N steps, as plain values."""

    episode: str
    task: str
    success: bool | None
    """The task's predicate at the end; None if the robot cannot know."""
    valid: bool
    """Whether the recorder kept the whole episode and it ended in a way that may count."""
    end_reason: str
    control_hz: float
    t_s: Array
    """(N+1,) float64, s, from the first observation: the clock that the motion is measured on."""
    ee_position_m: Array
    """(N+1, 3 K) float64, m, in the base frame: the K end effectors side by side; together they are one path."""
    joint_rad: Array
    """(N+1, J) float64, rad."""
    gripper: Array
    """(N+1, K) float64, the observed openings in [0, 1]; constant if there is no gripper."""
    applied_rad: Array
    """(N, J) float64, rad: where the joints were sent, after safety."""
    applied_gripper: Array
    """(N, K) float64, the openings that were sent; constant if there is no gripper."""
    limited: Mask
    """(N,) bool: whether a limit changed what the operator asked for."""
    done_s: float | None = None
    """From when on the task was done, on the clock of `t_s`; None if it was not done at the end, or nobody can know."""
    measured_s: Array | None = None
    """(N+1,) float64, s, from the first observation: the host's monotonic clock; None if `t_s` is that."""
    version: str = SECOND
    """Which version of the rules they are for."""
    poses: Mapping[str, Array] = field(default_factory=dict)
    """Name -> (N+1, 7) float64, m and quaternion: every hand and thing that has a pose. This and what follows is looked
    at from version 3 on."""
    hands: tuple[str, ...] = ()
    """Which of `poses` are the K hands'."""
    movable: frozenset[str] = frozenset()
    """Which of them are of things that can be moved."""
    progress: Array | None = None
    """(N+1,) float64 in [0, 1], NaN if the robot cannot know."""
    stages: tuple[str, ...] = ()
    """The task's stages, each an equal part of `progress`."""
    task_version: int = 0
    unseen: Mapping[str, float] = field(default_factory=dict)
    """Camera -> the share of the time for which its pictures are missing, frozen or black."""

    @property
    def steps(self) -> int:
        """N."""
        return len(self.applied_rad) if np.ndim(self.applied_rad) else 0

    @property
    def host_s(self) -> Array:
        """(N+1,) float64, s: the host's clock."""
        return self.t_s if self.measured_s is None else self.measured_s


def unsound(facts: EpisodeFacts) -> str | None:
    """Return why the arrays cannot be measured, in plain words, or None if they can."""
    steps = facts.steps
    if steps == 0:
        return "the episode holds no step"
    joints, hands = np.shape(facts.applied_rad)[1:], np.shape(facts.applied_gripper)[1:]
    shapes = {
        "t_s": (facts.t_s, (steps + 1,)),
        "measured_s": (facts.host_s, (steps + 1,)),
        "ee_position_m": (facts.ee_position_m, (steps + 1, 3 * hands[0] if len(hands) == 1 else 0)),
        "joint_rad": (facts.joint_rad, (steps + 1, *joints)),
        "gripper": (facts.gripper, (steps + 1, *hands)),
        "applied_rad": (facts.applied_rad, (steps, *joints)),
        "applied_gripper": (facts.applied_gripper, (steps, *hands)),
        "limited": (facts.limited, (steps,)),
    }
    if len(joints) != 1 or joints[0] == 0:
        return f"the episode's applied_rad has shape {np.shape(facts.applied_rad)}, not (steps, joints)"
    if len(hands) != 1 or hands[0] == 0:
        return f"the episode's applied_gripper has shape {np.shape(facts.applied_gripper)}, not (steps, hands)"
    for name, (array, shape) in shapes.items():
        if np.shape(array) != shape:
            return f"the episode's {name} has shape {np.shape(array)}, not {shape}"
        if not np.all(np.abs(np.asarray(array, dtype=np.float64)) <= VALUE_MAX):
            return f"the episode's {name} holds a value that no robot has (not a number, or above {VALUE_MAX:g})"
    return _unsound_clock(facts)


def _unsound_clock(facts: EpisodeFacts) -> str | None:
    if not (0.0 < facts.control_hz <= VALUE_MAX):
        return f"the control rate is {facts.control_hz}, not a positive number of hertz"
    for clock_s in (facts.t_s, facts.host_s):
        if not np.all(np.diff(clock_s) > TICK_S / 2.0):
            return "the recorded clock stands still or runs backwards"
        if clock_s[-1] - clock_s[0] > DURATION_MAX_S:
            return f"the episode is longer than {DURATION_MAX_S:.0f} s"
    return None
