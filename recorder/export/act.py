"""Export to the HDF5 files that ACT and ALOHA train on (github.com/tonyzhaozh/act): one file for each episode.

    episode_<i>.hdf5    attributes: sim, and what is known of the episode
      /observations/qpos        (T, J + K) f32: measured joints (rad) and openings of the grippers
      /observations/qvel        (T, J + K) f32: how fast they move
      /observations/images/<c>  (T, H, W, 3) u8, RGB
      /action                   (T, A) f32, in [-1, 1]
      /is_pad                   (T,) bool: whether a step was added at the end
      /step                     (T,) i64: which step of the episode it is; a pause of the operator is left out

ACT's own loader stacks all episodes, so they need one length: `length` pads and cuts to it. Observation t was taken
before action t.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
from numpy.typing import NDArray

from recorder.export.actions import ActionSpace
from recorder.export.demonstrations import Demonstration, Demonstrations, frames
from recorder.export.errors import CameraError, LengthError
from recorder.export.hdf5 import action_attributes, episode_attributes, naming
from recorder.export.target import whole_folder
from recorder.file.episode import Episode
from recorder.file.hdf5 import new_file
from recorder.file.layout import STEPS_MAX
from sim.robot import Vector

AS_THEY_ARE: Final = 0
"""`length` for loaders that take episodes of several lengths."""
_ABSOLUTE: Final = frozenset({"ee_pose", "joint_position"})
"""Actions that say where to be; the others say how to move."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written."""

    path: Path
    episodes: int
    steps: int
    padded: int
    """How many steps were added at the ends of episodes."""
    cut: int
    """How many were left out there."""


def export(demonstrations: Demonstrations, target: Path, *, length: int | None = None) -> Exported:
    """Write a folder of files, `episode_0.hdf5` and so on; raise an ExportError, and then leave nothing.

    With a `length`, shorter episodes stand still at their end until they have it, and longer ones lose their end.
    """
    if not demonstrations.cameras:
        raise CameraError("ACT learns from pictures: name at least one camera (--camera).")
    lengths = [len(one.steps) for one in demonstrations]
    steps = _length(lengths, length)
    with whole_folder(target) as folder:
        for one, own in zip(demonstrations, lengths, strict=True):
            with naming(one), new_file(folder / f"episode_{one.number}.hdf5") as new:
                _write(new.root, one, steps or own)
    padded = sum(max(0, (steps or own) - own) for own in lengths)
    cut = sum(max(0, own - (steps or own)) for own in lengths)
    return Exported(target, len(lengths), sum(lengths) + padded - cut, padded, cut)


def _length(lengths: list[int], asked: int | None) -> int:
    """Return the length that all episodes get, or 0 if each keeps its own; raise LengthError."""
    if asked is not None:
        if not 0 <= asked <= STEPS_MAX:
            raise LengthError(f"An episode has at most {STEPS_MAX} steps, and not {asked}: give another --length.")
        return asked
    if len(set(lengths)) > 1:
        raise LengthError(
            f"These episodes have {min(lengths)} to {max(lengths)} steps, and ACT's loader takes one length only. "
            f"Give --length {max(lengths)} to pad the shorter ones, less to cut the longer ones, or "
            f"--length {AS_THEY_ARE} for a loader that takes them as they are."
        )
    return lengths[0]


def _write(file: h5py.File, one: Demonstration, length: int) -> None:
    kept = one.steps[:length]
    added = length - len(kept)
    position, velocity = _joints(one.episode)
    file.attrs["sim"] = one.episode.meta.robot.simulated
    file["observations/qpos"] = _padded(position[kept], position[kept[-1]], added)
    file["observations/qvel"] = _padded(velocity[kept], np.zeros(velocity.shape[1]), added)
    file["action"] = _padded(one.actions[kept], _still(one.space, one.actions[kept[-1]]), added)
    file["is_pad"] = np.arange(length) >= len(kept)
    file["step"] = np.append(kept, np.repeat(kept[-1], added))
    _write_pictures(file, one, len(kept), length)
    file.attrs.update(_attributes(one, len(kept)))


def _write_pictures(file: h5py.File, one: Demonstration, own: int, length: int) -> None:
    """Write each camera's pictures, one to a step; the last of the `own` ones stays to the end."""
    made: dict[str, h5py.Dataset] = {}
    for row, frame in enumerate(islice(frames(one), own)):
        for name, pixels in frame.pictures.items():
            if pixels.dtype != np.uint8:
                raise CameraError(f"{name} does not take colours, and ACT takes nothing else: leave it out.")
            if name not in made:
                shape = (length, *pixels.shape)
                made[name] = file.create_dataset(f"observations/images/{name}", shape, np.uint8, chunks=(1, *shape[1:]))
            made[name][row] = pixels
            for added in range(own if row == own - 1 else length, length):
                made[name][added] = pixels


def _joints(episode: Episode) -> tuple[Vector, Vector]:
    """Return positions and velocities, each (N, J + K'); velocities that nobody measured are differences."""
    seen = episode.observations
    measured = [seen["joint_position"], *(seen[name] for name in ("gripper_position",) if name in seen)]
    speeds = [seen.get("joint_velocity"), None]
    seconds = np.diff(episode.t_observed_ns)[:, None] / 1e9
    moved = [np.vstack([np.zeros((1, one.shape[1])), np.diff(one, axis=0) / seconds]) for one in measured]
    known = [slow if fast is None else fast for fast, slow in zip(speeds, moved, strict=False)]
    return np.hstack(measured)[:-1], np.hstack(known)[:-1]


def _still(space: ActionSpace, last: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the action that changes nothing after `last`: grippers, and where to be, stay; speeds end."""
    stays = [
        name.endswith("gripper") or (space.name in _ABSOLUTE and not name.startswith("base_")) for name in space.names
    ]
    return np.where(stays, last, np.float32(0.0))


def _padded(values: NDArray[Any], still: NDArray[Any], added: int) -> NDArray[np.float32]:
    """Return (n + added, ...) float32: the values, then `still`."""
    return np.concatenate([values, np.repeat(still[None], added, axis=0)]).astype(np.float32)


def _attributes(one: Demonstration, own: int) -> dict[str, Any]:
    return {**episode_attributes(one), "steps": own, **action_attributes(one.space)}
