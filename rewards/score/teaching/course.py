"""A drive on the common grid of 20 Hz: hands, things, stages, and in which samples anything moved at all.

Part of version 3 of the rules; exports `Course`. Every metric of that version is computed on one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rewards.score.facts import EpisodeFacts
from rewards.score.fixed import Array, interpolated
from rewards.score.metrics import LAG_RAD, STEP_M, at_rest
from rewards.score.series import RATE_HZ, Mask, distance, norms, runs

TURN_M: Final = 0.1
"""A hand that turns by one radian does as much as one that moves so far."""
GRIP_M: Final = 0.05
"""So does a gripper that opens or closes all the way."""
CREEP_M: Final = 0.00025
"""Less than this in one sample is no motion: 5 mm/s."""
WAIT_SPAN: Final = 5
"""So many samples to each side, half a second in all, tell whether a hand gets anywhere."""
WAIT_M: Final = 0.005
WAIT_RAD: Final = 0.05
WAIT_GRIP: Final = 0.05
CREPT_M: Final = 0.02
"""A hand that gets so far from where it came to rest, however slowly, does not wait: it creeps, which is motion."""
STAGE_SLACK: Final = 1e-9
"""What is added to progress times stages before it is rounded down, as in the file."""


@dataclass(frozen=True, slots=True)
class Course:
    """M samples at `RATE_HZ`; the arrays are read-only by agreement."""

    hands: tuple[Array, ...]
    """K arrays (M, 7): m, quaternion."""
    gripper: Array
    """(M, K): the observed openings."""
    sent: Array
    """(M, K): the openings that were sent from this sample on."""
    things: Mapping[str, Array]
    """Name -> (M, 7), sorted by name; a name is its array's without `_pose`."""
    movable: tuple[str, ...]
    """Which things can be moved."""
    stage: NDArray[np.int64]
    """(M,): how many stages are done."""
    progress: Array
    """(M,)."""
    stages: int
    """S; at least 1."""
    still: Mask
    """(M,): nothing moved, or no hand got anywhere: a hand that trembles on the spot waits too, one that creeps does
    not."""
    work_m: Array
    """(M,): how much the hands did from the sample before to this one, turns and grips included."""
    strained: Mask
    """(M,): a limit cut what was asked for, or the arm could not follow."""
    first: int
    """The first sample in which something moved; M if nothing ever did."""
    done: int
    """The first sample at which the task was done for good; M if it was not."""

    @property
    def samples(self) -> int:
        """M."""
        return len(self.stage)

    @property
    def fixed(self) -> tuple[str, ...]:
        """The things that cannot be moved: marks, bins, cabinets."""
        return tuple(name for name in self.things if name not in self.movable)

    @property
    def active(self) -> Mask:
        """(M,): from the first motion until the task was done."""
        at = np.arange(self.samples)
        return (at >= self.first) & (at < self.done)

    @property
    def hand_speed_m_s(self) -> Array:
        """(M,): of the fastest hand."""
        moved = np.stack([_moved_m(hand) for hand in self.hands])
        fastest: Array = np.max(moved, axis=0) * RATE_HZ
        return fastest


