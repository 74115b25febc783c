"""Export to robomimic's HDF5 (github.com/ARISE-Initiative/robomimic, docs/datasets/overview): one file, many demos.

robomimic wants actions in [-1, 1]: ours are the applied joint positions and gripper opening, scaled by the joint
limits and [0, 1]; `data.attrs["action_scale"]` and `["action_offset"]` undo this: `action * scale + offset`.
The recorded values are kept unscaled in `action_dict`, and each demo names its episode, digest, operator and file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import h5py
import msgspec
import numpy as np
from numpy.typing import NDArray

from recorder.export.demonstrations import Demonstrations
from recorder.export.errors import (
    MixedRobotsError,
    MixedTasksError,
    NothingToExportError,
    TargetError,
    UnreadableBundleError,
)
from recorder.file.apart import reader
from recorder.file.episode import Episode, EpisodeError
from recorder.file.meta import SpecMeta
from recorder.proof import manifest as manifests
from recorder.proof.bundle import MANIFEST_FILE, SIGNATURES_FILE, SIGNATURES_JSON
from recorder.proof.manifest import EPISODE_FILE, Manifest, ManifestError
from sim.robot import Vector
from teleop.files import move

_GYM_TYPE: Final = 2
"""robomimic's EnvType.GYM_TYPE."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written."""

    path: Path
    demos: int
    samples: int
    valid_demos: int
    """How many of them are in the mask `valid`, for validation."""


@dataclass(frozen=True, slots=True)
class _Scaling:
    """action = (applied - offset) / scale; both (A,) float64."""

    scale: Vector
    offset: Vector

    def actions(self, episode: Episode) -> Vector:
        """Return (N, A) in [-1, 1]."""
        scaled = (_applied(episode) - self.offset) / self.scale
        return np.clip(scaled, -1.0, 1.0)  # rounding only: applied positions are within the limits


def export(given: Sequence[Path] | Demonstrations, target: Path, *, valid_ratio: float = 0.1) -> Exported:
    """Write the demos of `bundles`, in this order, to `target`; every 1/`valid_ratio`-th goes to the mask `valid`.

    `given` are the bundles. Reads one episode at a time. Raises an ExportError before anything is written.
    """
    bundles = given.bundles if isinstance(given, Demonstrations) else given
    if not bundles:
        raise NothingToExportError("Name at least one episode's folder.")
    first = _read(bundles[0])[1]
    samples = 0
    with _whole(target) as file:
        data = file.create_group("data")
        for number, bundle in enumerate(bundles):
            manifest, episode = _read(bundle)
            _require_alike(first, episode)
            demo = data.create_group(f"demo_{number}")
            _write_demo(demo, episode, _scaling(first))
            demo.attrs.update(_provenance(bundle, manifest))
            samples += episode.steps
        data.attrs.update(_attributes(first, samples))
        valid = _write_masks(file, len(bundles), valid_ratio)
    return Exported(target, len(bundles), samples, valid)


def _write_demo(demo: h5py.Group, episode: Episode, scaling: _Scaling) -> None:
    steps = episode.steps
    demo.attrs["num_samples"] = steps
    demo["actions"] = scaling.actions(episode)
    demo["states"] = np.hstack([array[:steps].reshape(steps, -1) for array in episode.observations.values()])
    reached = (episode.arrays["success"][1:] == 1).astype(np.float64)
    demo["rewards"] = reached
    demo["dones"] = _dones(steps)
    for name, array in episode.observations.items():
        demo[f"obs/{name}"] = array[:-1]
        demo[f"next_obs/{name}"] = array[1:]
    demo["action_dict/joint_position"] = episode.applied_joint_position
    demo["action_dict/gripper"] = episode.applied_gripper
    for number, end in enumerate(episode.meta.spec.end_effectors):
        demo[f"action_dict/{end.pose}"] = episode.applied_ee_pose[:, number]
    demo["timestamps/t_observed_mono_ns"] = episode.t_observed_ns
    demo["timestamps/t_sent_mono_ns"] = episode.t_sent_ns


def _dones(steps: int) -> NDArray[np.int64]:
    dones = np.zeros(steps, np.int64)
    dones[-1] = 1
    return dones


def _write_masks(file: h5py.File, demos: int, valid_ratio: float) -> int:
    """Write `mask/train` and `mask/valid`; with fewer than two demos, both are in `train` only."""
    every = round(1 / valid_ratio) if valid_ratio > 0 else demos + 1
    valid = [number for number in range(demos) if number % every == every - 1]
    if demos > 1 and not valid and valid_ratio > 0:
        valid = [demos - 1]
    train = [number for number in range(demos) if number not in set(valid)]
    for name, numbers in (("train", train), ("valid", valid)):
        file[f"mask/{name}"] = np.array([f"demo_{number}" for number in numbers], dtype="S")
    return len(valid)


