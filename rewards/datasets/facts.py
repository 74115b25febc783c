"""What a card needs of one episode's file: read once, kept, and the same whoever reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from recorder.file.episode import Episode
    from recorder.pictures.channel import Pictures

VERSION: Final = 1
"""Of what is read; facts of another version are read again."""
LATE_PERIODS: Final = 1.5
"""A step that took longer than so many control periods is late."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """Statistics of one array; of each, a number for each of its D values, in a row."""

    count: int
    """How many rows there are; of pictures, how many were looked at."""
    min: list[float]
    max: list[float]
    mean: list[float]
    std: list[float]
    q01: list[float]
    q10: list[float]
    q50: list[float]
    q90: list[float]
    q99: list[float]


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera that recorded."""

    codec: str
    width: int
    height: int
    pictures: int
    numbers: Numbers | None
    """Of each colour, in [0, 1], or of depth, in mm; None if it recorded nothing that can be decoded."""


@dataclass(frozen=True, slots=True)
class Facts:
    """One episode."""

    episode: str
    operator: str
    robot: str
    model: str
    simulated: bool
    task: str
    task_version: int
    driver: str
    """`person`, `script` or `policy`, and its name if it has one."""
    engine: str
    """What simulated it, with versions; empty for a real robot."""
    success: bool | None
    steps: int
    duration_s: float
    """On the clock that its motion is scored on."""
    starts_m: list[float] | None
    """x and y of each thing as it began, m; None if nobody knows."""
    faults: dict[str, int]
    """What is known to be wrong -> in how many steps, or of how many pictures."""
    units: dict[str, str]
    """Of each observed array."""
    arrays: dict[str, Numbers]
    """What was observed, and what was applied, by its path in the file."""
    cameras: dict[str, Camera]
    drawn: dict[str, Numbers] | None = None
    """Of what each camera of a simulation sees; None unless somebody asked for it (`rewards.datasets.drawn`)."""


FACTS: Final = msgspec.json.Decoder(Facts)


def facts_in(episode_file: Path, draw: bool = False) -> Facts:
    """Return the facts of an episode's file; raise EpisodeError if it is none. For a worker.

    `draw`: with the statistics of what a simulation's cameras see.
    """
    from recorder.file.episode import read_episode  # here, so that the hub's process need not load HDF5

    return facts_of(read_episode(episode_file), draw)


def facts_of(episode: Episode, draw: bool = False) -> Facts:
    """Return the facts of an episode."""
    from rewards.datasets.drawn import drawn_of
    from rewards.score.starts import start_of

    meta, start = episode.meta, start_of(episode)
    things_m = start.things_m
    arrays, lost = _arrays(episode)
    return Facts(
        episode=meta.episode,
        operator=meta.operator.address,
        robot=meta.robot.address,
        model=meta.robot.model,
        simulated=meta.robot.simulated,
        task=meta.task.name,
        task_version=meta.task.version,
        driver=" ".join(part for part in (meta.driven_by.kind.value, meta.driven_by.name) if part),
        engine=", ".join(f"{name} {value}" for name, value in sorted(meta.engine.items())),
        success=episode.end.success,
        steps=episode.steps,
        duration_s=start.duration_s,
        starts_m=None if things_m is None else [value for at, value in enumerate(things_m) if at % 3 < 2],
        faults={name: count for name, count in (_faults(episode) | {"not_finite": lost}).items() if count},
        units={f"observation/{array.name}": array.unit for array in meta.spec.observation},
        arrays=arrays,
        cameras={name: _camera(pictures) for name, pictures in episode.pictures.items()},
        drawn=drawn_of(episode) if draw else None,
    )


def _arrays(episode: Episode) -> tuple[dict[str, Numbers], int]:
    """Return the statistics of what was observed and applied, and how many rows have what is no number."""
    import numpy as np

    from recorder.export.statistics import of_values

    found, lost = {}, 0
    for path, values in episode.arrays.items():
        if not path.startswith(("observation/", "applied/")):
            continue
        rows = np.asarray(values, np.float64).reshape(len(values), -1)
        whole = np.isfinite(rows).all(axis=1)
        lost += int(np.count_nonzero(~whole))
        if whole.any() and rows.shape[1]:
            found[path] = numbers_of(of_values(rows[whole]))
    return found, lost


def _faults(episode: Episode) -> dict[str, int]:
    import numpy as np

    from recorder.file.layout import NO_COMMAND, RULES, camera_path
    from sim.motion.control import SHAPING

    arrays, limits = episode.arrays, episode.arrays["limits"]
    shaping = [code for code, rule in enumerate(RULES) if rule in SHAPING]
    limited = np.unique(limits["step"][~np.isin(limits["rule"], shaping)])
    took_ns = np.diff(episode.t_observed_ns)
    late = 0 if episode.meta.robot.simulated else took_ns > LATE_PERIODS * 1e9 / episode.meta.spec.control_hz
    cameras = list(episode.meta.recorded)
    return {
        "limited": len(limited),
        "late": int(np.count_nonzero(late)),
        "nobody_drove": int(np.count_nonzero(arrays["commanded/mode"] == NO_COMMAND)),
        "marked_pictures": sum(int(np.count_nonzero(arrays[camera_path(name, "marks")])) for name in cameras),
        "camera_troubles": sum(len(arrays[camera_path(name, "events")]) for name in cameras),
    }


def _camera(pictures: Pictures) -> Camera:
    """Return what a camera recorded, with the statistics of at most 100 of its pictures, evenly spread."""
    import numpy as np

    from recorder.export.statistics import of_pictures
    from recorder.pictures.errors import PictureError

    numbers = None
    if len(pictures):
        try:
            numbers = numbers_of(of_pictures(pictures, np.arange(len(pictures))))
        except PictureError:
            numbers = None
    return Camera(str(pictures.codec), pictures.width, pictures.height, len(pictures), numbers)


def numbers_of(found: Mapping[str, Any]) -> Numbers:
    """Return statistics of `recorder.export.statistics` as plain numbers."""
    plain = {name: [float(one) for one in values.reshape(-1)] for name, values in found.items() if name != "count"}
    return Numbers(int(found["count"][0]), **plain)
