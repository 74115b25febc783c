"""Export to robomimic's HDF5 (github.com/ARISE-Initiative/robomimic, docs/datasets/overview): one file, many demos.

A demo is an episode without the steps in which nobody drove: what follows a step is what the next one began with. Its
actions are those of `--action`, in [-1, 1]; `env_args` names the environment that takes them. Pictures are uint8
(M, H, W, 3). Each demo names its episode, digest, operator and score; `/stats` has the range of each dataset.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
from numpy.typing import NDArray

from recorder.export.demonstrations import Demonstration, Demonstrations, Splits
from recorder.export.errors import CameraError
from recorder.export.hdf5 import action_attributes, add_view, episode_attributes, naming, origin_attribute
from recorder.export.statistics import Statistics, of_values, together
from recorder.export.target import whole_file
from recorder.file.hdf5 import new_file
from recorder.pictures.channel import PictureCodec, Pictures
from recorder.pictures.decode import Decoder
from sim.robot import Vector

_TIERS: Final = ("worse", "okay", "better")
"""Masks for thirds of the episodes by score, as robomimic's multi-human data sets have them for operators."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written."""

    path: Path
    demos: int
    samples: int
    valid_demos: int
    """How many of them are in the mask `valid`, for validation."""


@dataclass(slots=True)
class _Written:
    """What is known of the demos so far."""

    samples: int = 0
    successes: list[bool] = field(default_factory=list)
    scores: list[float | None] = field(default_factory=list)
    statistics: dict[str, list[Statistics]] = field(default_factory=dict)
    """Dataset -> its statistics in each demo."""

    def add(self, one: Demonstration) -> None:
        """Note what the masks need of an episode."""
        self.samples += len(one.steps)
        score = one.facts.get("score")
        self.successes.append(bool(one.facts.get("success")))
        self.scores.append(None if score is None else float(score))


def export(demonstrations: Demonstrations, target: Path, *, valid_ratio: float = 0.1, splits: Splits = ()) -> Exported:
    """Write the demos, in their order, to `target`; every 1/`valid_ratio`-th goes to the mask `valid`.

    If there are several `splits`, these are the masks instead. Raises an ExportError, and then leaves what was there.
    """
    written = _Written()
    with whole_file(target) as path, new_file(path) as new:
        file = new.root
        data = file.create_group("data")
        for one in demonstrations:
            whole = _with_next(one)
            with naming(one):
                _write_demo(data.create_group(f"demo_{one.number}"), whole, written.statistics)
            written.add(whole)
            new.require_written()
        data.attrs.update({"total": written.samples, **action_attributes(demonstrations.space)})
        data.attrs.update(origin_attribute(demonstrations.meta))
        valid = _write_masks(file, written, _split_masks(len(written.scores), valid_ratio, splits))
        for name, found in written.statistics.items():
            file.create_group(f"stats/{name}").attrs.update(together(found))
    return Exported(target, len(demonstrations), written.samples, valid)


def _write_demo(demo: h5py.Group, one: Demonstration, statistics: dict[str, list[Statistics]]) -> None:
    episode, steps = one.episode, one.steps
    rows = np.append(steps, _following(one)[-1])
    seen = episode.observations
    for name, array in seen.items():
        demo[f"obs/{name}"], demo[f"next_obs/{name}"] = array[steps], array[rows[1:]]
        statistics.setdefault(f"obs/{name}", []).append(of_values(array[steps]))
    demo["actions"] = one.actions[steps]
    statistics.setdefault("actions", []).append(of_values(one.actions[steps]))
    demo["states"] = np.hstack([array[steps].reshape(len(steps), -1) for array in seen.values()])
    demo["rewards"] = _rewards(one)
    demo["dones"] = (steps == steps[-1]).astype(np.int64)
    demo["step"] = steps
    for name in ("progress", "success"):
        demo[name], demo[f"next_{name}"] = episode.arrays[name][steps], episode.arrays[name][rows[1:]]
    for name, array in _recorded(one).items():
        demo[name] = array[steps]
    for camera in one.pictures.values():
        _write_pictures(demo, camera, camera.at(episode.t_observed_ns[rows]))
    demo.attrs.update(_attributes(one))


def _has_final(one: Demonstration) -> bool:
    """Whether there is an observation after the last action; some imported sets have none."""
    origin = one.episode.meta.origin
    return origin is None or origin.final


def _with_next(one: Demonstration) -> Demonstration:
    """Leave the last step out if what followed it is not known."""
    return one if _has_final(one) else replace(one, steps=one.steps[one.steps < one.episode.steps - 1])


def _following(one: Demonstration) -> NDArray[np.int64]:
    """Return (M,): the observation that the next exported step began with; the final one after the last."""
    return np.append(one.steps[1:], one.episode.steps if _has_final(one) else one.episode.steps - 1)


def _rewards(one: Demonstration) -> Vector:
    """Return (M,): 1 for a step after which the task was done, by the next one that is exported."""
    total = np.concatenate([[0], np.cumsum(one.episode.arrays["success"] == 1)])
    return (total[_following(one) + 1] > total[one.steps + 1]).astype(np.float64)


