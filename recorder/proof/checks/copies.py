"""Whether one episode's motion is another's, whatever its clocks, names and numbers say. Pure; FORMAT.md section 6.2.

`motion_of` gives what is compared of an episode, `distance` how far two are apart, and `require_own` refuses a copy.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from recorder.file.episode import Episode
from recorder.proof.checks.paths import path, pose_points
from recorder.proof.refusals import CopiedMotion, DuplicateEpisode
from sim.robot import Vector

NEAR: Final = {"hands": 0.005, "joints": 0.010}
"""How near two paths are that are one motion: hands in m, joints in rad. Measured; docs/decisions/0033."""
_UNIT: Final = {"hands": "mm", "joints": "mrad"}
STRIDE: Final = {"hands": 0.005, "joints": 0.010}
"""m, rad."""
FOLLOWS: Final = 0.1
"""How much of the way that the things moved a hands' path moves at least, if whoever drives looks at them. Programs,
which drive the more alike the more alike their worlds are, do three times as much; docs/decisions/0033."""
SAME_WORLD_M: Final = 1e-6
"""Worlds that differ by less are one: of two seeds, one in a million times a million is so near another."""


@dataclass(frozen=True, slots=True)
class Path:
    """One of a motion's paths; `values` are float32, little-endian, so scaled that norms are root mean squares."""

    kind: str
    """`hands` or `joints`."""
    width: int
    """How many numbers a point has; paths of different widths are not compared."""
    values: bytes

    @property
    def vector(self) -> Vector:
        """(POINTS * width,) float64."""
        return np.frombuffer(self.values, "<f4").astype(np.float64)


@dataclass(frozen=True, slots=True)
class Motion:
    """What is compared of one episode."""

    digest: str | None
    """SHA-256 of what was applied, hex; None if that never changes, which is no motion to copy."""
    paths: tuple[Path, ...]
    """The hands' and the joints', each if it is long enough."""
    world: bytes
    """The poses of the things around the robot before the first step, (B, 9) float32 m; in a simulation its seed's."""


@dataclass(frozen=True, slots=True)
class Twin:
    """An earlier episode with the same motion."""

    episode: str
    kind: str
    """Which paths are near; empty if all that was applied is the same."""
    distance: float
    """m or rad."""


def motion_of(episode: Episode) -> Motion:
    """Return what is compared of an episode whose numbers are finite."""
    ends = episode.meta.spec.end_effectors
    hands = [pose_points(episode.observation(end.pose)) / np.sqrt(3) for end in ends]  # a move of all keeps its length
    samples = {"hands": np.concatenate(hands, axis=1), "joints": episode.applied_joint_position}
    found = tuple(made for kind, values in samples.items() if (made := _path(kind, values)) is not None)
    return Motion(_digest(episode), found, _world(episode))


def distance(one: Path, other: Path) -> float:
    """Return how far two paths of one kind and width are apart: the root mean square over their points, m or rad."""
    return _length(one.vector - other.vector)


def follows(one: bytes, other: bytes, hands_m: float) -> bool:
    """Return whether two hands' paths differ as two simulated worlds do, so that each was driven in its own."""
    here, there = (np.frombuffer(world, "<f4").astype(np.float64).reshape(-1, 9) for world in (one, other))
    if here.shape != there.shape or _length(here - there) <= SAME_WORLD_M:
        return False
    return hands_m >= FOLLOWS * _length(here[:, :3] - there[:, :3])


def _length(difference: Vector) -> float:
    """Return the root of the sum of squares, correctly rounded: the same everywhere."""
    return math.sqrt(math.fsum((difference * difference).ravel().tolist()))


def require_own(twin: Twin | None) -> None:
    """Raise DuplicateEpisode or CopiedMotion, which names the twin and says how near it is, unless there is none."""
    if twin is None:
        return
    if not twin.kind:
        said = f"every action is that of {twin.episode!r}, which was handed in before; drive your own"
        raise DuplicateEpisode(said).repeating(twin.episode)
    unit = _UNIT[twin.kind]
    raise CopiedMotion(
        f"the {twin.kind} move as in {twin.episode!r}, which was handed in before: their paths are "
        f"{1000 * twin.distance:.2f} {unit} apart, and {1000 * NEAR[twin.kind]:g} {unit} or less is a copy, "
        "at any pace; drive your own"
    ).repeating(twin.episode)


def _path(kind: str, samples: Vector) -> Path | None:
    found = path(samples, STRIDE[kind])
    if found is None:
        return None
    return Path(kind, found.shape[1], (found / np.sqrt(len(found))).astype("<f4").tobytes())


def _digest(episode: Episode) -> str | None:
    """Return the SHA-256 of the applied actions: neither clocks nor names, nor what nothing but a host says."""
    joints, gripper = episode.applied_joint_position + 0.0, episode.applied_gripper + 0.0  # no negative zero
    if (joints == joints[0]).all() and (gripper == gripper[0]).all():
        return None
    digest = hashlib.sha256(f"armshare-motion {joints.shape[0]} {joints.shape[1]} {gripper.shape[1]}\n".encode())
    for values in (joints, gripper):
        digest.update(values.astype("<f8").tobytes())
    return digest.hexdigest()


def _world(episode: Episode) -> bytes:
    """Return the things' poses in the first observation: every array of seven numbers that is no hand's."""
    spec = episode.meta.spec
    hands = {end.pose for end in spec.end_effectors}
    names = sorted(array.name for array in spec.observation if list(array.shape) == [7] and array.name not in hands)
    points = [pose_points(episode.observation(name)[:1]) for name in names]
    return np.concatenate(points).astype("<f4").tobytes() if points else b""
