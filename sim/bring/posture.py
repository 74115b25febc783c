"""Where an arm works: its home, with the hand over the floor and looking down, its workspace and the field of tasks.

Exports `place_of`. Everything is scaled from the Panda, by how far the arm reaches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from sim.bring.clean import Cleaned
from sim.bring.hand import Grip
from sim.bring.parts import Parts, UnlikeAnArmError
from sim.description import Field
from sim.model.links import Links
from sim.model.urdf import Urdf
from sim.motion.control import SINGULAR_SLOW
from sim.motion.kinematics import IkOptions, Kinematics
from sim.robot import Vector
from sim.rotation import rotate
from sim.scene import Triple
from sim.tasks.parts.expert import down

_PANDA_REACH_M: Final = 0.95
"""How far a Panda's hand gets from its first joint."""
_PANDA_OPENING_M: Final = 0.08
_CENTRES: Final = (0.51, 0.46, 0.56, 0.41, 0.61, 0.36, 0.31)
"""How far away the field may be, in the reach of a Panda, the best first."""
_HEIGHTS: Final = (0.30, 0.25, 0.35, 0.20, 0.40, 0.15)
_FIELD: Final = (0.11, 0.20)

_SEEDS: Final = 24
_EASY: Final = 0.7
"""A home is good enough if its condition number is below this part of where the controller slows down."""
_FREE: Final = 6
"""With fewer joints than this, an arm cannot look down with every turn of its hand."""
_NEAR_M: Final = 1e-3
_NEAR_RAD: Final = 0.02
_THERE: Final = IkOptions(iterations=150)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an arm works, in the frame of its base."""

    home: Vector
    """(J,) float64, rad."""
    workspace_lower_m: Triple
    workspace_upper_m: Triple
    field: Field
    assumed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Found:
    q: Vector
    rank: tuple[float, float, float, float, float]
    """The smaller, the better: in the floor, tilted, near a singularity, near a limit."""

    @property
    def good(self) -> bool:
        """Whether no other place has to be tried."""
        return not any(self.rank[:3]) and self.rank[3] <= 1.0


def place_of(urdf: Urdf, parts: Parts, grip: Grip, found: Cleaned, lower: Vector, upper: Vector) -> Place:
    """Return where the arm works; raise UnlikeAnArmError if its hand cannot be held over the floor."""
    body = _Body(urdf, parts, found)
    names = [joint.name for joint in parts.arm]
    middle = np.clip(np.zeros(len(names)), lower, upper)
    arm = Kinematics(urdf, names, grip.link, lower=lower, upper=upper, home=middle)
    rng = np.random.Generator(np.random.PCG64(0))
    starts = [
        middle,
        0.5 * (lower + upper),
        *rng.uniform(np.maximum(lower, -2.0), np.minimum(upper, 2.0), (_SEEDS, len(names))),
    ]
    reach = _reach_m(urdf, parts, arm, lower, upper, rng) / _PANDA_REACH_M
    best: tuple[_Found, float] | None = None
    for centre, height in ((centre, height) for centre in _CENTRES for height in _HEIGHTS):
        home = _over(arm, body, starts, (centre * reach, 0.0, height * reach))
        if home is not None and (best is None or home.rank < best[0].rank):
            best = home, centre
        if home is not None and home.good:
            break
    if best is None:
        raise UnlikeAnArmError(
            f"{urdf.path}: no posture holds the hand {grip.link!r} over the floor in front of the base (+x); "
            "write a description by hand (docs/adding-a-robot.md)"
        )
    return _place(arm, best[0], best[1] * reach, reach, grip)


def _reach_m(
    urdf: Urdf, parts: Parts, arm: Kinematics, lower: Vector, upper: Vector, rng: np.random.Generator
) -> float:
    """Return how far the hand gets from the first joint that turns it, over many postures."""
    base = np.eye(4)
    for joint in urdf.chain(urdf.base_link, parts.arm[0].child):
        base = base @ joint.origin
    postures = rng.uniform(lower, upper, (1000, len(lower)))
    away = np.array([arm.forward(q)[:3] for q in postures]) - base[:3, 3]
    return float(np.quantile(np.linalg.norm(away, axis=1), 0.995))


class _Body:
    """The links that move, to know whether any is in the floor."""

    def __init__(self, urdf: Urdf, parts: Parts, found: Cleaned) -> None:
        self._tree = Links(urdf, [joint.name for joint in parts.arm])
        moving = [name for name, moves in zip(self._tree.names, self._tree.moving, strict=True) if moves]
        self._points = {self._tree.names.index(name): _few(found.points(name)) for name in moving}

    def under_floor_m(self, q: Vector) -> float:
        """Return how deep the lowest point of the arm is in the floor; 0 if none is."""
        frames = self._tree.frames(q[None])[0]
        lows = [
            float((points @ frames[link][2, :3] + frames[link][2, 3]).min(initial=1.0))
            for link, points in self._points.items()
        ]
        return max(-min(lows, default=1.0), 0.0)


def _few(points: Vector) -> Vector:
    return points[:: max(len(points) // 300, 1)]


def _over(arm: Kinematics, body: _Body, starts: Sequence[Vector], place: Triple) -> _Found | None:
    """Return the best posture with the hand at `place`, looking down if the arm can."""
    best: _Found | None = None
    yaws = (0.5, -0.5, 0.0, 1.0) if arm.joints < _FREE else (0.5,)
    for target in (np.array([*place, *down(yaw * np.pi)]) for yaw in yaws):
        for start in starts:
            solved = arm.solve(start, target, _THERE)
            condition = arm.at(solved.q).condition
            if solved.position_error_m > _NEAR_M or condition >= SINGULAR_SLOW:
                continue
            looks = rotate(arm.forward(solved.q)[3:], np.array((0.0, 0.0, 1.0)))
            tilted = max(float(np.arccos(np.clip(-looks[2], -1.0, 1.0))) - _NEAR_RAD, 0.0)
            hard = max(condition / SINGULAR_SLOW - _EASY, 0.0)
            rank = body.under_floor_m(solved.q), tilted, hard, _near_limits(arm, solved.q), condition
            if best is None or rank < best.rank:
                best = _Found(solved.q, rank)
    return best


def _near_limits(arm: Kinematics, q: Vector) -> float:
    """Return how close the nearest joint is to its limit, from 0 in the middle to 1 at it, in steps of a fifth."""
    half = 0.5 * (arm.upper - arm.lower)
    off = np.abs(q - 0.5 * (arm.upper + arm.lower)) / np.maximum(np.minimum(half, np.pi), 1e-6)
    return float(np.ceil(5.0 * max(float(off.max()) - 0.6, 0.0)))


def _place(arm: Kinematics, home: _Found, centre_m: float, reach: float, grip: Grip) -> Place:
    at = arm.forward(home.q)[:3]
    low = (centre_m - 0.26 * reach, -0.45 * reach, min(0.012, float(at[2]) / 2))
    high = (centre_m + 0.24 * reach, 0.45 * reach, max(0.70 * reach, float(at[2]) + 0.05))
    scale = min(reach, 1.0) if not grip.opening_m else min(grip.opening_m / _PANDA_OPENING_M, 1.2 * reach, 1.0)
    half = _FIELD[0] * reach, _FIELD[1] * reach
    field = Field(_rounded((centre_m, 0.0)), _rounded(half), round(max(scale, 0.2), 2))
    said = [
        f"home: the hand {at[0]:.2f} m in front of the base and {at[2]:.2f} m over the floor"
        + (", looking down" if home.rank[1] <= 0.0 else ", as far down as it turns"),
        f"things lie {centre_m:.2f} m in front of the base, {100 * field.scale:.0f}% as large as those of a Panda",
    ]
    return Place(home.q, _triple(low), _triple(high), field, tuple(said))


def _rounded(pair: tuple[float, float]) -> tuple[float, float]:
    return round(pair[0], 3), round(pair[1], 3)


def _triple(values: Sequence[float]) -> Triple:
    x, y, z = (round(value, 3) for value in values)
    return x, y, z
