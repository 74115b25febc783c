"""How fast a copied motion is found among a million of one robot and one task, in a SQLite of a hub's own tables.

The million is as hard as it gets: all drives are a program's, which starts at home, goes to a cube anywhere on a table,
turned any way, and lifts it, so that only these three numbers tell one from another. People differ far more, and the
more motions differ, the fewer lie in the cells that are compared.

`twin_ms`: a copy of a real robot's, 2 mm beside one of them; `replayed_ms`: of a simulation's, so that those that are
near because their worlds are must be told apart; `new_ms`: a motion that is like none. Medians, by the clock and
(`processor_..`) of a core, which other load on the machine changes less.

    .venv/bin/python benchmarks/copies.py --json

It takes about two minutes, 2 GB of disk and 400 MB of memory.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from sqlalchemy import Engine, Index, Table, insert
from sqlalchemy.orm import Session, sessionmaker

from recorder.hub import motions
from recorder.hub.states import EpisodeState
from recorder.hub.tables import EpisodeRow, MotionPathRow, MotionRow
from recorder.proof.checks.copies import Motion
from recorder.proof.checks.copies import Path as MotionPath
from recorder.proof.checks.paths import POINTS, pose_points
from sim.robot import Vector
from teleop.hub.db import Base, open_database, open_engine

BATCH: Final = 10_000
JOINTS: Final = 7
HOME_M: Final = np.array([0.3, 0.0, 0.4])
CORNER_M: Final = np.array([0.35, -0.25])
TABLE_M: Final = np.array([0.3, 0.5])
RISE_M: Final = 0.16
BESIDE_M: Final = 0.002


class Drives:
    """A program's drives, by the three numbers that tell one from another."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._joints = self._random.normal(size=(9, JOINTS))
        """Stands for the inverse kinematics: joints that move about as much as the hand does."""

    def worlds(self, count: int) -> Vector:
        """Return (count, 7): where the cube lies."""
        xy = CORNER_M + TABLE_M * self._random.random((count, 2))
        half = self._random.random(count) * np.pi / 4
        zero = np.zeros(count)
        return np.stack([*xy.T, zero + 0.02, zero, zero, np.sin(half), np.cos(half)], axis=1)

    def paths(self, worlds: Vector) -> dict[str, Vector]:
        """Return the paths of the hands and of the joints, (count, POINTS, width), as they are kept."""
        at = np.linspace(0.0, 1.0, POINTS)
        down, up = np.minimum(1.0, at / 0.7)[:, None], np.maximum(0.0, (at - 0.7) / 0.3)[:, None]
        origin = HOME_M + down * (worlds[:, None, :3] - HOME_M) + up * np.array([0.0, 0.0, RISE_M])
        half = down[None, :, 0] * np.arctan2(worlds[:, 5], worlds[:, 6])[:, None]
        zero = np.zeros_like(half)
        quaternions = np.stack([zero, zero, np.sin(half), np.cos(half)], axis=2)
        poses = np.concatenate([origin, quaternions], axis=2)
        hands = pose_points(poses.reshape(-1, 7)).reshape(len(worlds), POINTS, 9) / np.sqrt(3)
        scale = np.sqrt(POINTS)
        return {"hands": hands / scale, "joints": hands @ self._joints / scale}


def kept(values: Vector, kind: str) -> MotionPath:
    """Return one path as it is kept."""
    return MotionPath(kind, values.shape[1], values.astype("<f4").tobytes())


def rows(drives: Drives, count: int, first: int) -> Iterator[tuple[type[Base], list[dict[str, Any]]]]:
    """Yield the rows of `count` verified episodes, by their table."""
    names = [f"e{number}" for number in range(first, first + count)]
    same = {"state": EpisodeState.VERIFIED, "robot": "", "operator": "", "task": "lift", "created_ms": 0, "tries": 0}
    yield EpisodeRow, [{"episode": name, **same} for name in names]
    worlds = drives.worlds(count)
    known = [points.tobytes() for points in pose_points(worlds).astype("<f4")]
    yield MotionRow, [{"episode": name, "digest": name} for name in names]
    for kind, values in drives.paths(worlds).items():
        paths = [kept(one, kind) for one in values]
        cells = [{f"cell_{line}": cell for line, cell in enumerate(motions.cells_of(path))} for path in paths]
        yield (
            MotionPathRow,
            [
                {
                    "episode": name,
                    "kind": kind,
                    "width": path.width,
                    "points": path.values,
                    "world": world,
                    **at,
                }
                for name, path, world, at in zip(names, paths, known, cells, strict=True)
            ],
        )


