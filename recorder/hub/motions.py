"""Finds the verified episode whose motion another repeats, among any number, and keeps each motion for the next.

Exact: what `recorder/proof/copies.py` calls near is never missed. A path is projected on a few fixed unit vectors, and
the line of each is cut into cells as long as a copy may be away; so a near path is in the same cell or in one beside
it, on every line. An index finds those, and only they are compared. If `NEAR`, a path or a line changes, a migration
has to empty both tables; the hub fills them again when it starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from recorder.hub.tables import MotionPathRow, MotionRow
from recorder.proof.copies import NEAR, Motion, Path, Twin, distance, follows
from recorder.proof.paths import POINTS
from sim.robot import Vector

_LINES: Final = 4
_AT_ONCE: Final = 500
"""How many rows are asked for by their names at once."""
_SLACK: Final = 1.0 + 1e-9
"""How much longer a cell is than `NEAR`, for the rounding of sums."""


def add(db: Session, episode: str, motion: Motion, *, replayed: bool) -> None:
    """Keep a verified episode's motion."""
    db.add(MotionRow(episode=episode, digest=motion.digest, replayed=replayed, world=motion.world))
    db.flush()
    for path in motion.paths:
        cells = {f"cell_{line}": cell for line, cell in enumerate(cells_of(path))}
        db.add(MotionPathRow(episode=episode, kind=path.kind, width=path.width, points=path.values, **cells))
    db.flush()


def twin(db: Session, motion: Motion, *, replayed: bool) -> Twin | None:
    """Return the verified episode whose motion this one repeats, the same or else the nearest, or None.

    `replayed`: whether its world is known, so that it may be near an episode that was driven in a world like it.
    """
    if motion.digest is not None:
        same = db.scalar(select(MotionRow.episode).where(MotionRow.digest == motion.digest))
        if same is not None:
            return Twin(same, "", 0.0)
    near = sorted((one for path in motion.paths for one in _near(db, path)), key=_nearness)
    if not replayed:
        return near[0] if near else None
    followers = _followers(db, motion, near)
    return next((one for one in near if one.episode not in followers), None)


def cells_of(path: Path) -> tuple[int, ...]:
    """Return the number of a path's cell on each line."""
    lines = _lines(path.kind, path.width) @ path.vector
    return tuple(int(cell) for cell in np.floor(lines / (NEAR[path.kind] * _SLACK)))


def _near(db: Session, path: Path) -> list[Twin]:
    """Return the episodes whose path of this kind is near, and how near."""
    columns = (MotionPathRow.cell_0, MotionPathRow.cell_1, MotionPathRow.cell_2, MotionPathRow.cell_3)
    beside = [column.in_((cell - 1, cell, cell + 1)) for column, cell in zip(columns, cells_of(path), strict=True)]
    same = (MotionPathRow.kind == path.kind, MotionPathRow.width == path.width)
    rows = db.execute(select(MotionPathRow.episode, MotionPathRow.points).where(*same, *beside)).all()
    vectors = np.frombuffer(b"".join(points for _, points in rows), "<f4").reshape(len(rows), len(path.vector))
    apart = np.linalg.norm(vectors.astype(np.float64) - path.vector, axis=1)
    return [
        Twin(row.episode, path.kind, away)
        for row, away in zip(rows, apart.tolist(), strict=True)
        if away <= NEAR[path.kind]
    ]


def _nearness(one: Twin) -> float:
    return one.distance / NEAR[one.kind]


def _followers(db: Session, motion: Motion, near: Sequence[Twin]) -> set[str]:
    """Return those episodes from which this one differs as their worlds do."""
    hands = next((path for path in motion.paths if path.kind == "hands"), None)
    if hands is None:
        return set()
    found: set[str] = set()
    names = sorted({one.episode for one in near})
    for start in range(0, len(names), _AT_ONCE):
        known = (
            select(MotionRow.episode, MotionRow.world, MotionPathRow.points)
            .join(MotionPathRow, MotionPathRow.episode == MotionRow.episode)
            .where(MotionRow.episode.in_(names[start : start + _AT_ONCE]), MotionRow.replayed)
            .where(MotionPathRow.kind == hands.kind, MotionPathRow.width == hands.width)
        )
        for episode, world, points in db.execute(known):
            if follows(motion.world, world, distance(hands, Path(hands.kind, hands.width, points))):
                found.add(episode)
    return found


@cache
def _lines(kind: str, width: int) -> Vector:
    """Return the unit vectors, (LINES, POINTS * width), on which paths are projected.

    Any would do: these are means along the path, in which paths differ most. Hands: of x, of y, of z, and how z changes
    on the way. Joints: sums with the signs of Walsh functions.
    """
    column, at = np.arange(width), np.arange(POINTS)
    lines = np.empty((_LINES, POINTS, width))
    for line in range(_LINES):
        if kind == "hands":
            over = (column % 3 == min(line, 2)).astype(float)
            along = np.ones(POINTS) if line < 3 else np.cos(np.pi * (at + 0.5) / POINTS)
        else:
            over = np.array([-1.0 if (one & (0, 1, 2, 4)[line]).bit_count() % 2 else 1.0 for one in column.tolist()])
            along = np.ones(POINTS)
        lines[line] = along[:, None] * over
    flat = lines.reshape(_LINES, -1)
    unit: Vector = flat / np.linalg.norm(flat, axis=1, keepdims=True)
    return unit