def _attributes(episode: Episode, samples: int) -> dict[str, Any]:
    meta, scaling = episode.meta, _scaling(episode)
    kwargs = {"control_hz": meta.spec.control_hz, "robot": meta.robot.model, "task_version": meta.task.version}
    environment = {"env_name": meta.task.name, "type": _GYM_TYPE, "env_kwargs": kwargs}
    names = [*meta.spec.joint_names, *_gripper_names(meta.spec)]
    return {
        "total": samples,
        "env_args": json.dumps(environment),
        "action_names": json.dumps(names),
        "action_scale": scaling.scale,
        "action_offset": scaling.offset,
        "instruction": meta.task.instruction,
    }


def _provenance(bundle: Path, manifest: Manifest) -> dict[str, Any]:
    try:
        signatures = SIGNATURES_JSON.decode((bundle / SIGNATURES_FILE).read_bytes())
    except (OSError, ValueError) as error:
        raise UnreadableBundleError(
            f"{bundle} is no whole episode: {SIGNATURES_FILE} in it cannot be read ({_reason(error)})."
        ) from error
    return {
        "episode": manifest.episode,
        "digest": signatures.digest,
        "operator": manifest.operator.address,
        "robot": manifest.robot.address,
        "sha256": manifest.files[0].sha256,
        "content_root": manifest.content_root,
        "seed": manifest.seed,
    }


def _gripper_names(spec: SpecMeta) -> list[str]:
    if not spec.has_gripper:
        return []
    ends = spec.end_effectors
    return ["gripper"] if len(ends) == 1 else [f"{end.name}_gripper" for end in ends]


def _scaling(episode: Episode) -> _Scaling:
    spec = episode.meta.spec
    low, high = np.array(spec.joint_lower_rad), np.array(spec.joint_upper_rad)
    if spec.has_gripper:
        hands = spec.sizes.hands
        low, high = np.append(low, np.zeros(hands)), np.append(high, np.ones(hands))
    return _Scaling((high - low) / 2, (high + low) / 2)


def _applied(episode: Episode) -> Vector:
    joints, grippers = episode.applied_joint_position, episode.applied_gripper
    return np.hstack([joints, grippers]) if episode.meta.spec.has_gripper else joints


def _of_any_version(spec: SpecMeta) -> SpecMeta:
    """Return what every version of the format says of a robot."""
    return msgspec.structs.replace(spec, joint_resolution_rad=msgspec.UNSET)


def _require_alike(first: Episode, other: Episode) -> None:
    task, found = (one.meta.task for one in (first, other))
    if (task.name, task.version) != (found.name, found.version):
        tasks = f"{first.meta.episode} is of {task.name} {task.version}, and {other.meta.episode} of {found.name} "
        raise MixedTasksError(f"{tasks}{found.version}. A file holds one task: export them apart.")
    models = first.meta.robot.model, other.meta.robot.model
    if models[0] != models[1] or _of_any_version(first.meta.spec) != _of_any_version(other.meta.spec):
        robots = f"{first.meta.episode} is of a {models[0]}, and {other.meta.episode} of another robot, a {models[1]}"
        raise MixedRobotsError(f"{robots}. A file holds one robot: export them apart.")


def _read(bundle: Path) -> tuple[Manifest, Episode]:
    try:
        return manifests.decode((bundle / MANIFEST_FILE).read_bytes()), reader().read(bundle / EPISODE_FILE)
    except (OSError, ManifestError, EpisodeError) as error:
        raise UnreadableBundleError(f"{bundle} is no whole episode: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """Return what is wrong with a file, without its path, which is said already."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{Path(error.filename).name}: {error.strerror}"
    return str(error)


@contextmanager
def _whole(target: Path) -> Iterator[h5py.File]:
    """Give a file that replaces `target` only once all of it has been written; raise TargetError."""
    if target.is_dir() or not target.parent.is_dir():
        raise TargetError(f"{target} cannot be written: give a file (--to), in a folder that exists.")
    beside = target.with_name(target.name + ".tmp")
    try:
        with h5py.File(beside, "w") as file:
            yield file
            file.flush()
            os.fsync(file.id.get_vfd_handle())
        move(beside, target)
    finally:
        beside.unlink(missing_ok=True)
