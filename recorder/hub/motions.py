"""Finds the verified episode whose motion another repeats, among any number, and keeps each motion for the next.

Exact: what `recorder/proof/checks/copies.py` calls near is never missed. A path is projected on a few fixed unit
vectors, and the line of each is cut into cells, three as long as a copy may be away; so a near path is at most three
cells away, on every line. An index finds those, and only they are compared. If `NEAR`, a path or a line changes, a
migration has to empty both tables; the hub fills them again when it starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final

import numpy as np
from sqlalchemy import Row, Select, literal, select
from sqlalchemy.orm import Session

from recorder.hub.tables import MotionPathRow, MotionRow
from recorder.proof.checks.copies import NEAR, Motion, Path, Twin, follows
from recorder.proof.checks.paths import POINTS
from sim.robot import Vector

_FINE: Final = 3
"""How many cells there are in `NEAR`: the more, the fewer paths are compared, and the more cells are looked up."""
_SLACK: Final = 1.0 + 1e-9
"""How much longer cells are, for the rounding of sums."""
_REACHES: Final = (8, 32, 128, 1024)
"""How many cells away, from 13 mm to 1.7 m, the nearest are looked for until there are enough."""
_LOOKED_AT: Final = 128
"""How many of the nearest by cells are compared, point by point."""


def add(db: Session, episode: str, motion: Motion, *, replayed: bool) -> None:
    """Keep a verified episode's motion."""
    db.add(MotionRow(episode=episode, digest=motion.digest))
    db.flush()
    same = {"episode": episode, "world": motion.world if replayed else None}
    for path in motion.paths:
        cells = {f"cell_{line}": cell for line, cell in enumerate(cells_of(path))}
        db.add(MotionPathRow(kind=path.kind, width=path.width, points=path.values, **same, **cells))
    db.flush()


def twin(db: Session, motion: Motion, *, replayed: bool) -> Twin | None:
    """Return the verified episode whose motion this one repeats, the same or else the nearest, or None.

    `replayed`: whether its world is known, so that it may be near an episode that was driven in a world like it.
    """
    if motion.digest is not None:
        same = db.scalar(select(MotionRow.episode).where(MotionRow.digest == motion.digest))
        if same is not None:
            return Twin(same, "", 0.0)
    world = motion.world if replayed else None
    near = [found for path in motion.paths if (found := _nearest(db, path, world)) is not None]
    return min(near, key=lambda one: one.distance / NEAR[one.kind], default=None)


def nearest(db: Session, episode: str, count: int) -> list[Twin]:
    """Return the verified episodes whose hands went a way most like this one's, the nearest first; never itself.

    Of those whose cells are nearest, `_LOOKED_AT` are looked at. Empty if no path of its hands is kept.
    """
    own = db.get(MotionPathRow, (episode, "hands"))
    if own is None:
        return []
    path = Path(own.kind, own.width, own.points)
    rows: Sequence[Row[str, bytes]] = []
    for reach in _REACHES:
        rows = db.execute(_around(own, reach)).all()
        if len(rows) >= _LOOKED_AT:
            break
    apart = ((float(np.linalg.norm(Path(path.kind, path.width, row.points).vector - path.vector)), row) for row in rows)
    found = sorted((away, row.episode) for away, row in apart)
    return [Twin(other, path.kind, away) for away, other in found[:count]]


def _around(own: MotionPathRow, reach: int) -> Select[str, bytes]:
    """Select the paths within `reach` cells on every line, those first that are nearest by cells."""
    cells = ("cell_0", "cell_1", "cell_2", "cell_3")
    pairs = [(getattr(MotionPathRow, cell), getattr(own, cell)) for cell in cells]
    beside = [column.between(here - reach, here + reach) for column, here in pairs]
    away = sum(((column - here) * (column - here) for column, here in pairs), start=literal(0))
    same = (MotionPathRow.kind == own.kind, MotionPathRow.width == own.width, MotionPathRow.episode != own.episode)
    wanted = select(MotionPathRow.episode, MotionPathRow.points).where(*same, *beside)
    return wanted.order_by(away, MotionPathRow.episode).limit(_LOOKED_AT)


def cells_of(path: Path) -> tuple[int, ...]:
    """Return the number of a path's cell on each line."""
    lines = _lines(path.kind, path.width) @ path.vector
    return tuple(int(cell) for cell in np.floor(_FINE * lines / (NEAR[path.kind] * _SLACK)))


def _nearest(db: Session, path: Path, world: bytes | None) -> Twin | None:
    """Return the episode whose path of this kind is the nearest of those that are near, and no program's in its own
    world."""
    columns = (MotionPathRow.cell_0, MotionPathRow.cell_1, MotionPathRow.cell_2, MotionPathRow.cell_3)
    cells = [range(cell - _FINE, cell + _FINE + 1) for cell in cells_of(path)]
    beside = [column.in_(within) for column, within in zip(columns, cells, strict=True)]
    same = (MotionPathRow.kind == path.kind, MotionPathRow.width == path.width)
    wanted = select(MotionPathRow.episode, MotionPathRow.points, MotionPathRow.world).where(*same, *beside)
    if world is not None and path.kind != "hands":
        wanted = wanted.where(MotionPathRow.world.is_(None))  # two simulations are compared by their hands alone
    rows = db.execute(wanted).all()
    vectors = np.frombuffer(b"".join(row.points for row in rows), "<f4").reshape(len(rows), len(path.vector))
    apart = np.linalg.norm(vectors.astype(np.float64) - path.vector, axis=1).tolist()
    near = sorted((away, at) for at, away in enumerate(apart) if away <= NEAR[path.kind])
    for away, at in near:
        there = rows[at].world
        if world is None or there is None or not follows(world, there, away):
            return Twin(rows[at].episode, path.kind, away)
    return None


@cache
def _lines(kind: str, width: int) -> Vector:
    """Return the unit vectors, (4, POINTS * width), on which paths are projected.

    Any would do: these are means along the path, in which paths differ most. Hands: of x, of y, of z, and of how the
    x axis points along y. Joints: sums with the signs of Walsh functions.
    """
    column = np.arange(width)
    if kind == "hands":
        turned = (column % 9 == 4).astype(float) - (column % 9 == 1)
        over = np.stack([*(column % 3 == axis for axis in range(3)), turned])
    else:
        bits = [[(one & mask).bit_count() % 2 for one in column.tolist()] for mask in (0, 1, 2, 4)]
        over = 1.0 - 2.0 * np.array(bits)
    lines = np.tile(over.astype(np.float64), POINTS)
    unit: Vector = lines / np.linalg.norm(lines, axis=1, keepdims=True)
    return unit