def course_of(facts: EpisodeFacts) -> Course:
    """Return the course of sound facts (`integrity.unmeasurable` has nothing against them)."""
    t_s = facts.t_s - facts.t_s[0]
    count = math.floor(t_s[-1] * RATE_HZ + 1e-6) + 1
    at_s = np.arange(count) / RATE_HZ
    on_grid = count == len(t_s) and bool(np.all(np.abs(t_s - at_s) < 1e-6))
    seen_at = np.arange(count) if on_grid else np.searchsorted(t_s, at_s + 1e-9, side="right") - 1
    sent_at = np.minimum(seen_at, facts.steps - 1)

    def smooth(values: Array) -> Array:
        if on_grid:
            return values
        found: Array = np.stack([interpolated(at_s, t_s, column) for column in values.T], axis=1)
        return found

    poses = {name: np.hstack([smooth(row[:, :3]), row[seen_at, 3:]]) for name, row in sorted(facts.poses.items())}
    hands = tuple(poses[name] for name in facts.hands)
    gripper, joints = smooth(facts.gripper), smooth(facts.joint_rad)
    progress = np.zeros(count) if facts.progress is None else facts.progress[seen_at]
    progress = np.where(np.isnan(progress), 0.0, np.clip(progress, 0.0, 1.0))
    stages = max(len(facts.stages), 1)
    lag = np.max(np.abs(facts.applied_rad - facts.joint_rad[1:]), axis=1) > LAG_RAD
    still = at_rest(np.hstack([hand[:, :3] for hand in hands]), joints, gripper) | _waiting(hands, gripper)
    still &= ~_creeping(hands, still)
    moving = np.flatnonzero(~still)
    done = count if facts.done_s is None else int(np.searchsorted(at_s, facts.done_s - 1e-9))
    return Course(
        hands=hands,
        gripper=gripper,
        sent=facts.applied_gripper[sent_at],
        things={name.removesuffix("_pose"): pose for name, pose in poses.items() if name not in facts.hands},
        movable=tuple(sorted(name.removesuffix("_pose") for name in facts.movable)),
        stage=np.floor(progress * stages + STAGE_SLACK).astype(np.int64),
        progress=progress,
        stages=stages,
        still=still,
        work_m=_work_m(hands, gripper),
        strained=(facts.limited | lag)[sent_at],
        first=int(moving[0]) if len(moving) else count,
        done=done,
    )


def _waiting(hands: tuple[Array, ...], gripper: Array) -> Mask:
    """Return in which samples (M,) nothing got anywhere in the half second around them."""
    at = np.arange(len(gripper))
    before, after = np.maximum(at - WAIT_SPAN, 0), np.minimum(at + WAIT_SPAN, len(gripper) - 1)
    waits: Mask = np.all(np.abs(gripper[after] - gripper[before]) < WAIT_GRIP, axis=1)
    for hand in hands:
        one, other = hand[before], hand[after]
        waits &= norms(other[:, :3] - one[:, :3]) < WAIT_M
        waits &= np.minimum(norms(other[:, 3:] - one[:, 3:]), norms(other[:, 3:] + one[:, 3:])) < 0.5 * WAIT_RAD
    return waits


def _creeping(hands: tuple[Array, ...], still: Mask) -> Mask:
    """Return in which of the `still` samples (M,) a hand got `CREPT_M` farther, too slowly to be seen moving."""
    creeps: Mask = np.zeros(len(still), dtype=np.bool_)
    for hand in hands:
        for first, last in runs(still):
            place = hand[first : last + 1, :3]
            if bool(np.any(norms(place - place[0]) >= CREPT_M)):
                for left, there in _ways(place):
                    creeps[first + left : first + there + 1] = True
    return creeps


def _ways(place: Array) -> list[tuple[int, int]]:
    """Return from when until when each `CREPT_M` of a slow way (M, 3) was gone, without the rest before it."""
    points: list[list[float]] = place.tolist()
    anchor, left, found = points[0], 0, []
    for at, point in enumerate(points):
        away = distance(anchor, point)
        if away < STEP_M:
            left = at
        elif away >= CREPT_M:
            found.append((left, at))
            anchor, left = point, at
    return found


def _work_m(hands: tuple[Array, ...], gripper: Array) -> Array:
    """Return what the hands did in each sample, (M,): the way, turns and grips, in metres; a creep counts nothing."""
    total: Array = np.zeros(len(gripper))
    for column, hand in enumerate(hands):
        total = total + _moved_m(hand) + TURN_M * _turned_rad(hand)
        total = total + GRIP_M * np.abs(np.diff(gripper[:, column], prepend=gripper[:1, column]))
    return np.where(total < CREEP_M, 0.0, total)


def _moved_m(hand: Array) -> Array:
    return norms(np.diff(hand[:, :3], axis=0, prepend=hand[:1, :3]))


def _turned_rad(hand: Array) -> Array:
    """Return by how much a hand turned in each sample: twice the distance of its quaternions, whichever sign they have.

    That is the angle but for its third power: 1 % at half a radian.
    """
    before, after = hand[:-1, 3:], hand[1:, 3:]
    nearer = np.minimum(norms(after - before), norms(after + before))
    return np.concatenate([np.zeros(1), 2.0 * nearer])