def filled(engine: Engine, drives: Drives, count: int) -> sessionmaker[Session]:
    """Return a database with so many motions; the indexes are made afterwards, which is faster."""
    table = MotionPathRow.__table__
    assert isinstance(table, Table)
    (index,) = (one for one in table.indexes if isinstance(one, Index))
    Base.metadata.create_all(engine)
    index.drop(engine)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA synchronous=OFF")
        for first in range(0, count, BATCH):
            for kind, made in rows(drives, min(BATCH, count - first), first):
                connection.execute(insert(kind), made)
            connection.commit()
    index.create(engine)
    return open_database(engine)


def beside(drives: Drives, random: np.random.Generator, world: Vector) -> Motion:
    """Return a copy of the drive in a world: it swings about it by BESIDE_M."""
    paths = {kind: values[0] for kind, values in drives.paths(world[None]).items()}
    swing = np.sin(np.linspace(0.0, 2 * np.pi, POINTS) + random.uniform(0, 2 * np.pi))[:, None] * np.ones(9)
    hands = paths["hands"] + BESIDE_M * swing / np.linalg.norm(swing)
    found = (kept(hands, "hands"), kept(paths["joints"] + 0.02, "joints"))
    return Motion(None, found, pose_points(world[None] + [0.1, 0, 0, 0, 0, 0, 0]).astype("<f4").tobytes())


def timed(ask: Callable[[Motion], object], asked: list[Motion], expected: bool) -> tuple[float, float]:
    """Return the medians, ms: by the clock, and of a core."""
    taken, worked = [], []
    for motion in asked:
        start, working = time.perf_counter(), time.process_time()
        found = ask(motion)
        taken.append(1e3 * (time.perf_counter() - start))
        worked.append(1e3 * (time.process_time() - working))
        if (found is not None) is not expected:
            raise SystemExit(f"expected a twin: {expected}, got {found}")
    return round(statistics.median(taken), 2), round(statistics.median(worked), 2)


def measured(folder: Path, count: int, runs: int) -> dict[str, Any]:
    """Fill a database and ask it."""
    drives, random = Drives(1), np.random.default_rng(2)
    engine = open_engine(f"sqlite:///{folder / 'copies.sqlite'}")
    start = time.perf_counter()
    database = filled(engine, drives, count)
    built_s = time.perf_counter() - start
    again = Drives(1)
    copied = [beside(again, random, world) for world in again.worlds(min(count, BATCH))[:runs]]
    far = [Motion(None, tuple(lifted(path) for path in one.paths), one.world) for one in copied]
    found: dict[str, Any] = {"motions": count, "built_s": round(built_s, 1)}
    for name, asked, replayed, expected in (
        ("twin_ms", copied, False, True),
        ("replayed_ms", copied, True, True),
        ("new_ms", far, True, False),
    ):
        with database() as db:
            found[name], found[f"processor_{name}"] = timed(
                partial(motions.twin, db, replayed=replayed), asked, expected
            )
    engine.dispose()
    found["file_mb"] = round((folder / "copies.sqlite").stat().st_size / 1e6)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found["memory_mb"] = round(most / (1e6 if sys.platform == "darwin" else 1e3))
    return found


def lifted(path: MotionPath) -> MotionPath:
    """Return a path that is 5 cm or 50 mrad beside every other in each number."""
    return kept((path.vector + 0.05).reshape(POINTS, path.width), path.kind)


def main() -> None:
    """Print one JSON object on the last line."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--motions", type=int, default=1_000_000)
    options.add_argument("--runs", type=int, default=20, help="how many copies are looked for")
    options.add_argument("--json", action="store_true", help="only the JSON object")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measured(Path(folder), chosen.motions, chosen.runs)
    if not chosen.json:
        print("command:", " ".join(sys.argv))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