_OF_IMPORTS: Final = {
    "action_dict/joint_position": "applied/joint_position",
    "action_dict/gripper": "applied/gripper",
    "timestamps/t_observed_mono_ns": "time/t_observed_mono_ns",
    "timestamps/t_sent_mono_ns": "time/t_sent_mono_ns",
}
"""What an imported episode may have of what is recorded, if its source had it."""


def _recorded(one: Demonstration) -> Mapping[str, NDArray[Any]]:
    """Return what was applied, as it was recorded, when, and whether it was driven: name -> (N, ...)."""
    episode = one.episode
    if (origin := episode.meta.origin) is not None:
        return {"driven": one.driven} | {
            name: episode.arrays[ours][: episode.steps] for name, ours in _OF_IMPORTS.items() if ours in origin.values
        }
    poses = {
        f"action_dict/{end.pose}": episode.applied_ee_pose[:, hand]
        for hand, end in enumerate(episode.meta.spec.end_effectors)
    }
    return poses | {
        "action_dict/joint_position": episode.applied_joint_position,
        "action_dict/gripper": episode.applied_gripper,
        "driven": one.driven,
        "timestamps/t_observed_mono_ns": episode.t_observed_ns[:-1],
        "timestamps/t_sent_mono_ns": episode.t_sent_ns,
    }


def _write_pictures(demo: h5py.Group, camera: Pictures, chosen: NDArray[np.int64]) -> None:
    """Write the `chosen` (M+1,) pictures: each once, and then `obs` and `next_obs` as views of them."""
    modality = _modality(camera)
    decoder, name = Decoder(camera), f"{camera.name.removesuffix('_' + modality)}_{modality}"
    if name in demo["obs"]:
        raise CameraError(
            f"The robot has an array {name!r}, which the camera {camera.name} would be called: leave it out."
        )
    first = _channels(decoder.frame(int(chosen[0])), camera)
    shape = (len(chosen), *first.shape)
    stored = demo.create_dataset(f"pictures/{name}", shape, first.dtype, chunks=(1, *first.shape))
    for row, index in enumerate(chosen.tolist()):
        stored[row] = _channels(decoder.frame(index), camera)
    for group, start in (("obs", 0), ("next_obs", 1)):
        add_view(demo[group], name, stored, slice(start, start + len(chosen) - 1))


def _modality(camera: Pictures) -> str:
    return "depth" if camera.codec is PictureCodec.DEPTH16 else "image"


def _channels(pixels: NDArray[Any], camera: Pictures) -> NDArray[Any]:
    """Return (H, W, C): colours, or depth in metres."""
    if camera.codec is PictureCodec.DEPTH16:
        return (pixels.astype(np.float32) * np.float32(camera.depth_unit_m))[..., None]
    if pixels.dtype != np.uint8:
        raise CameraError(f"{camera.name} takes neither colours nor depth: leave it out.")
    return pixels


def _attributes(one: Demonstration) -> dict[str, Any]:
    said = episode_attributes(one) | {"num_samples": len(one.steps)}
    if one.manifest is None:
        return said
    return said | {
        "sha256": one.manifest.files[0].sha256,
        "content_root": one.manifest.content_root,
    }


_MASK_OF: Final = {"validation": "valid"}
"""What robomimic calls a split, if not the same."""


def _split_masks(demos: int, valid_ratio: float, splits: Splits) -> dict[str, Sequence[int]]:
    if len(splits) > 1:
        ends = np.cumsum([count for _, count in splits]).tolist()
        return {
            _MASK_OF.get(name, name): range(end - count, end) for (name, count), end in zip(splits, ends, strict=True)
        }
    held = _held_out(demos, valid_ratio)
    return {"train": [number for number in range(demos) if number not in held], "valid": sorted(held)}


def _write_masks(file: h5py.File, written: _Written, splits: Mapping[str, Sequence[int]]) -> int:
    """Write the masks; return how many demos `valid` has."""
    masks: dict[str, Iterable[int]] = {
        **splits,
        "success": [number for number, success in enumerate(written.successes) if success],
        **_tiers(written.scores),
    }
    for name, chosen in masks.items():
        file[f"mask/{name}"] = np.array([f"demo_{number}" for number in chosen], dtype="S")
    return len(splits.get("valid", ()))


def _held_out(demos: int, valid_ratio: float) -> frozenset[int]:
    """Return the demos for validation: at least one of two or more, unless the ratio is 0."""
    if demos < 2 or valid_ratio <= 0:
        return frozenset()
    every = round(1 / valid_ratio)
    return frozenset(range(every - 1, demos, every)) or frozenset({demos - 1})


def _tiers(scores: Sequence[float | None]) -> Mapping[str, Sequence[int]]:
    """Return thirds of the demos by score, if all of them have one and there are three."""
    known = sorted((score, number) for number, score in enumerate(scores) if score is not None)
    if len(known) < max(len(scores), len(_TIERS)):
        return {}
    thirds = np.array_split([number for _, number in known], len(_TIERS))
    return {name: sorted(third.tolist()) for name, third in zip(_TIERS, thirds, strict=True)}
